"""Choose frames such that as many others as possible have a chosen one nearby."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_edl.science.frames import Floats
from aiida_edl.science.periodic_points import squared_distances

Indices = NDArray[np.int64]
BLOCK = 512
"""Points whose distances to all others are taken at a time."""


@dataclass(frozen=True)
class Coverage:
    """Chosen points, and what they cover."""

    chosen: Indices
    """Points in the order of choice."""
    radius: float
    """Distance within which a chosen point covers others, in the unit of the descriptors."""
    covered_share: float
    """Share of all points that have a chosen one within the radius."""


def cover(descriptors: ArrayLike, n_selected: int, radius: float) -> Coverage:
    """Return points that are chosen one by one, each covering the most points that none before it covers.

    The share that is covered is at least 1 - 1/e = 63 % of what any choice of as many could cover. Of equals the first
    is taken; once all points are covered, the one farthest from those chosen. Dense regions come first, outliers last:
    farthest points do the opposite. Source: G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, Math. Program. 14, 265
    (1978).

    :param descriptors: finite, one row per point, shape ``(n_points, n_features)``.
    :param n_selected: number of points to choose, at most all.
    :param radius: distance within which a point covers others.
    """
    points = np.asarray(descriptors, dtype=np.float64)
    points = points - points.mean(axis=0)
    gains = _n_near(points, points, radius)
    is_covered = np.zeros(len(points), dtype=bool)
    nearest = np.full(len(points), np.inf)
    chosen: list[int] = []
    while len(chosen) < n_selected:
        best = int(np.argmax(gains)) if gains.max() > 0 else int(np.argmax(nearest))
        chosen.append(best)
        distances = np.linalg.norm(points - points[best], axis=1)
        newly = np.flatnonzero((distances <= radius) & ~is_covered)
        is_covered[newly] = True
        gains -= _n_near(points[newly], points, radius)
        nearest = np.minimum(nearest, distances)
        nearest[best], gains[best] = -1.0, -len(points)
    return Coverage(np.array(chosen, dtype=np.int64), float(radius), float(is_covered.mean()))


def _n_near(centres: Floats, points: Floats, radius: float) -> Indices:
    """Return how many of the centres lie within the radius of each point."""
    counts = np.zeros(len(points), dtype=np.int64)
    for start in range(0, len(centres), BLOCK):
        counts += (squared_distances(centres[start : start + BLOCK], points) <= radius**2).sum(axis=0)
    return counts
