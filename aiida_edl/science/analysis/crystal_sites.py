r"""Sites of mobile atoms in a crystal: the holes of its framework.

The Delaunay tessellation of the mean positions of the framework cuts the cell into tetrahedra whose circumspheres hold
no atom. Atoms on a common sphere, as the six of an octahedron, are cut into several tetrahedra with one circumcentre;
vibration moves these centres apart by as little as the atoms themselves, for no atom may come to lie inside a sphere.
Tetrahedra whose circumcentres are nearer to each other than a merging distance are therefore one hole. Its corners
coordinate it, four tetrahedrally, six octahedrally, and its site is the centroid of its corners, which is the centre of
a regular hole and moves less with noise than the circumcentre. A face-centred framework of n atoms has n octahedral and
2n tetrahedral holes: in rocksalt the octahedral are the lattice sites of the cation, the tetrahedral interstitial.

Source: the tessellation is that of Qhull, C. B. Barber et al., ACM Trans. Math. Softw. 22, 469 (1996).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.framework_motion import smallest_height
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import Floats

KIND_OF_COORDINATION = {6: 'octahedral', 4: 'tetrahedral'}
"""Names of holes by their number of corners."""
OTHER_KIND = 'other'
"""Name of all other holes."""
FLAT = 1e-9
"""Volume of a tetrahedron over the cube of its longest edge below which it is flat, and has no circumcentre."""
IMAGE_REACH = 3.0
"""How far images of points are taken, in mean distances of points; no hole of a crystal is as wide."""


@dataclass(frozen=True)
class CrystalSites:
    """Sites in a cell."""

    scaled: Floats
    """Scaled positions, each coordinate in [0, 1), shape ``(n_sites, 3)``."""
    cell: Floats
    """Cell vectors as rows [Å], shape ``(3, 3)``."""
    kinds: tuple[str, ...]
    """Names of the kinds."""
    kind: Integers
    """Kind of each site, shape ``(n_sites,)``."""
    coordination: Integers
    """Corners of each hole, shape ``(n_sites,)``; 0 for given sites."""

    @property
    def counts(self) -> Integers:
        """Sites of each kind, shape ``(n_kinds,)``."""
        return np.bincount(self.kind, minlength=len(self.kinds))

    @property
    def smallest_distance(self) -> float:
        """Distance of the two nearest sites [Å]."""
        points, owners, _ = with_images(self.scaled, self.cell)
        is_inside = np.all((points @ np.linalg.inv(self.cell) >= 0) & (points @ np.linalg.inv(self.cell) < 1), axis=1)
        distances = cKDTree(points).query(points[is_inside], k=2)[0] if len(owners) > 1 else np.full((1, 2), np.inf)
        return float(distances[:, 1].min())


def with_images(scaled: Floats, cell: Floats, reach: float | None = None) -> tuple[Floats, Integers, Integers]:
    """Return points in a cell and their images around it.

    :param scaled: scaled positions in [0, 1), shape ``(n_points, 3)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param reach: how far beyond the cell images are taken [Å]; None for three mean distances of points.
    :return: Cartesian positions [Å] ``(n, 3)``, index of the point ``(n,)``, and image ``(n, 3)``.
    """
    if reach is None:
        reach = IMAGE_REACH * float(np.cbrt(abs(np.linalg.det(cell)) / len(scaled)))
    margins = reach * np.linalg.norm(np.linalg.inv(cell), axis=0)
    ranges = [range(-int(np.ceil(margin)), int(np.ceil(margin)) + 1) for margin in margins]
    images = np.array(list(itertools.product(*ranges)), dtype=np.int64)
    points = (scaled[:, np.newaxis] + images).reshape(-1, 3)
    owners, of_image = np.repeat(np.arange(len(scaled)), len(images)), np.tile(images, (len(scaled), 1))
    is_near = np.all((points >= -margins) & (points <= 1.0 + margins), axis=1)
    return points[is_near] @ cell, owners[is_near], of_image[is_near]


def framework_sites(mean: Floats, cell: Floats, merge_distance: float, minimum_radius: float) -> CrystalSites:
    """Return the holes of a framework.

    :param mean: mean scaled positions of the framework, shape ``(n_framework, 3)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param merge_distance: circumcentres that are nearer to each other are one hole [Å].
    :param minimum_radius: holes whose circumradius is smaller hold no atom [Å].
    :raises NotAnalysableError: if there is no hole, or the cell is too thin for the merging distance.
    """
    if 2.0 * merge_distance >= smallest_height(cell):
        raise NotAnalysableError(
            f'the smallest height of the cell is {smallest_height(cell):.3g} Å, too thin for a merge_distance of '
            f'{merge_distance:g} Å: repeat the cell'
        )
    points, owners, images = with_images(mean - np.floor(mean), cell)
    corners = Delaunay(points).simplices
    corners, centres, radii = _circumspheres(points, corners)
    scaled = centres @ np.linalg.inv(cell)
    is_taken = np.all((scaled > -1e-6) & (scaled < 1.0 + 1e-6), axis=1) & (radii >= minimum_radius)
    if not is_taken.any():
        raise NotAnalysableError(f'the framework has no hole of a radius of {minimum_radius:g} Å or more')
    corners, scaled = corners[is_taken], scaled[is_taken]
    labels = _merged(scaled - np.floor(scaled), cell, merge_distance)
    places, coordination = [], []
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        # Members on the other side of a face of the cell are brought to the first one.
        shifts = np.rint(scaled[members] - scaled[members[0]]).astype(np.int64)
        vertices = corners[members]
        keys = np.column_stack([owners[vertices].ravel(), (images[vertices] - shifts[:, np.newaxis]).reshape(-1, 3)])
        keys = np.unique(keys, axis=0)
        places.append((mean[keys[:, 0]] - np.floor(mean[keys[:, 0]]) + keys[:, 1:]).mean(axis=0))
        coordination.append(len(keys))
    names = (*KIND_OF_COORDINATION.values(), OTHER_KIND)
    kind = np.array([names.index(KIND_OF_COORDINATION.get(count, OTHER_KIND)) for count in coordination])
    return CrystalSites(_folded(np.array(places)), cell, names, kind, np.array(coordination))


def given_sites(scaled: Floats, names: tuple[str, ...], cell: Floats) -> CrystalSites:
    """Return sites that a user gives.

    :param scaled: scaled positions, shape ``(n_sites, 3)``.
    :param names: kind of each site.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    """
    kinds = tuple(dict.fromkeys(names))
    kind = np.array([kinds.index(name) for name in names])
    return CrystalSites(_folded(scaled), cell, kinds, kind, np.zeros(len(names), dtype=np.int64))


def _folded(scaled: Floats) -> Floats:
    """Return scaled positions folded into [0, 1)."""
    folded = scaled - np.floor(scaled)
    result: Floats = np.where(folded >= 1.0, 0.0, folded)
    return result


def _circumspheres(points: Floats, corners: Integers) -> tuple[Integers, Floats, Floats]:
    """Return tetrahedra that are not flat, with the centres [Å] and radii [Å] of their circumspheres."""
    origin = points[corners[:, 0]]
    edges = points[corners[:, 1:]] - origin[:, np.newaxis]
    longest = np.sqrt(np.sum(edges**2, axis=2).max(axis=1))
    is_solid = np.abs(np.linalg.det(edges)) > FLAT * longest**3
    corners, origin, edges = corners[is_solid], origin[is_solid], edges[is_solid]
    # The centre x from one corner fulfils 2 e·x = e·e for each edge e.
    offsets = np.linalg.solve(2.0 * edges, np.sum(edges**2, axis=2)[..., np.newaxis])[..., 0]
    return corners, origin + offsets, np.linalg.norm(offsets, axis=1)


def _merged(scaled: Floats, cell: Floats, distance: float) -> NDArray[np.int64]:
    """Return a label of each point; points linked by steps shorter than a distance share one."""
    points, owners, _ = with_images(scaled, cell, reach=1.01 * distance)
    pairs = cKDTree(points).query_pairs(distance, output_type='ndarray')
    linked = owners[pairs]
    matrix = coo_matrix((np.ones(len(linked)), (linked[:, 0], linked[:, 1])), shape=(len(scaled), len(scaled)))
    labels: NDArray[np.int64] = connected_components(matrix, directed=False)[1]
    return labels
