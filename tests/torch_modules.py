"""Modules below the AiiDA line that need PyTorch, as the contract on imports lists them."""

from __future__ import annotations

from pathlib import Path

CONTRACTS = Path(__file__).parents[1] / 'pyproject.toml'


def torch_modules() -> set[str]:
    """Return the full names of the modules that may import torch."""
    lines = (line.strip().strip('",') for line in CONTRACTS.read_text(encoding='utf-8').splitlines())
    return {line.removesuffix(' -> torch') for line in lines if line.endswith(' -> torch')}
