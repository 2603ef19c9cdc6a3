"""The charge that a model is told: a column of the frames, or the charge of the metal that follows from the atoms.

In a neutral cell the metal carries minus the formal charge of the ions; in one that is stated to be charged, by a
column ``total_charge``, that charge sits on the metal too. A strictly local model cannot know it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science.charge_state import FORMAL_CHARGES
from aiida_edl.science.frames import Floats, Frame, FrameSet

METAL_CHARGE = 'metal_charge'
"""Column of the charge of the metal [e]; frames without it have the value that follows from their atoms."""
TOTAL_CHARGE = 'total_charge'
"""Column of the charge of the cell [e]; frames without it are neutral."""


class ToldChargeError(ValueError):
    """Frames from which the charge that a model is told cannot be taken."""


def ion_charges_of(frames: FrameSet) -> Floats:
    """Return the sum of the formal charges of the ions of each frame [e], shape ``(n_frames,)``.

    :param frames: the frames.
    """
    formal = np.zeros(256)
    for symbol, charge in FORMAL_CHARGES.items():
        formal[atomic_numbers[symbol]] = charge
    return np.asarray(np.add.reduceat(formal[frames.numbers], frames.offsets[:-1]), dtype=np.float64)


def metal_charges_of(frames: FrameSet) -> Floats:
    """Return the charge of the metal of each frame [e], shape ``(n_frames,)``.

    It is the column ``metal_charge``; without one, the charge of the cell (column ``total_charge``, 0 without it) less
    the formal charges of the ions.

    :param frames: the frames.
    """
    if METAL_CHARGE in frames.columns:
        return np.asarray(frames.columns[METAL_CHARGE], dtype=np.float64)
    cell_charges = np.asarray(frames.columns.get(TOTAL_CHARGE, np.zeros(len(frames))), dtype=np.float64)
    return cell_charges - ion_charges_of(frames)


def tells_charge(columns: Collection[str], column: str) -> bool:
    """Return whether frames with these columns tell a model the charge it asks for.

    >>> tells_charge((), 'metal_charge'), tells_charge((), 'bias_charge')
    (True, False)

    :param columns: names of the columns of the frames.
    :param column: column that the model takes as charge; ``metal_charge`` follows from the atoms.
    """
    return column == METAL_CHARGE or column in columns


def told_charges(frames: FrameSet, column: str) -> NDArray[np.float64]:
    """Return the charge that a model is told of each frame [e], shape ``(n_frames,)``.

    :param frames: the frames.
    :param column: column that the model takes as charge; ``metal_charge`` follows from the atoms.
    :raises ToldChargeError: if the frames lack it, or a value is not finite.
    """
    if not tells_charge(frames.columns, column):
        known = ', '.join(sorted(frames.columns)) or 'none'
        raise ToldChargeError(f"the frames lack the column '{column}' of the total charge; they have: {known}")
    if column == METAL_CHARGE:
        values = metal_charges_of(frames)
    else:
        values = np.asarray(frames.columns[column], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ToldChargeError(
            f"the column '{column}' is {values[bad[0]]} in frame {bad[0]}, a model needs a finite charge; set it"
        )
    return values


def told_charge(frame: Frame, column: str) -> float:
    """Return the charge that a model is told of one frame [e].

    :param frame: the frame.
    :param column: column that the model takes as charge; ``metal_charge`` follows from the atoms.
    :raises ToldChargeError: if the frame lacks it, or it is not finite.
    """
    return float(told_charges(FrameSet.from_frames([frame]), column)[0])
