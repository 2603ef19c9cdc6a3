"""Seeded splits by blocks of time, so that neighbouring frames do not meet in training and test."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frame_columns import charge_states_of
from aiida_edl.science.frames import FrameSet

Indices = NDArray[np.int64]


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


def split_frames(
    frames: FrameSet,
    n_training: int,
    n_validation: int,
    n_test: int,
    seed: int,
    *,
    n_blocks: int,
    trajectory: str | None = 'group',
) -> Split:
    """Return a seeded split by blocks of time, of exact sizes for each charge state.

    Each trajectory is cut into blocks of equal length. Test and validation take blocks in random order, whole but for
    the last one of each charge state, which is cut in time where the size is reached; its rest goes to the next part.
    The training draws from what they leave, at random but for the frames that lie within the length of one block of a
    test frame: of those it takes none as long as there are others, then the farthest. Spare frames thus become gaps
    around the test. A test of k pieces, the cut one included, touches the training at up to 2 k borders; each needs one
    spare frame if no test frame is to be a neighbour in time of a training frame.

    Where each trajectory is of one charge state the split succeeds whenever a charge state has as many frames as are
    asked for, without any slack. Frames of one time (one geometry, many charges) stay together: where a trajectory
    holds several charge states, a block may bring more of one of them than can be used, at most one block per part.

    :param frames: the frames; the charge state is the column ``charge_state``, or follows from the composition. Frames
        of a trajectory are taken in the order of the column ``time`` where there is one, else as stored.
    :param n_training: frames of each charge state to train on; all that are left if they are fewer, which
        :func:`compose_training_set` refuses where they are needed.
    :param n_validation: frames of each charge state for the learning curve; may be 0.
    :param n_test: frames of each charge state for the reported errors; may be 0.
    :param seed: seed of all draws; test and validation depend on their sizes alone, not on ``n_training``.
    :param n_blocks: blocks per trajectory; a block longer than the correlation time is nearly independent of all but
        its neighbours.
    :param trajectory: column that tells trajectories apart; None if all frames are of one.
    :raises SplitError: if a size or ``n_blocks`` does not fit, or the column is absent.
    """
    for name, size in (('training', n_training), ('validation', n_validation), ('test', n_test)):
        if size < (1 if name == 'training' else 0):
            raise SplitError(
                f'n_{name} is {size}, it must {"be positive" if name == "training" else "not be negative"}'
            )
    generator = np.random.default_rng(seed)
    timeline = _Timeline.of_frames(frames, n_blocks, trajectory)
    states, state_of_frame = np.unique(charge_states_of(frames), return_inverse=True)
    blocks = [timeline.blocks[number] for number in generator.permutation(len(timeline.blocks))]
    parts: list[Indices] = []
    for name, size in (('test', n_test), ('validation', n_validation)):
        part, blocks = _take(blocks, size, state_of_frame, len(states))
        found = np.bincount(state_of_frame[part], minlength=len(states))
        if short := np.flatnonzero(found < size).tolist():
            raise SplitError(
                f'the {name} part needs {size} frames of charge state {states[short[0]]} and gets {found[short[0]]}; '
                'ask for fewer or label more'
            )
        parts.append(np.sort(part))
    test, validation = parts
    left = np.concatenate([np.zeros(0, dtype=np.int64), *(moment for block in blocks for moment in block)])
    # What ties is drawn at random: a stable sort of shuffled frames.
    left = generator.permutation(left)
    left = left[np.argsort(-timeline.distances(left, test), kind='stable')]
    training = [left[state_of_frame[left] == column][:n_training] for column in range(len(states))]
    return Split(training=np.sort(np.concatenate(training)), validation=validation, test=test)


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


@dataclass(frozen=True)
class _Timeline:
    """Frames in the order of time: moments are frames of one trajectory and time, blocks are lists of moments."""

    blocks: list[list[Indices]]
    trajectory_of_frame: Indices
    moment_of_frame: Indices
    """Number of the moment within the trajectory."""
    block_lengths: NDArray[np.float64]
    """Moments per block of each trajectory."""

    @classmethod
    def of_frames(cls, frames: FrameSet, n_blocks: int, trajectory: str | None) -> _Timeline:
        """Cut each trajectory into blocks of equal length to within one moment."""
        if n_blocks < 1:
            raise SplitError(f'n_blocks is {n_blocks}, it must be positive')
        owners = np.zeros(len(frames), dtype=np.int64)
        if trajectory is not None:
            owners = _group_numbers(frames, trajectory)
        moment_of_frame = np.zeros(len(frames), dtype=np.int64)
        blocks, lengths = [], []
        for owner in range(int(owners.max()) + 1):
            members = np.flatnonzero(owners == owner)
            times = np.arange(len(members)) if 'time' not in frames.columns else frames.columns['time'][members]
            numbers = np.unique(times, return_inverse=True)[1]
            moment_of_frame[members] = numbers
            in_time = members[np.argsort(numbers, kind='stable')]
            moments = np.split(in_time, np.cumsum(np.bincount(numbers))[:-1])
            if len(moments) < n_blocks:
                raise SplitError(
                    f'a trajectory has frames at {len(moments)} times, too few for {n_blocks} blocks; ask for '
                    "fewer, or tell trajectories apart by a column 'group'"
                )
            edges = [-(-number * len(moments) // n_blocks) for number in range(n_blocks + 1)]
            blocks += [moments[start:stop] for start, stop in itertools.pairwise(edges)]
            lengths.append(len(moments) / n_blocks)
        return cls(blocks, owners, moment_of_frame, np.array(lengths))

    def distances(self, frames: Indices, others: Indices) -> NDArray[np.float64]:
        """Return how many moments each frame is from the nearest of the others, at most the length of a block."""
        result = self.block_lengths[self.trajectory_of_frame[frames]]
        for owner in np.unique(self.trajectory_of_frame[others]):
            here = np.flatnonzero(self.trajectory_of_frame[frames] == owner)
            moments = self.moment_of_frame[others[self.trajectory_of_frame[others] == owner]]
            for moment in np.unique(moments):
                result[here] = np.minimum(result[here], np.abs(self.moment_of_frame[frames[here]] - moment))
        return result


def _take(
    blocks: Sequence[list[Indices]], size: int, state_of_frame: NDArray[np.intp], n_states: int
) -> tuple[Indices, list[list[Indices]]]:
    """Return frames of the first blocks that reach a size for each charge state, and the blocks that are left.

    The rest of a block that is cut comes first among those left, so that the next part begins beside this one.
    """
    needs = np.full(n_states, size)
    taken: list[Indices] = [np.zeros(0, dtype=np.int64)]
    cut: list[list[Indices]] = []
    left: list[list[Indices]] = []
    for block in blocks:
        n_used = 0
        for number, moment in enumerate(block):
            usable = [index for index in moment.tolist() if needs[state_of_frame[index]] > 0]
            if not usable and not needs[np.unique(state_of_frame[np.concatenate(block)])].any():
                break
            for index in usable:
                if needs[state_of_frame[index]] > 0:
                    needs[state_of_frame[index]] -= 1
                    taken.append(np.array([index]))
            n_used = number + 1 if usable else n_used
        if n_used == 0:
            left.append(block)
        elif n_used < len(block):
            cut.append(block[n_used:])
    return np.concatenate(taken), [*cut, *left]
