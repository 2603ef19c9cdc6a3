r"""Motion of the framework of a crystal: its drift, its mean positions, and how far its atoms are from these.

All coordinates are scaled, :math:`s = r\,h^{-1}` with the cell h of the frame, and lengths are taken in the mean cell,
so that a cell that breathes moves no atom. Each frame is unfolded from the one before it by the shortest image, which
holds as long as no atom moves half the cell between two frames. The drift of a frame is the mean displacement of the
atoms of the framework since the first frame; positions without it are comparable from frame to frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.unwrapped_paths import MAXIMUM_STEP
from aiida_edl.science.frames import Floats, FrameSet

FRAMES_AT_ONCE = 1000
"""Frames that are held in the memory in double precision."""


@dataclass(frozen=True)
class CrystalAtoms:
    """Which atoms move through a crystal and which are its framework."""

    mobile: Integers
    """Indices of the atoms that hop, shape ``(n_mobile,)``."""
    framework: Integers
    """Indices of those that hold the sites, shape ``(n_framework,)``."""


@dataclass(frozen=True)
class FrameworkMotion:
    """How the framework of one replica moves."""

    cell: Floats
    """Mean cell vectors as rows [Å], shape ``(3, 3)``."""
    mean: Floats
    """Mean scaled positions without drift, not folded, shape ``(n_framework, 3)``."""
    drift: Floats
    """Scaled drift since the first frame, shape ``(n_frames, 3)``."""
    block_starts: Integers
    """First frame of each block counted from that of the replica, and their number, shape ``(n_blocks + 1,)``."""
    block_means: Floats
    """Mean scaled positions without drift in each block, shape ``(n_blocks, n_framework, 3)``."""
    block_squares: Floats
    """Mean squared displacement from the mean of the block [Å²], shape ``(n_blocks, n_framework)``."""


def crystal_atoms(frames: FrameSet, mobile: str, framework: tuple[str, ...]) -> CrystalAtoms:
    """Return which atoms are mobile and which are the framework; the same in all frames.

    :param frames: the trajectory.
    :param mobile: element that hops.
    :param framework: elements of the framework; none for all others.
    :raises NotAnalysableError: if frames differ in their atoms, an element does not occur, or a cell is not periodic.
    """
    sizes = np.diff(frames.offsets)
    n_atoms = int(sizes[0])
    if np.any(sizes != n_atoms) or np.any(frames.numbers.reshape(-1, n_atoms) != frames.numbers[:n_atoms]):
        raise NotAnalysableError('frames differ in their atoms or in the order of these; analyse runs apart')
    if not frames.pbc.all():
        raise NotAnalysableError('a crystal needs a cell that is periodic in all three directions')
    for symbol in (mobile, *framework):
        if symbol not in frames.elements:
            raise NotAnalysableError(unknown_name_message('element of the trajectory', symbol, frames.elements))
    numbers = frames.numbers[:n_atoms]
    is_mobile = numbers == atomic_numbers[mobile]
    is_framework = ~is_mobile
    if framework:
        is_framework = np.isin(numbers, [atomic_numbers[symbol] for symbol in framework])
    if not is_framework.any() or np.any(is_framework & is_mobile):
        raise NotAnalysableError(f'no framework is left beside the mobile {mobile}; name other elements')
    return CrystalAtoms(np.flatnonzero(is_mobile), np.flatnonzero(is_framework))


def scaled_chunks(frames: FrameSet, start: int, stop: int, atoms: Integers | slice) -> Iterator[tuple[int, Floats]]:
    """Yield scaled positions of many frames at once, with the first of them.

    :param frames: the trajectory, of one composition.
    :param start: first frame.
    :param stop: frame after the last.
    :param atoms: atoms that are taken.
    :return: first frame and positions, shape ``(n, n_taken, 3)`` with n of at most 1000 frames.
    """
    positions = frames.positions.reshape(len(frames), -1, 3)
    for first in range(start, stop, FRAMES_AT_ONCE):
        last = min(first + FRAMES_AT_ONCE, stop)
        taken = positions[first:last, atoms].astype(np.float64)
        cells = frames.cells[first:last]
        if np.all(cells == cells[0]):
            n_taken = taken.shape[1]
            yield first, (taken.reshape(-1, 3) @ np.linalg.inv(cells[0])).reshape(-1, n_taken, 3)
        else:
            yield first, taken @ np.linalg.inv(cells)


def smallest_height(cell: Floats) -> float:
    """Return the smallest distance between opposite faces of a cell [Å].

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    """
    return float(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0).max())


def framework_motion(frames: FrameSet, start: int, stop: int, atoms: CrystalAtoms, n_blocks: int) -> FrameworkMotion:
    """Return drift, mean positions and vibration of the framework in one pass.

    :param frames: the trajectory.
    :param start: first frame of the replica.
    :param stop: frame after its last.
    :param atoms: mobile atoms and framework.
    :param n_blocks: blocks of the replica; fewer if it has fewer frames.
    :raises NotAnalysableError: if an atom moves too far between two frames.
    """
    cell = np.asarray(frames.cells[start:stop].mean(axis=0), dtype=np.float64)
    # No step within the share of the smallest height goes further along any cell vector.
    limit = MAXIMUM_STEP * smallest_height(cell)
    n_frames, n_framework = stop - start, atoms.framework.size
    n_blocks = min(n_blocks, n_frames)
    block_starts = np.linspace(0, n_frames, n_blocks + 1).astype(np.int64)
    sums, squares = np.zeros((n_blocks, n_framework, 3)), np.zeros((n_blocks, n_framework))
    drift = np.zeros((n_frames, 3))
    first_place = np.zeros((0, 3))
    place = last_scaled = first_place
    for first, scaled in scaled_chunks(frames, start, stop, slice(None)):
        if first == start:
            first_place = place = scaled[0, atoms.framework].copy()
            last_scaled = scaled[0]
        steps = np.diff(scaled, axis=0, prepend=last_scaled[np.newaxis])
        steps -= np.rint(steps)
        _check_steps(steps, atoms, cell, (limit, first))
        unfolded = place + np.cumsum(steps[:, atoms.framework], axis=0)
        rows = np.arange(first - start, first - start + len(scaled))
        drift[rows] = (unfolded - first_place).mean(axis=1)
        shifts = unfolded - drift[rows, np.newaxis] - first_place
        lengths = np.sum((shifts @ cell) ** 2, axis=2)
        edges = np.searchsorted(rows, block_starts)
        for block in np.flatnonzero(np.diff(edges)):
            part = slice(edges[block], edges[block + 1])
            sums[block] += shifts[part].sum(axis=0)
            squares[block] += lengths[part].sum(axis=0)
        place, last_scaled = unfolded[-1], scaled[-1]
    counts = np.diff(block_starts)
    block_means = sums / counts[:, np.newaxis, np.newaxis]
    block_squares = squares / counts[:, np.newaxis] - np.sum((block_means @ cell) ** 2, axis=2)
    mean = first_place + sums.sum(axis=0) / n_frames
    return FrameworkMotion(cell, mean, drift, block_starts, first_place + block_means, np.maximum(block_squares, 0.0))


def _check_steps(steps: Floats, atoms: CrystalAtoms, cell: Floats, limits: tuple[float, int]) -> None:
    """Check that no atom moves too far between two frames, the drift aside.

    :raises NotAnalysableError: with the atom, the step and the frames.
    """
    limit, first = limits
    own = (steps - steps[:, atoms.framework].mean(axis=1, keepdims=True)) @ cell
    lengths: NDArray[np.float64] = np.sum(own**2, axis=2)
    if lengths.max() > limit**2:
        frame, atom = np.unravel_index(int(np.argmax(lengths)), lengths.shape)
        raise NotAnalysableError(
            f'atom {atom} moves {np.sqrt(lengths.max()):.3g} Å between frames {first + frame - 1} and {first + frame}, '
            f'more than {MAXIMUM_STEP:g} of the smallest height of the cell ({limit:.3g} Å): its path is not known; '
            'store frames more often'
        )
