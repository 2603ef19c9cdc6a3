r"""Whether the framework of a crystal has kept its order, or has melted.

Each replica is cut into blocks. In a block, the Lindemann ratio of the framework is

.. math:: \delta = \frac{1}{d} \sqrt{\langle |\mathbf u|^2 \rangle}, \qquad \mathbf u = \mathbf r - \mathbf R,

with the mean position R of each atom in the block, without the drift of the framework, and the nearest-neighbour
distance d, the mean over the atoms of the distance to the nearest one in the mean structure of the first block. An atom
is off its site in a block if its mean position there is farther than d/2 from that of the first block. In a liquid both
grow with time; in a crystal, δ is that of its vibrations and no atom is off.

A block has melted if either exceeds its threshold, a replica if one of its blocks has. Blocks must be long enough for a
liquid to diffuse by its atomic distance, some picoseconds; a glass is not told from a crystal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from aiida_edl.science.analysis.crystal_sites import with_images
from aiida_edl.science.analysis.framework_motion import CrystalAtoms, FrameworkMotion, crystal_atoms, framework_motion
from aiida_edl.science.analysis.lattice_order_settings import LatticeOrderSettings
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import replica_ranges
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES

__all__ = ['LatticeOrder', 'LatticeOrderSettings', 'lattice_order', 'motion_order']


@dataclass(frozen=True)
class LatticeOrder(StoredResult):
    """Order of a framework, by replica and block; a time is NaN where nothing melts or frames carry no time."""

    stored_subject: ClassVar[str] = 'the order of a lattice needs'
    settings_type: ClassVar[type[LatticeOrderSettings]] = LatticeOrderSettings

    is_crystalline: bool
    """Whether no replica has melted."""
    reasons: tuple[str, ...]
    """Why not, a sentence for each replica that has."""
    replica_is_crystalline: NDArray[np.bool_]
    """The same for each replica, shape ``(n_replicas,)``."""
    melting_time: Floats
    """Time of the first frame of the first melted block of each replica [fs], shape ``(n_replicas,)``."""
    lindemann_ratio: float
    """Root mean square displacement over the nearest-neighbour distance, mean of all blocks."""
    lindemann_ratio_error: float
    off_site_fraction: float
    """Share of the framework off its sites, mean of all blocks but the first ones, which define them."""
    off_site_fraction_error: float
    nearest_distance: float
    """Nearest-neighbour distance of the framework [Å], mean over replicas."""
    block_replica: NDArray[np.int64]
    """Replica of each block, shape ``(n_blocks_total,)``."""
    block_time: Floats
    """Time of the first frame of each block [fs], same shape."""
    block_lindemann_ratio: Floats
    """Same shape."""
    block_off_site_fraction: Floats
    """Same shape; 0 in the first block of each replica."""
    n_framework: int
    """Atoms of the framework."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    n_melted: int
    """Replicas that have melted."""
    settings: LatticeOrderSettings
    """What it was judged with."""


@dataclass(frozen=True)
class MotionOrder:
    """Order of the framework of one replica."""

    nearest_distance: float
    """Nearest-neighbour distance [Å]."""
    lindemann_ratio: Floats
    """By block, shape ``(n_blocks,)``."""
    off_site_fraction: Floats
    """By block, same shape."""
    melted_block: int
    """First block that has melted; -1 if none has."""


def motion_order(
    motion: FrameworkMotion, maximum_lindemann_ratio: float, maximum_off_site_fraction: float
) -> MotionOrder:
    """Return the order of the framework of one replica.

    :param motion: how the framework moves.
    :param maximum_lindemann_ratio: threshold of the Lindemann ratio.
    :param maximum_off_site_fraction: threshold of the share off its sites.
    """
    reference = motion.block_means[0]
    points, _, images = with_images(reference - np.floor(reference), motion.cell)
    home = points[(images == 0).all(axis=1)]
    nearest = float(cKDTree(points).query(home, k=2)[0][:, 1].mean())
    ratio = np.sqrt(motion.block_squares.mean(axis=1)) / nearest
    apart = np.linalg.norm((motion.block_means - reference) @ motion.cell, axis=2)
    off_site = (apart > 0.5 * nearest).mean(axis=1)
    melted = np.flatnonzero((ratio > maximum_lindemann_ratio) | (off_site > maximum_off_site_fraction))
    return MotionOrder(nearest, ratio, off_site, int(melted[0]) if melted.size else -1)


def melted_sentence(order: MotionOrder, replica: int, maximum_lindemann_ratio: float) -> str:
    """Return a sentence on a replica that has melted, with its largest numbers.

    :param order: order of its framework.
    :param replica: its number.
    :param maximum_lindemann_ratio: threshold of the Lindemann ratio.
    """
    n_blocks = len(order.lindemann_ratio)
    return (
        f'the framework of replica {replica} has melted in block {order.melted_block + 1} of {n_blocks}: its Lindemann '
        f'ratio reaches {order.lindemann_ratio.max():.3g} (a crystal has at most {maximum_lindemann_ratio:g}), and '
        f'{100 * order.off_site_fraction.max():.3g} % of it leave their sites'
    )


def lattice_order(frames: FrameSet, settings: LatticeOrderSettings | None = None) -> LatticeOrder:
    """Return whether the framework of a crystal has kept its order.

    :param frames: frames of the same atoms in one order, periodic; replicas end to end.
    :param settings: framework and thresholds; None for the defaults.
    :raises NotAnalysableError: if there is no framework, atoms move too far between frames, or a replica is too short.
    """
    settings = settings or LatticeOrderSettings()
    atoms = crystal_atoms(frames, settings.mobile, settings.framework)
    replicas = replica_ranges(frames, settings)
    orders, starts = [], []
    for start, stop in replicas:
        motion = checked_motion(frames, (start, stop), atoms, settings.n_blocks)
        orders.append(motion_order(motion, settings.maximum_lindemann_ratio, settings.maximum_off_site_fraction))
        starts.append(start + motion.block_starts[:-1])
    is_melted = np.array([order.melted_block >= 0 for order in orders])
    times = np.asarray(frames.columns.get('time', np.full(len(frames), np.nan)), dtype=np.float64)
    melting = [times[first[order.melted_block]] if order.melted_block >= 0 else np.nan
               for order, first in zip(orders, starts, strict=True)]  # fmt: skip
    return LatticeOrder(
        is_crystalline=not is_melted.any(),
        reasons=tuple(
            melted_sentence(orders[replica], replica, settings.maximum_lindemann_ratio)
            for replica in np.flatnonzero(is_melted).tolist()
        ),
        replica_is_crystalline=~is_melted,
        melting_time=np.array(melting, dtype=np.float64),
        **_means(orders),
        nearest_distance=float(np.mean([order.nearest_distance for order in orders])),
        block_replica=np.repeat(np.arange(len(orders)), [len(first) for first in starts]),
        block_time=times[np.concatenate(starts)],
        block_lindemann_ratio=np.concatenate([order.lindemann_ratio for order in orders]),
        block_off_site_fraction=np.concatenate([order.off_site_fraction for order in orders]),
        n_framework=int(atoms.framework.size),
        n_frames=sum(stop - start for start, stop in replicas),
        n_replicas=len(replicas),
        n_melted=int(is_melted.sum()),
        settings=settings,
    )


def checked_motion(frames: FrameSet, replica: tuple[int, int], atoms: CrystalAtoms, n_blocks: int) -> FrameworkMotion:
    """Return the motion of the framework of a replica that is long enough to judge it.

    :param frames: the trajectory.
    :param replica: first frame and frame after the last.
    :param atoms: mobile atoms and framework.
    :param n_blocks: blocks of the replica; fewer if it has few frames, as one frame does not vibrate.
    :raises NotAnalysableError: if it is too short, or atoms move too far between frames.
    """
    start, stop = replica
    if stop - start < 2 * MINIMUM_SAMPLES:
        raise NotAnalysableError(
            f'a replica has {stop - start} frames; the order of a lattice needs at least {2 * MINIMUM_SAMPLES}'
        )
    return framework_motion(frames, start, stop, atoms, min(n_blocks, (stop - start) // MINIMUM_SAMPLES))


def _means(orders: list[MotionOrder]) -> dict[str, Any]:
    """Return means over blocks with their standard errors, by field name."""
    values: dict[str, Any] = {}
    for name, first in (('lindemann_ratio', 0), ('off_site_fraction', 1)):
        blocks = np.concatenate([getattr(order, name)[first:] for order in orders])
        means = np.array([getattr(order, name)[first:].mean() for order in orders])
        within = blocks.std(ddof=1) / np.sqrt(len(blocks)) if len(blocks) > 1 else np.nan
        between = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
        values |= {name: float(blocks.mean()), f'{name}_error': float(np.maximum(within, between))}
    return values
