"""Seeded splits that keep groups of related frames together, and a report on what still leaks between the parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.frames import FrameSet

Indices = NDArray[np.int64]

SUBSETS = ('training', 'validation', 'test')


@dataclass(frozen=True)
class Split:
    """Indices of the frames of each part, ascending and without overlap; frames in none of them are unused."""

    training: Indices
    """Frames the model is fitted to."""
    validation: Indices
    """Frames on which the learning curve is taken."""
    test: Indices
    """Frames on which errors are reported."""


class SplitError(ValueError):
    """A split that cannot be made; the message says why and what could be."""


def charge_states_of(frames: FrameSet) -> Indices:
    """Return the number of ions of each frame: the column ``charge_state``, or from the composition without it.

    :param frames: the frames.
    """
    if 'charge_state' in frames.columns:
        return np.asarray(frames.columns['charge_state'], dtype=np.int64)
    return ions_per_frame(frames.numbers, frames.offsets)


def with_time_blocks(
    frames: FrameSet, n_blocks: int, trajectory: str | None = 'group', block: str = 'block'
) -> FrameSet:
    """Return the frames with a column that numbers contiguous stretches of each trajectory.

    For splits of few long trajectories: a block longer than the correlation time is nearly independent of all but its
    neighbours. Frames of a trajectory are taken in the order of the column ``time`` where there is one, else as stored.

    :param frames: the frames.
    :param n_blocks: blocks per trajectory, of equal length to within one frame.
    :param trajectory: column that tells trajectories apart; None if all frames are of one.
    :param block: name of the new column.
    :raises SplitError: if ``n_blocks`` is not positive or exceeds the frames of a trajectory, or the column is absent.
    """
    if n_blocks < 1:
        raise SplitError(f'n_blocks is {n_blocks}, it must be positive')
    labels = np.full(len(frames), -1, dtype=np.int64)
    owners = _group_numbers(frames, trajectory) if trajectory is not None else np.zeros(len(frames), dtype=np.int64)
    for number in np.unique(owners):
        members = np.flatnonzero(owners == number)
        if len(members) < n_blocks:
            raise SplitError(f'a trajectory has {len(members)} frames, too few for {n_blocks} blocks; ask for fewer')
        if 'time' in frames.columns:
            members = members[np.argsort(frames.columns['time'][members], kind='stable')]
        labels[members] = number * n_blocks + np.arange(len(members)) * n_blocks // len(members)
    return frames.with_columns(**{block: labels})


def split_frames(
    frames: FrameSet,
    n_training: int,
    n_validation: int,
    n_test: int,
    seed: int,
    *,
    block: str | None = 'group',
) -> Split:
    """Return a seeded split of exact sizes in which no group of frames is shared between two parts.

    Each charge state enters every part in proportion to its frames (largest remainder). Groups are handed out whole,
    the largest first and in random order among equals, each to the part that can use most of it; what a part got too
    much is thinned at random and stays unused. A group may hold several charge states (one geometry, many charges).

    :param frames: the frames; the charge state is the column ``charge_state``, or follows from the composition.
    :param n_training: frames to train on.
    :param n_validation: frames of the learning curve; may be 0.
    :param n_test: frames of the reported errors; may be 0.
    :param seed: seed of all draws.
    :param block: column that marks groups (trajectory, geometry or time block); None if all frames are independent.
    :raises SplitError: if a size does not fit, the column is absent, or the groups are too few.
    """
    sizes = {'training': n_training, 'validation': n_validation, 'test': n_test}
    for name, size in sizes.items():
        if size < (1 if name == 'training' else 0):
            raise SplitError(
                f'n_{name} is {size}, it must {"be positive" if name == "training" else "not be negative"}'
            )
    if (total := sum(sizes.values())) > len(frames):
        raise SplitError(
            f'{n_training} + {n_validation} + {n_test} = {total} frames are asked for, the set has {len(frames)}; '
            f'ask for {total - len(frames)} fewer'
        )
    generator = np.random.default_rng(seed)
    states, state_of_frame = np.unique(charge_states_of(frames), return_inverse=True)
    quotas = _quotas(list(sizes.values()), np.bincount(state_of_frame))
    groups = np.arange(len(frames)) if block is None else _group_numbers(frames, block)
    subset_of_group = _assign_groups(groups, state_of_frame, quotas, generator)
    chosen: dict[str, Indices] = {}
    for row, name in enumerate(SUBSETS):
        parts = []
        for column in range(len(states)):
            pool = np.flatnonzero((subset_of_group[groups] == row) & (state_of_frame == column))
            wanted = int(quotas[row, column])
            if len(pool) < wanted:
                raise SplitError(
                    f'the {name} part needs {wanted} frames of charge state {states[column]} and gets {len(pool)}, '
                    f"since the {int(groups.max()) + 1} groups of column '{block}' are kept whole; ask for fewer "
                    'frames or make smaller groups, e.g. by with_time_blocks'
                )
            parts.append(generator.choice(pool, size=wanted, replace=False))
        chosen[name] = np.sort(np.concatenate(parts)).astype(np.int64)
    return Split(**chosen)


def compose_training_set(
    frames: FrameSet, split: Split, charge_states: Sequence[int], n_frames: int, seed: int
) -> Indices:
    """Return training frames of the given charge states only, in equal shares: sets of equal size can be compared.

    :param frames: the frames the split was made of.
    :param split: the split; only its training part is drawn from.
    :param charge_states: numbers of ions, e.g. ``[2]`` for a single-charge set or ``[0, 1, 2]`` for a mixed one.
    :param n_frames: size of the set; what does not divide evenly goes to the charge states named first.
    :param seed: seed of the draw.
    :return: ascending indices into ``frames``.
    :raises SplitError: if a charge state is absent or named twice, or holds too few training frames.
    """
    available = charge_states_of(frames)[split.training]
    present = np.unique(available).tolist()
    if not charge_states or len(set(charge_states)) != len(charge_states):
        raise SplitError(f'charge states {list(charge_states)} are given; name at least one, and each once')
    if n_frames < len(charge_states):
        raise SplitError(f'{n_frames} frames cannot hold {len(charge_states)} charge states; ask for more frames')
    generator = np.random.default_rng(seed)
    share, rest = divmod(n_frames, len(charge_states))
    parts = []
    for position, state in enumerate(charge_states):
        if state not in present:
            raise SplitError(f'charge state {state} is absent from the training frames; present are {present}')
        pool = split.training[available == state]
        wanted = share + (1 if position < rest else 0)
        if len(pool) < wanted:
            raise SplitError(
                f'{wanted} training frames of charge state {state} are asked for, there are {len(pool)}; '
                'ask for fewer or label more'
            )
        parts.append(generator.choice(pool, size=wanted, replace=False))
    return np.sort(np.concatenate(parts)).astype(np.int64)


def _group_numbers(frames: FrameSet, block: str) -> Indices:
    """Return consecutive numbers of the groups marked by a column."""
    if block not in frames.columns:
        known = ', '.join(sorted(frames.columns)) or 'none'
        raise SplitError(f"the frames have no column '{block}' to keep groups together; columns are: {known}")
    return np.asarray(np.unique(frames.columns[block], return_inverse=True)[1], dtype=np.int64)


def _quotas(sizes: Sequence[int], available: NDArray[np.intp]) -> Indices:
    """Return frames per part and charge state, shape ``(3, n_states)``, in proportion to what is available.

    Parts are served in turn from what the earlier ones left, so no charge state is asked for more than it has.
    """
    left = available.astype(np.int64)
    rows = []
    for size in sizes:
        exact = size * left / max(int(left.sum()), 1)
        row = np.minimum(np.floor(exact).astype(np.int64), left)
        for column in np.argsort(row - exact, kind='stable')[: size - int(row.sum())]:
            row[column] += 1
        rows.append(row)
        left = left - row
    return np.stack(rows)


def _assign_groups(
    groups: Indices, state_of_frame: NDArray[np.intp], quotas: Indices, generator: np.random.Generator
) -> Indices:
    """Return the part each group goes to, shape ``(n_groups,)``; -1 if no part can use it."""
    contents = np.zeros((int(groups.max()) + 1, quotas.shape[1]), dtype=np.int64)
    np.add.at(contents, (groups, state_of_frame), 1)
    shuffled = generator.permutation(len(contents))
    order = shuffled[np.argsort(-contents[shuffled].sum(axis=1), kind='stable')]
    needs = quotas.copy()
    assigned = np.full(len(contents), -1, dtype=np.int64)
    for group in order:
        usable = np.minimum(contents[group], needs).sum(axis=1)
        if usable.max() > 0:
            best = int(np.argmax(usable))
            assigned[group] = best
            needs[best] = np.maximum(needs[best] - contents[group], 0)
    return assigned
