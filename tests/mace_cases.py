"""Frames of another level of theory, for tests that fine-tune a MACE parent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.data import chemical_symbols
from toy.training import ATOMIC_ENERGIES

from aiida_edl.science.frames import FrameSet

SHIFTED_ENERGIES = {'H': -1.1, 'O': -2.9, 'Na': -0.5, 'Au': -3.2}
"""Atomic energies of the new level of theory [eV]."""
FORCE_FACTOR = 1.5
"""Forces and interaction energies of the new level of theory over those of the parent's; dimensionless."""


def relabelled(frames: FrameSet) -> FrameSet:
    """Return frames with the labels of the new level of theory: other atomic energies, stronger interactions.

    :param frames: frames labelled as by ``toy.training.film_frames``.
    """
    symbols = [chemical_symbols[int(number)] for number in frames.numbers]
    old, new = (
        np.add.reduceat([energies[symbol] for symbol in symbols], frames.offsets[:-1])
        for energies in (ATOMIC_ENERGIES, SHIFTED_ENERGIES)
    )
    return replace(frames, energies=FORCE_FACTOR * (frames.energies - old) + new, forces=FORCE_FACTOR * frames.forces)
