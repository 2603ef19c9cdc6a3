"""To which site each mobile atom belongs in each frame, with a hysteresis.

An atom belongs to the last site that was its nearest while the atom was inside the commit radius of it. An atom that
crosses the border between two sites keeps its site until it comes near the centre of the other, and one that only
touches the border goes nowhere. In the first frame it belongs to the nearest site, at whatever distance.

Distances are those of scaled coordinates without the drift of the framework, in the mean cell. Frames are read a
thousand at a time; only changes are kept.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.crystal_sites import CrystalSites, with_images
from aiida_edl.science.analysis.framework_motion import scaled_chunks
from aiida_edl.science.frames import Floats, FrameSet

N_NEIGHBOURS = 64
"""Neighbours of a site that are listed: a choice of speed alone."""


@dataclass(frozen=True)
class SiteChanges:
    """Changes of the sites of all atoms in one replica, by atom and then by frame."""

    initial: Integers
    """Site of each atom in the first frame, shape ``(n_mobile,)``."""
    atom: Integers
    """Atom of each change, as its position among the mobile ones, shape ``(n_changes,)``."""
    frame: Integers
    """First frame in which it belongs to the new site, counted from the first of the replica, same shape."""
    site: Integers
    """New site, same shape."""


@dataclass(frozen=True)
class SiteSearch:
    """What is prepared once to find nearest sites."""

    sites: CrystalSites
    tree: cKDTree
    """Sites and their images."""
    owners: Integers
    """Site of each point of the tree."""
    neighbours: Integers
    """Other sites by distance, shape ``(n_sites, n_neighbours)``."""
    apart: Floats
    """Their distances [Å], same shape."""
    complete: Floats
    """Distance up to which all other sites are listed [Å], shape ``(n_sites,)``."""

    @classmethod
    def of(cls, sites: CrystalSites) -> SiteSearch:
        """Return the search among sites."""
        points, owners, images = with_images(sites.scaled, sites.cell)
        tree = cKDTree(points)
        home = points[np.flatnonzero((images == 0).all(axis=1))]
        n_taken = min(N_NEIGHBOURS + 1, len(points))
        distances, indices = tree.query(home, k=n_taken)
        reach = distances[:, -1]
        return cls(sites, tree, owners, owners[indices[:, 1:]], distances[:, 1:], 0.999 * reach)


@cache
def compiled_sites() -> Any | None:
    """Return the module of the compiled search, or None without numba."""
    try:
        return importlib.import_module('aiida_edl.science.analysis.compiled_sites')
    except ModuleNotFoundError as error:
        if error.name != 'numba':
            raise
        return None


def nearest_sites(scaled: Floats, search: SiteSearch, hint: Integers | None = None) -> tuple[Integers, Floats]:
    """Return the nearest site of each atom, and its distance.

    :param scaled: scaled positions without drift, shape ``(n_frames, n_atoms, 3)``.
    :param search: the sites.
    :param hint: a site of each atom at which to begin, overwritten with those of the last frame; for speed alone.
    :return: sites and distances [Å], shape ``(n_frames, n_atoms)``.
    """
    cell, n_atoms = search.sites.cell, scaled.shape[1]
    if (kernels := compiled_sites()) is None:
        folded = (scaled - np.floor(scaled)).reshape(-1, 3)
        nearest = search.owners[search.tree.query(folded @ cell)[1]]
        apart = folded - search.sites.scaled[nearest]
        distances = np.linalg.norm((apart - np.rint(apart)) @ cell, axis=1)
        return nearest.reshape(-1, n_atoms), distances.reshape(-1, n_atoms)
    sites, squares = np.empty(scaled.shape[:2], dtype=np.int64), np.empty(scaled.shape[:2])
    hint = np.zeros(n_atoms, dtype=np.int64) if hint is None else hint
    lists = (search.neighbours, search.apart, search.complete)
    kernels.nearest_sites(np.ascontiguousarray(scaled), search.sites.scaled, cell, *lists, hint, sites, squares)
    return sites, np.sqrt(squares)


def site_changes(
    frames: FrameSet,
    replica: tuple[int, int],
    mobile: Integers,
    drift: Floats,
    *,
    search: SiteSearch,
    radii: list[float],
) -> list[SiteChanges]:
    """Return how atoms of one replica change their sites, for each of several commit radii.

    :param frames: the trajectory.
    :param replica: first frame and frame after the last.
    :param mobile: indices of the mobile atoms, shape ``(n_mobile,)``.
    :param drift: scaled drift of the framework, shape ``(n_frames, 3)``.
    :param search: the sites.
    :param radii: commit radii [Å].
    """
    found: list[list[tuple[Integers, ...]]] = [[] for _ in radii]
    initial = np.zeros(mobile.size, dtype=np.int64)
    states: list[Integers] = []
    for first, nearest, distances in _nearest_chunks(frames, replica, mobile, drift, search):
        if not states:
            initial = nearest[0]
            states = [initial.copy() for _ in radii]
        for index, radius in enumerate(radii):
            rows, atoms, sites = _committed(nearest, distances, radius, states[index])
            found[index].append((rows + first, atoms, sites))
    changes = []
    for parts in found:
        frame, atom, site = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((frame, atom))
        changes.append(SiteChanges(initial, atom[order], frame[order], site[order]))
    return changes


def _nearest_chunks(
    frames: FrameSet, replica: tuple[int, int], mobile: Integers, drift: Floats, search: SiteSearch
) -> Iterator[tuple[int, Integers, Floats]]:
    """Yield nearest sites of many frames at once, with the first of them counted from that of the replica."""
    hint = np.zeros(mobile.size, dtype=np.int64)
    for first, scaled in scaled_chunks(frames, *replica, mobile):
        row = first - replica[0]
        still = scaled - drift[row : row + len(scaled), np.newaxis]
        yield row, *nearest_sites(still, search, hint)


def _committed(nearest: Integers, distances: Floats, radius: float, state: Integers) -> tuple[Integers, ...]:
    """Return row, atom and new site of each change in a chunk, and bring ``state`` to its last frame."""
    is_new = (distances < radius) & (nearest != np.concatenate([state[np.newaxis], nearest[:-1]]))
    # Only where the nearest site differs from the one before, or comes into reach, a commitment may change.
    is_new |= (distances < radius) & (np.concatenate([np.full((1, len(state)), np.inf), distances[:-1]]) >= radius)
    rows, atoms = np.nonzero(is_new)
    order = np.lexsort((rows, atoms))
    rows, atoms = rows[order], atoms[order]
    sites = nearest[rows, atoms]
    is_first = np.ones(len(atoms), dtype=np.bool_)
    is_first[1:] = atoms[1:] != atoms[:-1]
    before = np.empty_like(sites)
    before[1:] = sites[:-1]
    before[is_first] = state[atoms[is_first]]
    is_last = np.ones(len(atoms), dtype=np.bool_)
    is_last[:-1] = is_first[1:]
    state[atoms[is_last]] = sites[is_last]
    is_change = sites != before
    return rows[is_change], atoms[is_change], sites[is_change]
