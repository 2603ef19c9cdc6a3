"""PME and P3M of torch-pme on a mesh that stays as it is, with an influence function that holds in any cell.

The library chooses its mesh from a spacing, rounded up to powers of two, so that energies jump when a cell changes; and
its P3M takes the Cartesian components of a wave vector times the lengths of the edges of a mesh cell for the phases
along the cell vectors, which they are in orthorhombic cells alone. Here the mesh is given, and the phase of index ``n``
of ``N`` is 2π n/N. Potentials are halved, as everywhere in the library: ``V_i = 1/2 Σ_j q_j v(r_ij)``.

Needs torch and torch-pme.
"""

from __future__ import annotations

from typing import Any

import torch
from torchpme import P3MCalculator, PMECalculator
from torchpme.lib import KSpaceFilter, MeshInterpolator
from torchpme.potentials import Potential

from aiida_edl.science.electrostatics.spline_factors import spline_factors
from aiida_edl.science.electrostatics.torch_cell import mesh_wave_vectors
from aiida_edl.science.electrostatics.torch_ewald import less_own_potentials, refuse_others

Mesh = tuple[int, int, int]
"""Points along each cell vector."""
LAGRANGE, SPLINES = 'Lagrange', 'P3M'
"""Names of both interpolations in torch-pme."""
UNUSED_SPACING = 1.0
"""The library asks for the spacing of a mesh; it is not used."""


class PointInterpolator(MeshInterpolator):  # type: ignore[misc]
    """Spreads charges on a mesh and interpolates from it, whatever torch's default type is."""

    def compute_weights(self, positions: torch.Tensor) -> None:
        """Compute the weights of points at the mesh points around them.

        An odd number of splines around the nearest mesh point is moved by half a mesh cell, to where the compiled sum
        has it: what a mesh does wrong depends on the place of the charges in it, and both are to give the same number.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        """
        if self.method == SPLINES and self.interpolation_nodes % 2 == 1:
            positions = positions + 0.5 * torch.sum(self.cell / self.ns_mesh[:, None], dim=0)
        super().compute_weights(positions)

    def _compute_1d_weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights in the type of the cell.

        The library finds offsets by adding a Python float to integers, which gives torch's default type.
        """
        return super()._compute_1d_weights(x.to(self._dtype))


class MeshFilter(KSpaceFilter):  # type: ignore[misc]
    """Turns charges on a mesh into their potential.

    :param mesh: points along each cell vector.
    :param potential: the pair potential with its smearing.
    :param nodes: order of the splines that have spread the charges and will gather the potential; none for PME.
    """

    def __init__(self, mesh: Mesh, potential: Potential, nodes: int | None = None) -> None:
        self.mesh = mesh
        self.factors = torch.ones(1, 1, 1, dtype=torch.float64)
        if nodes is not None:
            x, y, z = (torch.from_numpy(spline_factors(count, nodes)) for count in mesh)
            self.factors = x[:, None, None] * y[None, :, None] * z[None, None, : mesh[2] // 2 + 1]
        super().__init__(torch.eye(3), torch.tensor(mesh), potential, fft_norm='backward', ifft_norm='forward')

    def update(self, cell: torch.Tensor | None = None, ns_mesh: torch.Tensor | None = None) -> None:
        """Compute the influence function of a cell.

        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param ns_mesh: not used, the mesh is fixed.
        """
        if cell is not None:
            self.cell = cell
        wave_vectors = mesh_wave_vectors(self.cell, self.mesh)
        squared = torch.sum(wave_vectors**2, dim=-1)  # not by the norm, which has no second derivative at zero
        influence = self.kernel.kernel_from_k_sq(squared)
        self.factors = self.factors.to(influence.device)
        self._kfilter = influence * self.factors.to(influence.dtype)


class FixedMeshPME(PMECalculator):  # type: ignore[misc]
    """PME on a mesh of a given number of points (U. Essmann et al., J. Chem. Phys. 103, 8577 (1995)).

    :param potential: the pair potential with its smearing.
    :param mesh: points along each cell vector.
    :param nodes: nodes of the Lagrange interpolation along each axis, 3 to 7.
    """

    def __init__(self, potential: Potential, mesh: Mesh, nodes: int) -> None:
        super().__init__(potential, UNUSED_SPACING, nodes)
        self.mesh = mesh
        self.mesh_interpolator = PointInterpolator(torch.eye(3), torch.tensor(mesh), nodes, LAGRANGE)
        self.kspace_filter = MeshFilter(mesh, potential)

    def _compute_kspace(
        self, charges: torch.Tensor, cell: torch.Tensor, positions: torch.Tensor, **others: Any
    ) -> torch.Tensor:
        """Return half the potentials of all smeared charges but the own one."""
        refuse_others(others)
        return mesh_potentials(self, charges, cell, positions)


class FixedMeshP3M(P3MCalculator):  # type: ignore[misc]
    """P3M sum on a mesh of a given number of points, right in any cell.

    It is that of :class:`aiida_edl.science.electrostatics.compiled_summation.CompiledSummation`.

    :param potential: the pair potential with its smearing.
    :param mesh: points along each cell vector.
    :param nodes: order of the splines, 1 to 5.
    """

    def __init__(self, potential: Potential, mesh: Mesh, nodes: int) -> None:
        super().__init__(potential, UNUSED_SPACING, nodes)
        self.mesh = mesh
        self.mesh_interpolator = PointInterpolator(torch.eye(3), torch.tensor(mesh), nodes, SPLINES)
        self.kspace_filter = MeshFilter(mesh, potential, nodes)

    def _compute_kspace(
        self, charges: torch.Tensor, cell: torch.Tensor, positions: torch.Tensor, **others: Any
    ) -> torch.Tensor:
        """Return half the potentials of all smeared charges but the own one."""
        refuse_others(others)
        return mesh_potentials(self, charges, cell, positions)


def mesh_potentials(
    calculator: FixedMeshPME | FixedMeshP3M, charges: torch.Tensor, cell: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Return half the potentials of all smeared charges but the own one, by the mesh of a calculator.

    :param calculator: mesh, interpolation and influence function.
    :param charges: charges, shape ``(n_atoms, n_channels)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
    """
    interpolator, influence = calculator.mesh_interpolator, calculator.kspace_filter
    interpolator.update(cell, torch.tensor(calculator.mesh, device=cell.device))
    influence.update(cell)
    interpolator.compute_weights(positions)
    potential_mesh = influence(interpolator.points_to_mesh(charges))
    return less_own_potentials(calculator.potential, interpolator.mesh_to_points(potential_mesh), charges, cell)
