"""What it means that a trajectory cannot be analysed."""

from __future__ import annotations


class NotAnalysableError(ValueError):
    """A trajectory that holds no interface to analyse, or too little of it; the message says why and what could be."""
