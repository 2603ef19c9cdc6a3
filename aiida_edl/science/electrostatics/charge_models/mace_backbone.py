"""The short-range part that all models share: energies of atoms, and features from which charges are read.

It is ScaleShiftMACE of mace-torch (I. Batatia et al., arXiv:2206.07697) with features of all layers, vectors among
them also in the last.

Needs torch and mace-torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mace.modules  # before e3nn, which it lets read its tables
import numpy as np
import torch
from e3nn import o3

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings

INTERACTION = 'RealAgnosticResidualInteractionBlock'
READOUT = '16x0e'
"""Hidden features of the last readout, as the trainer of mace-torch has them."""
CUTOFF_POWER = 5
"""Power of the polynomial that lets neighbours fade out, as the trainer of mace-torch has it."""


@dataclass(frozen=True)
class Features:
    """What the backbone says of atoms laid end to end."""

    energies: torch.Tensor
    """Short-range energies of the atoms [eV], shape ``(n_atoms,)``."""
    scalars: torch.Tensor
    """Invariant features of all layers, shape ``(n_atoms, n_scalars)``."""
    vectors: torch.Tensor
    """Vector features of all layers along x, y, z, shape ``(n_atoms, n_vectors, 3)``."""

    def split(self, counts: Sequence[int]) -> list[Features]:
        """Return the features of each frame.

        :param counts: atoms of each frame.
        """
        sizes = list(counts)
        parts = zip(self.energies.split(sizes), self.scalars.split(sizes), self.vectors.split(sizes))
        return [Features(*part) for part in parts]


class MaceBackbone(torch.nn.Module):  # type: ignore[misc]
    """Features and short-range energies.

    :param settings: shape and constants.
    """

    def __init__(self, settings: ElectrostaticSettings) -> None:
        super().__init__()
        self.settings = settings
        kinds = [f'{order}{"o" if order % 2 else "e"}' for order in range(settings.max_l + 1)]
        self.n_scalars = settings.n_interactions * settings.n_channels
        self.n_vectors = self.n_scalars if settings.max_l else 0
        self.width = settings.n_channels * (settings.max_l + 1) ** 2
        self.mace = mace.modules.ScaleShiftMACE(
            r_max=settings.cutoff_radius,
            num_bessel=settings.n_radial_functions,
            num_polynomial_cutoff=CUTOFF_POWER,
            max_ell=settings.max_ell,
            interaction_cls=mace.modules.interaction_classes[INTERACTION],
            interaction_cls_first=mace.modules.interaction_classes[INTERACTION],
            num_interactions=settings.n_interactions,
            num_elements=len(settings.atomic_numbers),
            hidden_irreps=o3.Irreps('+'.join(f'{settings.n_channels}x{kind}' for kind in kinds)),
            MLP_irreps=o3.Irreps(READOUT),
            gate=mace.modules.gate_dict['silu'],
            atomic_energies=np.zeros(len(settings.atomic_numbers)),  # they are added by whoever uses the model
            avg_num_neighbors=settings.average_neighbours,
            atomic_numbers=list(settings.atomic_numbers),
            correlation=settings.correlation,
            radial_MLP=list(settings.radial_network),
            atomic_inter_scale=settings.energy_scale,
            atomic_inter_shift=0.0,
            keep_last_layer_irreps=True,
        )

    def forward(self, frames: Sequence[ElectrostaticFrame]) -> Features:
        """Return what is known of the atoms of frames laid end to end.

        :param frames: the frames.
        """
        found = self.mace(self._graph(frames), compute_force=False)
        layers = found['node_feats'].split(self.width, dim=1)
        channels, n_atoms = self.settings.n_channels, len(found['node_feats'])
        scalars = torch.cat([layer[:, :channels] for layer in layers], dim=1)
        vectors = scalars.new_zeros((n_atoms, 0, 3))
        if self.n_vectors:
            parts = [layer[:, channels : 4 * channels].reshape(n_atoms, channels, 3) for layer in layers]
            vectors = torch.cat(parts, dim=1)
        return Features(found['node_energy'].to(scalars.dtype), scalars, vectors)

    def _graph(self, frames: Sequence[ElectrostaticFrame]) -> dict[str, torch.Tensor]:
        """Return frames in the form that mace-torch takes; each pair becomes two edges."""
        edges, shifts, first = [], [], 0
        for frame in frames:
            near, shift = frame.near.pairs + first, frame.near.shifts @ frame.cell
            vectors = frame.positions[near[:, 1] - first] - frame.positions[near[:, 0] - first] + shift
            is_near = torch.sum(vectors.detach() ** 2, dim=1) < self.settings.cutoff_radius**2
            near, shift = near[is_near], shift[is_near]
            edges += [near.T, near.flip(1).T]
            shifts += [shift, -shift]
            first += len(frame.species)
        species = torch.cat([frame.species for frame in frames])
        positions = torch.cat([frame.positions for frame in frames])
        counts = torch.tensor([len(frame.species) for frame in frames], device=positions.device)
        one_hot = torch.nn.functional.one_hot(species, len(self.settings.atomic_numbers))
        return {
            'positions': positions,
            'node_attrs': one_hot.to(positions.dtype),
            'edge_index': torch.cat(edges, dim=1),
            'shifts': torch.cat(shifts),
            'cell': torch.cat([frame.cell for frame in frames]),
            'batch': torch.repeat_interleave(torch.arange(len(frames), device=positions.device), counts),
            'ptr': torch.nn.functional.pad(torch.cumsum(counts, 0), (1, 0)),
        }
