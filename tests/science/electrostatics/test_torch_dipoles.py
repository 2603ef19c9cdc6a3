"""Sums over dipoles: pairs, polarised lattices, charges close together, and derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest
from electrostatics_cases import PERIODIC

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError
from aiida_edl.science.electrostatics.torch_dipoles import DipoleSummation
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

EWALD = SummationSettings('ewald', 8.0, 1.0, k_cutoff=8.0)
DIRECT = SummationSettings('direct')
OPEN = (False, False, False)


def tensor(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def four_dipoles():
    """Return positions, an oblique cell and dipoles."""
    cell = np.array([[6.0, 0.1, 0.3], [-0.5, 6.1, 0.2], [0.7, 0.4, 6.4]])
    fractions = np.array([[0.10, 0.22, 0.31], [0.61, 0.43, 0.12], [0.34, 0.81, 0.72], [0.82, 0.11, 0.63]])
    return tensor(fractions @ cell), tensor(cell), tensor(np.random.default_rng(0).normal(scale=0.3, size=(4, 3)))


@pytest.mark.parametrize(
    ('dipoles', 'factor'),
    [([[0, 0, 1], [0, 0, 1]], -2.0), ([[1, 0, 0], [1, 0, 0]], 1.0), ([[0, 1, 0], [0, 0, 1]], 0.0)],
)
def test_two_dipoles_one_above_the_other(dipoles, factor):
    positions = tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    energy = DipoleSummation(DIRECT).energy(positions, torch.eye(3, dtype=torch.float64), 0.3 * tensor(dipoles), OPEN)
    assert energy.item() == pytest.approx(factor * COULOMB_CONSTANT * 0.09 / 8.0, abs=1e-14)


@pytest.mark.parametrize('name', ['sc', 'bcc', 'fcc'])
def test_polarised_cubic_lattices_feel_the_field_of_lorentz(name):
    # E = 4π/3 P at each dipole of a cubic lattice, with no field from the surface of a conductor
    cell = 3.0 * REFERENCE_LATTICES[f'wigner_{name}'].cell
    dipole = np.array([[0.1, 0.2, -0.3]])
    fields = DipoleSummation(EWALD).fields(tensor(np.zeros((1, 3))), tensor(cell), tensor(dipole))
    expected = 4.0 * np.pi / 3.0 * COULOMB_CONSTANT * dipole / abs(np.linalg.det(cell))
    np.testing.assert_allclose(fields.numpy(), expected, rtol=1e-11)


def test_dipoles_are_pairs_of_charges_close_together():
    positions, cell, dipoles = four_dipoles()

    def energy(length):
        ends = [positions + sign * 0.5 * length * dipoles for sign in (1.0, -1.0)]
        charges = np.repeat([1.0, -1.0], 4) / length
        system = ChargedSystem(torch.cat(ends).numpy(), cell.numpy(), charges, PERIODIC)
        own = -COULOMB_CONSTANT / length**2 / np.linalg.norm((ends[0] - ends[1]).numpy(), axis=1)
        return TorchSummation(EWALD)(system).energy - float(np.sum(own))

    # Richardson's extrapolation takes off errors of the second and fourth power of the length; the sixth leaves 1e-8
    second = [(4.0 * energy(half) - energy(2.0 * half)) / 3.0 for half in (0.2, 0.1)]
    expected = (16.0 * second[1] - second[0]) / 15.0
    assert DipoleSummation(EWALD).energy(positions, cell, dipoles).item() == pytest.approx(expected, abs=1e-7)


def test_where_the_sum_is_parted_does_not_matter():
    other = SummationSettings('ewald', 10.0, 1.25, k_cutoff=6.5)
    first, second = (DipoleSummation(settings).energy(*four_dipoles()).item() for settings in (EWALD, other))
    assert second == pytest.approx(first, rel=1e-10)


@pytest.mark.parametrize('settings', [EWALD, DIRECT])
def test_derivatives_of_both_orders_are_those_of_the_energy(settings):
    summation = DipoleSummation(settings)
    inputs = [value.requires_grad_() for value in four_dipoles()]
    pbc = OPEN if settings.method == 'direct' else (True, True, True)

    def energy(positions, cell, dipoles):
        return summation.energy(positions, cell, dipoles, pbc)

    assert torch.autograd.gradcheck(energy, inputs)
    assert torch.autograd.gradgradcheck(energy, inputs)


def test_fields_are_the_derivative_by_dipoles():
    positions, cell, dipoles = four_dipoles()
    dipoles.requires_grad_()
    summation = DipoleSummation(EWALD)
    (gradient,) = torch.autograd.grad(summation.energy(positions, cell, dipoles), dipoles)
    torch.testing.assert_close(-gradient, summation.fields(positions, cell, dipoles), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize('settings', [EWALD, DIRECT])
def test_single_precision_is_kept(settings):
    pbc = OPEN if settings.method == 'direct' else (True, True, True)
    single = DipoleSummation(settings, torch.float32).energy(*(value.float() for value in four_dipoles()), pbc)
    double = DipoleSummation(settings).energy(*four_dipoles(), pbc)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(double.item(), rel=1e-4)  # seven digits, of which two cancel


def test_slabs_of_dipoles_are_refused():
    message = (
        r'^the system is periodic along \[True, True, False\]: an Ewald sum of dipoles needs all three cell vectors to '
        r'be periodic$'
    )
    with pytest.raises(ChargedSystemError, match=message):
        DipoleSummation(EWALD).energy(*four_dipoles(), (True, True, False))


def test_an_open_system_of_dipoles_is_summed_directly():
    message = r'^the system is open in all directions, the method ewald sums over images: use direct$'
    with pytest.raises(ChargedSystemError, match=message):
        DipoleSummation(EWALD).energy(*four_dipoles(), OPEN)


def test_dipoles_on_a_mesh_are_refused():
    message = r'^the method is p3m, dipoles are summed by one of: direct, ewald$'
    with pytest.raises(SummationSettingsError, match=message):
        DipoleSummation(SummationSettings('p3m', mesh=(9, 9, 9))).energy(*four_dipoles())
