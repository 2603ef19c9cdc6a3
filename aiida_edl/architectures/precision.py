"""Precisions of floating-point numbers."""

from __future__ import annotations

from enum import Enum


class Precision(str, Enum):
    """Floating-point precision of a model."""

    SINGLE = 'float32'
    DOUBLE = 'float64'
