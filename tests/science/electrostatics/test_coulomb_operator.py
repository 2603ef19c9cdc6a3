"""Gaussian multipoles: pairs, self-interaction, dipoles as pairs of charges, points, films, derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystemError
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

OPEN, FILM, PERIODIC = (False, False, False), (True, True, False), (True, True, True)
EWALD = SummationSettings('ewald', 9.0, 1.0, k_cutoff=8.0, has_background=True)
CELL = np.array([[6.0, 0.0, 0.0], [-0.5, 6.1, 0.0], [0.0, 0.0, 7.0]])
OBLIQUE = np.array([[6.0, 0.1, 0.3], [-0.5, 6.1, 0.2], [0.7, 0.4, 6.4]])


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def atoms(n=4, seed=0, cell=CELL):
    """Return positions well apart in the lower half of a cell, and multipoles whose charges sum to zero."""
    rng = np.random.default_rng(seed)
    fractions = np.array([[0.10, 0.22, 0.11], [0.61, 0.43, 0.06], [0.34, 0.81, 0.32], [0.82, 0.11, 0.38]])[:n]
    multipoles = rng.normal(scale=0.5, size=(n, 4))
    multipoles[:, 0] -= multipoles[:, 0].mean()
    return tensor(fractions @ cell), tensor(multipoles)


def operator(positions, pbc, widths=0.8, cell=CELL, smearing=None):
    widths = tensor(np.broadcast_to(widths, len(positions)))
    return CoulombOperator.of(positions, tensor(cell), pbc, widths, smearing)


def test_two_gaussian_charges():
    positions, charges = tensor([[0.0, 0.0, 0.0], [0.0, 1.5, 0.0]]), tensor([[1.0], [-2.0]])
    energy = operator(positions, OPEN, [0.6, 0.8]).energy(charges).item() / COULOMB_CONSTANT
    own = (1.0 / 0.6 + 4.0 / 0.8) / (2.0 * math.sqrt(math.pi))
    assert energy == pytest.approx(own - 2.0 * math.erf(1.5 / math.sqrt(2.0)) / 1.5, rel=1e-14)


def test_energy_of_a_gaussian_dipole_alone():
    found = operator(tensor([[0.0, 0.0, 0.0]]), OPEN, 0.7).energy(tensor([[0.0, 0.3, 0.0, 0.4]])).item()
    assert found == pytest.approx(COULOMB_CONSTANT * 0.25 / (12.0 * math.sqrt(math.pi) * 0.7**3), rel=1e-14)


@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
def test_dipoles_are_pairs_of_charges_close_together(pbc):
    positions, multipoles = atoms()
    whole = operator(positions, pbc).energy(multipoles).item()

    def of_pairs(length):
        directions = multipoles[:, 1:]
        ends = torch.cat([positions, *(positions + sign * 0.5 * length * directions for sign in (1, -1))])
        charges = torch.cat([multipoles[:, 0], torch.full((4,), 1 / length), torch.full((4,), -1 / length)])
        return operator(ends, pbc, cell=CELL).energy(charges[:, None].double()).item()

    coarse, fine = of_pairs(0.02), of_pairs(0.01)
    assert (4.0 * fine - coarse) / 3.0 == pytest.approx(whole, abs=2e-6)


@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
@pytest.mark.parametrize('widths', [[0.8, 0.9, 1.1, 0.8], [0.0, 0.5, 1.1, 0.8]])
def test_matrix_has_the_potentials_of_single_charges(pbc, widths):
    applied = operator(atoms()[0], pbc, widths, smearing=0.8)
    columns = [applied.potentials(tensor(np.eye(4)[:, [i]])) for i in range(4)]
    np.testing.assert_allclose(applied.matrix(), torch.cat(columns, dim=1), atol=1e-12)


@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
def test_operator_is_symmetric(pbc):
    positions, first = atoms(seed=1)
    second = atoms(seed=2)[1]
    applied = operator(positions, pbc, [0.8, 0.9, 1.1, 0.8])
    one, other = (torch.sum(a * applied.potentials(b)).item() for a, b in ((first, second), (second, first)))
    assert one == pytest.approx(other, abs=1e-11)


@pytest.mark.parametrize(('pbc', 'cell'), [(FILM, CELL), (PERIODIC, OBLIQUE)])
@pytest.mark.parametrize('net', [0.0, 0.7])
def test_points_are_those_of_the_ewald_sum(pbc, cell, net):
    positions, multipoles = atoms(cell=cell)
    charges = multipoles[:, :1] + net / 4.0
    stretched = cell * np.array([[1.0], [1.0], [4.0 if pbc == FILM else 1.0]])
    found = operator(positions, pbc, 0.0, stretched, smearing=1.0).potentials(charges)[:, 0]
    expected = TorchSummation(EWALD).potentials(positions, tensor(stretched), charges[:, 0], pbc)
    np.testing.assert_allclose(found, expected, atol=3e-7)


def test_points_in_an_open_frame():
    positions, charges = tensor([[0.0, 0.0, 0.0], [0.0, 1.5, 0.0]]), tensor([[1.0], [-2.0]])
    assert operator(positions, OPEN, 0.0).energy(charges).item() == pytest.approx(-COULOMB_CONSTANT * 2.0 / 1.5)


@pytest.mark.parametrize('pbc', [FILM, PERIODIC])
def test_smearing_of_the_sum_does_not_matter(pbc):
    positions, multipoles = atoms()
    charges = multipoles[:, :1] + 0.2
    cell = CELL * np.array([[1.0], [1.0], [4.0 if pbc == FILM else 1.0]])
    wide, narrow = (operator(positions, pbc, [0.0, 0.5, 1.2, 1.0], cell, s).potentials(charges) for s in (0.9, 0.45))
    np.testing.assert_allclose(wide, narrow, atol=3e-7)


def test_potential_of_a_film_is_that_of_its_molecules_far_apart():
    """In a wide cell a film is a molecule, in empty space and not in a stack."""
    positions, multipoles = atoms()
    energies = {}
    for length in (30.0, 60.0):
        cell = np.diag([length, length, 20.0])
        energies[length] = operator(positions, FILM, 1.0, cell).potentials(multipoles)
    alone = operator(positions, OPEN, 1.0).potentials(multipoles)
    # images are dipoles at multiples of the length: their potentials and fields fall as its third power
    extrapolated = (8.0 * energies[60.0] - energies[30.0]) / 7.0
    np.testing.assert_allclose(extrapolated, alone, atol=1e-4)


@pytest.mark.parametrize('net', [0.0, 1.0])
def test_film_does_not_depend_on_its_height_or_on_the_vacuum(net):
    positions, multipoles = atoms()
    multipoles = multipoles + tensor([net / 4.0, 0.0, 0.0, 0.0])
    tall = CELL * np.array([[1.0], [1.0], [8.0]])
    first = operator(positions, FILM, cell=tall)
    raised = operator(positions + tensor([0.0, 0.0, 3.0]), FILM, cell=tall)
    np.testing.assert_allclose(raised.potentials(multipoles), first.potentials(multipoles), atol=1e-7)
    taller = operator(positions, FILM, cell=tall * np.array([[1.0], [1.0], [1.5]]))
    np.testing.assert_allclose(taller.potentials(multipoles), first.potentials(multipoles), atol=1e-6)


def test_two_charged_sheets_are_a_capacitor():
    """The drop between both is 4π σ d, and the potential outside is half of it up and down."""
    n, side, gap, charge, width = 6, 9.0, 5.0, 0.4, 1.2
    grid = np.stack(np.meshgrid(*(np.arange(n) * side / n,) * 2, [0.0, gap], indexing='ij'), axis=-1).reshape(-1, 3)
    charges = tensor(np.where(grid[:, 2] > 0.0, charge, -charge) / n**2)[:, None]
    found = operator(tensor(grid), FILM, width, np.diag([side, side, 20.0])).potentials(charges)[:, 0].numpy()
    drop = 4.0 * math.pi * COULOMB_CONSTANT * charge / side**2
    # mean distances of two Gaussians: of one sheet by itself, and of both
    own = 2.0 * width / math.sqrt(math.pi)
    across = gap * math.erf(gap / (2.0 * width)) + own * math.exp(-((gap / (2.0 * width)) ** 2))
    between = found[grid[:, 2] > 0].mean() - found[grid[:, 2] == 0].mean()
    assert between == pytest.approx(drop * (across - own), rel=1e-9)
    assert found.mean() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
@pytest.mark.parametrize('widths', [[0.8, 0.9, 1.1, 0.8], [0.0, 0.5, 1.1, 0.8]])
def test_derivatives_are_those_by_differences(pbc, widths):
    positions, multipoles = atoms()
    multipoles = multipoles if min(widths) else multipoles[:, :1]
    plane = torch.zeros((2, 2), dtype=torch.float64, requires_grad=True)
    inputs = (positions.clone().requires_grad_(), plane)

    def energy(moved, strain):
        strained = tensor(np.eye(3)) + torch.nn.functional.pad(strain, (0, 1, 0, 1))  # a film stays in its plane
        moved, cell = moved @ strained, tensor(CELL) @ strained
        return CoulombOperator.of(moved, cell, pbc, tensor(widths), 0.8).energy(multipoles)

    assert torch.autograd.gradcheck(energy, inputs, eps=1e-5, atol=1e-6)


def test_derivative_by_a_width():
    positions, multipoles = atoms()
    widths = tensor([0.8, 0.9, 1.1, 0.8]).requires_grad_()

    def energy(chosen):
        return CoulombOperator.of(positions, tensor(CELL), PERIODIC, chosen, 0.8).energy(multipoles)

    (found,) = torch.autograd.grad(energy(widths), widths)
    for i in (1, 2):
        step = tensor(np.eye(4)[i] * 1e-5)
        expected = (energy(widths + step) - energy(widths - step)).item() / 2e-5
        assert found[i].item() == pytest.approx(expected, abs=1e-7)


def test_molecule_in_a_periodic_box_is_refused():
    with pytest.raises(ChargedSystemError, match=r'2000 Å³ for each atom.*make the frame open'):
        operator(atoms()[0], PERIODIC, cell=20.0 * np.eye(3))


def test_points_without_a_smearing_are_refused():
    with pytest.raises(ChargedSystemError, match='point charges in a periodic cell'):
        operator(atoms()[0], PERIODIC, 0.0)


def test_dipoles_of_points_are_refused():
    positions, multipoles = atoms()
    with pytest.raises(ChargedSystemError, match='dipoles in a frame with point charges'):
        operator(positions, PERIODIC, 0.0, smearing=1.0).potentials(multipoles)


def test_multipoles_of_another_shape_are_refused():
    positions, multipoles = atoms()
    with pytest.raises(ChargedSystemError, match=r'shape \(4, 3\), expected \(4, 1\)'):
        operator(positions, PERIODIC).potentials(multipoles[:, :3])
