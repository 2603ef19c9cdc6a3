r"""Sort frames by how far a committee disagrees on them: learnt already, worth a label, or too far from anything real.

A frame is

- *accurate* where :math:`\sigma < \sigma_\mathrm{lower}`: a label would teach little,
- a *candidate* where :math:`\sigma_\mathrm{lower} \le \sigma < \sigma_\mathrm{upper}`,
- *failed* where :math:`\sigma \ge \sigma_\mathrm{upper}` or :math:`\sigma` is no number: the dynamics has left what the
  potentials know, most likely for geometries that do not occur, and a label would be wasted or would not converge,

with the largest deviation of the force on an atom :math:`\sigma` of
:mod:`~aiida_edl.science.analysis.committee_deviation`. The window is that of DP-GEN (Y. Zhang et al., Comput. Phys.
Commun. 253, 107206 (2020)), whose deviations divide by the number of members, not by one less: with four members, its
limits are to be multiplied by 1.15 to be those meant here.

A run that ends early stores fewer frames than were planned. Those that are missing count as not accurate, or a
potential that explodes at once would look the better for it; and the share of accurate frames is that of the charge
state where it is lowest, since a potential that knows the neutral film only is not good enough for the charged one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the deviation that are reported."""


class UncertaintyWindowError(ValueError):
    """Limits that are no window."""


class FrameClass(str, Enum):
    """What a frame is worth."""

    ACCURATE = 'accurate'
    CANDIDATE = 'candidate'
    FAILED = 'failed'


@dataclass(frozen=True)
class UncertaintyWindow:
    """Limits of the largest deviation of the force on an atom."""

    lower: float = 0.15
    """Below it a frame is accurate [eV/Å]; chosen here, a tenth of the typical force in water."""
    upper: float = 0.75
    """From it on a frame has failed [eV/Å]; chosen here, five times the lower limit."""

    def __post_init__(self) -> None:
        """Check that the limits are a window.

        :raises UncertaintyWindowError: with both values.
        """
        if not 0 <= self.lower < self.upper < math.inf:
            raise UncertaintyWindowError(
                f'the uncertainty window is {self.lower} to {self.upper} eV/Å; '
                'give a lower limit from 0 and an upper one above it'
            )


@dataclass(frozen=True)
class ClassCounts:
    """How many frames are of each class."""

    accurate: int
    """Frames with a deviation below the window."""
    candidate: int
    """Frames with a deviation in the window."""
    failed: int
    """Frames with a deviation above the window, or none."""
    planned: int
    """Frames that there would be if no run had ended early; at least as many as there are."""

    @property
    def accurate_share(self) -> float:
        """Accurate frames over those that were planned, 0 to 1."""
        return self.accurate / self.planned if self.planned else 0.0


def sort_frames(deviations: Floats, window: UncertaintyWindow) -> dict[FrameClass, NDArray[np.int64]]:
    """Return the indices of the frames of each class, ascending; each frame is in one class.

    :param deviations: largest deviation of the force on an atom of each frame [eV/Å]; NaN without one.
    :param window: the limits.

    >>> classes = sort_frames(np.array([0.1, 0.2, 0.5, np.nan]), UncertaintyWindow(0.2, 0.5))
    >>> [classes[name].tolist() for name in FrameClass]
    [[0], [1], [2, 3]]
    """
    values = np.asarray(deviations, dtype=np.float64)
    is_accurate = values < window.lower
    is_candidate = (values >= window.lower) & (values < window.upper)
    return {
        FrameClass.ACCURATE: np.flatnonzero(is_accurate),
        FrameClass.CANDIDATE: np.flatnonzero(is_candidate),
        FrameClass.FAILED: np.flatnonzero(~is_accurate & ~is_candidate),
    }


def count_classes(
    classes: Mapping[FrameClass, NDArray[np.int64]], labels: Sequence[str], planned: Mapping[str, int]
) -> dict[str, ClassCounts]:
    """Return the counts of every charge state that was planned or occurs, by its label.

    :param classes: indices of the frames of each class.
    :param labels: charge label of each frame.
    :param planned: frames of each charge label if no run had ended early.
    """
    of_frame = np.asarray(labels, dtype=str)
    counts = {}
    for label in sorted({*planned, *labels}):
        found = {name.value: int(np.count_nonzero(of_frame[indices] == label)) for name, indices in classes.items()}
        counts[label] = ClassCounts(**found, planned=max(planned.get(label, 0), sum(found.values())))
    return counts


def lowest_accurate_share(counts: Mapping[str, ClassCounts]) -> float:
    """Return the share of accurate frames of the charge state where it is lowest; 0 if there is none.

    :param counts: counts by charge label.
    """
    return min((entry.accurate_share for entry in counts.values()), default=0.0)


def deviation_quantiles(deviations: Floats) -> dict[str, float]:
    """Return quantiles of the deviations that are numbers [eV/Å], by name; empty without any.

    :param deviations: one a frame [eV/Å]; NaN without one.

    >>> deviation_quantiles(np.array([0.0, 1.0, np.nan]))['50 %']
    0.5
    """
    known = np.asarray(deviations, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return {}
    return {f'{100 * q:g} %': float(value) for q, value in zip(QUANTILES, np.quantile(known, QUANTILES))}
