r"""Hydrogen bonds between waters by the geometric criterion, counted layer by layer.

A water donates a bond through each of its H to another water if

.. math:: r_{OO} < 3.5\,\text{Å} \quad\text{and}\quad \angle(H\text{–}O\cdots O) < 30°

(Luzar and Chandler, Nature 379, 55 (1996)); the angle is at the donating oxygen. Only oxygen with exactly two H donates
or accepts. A donated bond counts in the layer of the donor, an accepted one in that of the acceptor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.atom_groups import HYDROGENS_PER_WATER, HydrogenAssignment, Integers
from aiida_edl.science.analysis.pair_distances import squared_distances
from aiida_edl.science.analysis.planar_bins import FrameBlocks, ratio_over_replicas
from aiida_edl.science.analysis.structure_chunk import StructureChunk
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.frames import Floats

CANDIDATE_MARGIN = 1e-3
"""Beyond the largest distance up to which pairs are looked at in double precision [Å]."""


@dataclass(frozen=True)
class HydrogenBonds:
    """Bonds of some frames; all arrays have the shape ``(n_bonds,)``."""

    frame: Integers
    """Frame of each bond."""
    donor: Integers
    """Position of the donating oxygen in the list of oxygen."""
    hydrogen: Integers
    """Position of the hydrogen in the list of hydrogen."""
    acceptor: Integers
    """Position of the accepting oxygen in the list of oxygen."""


@dataclass(frozen=True)
class HydrogenBondCounts:
    """Bonds per water; every ``*_error`` is one standard error, NaN where the run holds no information."""

    lower: Floats
    """Lower bound of each layer [Å], shape ``(n_layers,)``."""
    upper: Floats
    """Upper bound of each layer [Å], shape ``(n_layers,)``."""
    donated: Floats
    """Bonds that a water of the layer donates, shape ``(n_layers,)``; NaN where there is none."""
    donated_error: Floats
    accepted: Floats
    """Bonds that a water of the layer accepts, shape ``(n_layers,)``."""
    accepted_error: Floats
    waters: Floats
    """Waters in the layer, per surface, shape ``(n_layers,)``."""
    waters_error: Floats
    per_water: float
    """Bonds donated, hence accepted, per water, over all waters of the cell."""
    per_water_error: float


def hydrogen_bonds(chunk: StructureChunk, settings: StructureSettings) -> HydrogenBonds:
    """Return all hydrogen bonds between waters.

    :param chunk: the frames.
    :param settings: distance, angle and vertex.
    """
    oxygen, assignment = chunk.positions[:, chunk.groups.oxygen], chunk.hydrogen
    limit = (settings.hydrogen_bond_distance + CANDIDATE_MARGIN) ** 2
    found = []
    for span, squares in squared_distances(oxygen, oxygen, chunk.cells, chunk.pbc):
        is_water = assignment.is_water[span]
        near = (squares < limit) & is_water[:, :, None] & is_water[:, None, :]
        near[:, np.arange(oxygen.shape[1]), np.arange(oxygen.shape[1])] = False
        frame, donor, acceptor = np.nonzero(near)
        found.append((frame + span.start, donor, acceptor))
    frame, donor, acceptor = (np.concatenate(parts) for parts in zip(*found))
    apart = oxygen[frame, acceptor] - oxygen[frame, donor]
    shifts = np.rint(np.einsum('px,pxy->py', apart, np.linalg.inv(chunk.cells)[frame])) * chunk.pbc[frame]
    apart -= np.einsum('px,pxy->py', shifts, chunk.cells[frame])
    owned = _owned_hydrogens(assignment)[frame, donor]
    is_near = np.einsum('px,px->p', apart, apart) < settings.hydrogen_bond_distance**2
    least = np.cos(np.radians(settings.hydrogen_bond_angle))
    bonds = []
    for member in range(HYDROGENS_PER_WATER):
        hydrogen = owned[:, member]
        along = assignment.bonds[frame, hydrogen]
        other = apart - along if settings.hydrogen_bond_vertex == 'hydrogen' else apart
        norms = np.linalg.norm(along, axis=1) * np.linalg.norm(other, axis=1)
        holds = is_near & (np.einsum('px,px->p', along, other) > least * norms)
        bonds.append((frame[holds], donor[holds], hydrogen[holds], acceptor[holds]))
    return HydrogenBonds(*(np.concatenate(parts) for parts in zip(*bonds)))


def _owned_hydrogens(assignment: HydrogenAssignment) -> Integers:
    """Return the first two hydrogen of each oxygen, shape ``(n_frames, n_oxygen, 2)``; 0 where there are fewer."""
    n_frames, n_oxygen = assignment.hydrogen_counts.shape
    n_hydrogen = assignment.owners.shape[1]
    flat = (np.arange(n_frames)[:, None] * n_oxygen + assignment.owners).ravel()
    order = np.argsort(flat, kind='stable')
    starts = np.cumsum(assignment.hydrogen_counts.ravel()) - assignment.hydrogen_counts.ravel()
    rank = np.arange(flat.size) - starts[flat[order]]
    owned = np.zeros((n_frames * n_oxygen, HYDROGENS_PER_WATER), dtype=np.int64)
    kept = rank < HYDROGENS_PER_WATER
    owned[flat[order][kept], rank[kept]] = order[kept] % max(1, n_hydrogen)
    return owned.reshape(n_frames, n_oxygen, HYDROGENS_PER_WATER)


@dataclass(frozen=True)
class HydrogenBondSums:
    """Sums over blocks of frames that grow in place; columns are the layers, and all waters last."""

    donated: Floats
    """Donated bonds, shape ``(n_blocks, n_layers + 1)``."""
    accepted: Floats
    """Accepted bonds, same shape."""
    waters: Floats
    """Waters, same shape."""

    @classmethod
    def empty(cls, n_blocks: int, settings: StructureSettings) -> HydrogenBondSums:
        """Return sums of nothing."""
        return cls(*(np.zeros((n_blocks, len(settings.layer_bounds))) for _ in range(3)))

    def add(self, chunk: StructureChunk, settings: StructureSettings) -> None:
        """Add the frames of a chunk.

        :param chunk: the frames.
        :param settings: criterion and layers.
        """
        n_frames, n_oxygen = chunk.hydrogen.hydrogen_counts.shape
        bonds, shape = hydrogen_bonds(chunk, settings), (n_frames, n_oxygen)
        size, edges = n_frames * n_oxygen, np.asarray(settings.layer_bounds)
        weights = {
            'donated': np.bincount(bonds.frame * n_oxygen + bonds.donor, minlength=size).reshape(shape),
            'accepted': np.bincount(bonds.frame * n_oxygen + bonds.acceptor, minlength=size).reshape(shape),
            'waters': chunk.hydrogen.is_water,
        }
        n_layers, count = len(edges) - 1, chunk.rows.count
        share = 1.0 / len(chunk.surfaces)
        for name, weight in weights.items():
            total = getattr(self, name)
            for heights in chunk.heights[:, :, chunk.groups.oxygen]:
                layers = np.searchsorted(edges, heights, side='right') - 1
                inside = (layers >= 0) & (layers < n_layers)
                flat = np.broadcast_to(chunk.rows.of_frame[:, None] * n_layers, shape)[inside] + layers[inside]
                sums = np.bincount(flat, weight[inside], count * n_layers).reshape(count, n_layers)
                total[chunk.blocks, :-1] += share * sums
            total[chunk.blocks, -1] += np.bincount(chunk.rows.of_frame, weight.sum(axis=1), count)

    def counts(self, blocks: FrameBlocks, settings: StructureSettings) -> HydrogenBondCounts:
        """Return bonds per water with their errors.

        :param blocks: blocks of all analysed frames.
        :param settings: layers.
        """
        replicas = blocks.replica_of_block
        donated = ratio_over_replicas(self.donated, self.waters, replicas)
        accepted = ratio_over_replicas(self.accepted, self.waters, replicas)
        waters = ratio_over_replicas(self.waters, blocks.frames_in_block[:, None].astype(np.float64), replicas)
        return HydrogenBondCounts(
            lower=np.array(settings.layer_bounds[:-1], dtype=np.float64),
            upper=np.array(settings.layer_bounds[1:], dtype=np.float64),
            donated=donated.mean[:-1],
            donated_error=donated.error[:-1],
            accepted=accepted.mean[:-1],
            accepted_error=accepted.error[:-1],
            waters=waters.mean[:-1],
            waters_error=waters.error[:-1],
            per_water=float(donated.mean[-1]),
            per_water_error=float(donated.error[-1]),
        )
