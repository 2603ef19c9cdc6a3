"""Is there room for what a sum allocates? Asked before, as a program that takes too much is killed without a word."""

from __future__ import annotations

from pathlib import Path

from aiida_edl.science.electrostatics.charged_system import ChargedSystemError

MEMORY = Path('/proc/meminfo')
"""Where Linux tells of its memory; elsewhere nothing is checked."""
SMALL = 200e6
"""What needs less is not asked about [bytes]."""
SHARE = 0.9
"""Of the free memory that may be taken."""
GIGABYTE = 1e9


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse what does not fit into the free memory.

    :param needed: what will be allocated [bytes].
    :param what: what it is for, e.g. ``'500000 pairs'``.
    :param remedy: what needs less.
    :raises ChargedSystemError: with both sizes and the remedy.
    """
    if needed < SMALL or (free := available_bytes()) is None or needed <= SHARE * free:
        return
    raise ChargedSystemError(
        f'{what} would take {needed / GIGABYTE:.3g} GB of memory, {free / GIGABYTE:.3g} GB are free: {remedy}'
    )


def available_bytes() -> float | None:
    """Return the memory that new arrays can have [bytes]; None where it is not known."""
    if not MEMORY.is_file():
        return None
    values = dict(line.split(':', 1) for line in MEMORY.read_text(encoding='ascii').splitlines() if ':' in line)
    return 1024.0 * float(values['MemAvailable'].split()[0]) if 'MemAvailable' in values else None
