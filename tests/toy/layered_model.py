"""A model of one or two layers in open space, with local energies and exact forces; and models that are not like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.locality import Prediction
from aiida_edl.science.frames import Frame, FrameSet


@dataclass(frozen=True)
class LayeredModel:
    r"""Atoms sum up :math:`f(r) = (1 - r/r_c)^2` over neighbours, in the second layer weighted by their own sums.

    One layer: :math:`\varepsilon_i = \rho_i^2`; two: :math:`\varepsilon_i = (\sum_j f(r_{ij}) \rho_j^2)^2`. The square
    couples the neighbours of an atom with each other, as every many-body model does.
    """

    cutoff_radius: float
    n_layers: int
    coulomb: float = 0.0
    """Strength of an additional repulsion without cutoff [eV Å]."""
    is_pairwise: bool = False
    """Whether the local energy is the sum itself, without the square."""

    def frame(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Return local energies [eV] and forces [eV/Å] of one frame."""
        vectors = frame.positions[None] - frame.positions[:, None]
        r = np.linalg.norm(vectors, axis=-1)
        np.fill_diagonal(r, np.inf)
        inside = np.where(r < self.cutoff_radius, 1.0 - r / self.cutoff_radius, 0.0)
        f, slope = inside**2, -2.0 / self.cutoff_radius * inside
        rho = f.sum(axis=1)
        if self.is_pairwise:
            local, by_edge = rho, np.ones_like(f)
        elif self.n_layers == 1:
            local, by_edge = rho**2, np.broadcast_to(2.0 * rho[:, None], f.shape)
        else:
            messages = f @ rho**2
            local = messages**2
            by_rho = 2.0 * rho * (f.T @ (2.0 * messages))
            by_edge = 2.0 * messages[:, None] * (rho**2)[None] + by_rho[:, None]
        along = by_edge * slope - 0.5 * self.coulomb / r**2
        unit = vectors / np.where(np.isfinite(r), r, 1.0)[..., None]
        # Edge i<-j: its energy falls with the way of j away from i, and rises with that of i.
        pull = along[..., None] * unit
        return local + 0.5 * self.coulomb * (1.0 / r).sum(axis=1), pull.sum(axis=1) - pull.sum(axis=0)

    def predict(self, frames: FrameSet, with_local_energies: bool = True) -> Prediction:
        """Return what a driver would give."""
        parts = [self.frame(frame) for frame in frames]
        local = np.concatenate([part[0] for part in parts])
        forces = np.concatenate([part[1] for part in parts])
        energies = np.array([part[0].sum() for part in parts])
        return Prediction(energies, forces, local if with_local_energies else None)
