r"""Sums of correlation functions of waters in a layer: who is still there, who is there again, who still points there.

With :math:`h_i(t) = 1` while water i lies in the layer and :math:`m_i(t) = 1` where it is known, i.e. a water at all,

.. math::
   C(\tau) &= \frac{\sum_{i,t} h_i(t)\,h_i(t+\tau)}{\sum_{i,t} h_i(t)\,m_i(t+\tau)} &&\text{intermittent survival},\\
   S(\tau) &= \frac{\sum_{i,t} \prod_{s=t}^{t+\tau} h_i(s)}{\sum_{i,t} h_i(t)} &&\text{continuous survival},\\
   C_l(\tau) &= \langle P_l(\mathbf u_i(t)\cdot\mathbf u_i(t+\tau))\rangle &&\text{of waters that stayed throughout}.

In S a time origin counts for those lags only for which the fate is known: it lies inside the trajectory, and the water
did not dissociate while it was there. The sums over time are exact: C from Fourier transforms of the indicators, S from
the lengths of uninterrupted stays in one pass, C_1 and C_2 from Fourier transforms of each stay with the components of
u and of its real spherical harmonics of degree 2, by the addition theorem :math:`P_2 = \sum_m Y_m Y_m'`.

Sources: C(t) after A. Luzar, D. Chandler, Nature 379, 55 (1996); S(t) after P. Liu, E. Harder, B. J. Berne, J. Phys.
Chem. B 108, 6595 (2004).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.frames import Floats

Bools = NDArray[np.bool_]

NUMBERS_AT_ONCE = 2**22
"""Numbers that are transformed at once; bounds the memory."""
SHORTEST_TRANSFORM = 16
"""Stays up to this length share one batch."""


@dataclass(frozen=True)
class Stays:
    """Uninterrupted stays of waters in a layer, each array of shape ``(n_stays,)``."""

    member: Integers
    """Water."""
    start: Integers
    """First frame."""
    length: Integers
    """Frames."""
    has_left: Bools
    """Whether the water was seen to leave; else the trajectory ended or it dissociated."""


def stays(inside: Bools, known: Bools) -> Stays:
    """Return all uninterrupted stays.

    :param inside: whether a water lies in the layer, shape ``(n_members, n_frames)``; False where it is not known.
    :param known: whether it is a water, same shape.
    """
    n_members, n_frames = inside.shape
    # One frame beyond, so that a stay that reaches the end ends there.
    padded = np.zeros((n_members, n_frames + 2), dtype=np.int8)
    padded[:, 1:-1] = inside
    change = np.diff(padded, axis=1)
    member, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    has_left = np.zeros(len(stop), dtype=bool)
    ends_before = stop < n_frames
    has_left[ends_before] = known[member[ends_before], stop[ends_before]]
    return Stays(member.astype(np.int64), start.astype(np.int64), (stop - start).astype(np.int64), has_left)


def continuous_sums(found: Stays, n_frames: int, n_lags: int) -> tuple[Floats, Floats]:
    """Return how many time origins survive each lag, and for how many of them the fate is known; both ``(n_lags,)``.

    :param found: uninterrupted stays.
    :param n_frames: frames of the trajectory.
    :param n_lags: lags 0, 1, ... [frames].
    """
    # A stay of length L holds max(L - lag, 0) origins that survive: the second sum of the histogram from above.
    survivors = _remaining(found.length, n_frames, n_lags)
    cut = ~found.has_left
    at_risk = _remaining(found.length[cut], n_frames, n_lags)
    change = np.zeros(n_frames + 1)
    np.add.at(change, found.start[~cut], 1.0)
    np.add.at(change, found.start[~cut] + found.length[~cut], -1.0)
    occupied = np.concatenate([[0.0], np.cumsum(np.cumsum(change)[:n_frames])])
    # Origins t with t + lag inside the trajectory.
    at_risk += occupied[n_frames - np.arange(n_lags)]
    return survivors, at_risk


def _remaining(lengths: Integers, n_frames: int, n_lags: int) -> Floats:
    """Return the sum of ``max(length - lag, 0)`` for each lag, shape ``(n_lags,)``."""
    histogram = np.bincount(lengths, minlength=n_frames + 1).astype(np.float64)
    # Stays longer than each lag, then their sum from above.
    longer = np.cumsum(histogram[::-1])[::-1]
    return np.asarray(np.cumsum(longer[:0:-1])[::-1][:n_lags])


def intermittent_sums(inside: Bools, known: Bools, n_lags: int) -> tuple[Floats, Floats]:
    """Return numerator and denominator of the intermittent survival, whole numbers, both of shape ``(n_lags,)``.

    :param inside: whether a water lies in the layer, shape ``(n_members, n_frames)``; False where it is not known.
    :param known: whether it is a water, same shape.
    :param n_lags: lags 0, 1, ... [frames].
    """
    n_members, n_frames = inside.shape
    size = fft.next_fast_len(n_frames + n_lags, real=True)
    at_once = max(1, NUMBERS_AT_ONCE // size)
    power, cross = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1, dtype=np.complex128)
    for start in range(0, n_members, at_once):
        part = slice(start, start + at_once)
        spectrum = fft.rfft(inside[part].astype(np.float64), size, axis=1)
        power += np.sum(np.abs(spectrum) ** 2, axis=0)
        unknown = ~known[part].all(axis=1)
        if unknown.any():
            missing = fft.rfft(~known[part][unknown], size, axis=1)
            cross += np.sum(np.conj(spectrum[unknown]) * missing, axis=0)
    numerator = np.rint(fft.irfft(power, size)[:n_lags])
    origins = np.concatenate([[0.0], np.cumsum(inside.sum(axis=0))])
    denominator = origins[n_frames - np.arange(n_lags)] - np.rint(fft.irfft(cross, size)[:n_lags])
    return numerator, denominator


def reorientation_sums(directions: NDArray[Any], found: Stays, n_lags: int) -> tuple[Floats, Floats]:
    """Return the sums of P_1 and of P_2 over all pairs of times within a stay, both of shape ``(n_lags,)``.

    Their number at each lag is that of the survivors of :func:`continuous_sums`.

    :param directions: unit vectors of any precision, shape ``(n_members, n_frames, 3)``.
    :param found: uninterrupted stays.
    :param n_lags: lags 0, 1, ... [frames].
    """
    first, second = np.zeros(n_lags), np.zeros(n_lags)
    for chosen, longest in _batches(found.length):
        lags = min(longest, n_lags)
        size = fft.next_fast_len(longest + lags, real=True)
        at_once = max(1, NUMBERS_AT_ONCE // size)
        power = np.zeros((2, size // 2 + 1))
        for start in range(0, len(chosen), at_once):
            part = chosen[start : start + at_once]
            vectors = _gathered(directions, found, part, longest)
            for component in vectors:
                power[0] += np.sum(np.abs(fft.rfft(component, size, axis=1)) ** 2, axis=0)
            is_there = np.arange(longest) < found.length[part][:, None]
            for component in _second_harmonics(vectors, is_there):
                power[1] += np.sum(np.abs(fft.rfft(component, size, axis=1)) ** 2, axis=0)
        sums = fft.irfft(power, size, axis=1)[:, :lags]
        first[:lags] += sums[0]
        second[:lags] += sums[1]
    return first, second


def _batches(lengths: Integers) -> Iterator[tuple[Integers, int]]:
    """Yield stays of similar length, and the longest of them: up to 16, 32, 64, ... frames."""
    if not lengths.size:
        return
    classes = np.ceil(np.log2(np.maximum(lengths, SHORTEST_TRANSFORM))).astype(np.int64)
    for value in np.unique(classes):
        chosen = np.flatnonzero(classes == value)
        yield chosen, int(lengths[chosen].max())


def _gathered(directions: NDArray[Any], found: Stays, part: Integers, longest: int) -> Floats:
    """Return the vectors of some stays, followed by zeros, shape ``(3, n_part, longest)``."""
    offsets = np.arange(longest)
    is_there = offsets < found.length[part][:, None]
    frames = np.minimum(found.start[part][:, None] + offsets, directions.shape[1] - 1)
    vectors = directions[found.member[part][:, None], frames] * is_there[..., None]
    return np.ascontiguousarray(np.moveaxis(vectors, -1, 0), dtype=np.float64)


def _second_harmonics(vectors: Floats, is_there: Bools) -> Iterator[Floats]:
    """Yield the five real spherical harmonics of degree 2, so normalised that their squares sum to one."""
    x, y, z = vectors
    for first, second in ((x, y), (y, z), (z, x)):
        yield np.sqrt(3.0) * first * second
    yield np.sqrt(0.75) * (x * x - y * y)
    yield 1.5 * z * z - 0.5 * is_there
