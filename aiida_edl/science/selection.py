"""Choose few frames out of many: evenly, at random, different from each other, typical, or uncertain; seeded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.coverage import Coverage, cover
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.neighbour_distances import sorted_distance_descriptors
from aiida_edl.science.strata import Shares, allocate, allocate_named, check_quotas, strata_of
from aiida_edl.typed_fields import checked_fields

Indices = NDArray[np.int64]


class SelectionMethod(str, Enum):
    """How frames are chosen."""

    EVENLY_SPACED = 'evenly_spaced'
    """At equal distances in the order of the set, first and last among them."""
    RANDOM = 'random'
    """Drawn without repetition."""
    FARTHEST_POINT = 'farthest_point'
    """As different from each other as possible: outliers come first."""
    COVERAGE = 'coverage'
    """Such that as many frames as possible have a chosen one nearby: dense regions come first."""
    LARGEST_DEVIATION = 'largest_deviation'
    """Those with the largest deviation, e.g. of a committee of potentials; they may be neighbours in time."""


class SelectionError(ValueError):
    """A selection that cannot be made; the message says why and what could be."""


def _check_size(n_selected: int, n_frames: int) -> None:
    if not 1 <= n_selected <= n_frames:
        raise SelectionError(f'{n_selected} frames are asked for out of {n_frames}; ask for 1 to {n_frames}')


def select_evenly_spaced(n_frames: int, n_selected: int) -> Indices:
    """Return indices at equal distances, first and last frame among them.

    :param n_frames: number of frames to choose from.
    :param n_selected: number of frames to choose; a single one is the last.
    :raises SelectionError: if that many cannot be chosen.

    >>> select_evenly_spaced(11, 3).tolist()
    [0, 5, 10]
    """
    _check_size(n_selected, n_frames)
    if n_selected == 1:
        return np.array([n_frames - 1], dtype=np.int64)
    return np.round(np.linspace(0, n_frames - 1, n_selected)).astype(np.int64)


def select_random(n_frames: int, n_selected: int, seed: int) -> Indices:
    """Return indices drawn without repetition, ascending.

    :param n_frames: number of frames to choose from.
    :param n_selected: number of frames to choose.
    :param seed: seed of the draw.
    :raises SelectionError: if that many cannot be chosen.
    """
    _check_size(n_selected, n_frames)
    return np.sort(np.random.default_rng(seed).choice(n_frames, size=n_selected, replace=False)).astype(np.int64)


def select_farthest_points(
    descriptors: ArrayLike, n_selected: int, seed: int, known: ArrayLike | None = None
) -> Indices:
    """Return indices of points, each the farthest from all that were chosen before it.

    The first is the farthest from the points that are known already; it is drawn if there are none.

    Distances are Euclidean between the descriptors as given: scale their columns before if these differ in unit.
    Source: T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985).

    :param descriptors: one row per frame, shape ``(n_frames, n_features)``.
    :param n_selected: number of frames to choose.
    :param seed: seed of the first point; of no effect if points are known.
    :param known: descriptors of points that count as chosen before, shape ``(n_known, n_features)``.
    :return: indices in the order of choice, so that any first part of them is itself such a selection.
    :raises SelectionError: if that many cannot be chosen, or the descriptors are not a finite table.
    """
    points = _checked_points(descriptors)
    _check_size(n_selected, len(points))
    references = np.zeros((0, points.shape[1])) if known is None else _checked_points(known)
    if len(references):
        distances = np.asarray(cKDTree(references).query(points)[0])
        chosen = [int(np.argmax(distances))]
    else:
        distances = np.full(len(points), np.inf)
        chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    distances = np.minimum(distances, np.linalg.norm(points - points[chosen[0]], axis=1))
    distances[chosen[0]] = -1.0
    while len(chosen) < n_selected:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
        distances[chosen[-1]] = -1.0
    return np.array(chosen, dtype=np.int64)


def select_coverage(descriptors: ArrayLike, n_selected: int, seed: int, radius: float | None = None) -> Coverage:
    """Return points that cover as many others as possible, see :func:`~aiida_edl.science.coverage.cover`.

    :param descriptors: one row per frame, shape ``(n_frames, n_features)``.
    :param n_selected: number of frames to choose.
    :param seed: seed of the farthest points that set the radius; of no effect if it is given.
    :param radius: distance within which a frame covers others, in the unit of the descriptors; half the distance within
        which as many farthest points cover all, if None.
    :raises SelectionError: if that many cannot be chosen, the descriptors are not a finite table, or the radius is not
        positive.
    """
    points = _checked_points(descriptors)
    _check_size(n_selected, len(points))
    if radius is not None and not radius > 0.0:
        raise SelectionError(f'coverage_radius is {radius:g}, it must be positive')
    if radius is None:
        farthest = points[select_farthest_points(points, n_selected, seed)]
        radius = 0.5 * float(cKDTree(farthest).query(points)[0].max())
    return cover(points, n_selected, radius)


def select_largest_deviations(deviations: ArrayLike, n_selected: int) -> Indices:
    """Return the indices of the largest deviations, ascending; of equal ones the first are taken.

    :param deviations: one value per frame, NaN where there is none.
    :param n_selected: number of frames to choose.
    :raises SelectionError: if that many have no deviation.
    """
    values = np.asarray(deviations, dtype=np.float64)
    if n_selected > (n_known := int(np.count_nonzero(np.isfinite(values)))):
        raise SelectionError(f'{n_selected} frames are asked for, {n_known} of {len(values)} have a deviation')
    order = np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind='stable')
    return np.sort(order[:n_selected]).astype(np.int64)


def within_window(deviations: ArrayLike, lower: float | None, upper: float | None) -> Indices:
    """Return the indices of deviations inside a window, its ends among them; NaN lies outside of every window.

    :param deviations: one value per frame, NaN where there is none.
    :param lower: below it a frame is known well enough; no limit if None.
    :param upper: above it a frame is too far from what is known to be physical; no limit if None.
    :raises SelectionError: if the ends are the wrong way round.
    """
    values = np.asarray(deviations, dtype=np.float64)
    low, high = (-np.inf if lower is None else lower), (np.inf if upper is None else upper)
    if low > high:
        raise SelectionError(f'the window of deviations is {low:g} to {high:g}; give the lower end first')
    return np.flatnonzero((values >= low) & (values <= high)).astype(np.int64)


@dataclass(frozen=True)
class SelectionSettings:
    """Which frames are chosen, and how."""

    n_frames: int = 100
    """Frames to choose."""
    method: str = SelectionMethod.RANDOM.value
    """How they are chosen, a value of ``SelectionMethod``; with strata, within each of them."""
    seed: int = 0
    """Seed of all draws."""
    stratify_by: str | None = None
    """Column whose values are strata, e.g. ``charge_state``, ``temperature`` or ``region``; also ``composition`` and
    ``n_atoms``. Columns joined by ``+``, e.g. ``temperature+defect``, make a stratum of each combination."""
    shares: str | dict[str, float] = Shares.PROPORTIONAL.value
    """How the frames are shared out among the strata: a value of ``Shares``, or shares by name of the stratum that add
    up to one, e.g. ``{'interstitial': 0.5, 'none': 0.5}``; nothing is taken of a stratum that has no share."""
    n_bins: int | None = None
    """Bins of equal width that make strata of a column of numbers; of joined columns, of those with more values."""
    coverage_radius: float | None = None
    """Distance within which a frame covers others, in the unit of the descriptors; follows from the frames if None."""
    lower: float | None = None
    """Least deviation of a frame that may be chosen, in the unit of the deviations."""
    upper: float | None = None
    """Largest deviation of a frame that may be chosen, in the unit of the deviations."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SelectionSettings:
        """Return settings from a mapping.

        :raises SelectionError: for an unknown name, with the nearest, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of a selection', SelectionError))


def choose_frames(
    frames: FrameSet,
    settings: SelectionSettings,
    descriptors: ArrayLike | None = None,
    deviations: ArrayLike | None = None,
) -> Indices:
    """Return the indices of chosen frames, ascending: in a window of deviations, stratum by stratum.

    :param frames: the frames to choose from.
    :param settings: how to choose.
    :param descriptors: one row per frame for farthest points and coverage; sorted distances if None.
    :param deviations: one value per frame, e.g. of a committee; NaN where there is none.
    :raises SelectionError: if that many cannot be chosen, the method is unknown or an array does not fit.
    :raises aiida_edl.science.strata.StrataError: if a stratum holds too few frames.
    """
    for name, array in (('descriptors', descriptors), ('deviations', deviations)):
        if array is not None:
            _per_frame(array, frames, name)
    candidates = np.arange(len(frames))
    if settings.lower is not None or settings.upper is not None:
        if deviations is None:
            raise SelectionError('a window of deviations is given, but no deviations; give both or none')
        candidates = within_window(deviations, settings.lower, settings.upper)
        if len(candidates) < settings.n_frames:
            raise SelectionError(
                f'{settings.n_frames} frames are asked for, {len(candidates)} of {len(frames)} have a deviation inside '
                'the window; ask for fewer or widen it'
            )
    _check_size(settings.n_frames, len(candidates))
    names, owners, quotas = ['all'], np.zeros(len(candidates), dtype=np.int64), np.array([settings.n_frames])
    if settings.stratify_by is None and not isinstance(settings.shares, str):
        raise SelectionError("shares are given by name, but no strata; give stratify_by, e.g. 'defect'")
    if settings.stratify_by is not None:
        names, owners = strata_of(frames.select(candidates), settings.stratify_by, settings.n_bins)
        sizes = np.bincount(owners, minlength=len(names)).astype(np.int64)
        if isinstance(settings.shares, str):
            quotas = allocate(sizes, settings.n_frames, settings.shares)
        else:
            quotas = allocate_named(names, sizes, settings.n_frames, settings.shares)
        check_quotas(settings.stratify_by, names, sizes, quotas)
    chosen = [np.zeros(0, dtype=np.int64)]
    for number, quota in enumerate(quotas.tolist()):
        members = candidates[owners == number]
        # Strata draw independently, else equal ones would choose alike.
        seed = (
            settings.seed
            if len(names) == 1
            else int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
        )
        if quota:
            found = select_frames(
                frames.select(members),
                quota,
                settings.method,
                seed,
                _rows(descriptors, members),
                deviations=_rows(deviations, members),
                coverage_radius=settings.coverage_radius,
            )
            chosen.append(members[found])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def select_frames(
    frames: FrameSet,
    n_selected: int,
    method: SelectionMethod | str,
    seed: int,
    descriptors: ArrayLike | None = None,
    *,
    deviations: ArrayLike | None = None,
    coverage_radius: float | None = None,
) -> Indices:
    """Return the indices of chosen frames, ascending.

    :param frames: the frames to choose from.
    :param n_selected: number of frames to choose.
    :param method: how to choose.
    :param seed: seed of the draw; even spacing has none to use.
    :param descriptors: one row per frame for farthest points and coverage; sorted distances if None.
    :param deviations: one value per frame, of which the largest are chosen.
    :param coverage_radius: see :func:`select_coverage`.
    :raises SelectionError: if that many cannot be chosen, the method is unknown or an array does not fit.
    """
    known = [member.value for member in SelectionMethod]
    if method not in known:
        raise SelectionError(unknown_name_message('selection method', str(method), known))
    if SelectionMethod(method) is SelectionMethod.EVENLY_SPACED:
        return select_evenly_spaced(len(frames), n_selected)
    if SelectionMethod(method) is SelectionMethod.RANDOM:
        return select_random(len(frames), n_selected, seed)
    _check_size(n_selected, len(frames))
    if SelectionMethod(method) is SelectionMethod.LARGEST_DEVIATION:
        if deviations is None:
            raise SelectionError("method 'largest_deviation' needs deviations, none were given")
        return select_largest_deviations(_per_frame(deviations, frames, 'deviations'), n_selected)
    points = sorted_distance_descriptors(frames) if descriptors is None else descriptors
    points = _per_frame(points, frames, 'descriptors')
    if SelectionMethod(method) is SelectionMethod.COVERAGE:
        return np.sort(select_coverage(points, n_selected, seed, coverage_radius).chosen)
    return np.sort(select_farthest_points(points, n_selected, seed))


def _rows(array: ArrayLike | None, members: Indices) -> Floats | None:
    """Return rows of an array, None if there is none."""
    return None if array is None else np.asarray(array, dtype=np.float64)[members]


def _per_frame(array: ArrayLike, frames: FrameSet, name: str) -> Floats:
    """Return an array that has one row for each frame."""
    rows = np.asarray(array, dtype=np.float64)
    if len(rows) != len(frames):
        raise SelectionError(f'{len(rows)} rows of {name} are given for {len(frames)} frames; give one per frame')
    return rows


def _checked_points(descriptors: ArrayLike) -> Floats:
    """Return descriptors as a finite table."""
    points = np.asarray(descriptors, dtype=np.float64)
    if points.ndim != 2:
        raise SelectionError(f'descriptors have shape {points.shape}; give one row per frame')
    if not np.isfinite(points).all():
        raise SelectionError('descriptors hold values that are not finite; remove those frames first')
    return points
