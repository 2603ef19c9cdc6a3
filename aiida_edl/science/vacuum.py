"""How wide the vacuum of a film is: the gap between its atoms and their images along an open cell vector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats, FrameSet

TOLERANCE = 1e-6
"""Å by which a vacuum may fall short for the rounding of coordinates; forces vanish at the cutoff radius."""


@dataclass(frozen=True)
class ThinVacuum:
    """A vacuum that is thinner than it must be."""

    frame: int
    """Position of the frame in its set."""
    axis: int
    """Open cell vector, from 0."""
    width: float
    """Gap between the atoms and their image along that vector [Å]; negative if they reach beyond the cell."""
    least: float
    """What it must be [Å]."""

    def __str__(self) -> str:
        """Say what is wrong and what would be right, without the subject.

        >>> print(f'the film has {ThinVacuum(frame=0, axis=2, width=4.996, least=6.0)}')  # doctest: +ELLIPSIS
        the film has 5.00 Å of vacuum along its open cell vector 2, ... lengthen that cell vector by 1.01 Å
        """
        missing = math.ceil(100 * (self.least - self.width) - 1e-6) / 100
        return (
            f'{self.width:.2f} Å of vacuum along its open cell vector {self.axis}, less than the cutoff radius '
            f'{self.least} Å; lengthen that cell vector by {missing:.2f} Å'
        )


def vacuum_widths(frames: FrameSet) -> Floats:
    """Return the gap between the atoms and their image along each cell vector [Å], shape ``(n_frames, 3)``.

    It is measured along the normal of the other two cell vectors. Along periodic vectors, and in frames that are open
    along all of them, there are no images to be kept apart: infinity.

    :param frames: the frames.
    """
    widths = np.full((len(frames), 3), np.inf)
    is_partly_open = frames.pbc.any(axis=1) & ~frames.pbc.all(axis=1)
    if not is_partly_open.any():
        return widths
    owner = np.repeat(np.arange(len(frames)), np.diff(frames.offsets))
    for axis in range(3):
        normals = np.cross(frames.cells[:, (axis + 1) % 3], frames.cells[:, (axis + 2) % 3])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
        heights = np.sum(frames.positions * normals[owner], axis=1)
        starts = frames.offsets[:-1]
        extents = np.maximum.reduceat(heights, starts) - np.minimum.reduceat(heights, starts)
        gaps = np.abs(np.sum(frames.cells[:, axis] * normals, axis=1)) - extents
        is_open = is_partly_open & ~frames.pbc[:, axis]
        widths[is_open, axis] = gaps[is_open]
    return widths


def thin_vacuum(frames: FrameSet, least: float) -> ThinVacuum | None:
    """Return the first vacuum of films that is thinner than it must be, None if all are wide enough.

    :param frames: the frames.
    :param least: distance within which atoms act on each other [Å].
    """
    widths = vacuum_widths(frames)
    thin = np.argwhere(widths < least - TOLERANCE)
    if not len(thin):
        return None
    frame, axis = (int(index) for index in thin[0])
    return ThinVacuum(frame, axis, float(widths[frame, axis]), least)
