"""Fixed meshes beside those of torch-pme: the same where the library is right, and right where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from electrostatics_cases import force_error, salt, sheared_salt

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch
import torchpme

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_mesh import FixedMeshP3M, FixedMeshPME
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

CUTOFF, SMEARING = 7.0, 1.0
EWALD = SummationSettings('ewald', 9.0, 9.0 / 8.5, k_cutoff=8.5**2 / 9.0)


def fixed(method, system, mesh, nodes):
    return TorchSummation(SummationSettings(method, CUTOFF, SMEARING, mesh=mesh, nodes=nodes))(system)


def of_the_library(calculator, system, spacing, nodes):
    """Return energy and forces by the library's own choice of a mesh."""
    summation = TorchSummation(SummationSettings('p3m', CUTOFF, SMEARING, mesh=(8, 8, 8)))
    positions, cell, charges = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    positions.requires_grad_()
    near, distances = summation.pairs_of(system).distances(positions, cell, CUTOFF)
    potential = torchpme.CoulombPotential(SMEARING, prefactor=COULOMB_CONSTANT)
    evaluate = calculator(potential, spacing, nodes).to(torch.float64)
    energy = torch.sum(evaluate(charges[:, None], cell, positions, near, distances)[:, 0] * charges)
    forces = -torch.autograd.grad(energy, positions)[0].numpy()
    return ElectrostaticResult(energy.item(), forces, np.zeros((3, 3)), np.zeros(len(forces)))


@pytest.mark.parametrize('nodes', [3, 4, 5, 6, 7])
@pytest.mark.parametrize(('make', 'mesh'), [(salt, (32, 32, 32)), (sheared_salt, (32, 64, 32))])
def test_pme_on_the_mesh_of_the_library_is_that_of_the_library(nodes, make, mesh):
    ours, theirs = fixed('pme', make(), mesh, nodes), of_the_library(torchpme.PMECalculator, make(), 0.8, nodes)
    assert ours.energy == pytest.approx(theirs.energy, rel=1e-13)
    np.testing.assert_allclose(ours.forces, theirs.forces, atol=1e-12)


@pytest.mark.parametrize('nodes', [3, 4, 5])
def test_p3m_in_a_cubic_cell_is_as_good_as_that_of_the_library(nodes):
    system, reference = salt(), TorchSummation(EWALD)(salt())
    theirs = force_error(of_the_library(torchpme.P3MCalculator, system, 0.8, nodes), reference)
    assert force_error(fixed('p3m', system, (32, 32, 32), nodes), reference) < 1.1 * theirs


def test_p3m_is_right_in_a_sheared_cell_where_that_of_the_library_is_not():
    system, reference = sheared_salt(), TorchSummation(EWALD)(sheared_salt())
    assert force_error(of_the_library(torchpme.P3MCalculator, system, 0.4, 5), reference) > 1e-3
    assert force_error(fixed('p3m', system, (64, 64, 64), 5), reference) < 1e-5


def test_a_mesh_may_have_any_number_of_points():
    system, reference = sheared_salt(), TorchSummation(EWALD)(sheared_salt())
    assert force_error(fixed('p3m', system, (61, 67, 63), 5), reference) < 1e-5


@pytest.mark.parametrize('kind', [FixedMeshPME, FixedMeshP3M])
@pytest.mark.parametrize(
    ('name', 'value'),
    [('periodic', [True, True, False]), ('node_mask', [True, True]), ('kvectors', [[0.0, 0.0, 0.0]])],
)
def test_what_is_done_elsewhere_is_refused(kind, name, value):
    calculator = kind(torchpme.CoulombPotential(1.0), (8, 8, 8), 4)
    positions, cell, charges = torch.zeros(2, 3), torch.eye(3), torch.ones(2, 1)
    pairs, distances = torch.zeros(0, 2, dtype=torch.long), torch.zeros(0)
    message = f'^{name} of torch-pme is not taken here: slabs are the matter of TorchSummation, batches are not padded$'
    with pytest.raises(NotImplementedError, match=message):
        calculator(charges, cell, positions, pairs, distances, **{name: torch.tensor(value)})
