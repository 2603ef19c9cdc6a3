r"""Van Hove functions of the mobile atoms: how far each has gone after a lag, and where the others are then.

.. math:: 4 \pi r^2 G_s(r, t) = \frac1N \sum_i \langle \delta(r - |\mathbf r_i(t) - \mathbf r_i(0)|) \rangle, \qquad
          g_d(r, t) = \frac{V}{N (N-1)\, 4 \pi r^2} \sum_{i \neq j}
          \langle \delta(r - |\mathbf r_j(t) - \mathbf r_i(0)|) \rangle

The first is a probability density: peaks at the distances of sites are hops, growing with the lag. The second is 1
where nothing is known of the other atoms; what grows at r = 0 are atoms that have taken the place of another, as after
a knock-on. Source: L. van Hove, Phys. Rev. 95, 249 (1954). Atoms are in the frame of the reference, as for diffusion.

Errors are those of the mean over time origins, corrected for correlation, and of the scatter of replicas, whichever is
larger.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase.geometry import complete_cell

from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import checked_interval, replica_ranges
from aiida_edl.science.analysis.unwrapped_paths import MobileAtoms, mobile_atoms, unwrapped_paths
from aiida_edl.science.analysis.van_hove_settings import VanHoveSettings
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES, Estimate, combine_replicas, mean_with_error

__all__ = ['VanHove', 'VanHoveSettings', 'van_hove']

DEFAULT_SHARES = (0.01, 1.0 / 30.0, 0.1)
"""Lags without a setting, as shares of the shortest replica."""
SELF_GROUPS = 200
"""Groups of successive time origins whose histograms are the samples of the self part."""


@dataclass(frozen=True)
class VanHove(StoredResult):
    """Self and distinct part; every ``*_error`` is one standard error, 0 where nothing was counted."""

    stored_subject: ClassVar[str] = 'van Hove functions need'
    settings_type: ClassVar[type[VanHoveSettings]] = VanHoveSettings

    lag_time: Floats
    """Lags [fs], shape ``(n_lags,)``."""
    distance: Floats
    """Centres of the bins [Å], shape ``(n_bins,)``."""
    self_part: Floats
    """4πr² G_s, density of the displacement [1/Å], shape ``(n_lags, n_bins)``; integrates to the share of atoms that
    have not gone beyond the last bin."""
    self_part_error: Floats
    distinct_part: Floats
    """g_d, 1 for atoms that do not know of each other, shape ``(n_lags, n_bins)``; NaN for a single atom."""
    distinct_part_error: Floats
    beyond: Floats
    """Share of displacements beyond the last bin, shape ``(n_lags,)``."""
    n_mobile: int
    """Mobile atoms."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between frames [fs]."""
    drift_reference: tuple[str, ...]
    """Elements whose centre of mass is at rest; none if nothing was removed."""
    settings: VanHoveSettings
    """What was analysed."""


@dataclass(frozen=True)
class _Replica:
    """One replica in the frame of its reference."""

    paths: Floats
    """Displacements since the first frame [Å], shape ``(n_frames, n_mobile, 3)``."""
    places: Floats
    """Positions in the first frame [Å], shape ``(n_mobile, 3)``."""
    cell: Floats
    """Mean cell [Å], shape ``(3, 3)``."""
    pbc: np.ndarray
    """Periodicity along the cell vectors."""


def van_hove(frames: FrameSet, settings: VanHoveSettings | None = None) -> VanHove:
    """Return the van Hove functions of the mobile atoms of a trajectory.

    :param frames: frames of one composition at equal intervals, with the column ``time`` [fs]; replicas end to end.
    :param settings: what diffuses, lags and bins; None for the defaults.
    :raises NotAnalysableError: if frames are not at equal intervals, compositions differ, the mobile element does not
        occur, or a replica is shorter than a lag.
    """
    settings = settings or VanHoveSettings()
    ranges = replica_ranges(frames, settings)
    interval = checked_interval(frames, ranges)
    shortest = min(stop - start for start, stop in ranges)
    lags = _lags(settings, shortest, interval)
    atoms = mobile_atoms(frames, settings.mobile, settings.drift_reference)
    replicas = [_replica(frames, start, stop, atoms) for start, stop in ranges]
    edges = _edges(replicas, settings)
    own = [_joined([_self_samples(item, lag, edges) for item in replicas]) for lag in lags]
    others = [_joined([_distinct_samples(item, lag, edges, settings.n_origins) for item in replicas]) for lag in lags]
    width = edges[1] - edges[0]
    self_part = np.stack([item.mean for item in own]) / width
    return VanHove(
        lag_time=interval * np.array(lags, dtype=np.float64),
        distance=np.asarray((edges[:-1] + edges[1:]) / 2.0, dtype=np.float64),
        self_part=self_part,
        self_part_error=np.stack([item.error for item in own]) / width,
        distinct_part=np.stack([item.mean for item in others]),
        distinct_part_error=np.stack([item.error for item in others]),
        beyond=1.0 - self_part.sum(axis=1) * width,
        n_mobile=atoms.mobile.size,
        n_frames=sum(stop - start for start, stop in ranges),
        n_replicas=len(ranges),
        frame_interval=interval,
        drift_reference=atoms.reference_symbols,
        settings=settings,
    )


def _lags(settings: VanHoveSettings, shortest: int, interval: float) -> list[int]:
    """Return the lags [frames].

    :raises NotAnalysableError: if a replica leaves too few time origins for one.
    """
    wanted = [lag / interval for lag in settings.lags] or [share * shortest for share in DEFAULT_SHARES]
    lags = [max(1, round(lag)) for lag in wanted]
    if shortest - max(lags) < MINIMUM_SAMPLES:
        raise NotAnalysableError(
            f'a lag of {max(lags) * interval:g} fs leaves {max(0, shortest - max(lags))} time origins in a replica of '
            f'{shortest} frames; an error needs at least {MINIMUM_SAMPLES}: give shorter lags or longer replicas'
        )
    return list(dict.fromkeys(lags))


def _replica(frames: FrameSet, start: int, stop: int, atoms: MobileAtoms) -> _Replica:
    """Return one replica."""
    cell = np.asarray(complete_cell(frames.cells[start:stop].mean(axis=0)), dtype=np.float64)
    first = frames.frame(start)
    scaled = first.positions[atoms.mobile] @ np.linalg.inv(np.asarray(complete_cell(first.cell), dtype=np.float64))
    return _Replica(unwrapped_paths(frames, start, stop, atoms), scaled @ cell, cell, first.pbc)


def _edges(replicas: Sequence[_Replica], settings: VanHoveSettings) -> Floats:
    """Return the edges of the bins [Å]."""
    heights = [1.0 / np.linalg.norm(np.linalg.inv(item.cell)[:, item.pbc], axis=0) for item in replicas]
    known = [height.min() / 2.0 for height in heights if height.size]
    longest = min(known) if known else np.inf
    end = settings.maximum_distance or longest
    if not settings.bin_width <= end < np.inf or end > longest * (1.0 + 1e-9):
        raise NotAnalysableError(
            f'distances up to {end:.4g} Å in bins of {settings.bin_width:g} Å are not known in a cell where images are '
            f"apart by {2.0 * longest:.4g} Å; give a 'maximum_distance' of at most {longest:.4g} Å"
        )
    return np.asarray(settings.bin_width * np.arange(int(end / settings.bin_width + 1e-9) + 1), dtype=np.float64)


def _self_samples(replica: _Replica, lag: int, edges: Floats) -> Floats:
    """Return the share of atoms in each bin, for groups of successive origins, shape ``(n_groups, n_bins)``."""
    n_origins = len(replica.paths) - lag
    bounds = np.linspace(0, n_origins, min(SELF_GROUPS, n_origins) + 1).astype(np.int64)
    shares = []
    for start, stop in itertools.pairwise(bounds):
        moved = np.linalg.norm(replica.paths[start + lag : stop + lag] - replica.paths[start:stop], axis=2)
        shares.append(_counts(moved, edges) / moved.size)
    return np.stack(shares)


def _distinct_samples(replica: _Replica, lag: int, edges: Floats, n_origins: int) -> Floats:
    """Return g_d in each bin at single origins, shape ``(n_origins, n_bins)``."""
    n_mobile = replica.paths.shape[1]
    origins = np.unique(np.linspace(0, len(replica.paths) - lag - 1, n_origins).astype(np.int64))
    if n_mobile < 2:
        return np.full((len(origins), len(edges) - 1), np.nan)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    ideal = n_mobile * (n_mobile - 1) * shells / abs(np.linalg.det(replica.cell))
    is_other = ~np.eye(n_mobile, dtype=bool)
    values = []
    for origin in origins:
        before, after = (replica.places + replica.paths[frame] for frame in (origin, origin + lag))
        apart = minimum_image(after[None, :] - before[:, None], replica.cell, replica.pbc)[is_other]
        values.append(_counts(np.linalg.norm(apart, axis=-1), edges) / ideal)
    return np.stack(values)


def _counts(distances: Floats, edges: Floats) -> Floats:
    """Return how many distances lie in each bin."""
    bins = (distances.ravel() / edges[1]).astype(np.int64)
    return np.bincount(bins[bins < len(edges) - 1], minlength=len(edges) - 1).astype(np.float64)


def _joined(samples: Sequence[Floats]) -> Estimate:
    """Return the mean over samples and replicas, with its error."""
    if np.isnan(samples[0]).any():
        unknown = np.full(samples[0].shape[1], np.nan)
        return Estimate(unknown, unknown, unknown, unknown)
    estimates = []
    for item in samples:
        found = mean_with_error(item)
        # Every bin weighs by the samples, lest a bin that is empty in one replica counted for more there.
        estimates.append(Estimate(found.mean, found.error, np.full_like(found.mean, len(item)), found.correlation_time))
    return combine_replicas(estimates)
