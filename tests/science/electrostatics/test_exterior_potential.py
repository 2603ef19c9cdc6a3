"""Exterior potentials: the limits of their definition, their formula for pairs, and what they need."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from electrostatics_cases import sheared_salt

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystemError
from aiida_edl.science.electrostatics.exclusion import Exclusion
from aiida_edl.science.electrostatics.exterior_potential import ExteriorPotential
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

RADIUS, SMEARING, LENGTH = 5.0, 0.8, 40.0
DIRECT = SummationSettings('direct')
MESHED = SummationSettings('p3m', 6.0, SMEARING, mesh=(100, 100, 100), nodes=5)
EWALD = SummationSettings('ewald', 6.0, SMEARING, k_cutoff=7.0 / SMEARING)
OPEN = (False, False, False)


def tensor(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def pair(distance):
    """Return positions and charges of two opposite charges."""
    return tensor([[10.0, 11.0, 12.0], [10.0 + distance, 11.0, 12.0]]), tensor([1.0, -1.0])


def share_outside(distance, degree=1):
    """Return by how much a charge at a distance counts."""
    return ((1.0 - math.cos(math.pi * distance / RADIUS)) / 2.0) ** degree if distance < RADIUS else 1.0


@pytest.mark.parametrize('distance', [0.5, 2.0, 4.9, 5.1, 8.0])
@pytest.mark.parametrize('degree', [1, 3])
def test_the_direct_sum_gives_the_bare_potential_of_the_share_outside(distance, degree):
    positions, charges = pair(distance)
    features = ExteriorPotential(DIRECT, Exclusion(RADIUS, degree))(
        positions, torch.eye(3, dtype=torch.float64), charges, OPEN
    )
    expected = COULOMB_CONSTANT / distance * share_outside(distance, degree)
    np.testing.assert_allclose(features.numpy(), [-expected, expected], rtol=1e-11)


@pytest.mark.parametrize('distance', [0.5, 2.0, 4.9])
def test_a_sum_over_images_gives_the_smeared_potential_of_the_share_outside(distance):
    positions, charges = pair(distance)
    cell = LENGTH * torch.eye(3, dtype=torch.float64)
    features = ExteriorPotential(MESHED, Exclusion(RADIUS))(positions, cell, charges)
    smeared = COULOMB_CONSTANT * math.erf(distance / (math.sqrt(2.0) * SMEARING)) / distance
    expected = smeared * share_outside(distance)
    # dipoles of 5 e Å in a box of 40 Å with conducting surroundings: potentials of 4π/3 μ r/V = 2.4e-2 V at most
    images = 1.1 * 4.0 * math.pi / 3.0 * COULOMB_CONSTANT * distance * distance / LENGTH**3
    np.testing.assert_allclose(features.numpy(), [-expected, expected], atol=images + 2e-4)


def test_close_neighbours_cancel():
    # all atoms well inside the radius, in a huge box
    cell = LENGTH * torch.eye(3, dtype=torch.float64)
    plain = [ExteriorPotential(MESHED, Exclusion(RADIUS))(pair(r)[0], cell, pair(r)[1]) for r in (0.4, 0.2, 0.1)]
    largest = [float(features.abs().max()) for features in plain]
    # the share outside falls with the square of the distance; the mesh leaves 1e-4 V
    assert largest[1] < largest[0] / 3.0
    assert largest[2] < largest[1] / 3.0
    assert largest[2] < 0.02


def test_atoms_that_are_all_outside_give_the_plain_potential():
    # four ions more than the radius apart; what is left of the smearing is erfc(6 Å/(√2 0.8 Å))/6 Å, 1e-14 e/Å
    positions = tensor([[0.0, 0.0, 0.0], [6.5, 0.3, 0.0], [0.2, 6.4, 0.1], [0.0, 0.3, 6.6]])
    cell, charges = 13.0 * torch.eye(3, dtype=torch.float64), tensor([1.0, -1.0, 1.0, -1.0])
    features = ExteriorPotential(EWALD, Exclusion(6.0))(positions, cell, charges)
    plain = TorchSummation(EWALD).potentials(positions, cell, charges)
    torch.testing.assert_close(features, plain, rtol=0.0, atol=1e-9)


def test_the_potential_of_an_atom_that_leaves_is_smooth():
    def feature(distance):
        positions, charges = pair(distance)
        return float(
            ExteriorPotential(DIRECT, Exclusion(RADIUS))(positions, torch.eye(3, dtype=torch.float64), charges, OPEN)[1]
        )

    step = 1e-4
    slopes = [(feature(RADIUS + s) - feature(RADIUS + s - step)) / step for s in (0.0, step)]
    # the second derivative jumps by k/R (π/R)²/2 = 0.57 V/Å², the first does not
    assert slopes[1] == pytest.approx(slopes[0], abs=2.0 * 0.6 * step)


@pytest.mark.parametrize('settings', [EWALD, SummationSettings('p3m', 6.0, 1.0, mesh=(12, 13, 14), nodes=4)])
def test_features_have_derivatives_of_both_orders(settings):
    cell = tensor([[6.0, 0.1, 0.3], [-0.5, 6.1, 0.2], [0.7, 0.4, 6.4]])
    fractions = tensor([[0.10, 0.22, 0.31], [0.61, 0.43, 0.12], [0.34, 0.81, 0.72]])
    evaluate = ExteriorPotential(replace(settings, has_background=True), Exclusion(4.0))
    inputs = [fractions @ cell, cell, tensor([0.7, -0.9, 0.3])]
    inputs = [value.clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(evaluate, inputs)
    assert torch.autograd.gradgradcheck(evaluate, inputs)


def test_each_species_has_its_potential():
    system = sheared_salt()
    positions, cell, charges = (tensor(array) for array in (system.positions, system.cell, system.charges))
    settings = SummationSettings('p3m', 6.0, 1.0, mesh=(14, 15, 16), nodes=5, has_background=True)
    evaluate = ExteriorPotential(settings, Exclusion(4.0))
    species = torch.stack([charges > 0.0, charges < 0.0], dim=1).to(torch.float64)
    apart = evaluate(positions, cell, species)
    torch.testing.assert_close(apart[:, 0] - apart[:, 1], evaluate(positions, cell, charges), rtol=0.0, atol=1e-11)


def test_the_pairs_may_reach_further():
    system = sheared_salt()
    tensors = [tensor(array) for array in (system.positions, system.cell, system.charges)]
    evaluate = ExteriorPotential(EWALD, Exclusion(4.0))
    far = TorchPairs.of(neighbour_pairs(system, 7.0), torch.float64, torch.device('cpu'))
    torch.testing.assert_close(evaluate(*tensors, pairs=far), evaluate(*tensors), rtol=0.0, atol=1e-11)


def test_pairs_that_do_not_reach_as_far_as_the_exclusion_are_refused():
    system = sheared_salt()
    tensors = [tensor(array) for array in (system.positions, system.cell, system.charges)]
    near = TorchPairs.of(neighbour_pairs(system, 4.0), torch.float64, torch.device('cpu'))
    message = r'^the pairs reach 4 Å, the sum needs all up to 5 Å: list them with that cutoff$'
    with pytest.raises(ChargedSystemError, match=message):
        ExteriorPotential(EWALD, Exclusion(5.0))(*tensors, pairs=near)


@pytest.mark.parametrize('radius', [0.0, -1.0, math.inf])
def test_an_exclusion_without_size_is_refused(radius):
    message = f'^the exclusion radius is {radius} Å, it must be positive and finite$'
    with pytest.raises(SummationSettingsError, match=message):
        Exclusion(radius)


def test_an_exclusion_without_degree_is_refused():
    with pytest.raises(SummationSettingsError, match=r'^the exclusion degree is 0, it must be 1 or more$'):
        Exclusion(5.0, 0)
