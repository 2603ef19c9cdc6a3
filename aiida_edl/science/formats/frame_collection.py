"""Gather the frames of a file: what cannot be used is left out, listed with its reason, and limited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.label_checks import LabelLimits, check_labels, fault_of_frame
from aiida_edl.science.frames import COLUMN_PREFIX, Frame, FrameSet

MAXIMUM_FAILED_FRACTION = 0.01
"""Largest fraction of the frames of a source that may be left out, unless stated; a choice of the project."""
LABELS = ('energy', 'forces', 'stress', 'charges', 'velocities')
"""Optional attributes of a frame."""


@dataclass(frozen=True)
class BadFrame:
    """What stands in a file where a frame should be."""

    reason: str
    """What is wrong with it, one sentence that names the file and the frame."""


@dataclass(frozen=True)
class FramesRead:
    """What was read from a source."""

    frames: FrameSet
    """The frames that can be used, in house units; with the column ``charge_state``."""
    rejected: tuple[tuple[int, str], ...]
    """Position in the source and reason of each frame that cannot, ascending."""
    indices: tuple[int, ...]
    """Position in the source of each frame that can."""


def collect_frames(
    items: Iterable[Frame | BadFrame], source: str, limits: LabelLimits, maximum_failed_fraction: float
) -> FramesRead:
    """Lay frames end to end, leave out those that cannot be used, and check the labels of the others as a whole.

    A frame is left out if it could not be read, holds values that are not finite, has atoms on top of each other, or
    lacks a label or column that other frames have. The column ``charge_state`` is the number of ions of the composition
    unless the frames carry it.

    :param items: what the format yields.
    :param source: name of the source, for messages.
    :param limits: bounds on the labels.
    :param maximum_failed_fraction: largest fraction of frames that may be left out.
    :raises FormatError: if there is no frame, too many are bad, or labels cannot be right.
    """
    if not 0.0 <= maximum_failed_fraction < 1.0:
        raise FormatError(f'maximum_failed_fraction is {maximum_failed_fraction}, it must be at least 0 and below 1')
    good: list[tuple[int, Frame]] = []
    rejected: list[tuple[int, str]] = []
    for index, item in enumerate(items):
        reason = item.reason if isinstance(item, BadFrame) else fault_of_frame(item, f'{source}: frame {index}', limits)
        if reason is not None:
            rejected.append((index, reason))
        elif isinstance(item, Frame):
            good.append((index, item))
    good, incomplete = _complete(good, source)
    rejected = sorted(rejected + incomplete)
    n_frames = len(good) + len(rejected)
    if not n_frames:
        raise FormatError(f'{source}: there is no frame in it; give a source with at least one')
    if len(rejected) > maximum_failed_fraction * n_frames or not good:
        raise FormatError(_too_many(rejected, n_frames, source, maximum_failed_fraction))
    frames = FrameSet.from_frames(frame for _, frame in good)
    if 'charge_state' not in frames.columns:
        frames = frames.with_columns(charge_state=ions_per_frame(frames.numbers, frames.offsets))
    check_labels(frames, source, limits)
    return FramesRead(frames, tuple(rejected), tuple(index for index, _ in good))


def _complete(frames: list[tuple[int, Frame]], source: str) -> tuple[list[tuple[int, Frame]], list[tuple[int, str]]]:
    """Return the frames that have all labels and columns that any frame has, and what the others lack."""
    has = [{*(n for n in LABELS if getattr(frame, n) is not None), *frame.columns} for _, frame in frames]
    everything = set().union(*has) if has else set()
    complete, incomplete = [], []
    for (index, frame), own in zip(frames, has):
        if own == everything:
            complete.append((index, frame))
        else:
            lacking = ' and '.join(sorted(everything - own))
            incomplete.append((index, f'{source}: frame {index} lacks {lacking}, which other frames have'))
    return complete, incomplete


def _too_many(rejected: list[tuple[int, str]], n_frames: int, source: str, fraction: float) -> str:
    """Return the message for a source with too many bad frames; one bad frame of one is its own message."""
    if len(rejected) == n_frames == 1:
        return rejected[0][1]
    return (
        f'{source}: {len(rejected)} of {n_frames} frames cannot be used, allowed is a fraction of {fraction:g}; the '
        f'first: {rejected[0][1]}'
    )


def in_one_precision(frames: FrameSet, kind: type) -> FrameSet:
    """Return the frames with all but the columns rounded to a precision, in arrays of double precision.

    :param frames: the frames.
    :param kind: ``numpy.float32`` or ``numpy.float64``.
    """
    arrays = frames.to_arrays()
    is_rounded = {name: a.dtype == np.float64 and not name.startswith(COLUMN_PREFIX) for name, a in arrays.items()}
    rounded = {name: a.astype(kind).astype(np.float64) if is_rounded[name] else a for name, a in arrays.items()}
    return FrameSet.from_arrays(rounded)
