"""What a cell holds, counted from its atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.science.frames import Frame


@dataclass(frozen=True)
class Composition:
    """Atoms and cell of one structure."""

    counts: Mapping[str, int]
    """Atoms by chemical symbol."""
    lengths: tuple[float, float, float]
    """Lengths of the vectors of the cell [Å]."""
    is_periodic: tuple[bool, bool, bool]
    """Along which of them it is periodic."""

    @property
    def n_water(self) -> int:
        """Molecules of water: atoms of oxygen."""
        return self.counts.get('O', 0)


def composition(frame: Frame) -> Composition:
    """Return what a frame holds.

    :param frame: the frame.
    """
    numbers, counts = np.unique(frame.numbers, return_counts=True)
    lengths = np.linalg.norm(np.asarray(frame.cell), axis=1)
    first, second, third = (bool(flag) for flag in frame.pbc)
    return Composition(
        counts={chemical_symbols[int(number)]: int(count) for number, count in zip(numbers, counts)},
        lengths=(float(lengths[0]), float(lengths[1]), float(lengths[2])),
        is_periodic=(first, second, third),
    )
