"""Seeded splits by whole groups: geometries with all their charges, trajectories, or all but one charge state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.duplicates import GEOMETRY_TOLERANCE, geometry_groups
from aiida_edl.science.frame_columns import Indices, column_of
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.splitting import Split, SplitError
from aiida_edl.typed_fields import checked_fields

GEOMETRY = 'geometry'
"""Name of the groups of frames of one geometry: the column if there is one, else found from the positions."""
TIME_BLOCKS = 'time_blocks'
"""Method of :func:`~aiida_edl.science.splitting.split_frames`, which parts trajectories where it must."""


def groups_of(frames: FrameSet, name: str, tolerance: float = GEOMETRY_TOLERANCE) -> Indices:
    """Return consecutive numbers of groups whose frames must not be parted.

    :param frames: the frames.
    :param name: a column, e.g. ``group`` for trajectories. ``geometry`` needs none: without it, frames whose atoms
        other than ions lie alike are of one geometry, see :func:`~aiida_edl.science.duplicates.geometry_groups`.
    :param tolerance: distance of fingerprints below which two geometries are the same [Å].
    :raises SplitError: if there is no such column; the message holds the nearest.
    """
    if name == GEOMETRY and GEOMETRY not in frames.columns:
        return geometry_groups(frames, tolerance)
    try:
        values = column_of(frames, name)
    except ValueError as error:
        raise SplitError(str(error)) from error
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)


def check_geometries(frames: FrameSet, split: Split) -> None:
    """Check that a split parts no geometry, if a column names them.

    :param frames: the frames; nothing is checked without a column ``geometry``.
    :param split: the split.
    :raises SplitError: with the number of geometries that are parted, one of them, and the remedy.
    """
    if GEOMETRY not in frames.columns:
        return
    geometries = np.asarray(frames.columns[GEOMETRY])
    parts = [set(geometries[indices].tolist()) for indices in (split.training, split.validation, split.test)]
    shared = sorted((parts[0] & parts[2]) | (parts[0] & parts[1]) | (parts[1] & parts[2]))
    if shared:
        raise SplitError(
            f'{len(shared)} geometries have frames in several parts, the first is {shared[0]}: what is tested is known '
            "from its other charges; split by the method 'groups'"
        )


def split_groups(groups: ArrayLike, n_validation: int, n_test: int, seed: int, n_training: int | None = None) -> Split:
    """Return a split that parts no group.

    Groups are taken in random order. Test, then validation, takes each group that still fits whole: a part never holds
    more frames than asked for, and no group that is left could be added to it. Sizes are thus exact where groups are of
    equal size that divides them. The training gets the frames of all other groups, or so many of them, drawn at random:
    the others are unused.

    :param groups: number of the group of each frame, shape ``(n_frames,)``.
    :param n_validation: frames for the learning curve, at most; may be 0.
    :param n_test: frames for the reported errors, at most; may be 0. Test groups depend on it and the seed alone.
    :param seed: seed of all draws.
    :param n_training: frames to train on, exactly; all that are left if None.
    :raises SplitError: if a part that is asked for gets no frame, or the training too few.
    """
    owners = np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(owners)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(sizes))
    part_of_group = np.zeros(len(sizes), dtype=np.int64)
    for number, (name, wanted) in enumerate((('test', n_test), ('validation', n_validation)), start=1):
        if wanted < 0:
            raise SplitError(f'n_{name} is {wanted}, it must not be negative')
        free = wanted
        for group in order[part_of_group[order] == 0]:
            if sizes[group] <= free:
                part_of_group[group] = number
                free -= sizes[group]
        if wanted and free == wanted:
            raise SplitError(
                f'the {name} part may hold {wanted} frames, but the smallest group that is left has '
                f'{_smallest(sizes[part_of_group == 0])}; ask for more'
            )
    training, test, validation = (np.flatnonzero(part_of_group[owners] == number) for number in range(3))
    return Split(training=_drawn(training, n_training, generator), validation=validation, test=test)


def leave_one_out(
    values: ArrayLike,
    left_out: Any,
    n_validation: int,
    seed: int,
    *,
    groups: ArrayLike | None = None,
    n_test: int | None = None,
    n_training: int | None = None,
) -> Split:
    """Return a split that tests on one value of a column, such as a charge state, and trains on all others.

    Without groups the test holds all frames of the value left out. With groups, those of one group are not parted: the
    test takes whole groups that hold such frames, in random order, as long as at most ``n_test`` of these come
    together; their frames of other values are unused, and so are the frames of the value left out in all other groups.

    :param values: the value of each frame, shape ``(n_frames,)``.
    :param left_out: the value to test on.
    :param n_validation: frames for the learning curve, of other values, in whole groups, at most; may be 0.
    :param seed: seed of all draws.
    :param groups: number of the group of each frame, e.g. of its geometry; each frame is one if None.
    :param n_test: frames of the value left out to test on, at most; all if None.
    :param n_training: frames to train on, exactly; all that are left if None.
    :raises SplitError: if no frame has the value, or a part that is asked for gets no frame.
    """
    given = np.asarray(values)
    known = np.unique(given).tolist()
    is_left_out = np.asarray([value == left_out or str(value) == str(left_out) for value in given.tolist()])
    if not is_left_out.any():
        message = unknown_name_message('value left out', str(left_out), [str(value) for value in known])
        raise SplitError(message)
    owners = np.arange(len(given)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    n_left_out = np.bincount(owners[is_left_out], minlength=int(owners.max()) + 1)
    tested = np.flatnonzero(n_left_out)
    if n_test is not None:
        free, taken = n_test, []
        for group in generator.permutation(tested):
            if n_left_out[group] <= free:
                taken.append(group)
                free -= int(n_left_out[group])
        tested = np.array(taken, dtype=np.int64)
    is_tested = np.isin(owners, tested)
    test, others = np.flatnonzero(is_tested & is_left_out), np.flatnonzero(~is_tested & ~is_left_out)
    if not len(test) or not len(others):
        empty = 'test' if not len(test) else 'training'
        raise SplitError(
            f'no frame is left for the {empty} part if {left_out} is left out and groups stay together; '
            f'ask for {"more" if empty == "test" else "fewer"} test frames by n_test'
        )
    rest = split_groups(owners[others], n_validation, 0, int(generator.integers(2**31)), n_training)
    return Split(training=others[rest.training], validation=others[rest.validation], test=test)


@dataclass(frozen=True)
class GroupSplit:
    """Settings of a split that parts no group; see :func:`split_groups`."""

    group_by: str = GEOMETRY
    """What is not parted: ``geometry`` or a column, e.g. ``group`` for trajectories."""
    n_training: int | None = None
    """Frames to train on, exactly; all that are left if None."""
    n_validation: int = 0
    """Frames for the learning curve, at most."""
    n_test: int = 0
    """Frames for the reported errors, at most."""
    seed: int = 0
    """Seed of all draws."""
    tolerance: float = GEOMETRY_TOLERANCE
    """Distance of fingerprints below which two geometries are the same [Å]; of no effect if there is a column
    ``geometry``."""

    def split(self, frames: FrameSet) -> Split:
        """Return the split of some frames.

        :raises SplitError: if it cannot be made.
        """
        groups = groups_of(frames, self.group_by, self.tolerance)
        return split_groups(groups, self.n_validation, self.n_test, self.seed, self.n_training)


@dataclass(frozen=True)
class LeaveOneOutSplit:
    """Settings of a split that tests on one value of a column; see :func:`leave_one_out`."""

    left_out: int | float | str
    """The value to test on, e.g. a number of ions."""
    column: str = 'charge_state'
    """Its column."""
    group_by: str | None = None
    """What is not parted: ``geometry`` or a column; every frame stands alone if None."""
    n_training: int | None = None
    """Frames to train on, exactly; all that are left if None."""
    n_validation: int = 0
    """Frames for the learning curve, at most."""
    n_test: int | None = None
    """Frames of the value left out to test on, at most; all if None."""
    seed: int = 0
    """Seed of all draws."""
    tolerance: float = GEOMETRY_TOLERANCE
    """Distance of fingerprints below which two geometries are the same [Å]."""

    def split(self, frames: FrameSet) -> Split:
        """Return the split of some frames.

        :raises SplitError: if it cannot be made.
        """
        try:
            values = column_of(frames, self.column)
        except ValueError as error:
            raise SplitError(str(error)) from error
        return leave_one_out(
            values,
            self.left_out,
            self.n_validation,
            self.seed,
            groups=None if self.group_by is None else groups_of(frames, self.group_by, self.tolerance),
            n_test=self.n_test,
            n_training=self.n_training,
        )


SPLITS: Mapping[str, type[GroupSplit] | type[LeaveOneOutSplit]] = {
    'groups': GroupSplit,
    'leave_one_out': LeaveOneOutSplit,
}
"""Settings of the splits by whole groups, by name of the method."""


def split_by_settings(frames: FrameSet, method: str, values: Mapping[str, Any]) -> Split:
    """Return a split by whole groups.

    :param frames: the frames.
    :param method: key of :data:`SPLITS`.
    :param values: fields of the settings of that method.
    :raises SplitError: for an unknown method or name, with the nearest, a value of a wrong type, or if the split cannot
        be made.
    """
    if method not in SPLITS:
        raise SplitError(unknown_name_message('method of splitting', method, [TIME_BLOCKS, *SPLITS]))
    checked = checked_fields(SPLITS[method], values, 'setting of a split', SplitError, f' by {method}')
    if method == 'leave_one_out' and 'left_out' not in checked:
        raise SplitError('a split by leave_one_out needs left_out, the value to test on')
    return SPLITS[method](**checked).split(frames)


def _smallest(sizes: NDArray[np.int64]) -> str:
    """Return the size of the smallest group in words."""
    return f'{sizes.min()} frames' if len(sizes) else 'none, all are taken'


def _drawn(indices: Indices, n_drawn: int | None, generator: np.random.Generator) -> Indices:
    """Return so many of the indices, ascending; all if None."""
    if n_drawn is None:
        n_drawn = max(len(indices), 1)
    if not 1 <= n_drawn <= len(indices):
        raise SplitError(
            f'{n_drawn} frames to train on are asked for, {len(indices)} are left by the other parts; ask for fewer or '
            'make those smaller'
        )
    return np.sort(generator.choice(indices, size=n_drawn, replace=False)).astype(np.int64)
