"""Charges that minimise an energy: two atoms by hand, both solvers, derivatives, and electrodes of LAMMPS."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch
from ase.data import atomic_numbers

from aiida_edl.science.electrostatics.charge_models.charge_equilibration import ChargeEquilibration
from aiida_edl.science.electrostatics.charge_models.constrained_solver import ChargeEquilibrationError
from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.reference_model import ReferenceModel
from aiida_edl.science.units import VACUUM_PERMITTIVITY

CONVERGED = Path(__file__).parents[3] / 'fixtures' / 'single_point' / 'electrode_converged' / 'labels.npz'
OPEN, FILM, PERIODIC = (False, False, False), (True, True, False), (True, True, True)
CELL = np.diag([6.0, 6.5, 7.0])
SOLVERS = ['direct', 'conjugate_gradient']


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def problem(pbc=PERIODIC, seed=0, n=6, **others):
    """Return random atoms, with the positions and parameters of which derivatives are taken."""
    rng = np.random.default_rng(seed)
    positions = tensor(rng.uniform(size=(n, 3)) @ CELL * np.array([1.0, 1.0, 0.4])).requires_grad_()
    electronegativities = tensor(rng.normal(size=n)).requires_grad_()
    hardnesses = tensor(rng.uniform(3.0, 6.0, size=n)).requires_grad_()
    operator = CoulombOperator.of(positions, tensor(CELL), pbc, torch.full((n,), 0.9, dtype=torch.float64))
    inputs = (positions, electronegativities, hardnesses)
    return ChargeEquilibration(operator, electronegativities, hardnesses, **others), inputs


@pytest.mark.parametrize('solver', SOLVERS)
def test_two_atoms(solver):
    """With q and -q the energy is (χ1 - χ2) q + (J1 + J2)/2 q² + (own - 2 v) q²."""
    operator = CoulombOperator.of(tensor([[0, 0, 0], [2.0, 0, 0]]), tensor(CELL), OPEN, tensor([0.7, 0.7]))
    found = ChargeEquilibration(operator, tensor([1.0, -2.0]), tensor([4.0, 5.0])).at_charge(0.0, solver)
    own, between = 1.0 / (math.sqrt(math.pi) * 0.7), math.erf(2.0 / 1.4) / 2.0
    charge = -3.0 / (9.0 + 2.0 * COULOMB_CONSTANT * (own - between))
    np.testing.assert_allclose(found.charges, [charge, -charge], atol=1e-9)


@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
@pytest.mark.parametrize('total', [0.0, -1.3])
def test_both_solvers_agree(pbc, total):
    equilibration, _ = problem(pbc)
    direct, iterated = (equilibration.at_charge(total, solver) for solver in SOLVERS)
    np.testing.assert_allclose(iterated.charges.detach(), direct.charges.detach(), atol=1e-8)
    assert iterated.potential.item() == pytest.approx(direct.potential.item(), abs=1e-6)
    assert len(iterated.residuals) > 2


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
def test_total_charge_is_exact(solver, pbc):
    assert problem(pbc)[0].at_charge(0.7, solver).charges.sum().item() == pytest.approx(0.7, abs=1e-13)


@pytest.mark.parametrize('solver', SOLVERS)
def test_energy_is_least(solver):
    equilibration, _ = problem()
    charges = equilibration.at_charge(0.5, solver).charges.detach()
    least = equilibration.energy(charges).item()
    for seed in range(5):
        step = np.random.default_rng(seed).normal(scale=0.01, size=6)
        assert equilibration.energy(charges + tensor(step - step.mean())).item() > least


@pytest.mark.parametrize('solver', SOLVERS)
def test_potential_is_the_slope_by_the_total_charge(solver):
    equilibration, _ = problem()
    energies = [equilibration.energy(equilibration.at_charge(0.2 + step, solver).charges) for step in (-0.01, 0.01)]
    slope = (energies[1] - energies[0]).item() / 0.02
    assert equilibration.at_charge(0.2, solver).potential.item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('pbc', [OPEN, PERIODIC])
def test_charges_at_a_potential_are_those_at_their_sum(solver, pbc):
    equilibration, _ = problem(pbc)
    at_charge = equilibration.at_charge(-0.8, solver)
    at_potential = equilibration.at_potential(at_charge.potential.item(), solver)
    np.testing.assert_allclose(at_potential.charges.detach(), at_charge.charges.detach(), atol=1e-7)


@pytest.mark.parametrize('solver', SOLVERS)
def test_given_charges_stay(solver):
    given, is_free = tensor([0.4, 0.0, -0.9, 9.0, 9.0, 9.0]), torch.tensor([False] * 3 + [True] * 3)
    equilibration, _ = problem(is_free=is_free, given_charges=given)
    found = equilibration.at_charge(0.3, solver)
    np.testing.assert_array_equal(found.charges[:3].detach(), given[:3])
    assert found.charges.sum().item() == pytest.approx(0.3, abs=1e-13)
    slopes = equilibration.slopes(found.charges.detach())[3:].detach()
    np.testing.assert_allclose(slopes, found.potential.item(), atol=1e-6)


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
def test_derivatives_of_the_charges_are_those_by_differences(solver, pbc):
    inputs = problem(pbc)[1]

    def charges(positions, electronegativities, hardnesses):
        widths = torch.full((6,), 0.9, dtype=torch.float64)
        operator = CoulombOperator.of(positions, tensor(CELL), pbc, widths)
        found = ChargeEquilibration(operator, electronegativities, hardnesses).at_charge(0.4, solver)
        return torch.cat([found.charges, found.potential[None]])

    assert torch.autograd.gradcheck(charges, inputs, eps=1e-4, atol=1e-6, rtol=1e-5)


def test_derivatives_at_a_potential_are_those_by_differences():
    inputs = problem()[1]

    def charges(positions, electronegativities, hardnesses):
        widths = torch.full((6,), 0.9, dtype=torch.float64)
        operator = CoulombOperator.of(positions, tensor(CELL), PERIODIC, widths)
        return ChargeEquilibration(operator, electronegativities, hardnesses).at_potential(0.5).charges

    assert torch.autograd.gradcheck(charges, inputs, eps=1e-4, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize('solver', SOLVERS)
def test_forces_are_those_of_charges_that_stay(solver):
    equilibration, (positions, _, _) = problem()
    charges = equilibration.at_charge(0.4, solver).charges
    (through,) = torch.autograd.grad(equilibration.energy(charges), positions, retain_graph=True)
    (fixed,) = torch.autograd.grad(equilibration.energy(charges.detach()), positions)
    np.testing.assert_allclose(through, fixed, atol=1e-7)


def metal_of(frame):
    """Return the electrode of a frame: points in water, Gaussians without hardness in the metal."""
    is_metal = frame.numbers == atomic_numbers['Au']
    widths = np.where(is_metal, 1.0 / (math.sqrt(2.0) * ReferenceModel().gaussian_reciprocal_width), 0.0)
    operator = CoulombOperator.of(tensor(frame.positions), tensor(frame.cell), FILM, tensor(widths), smearing=1.0)
    nothing = torch.zeros(len(is_metal), dtype=torch.float64)
    return ChargeEquilibration(operator, nothing, nothing, torch.tensor(is_metal), tensor(frame.charges))


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('index', range(6))
def test_electrode_is_that_of_lammps(solver, index):
    frame = FrameSet.from_npz(CONVERGED).frame(index)
    found = metal_of(frame).at_charge(0.0, solver)
    np.testing.assert_allclose(found.charges, frame.charges, atol=1e-6)
    # what LAMMPS reports lacks a term of its slab correction, see potential_over_sheet
    volume = np.linalg.det(frame.cell) * ReferenceModel().slab_factor
    missing = np.sum(frame.charges * frame.positions[:, 2] ** 2) / (2.0 * VACUUM_PERMITTIVITY * volume)
    assert found.potential.item() == pytest.approx(frame.columns['metal_potential'] - missing, abs=1e-5)


def test_potential_of_a_film_is_refused():
    with pytest.raises(ChargeEquilibrationError, match='a film alone has no stable charge at a potential'):
        problem(FILM)[0].at_potential(1.0)


def test_atoms_on_each_other_are_refused():
    positions = tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1e-9]])
    operator = CoulombOperator.of(positions, tensor(CELL), OPEN, torch.ones(2).double())
    with pytest.raises(ChargeEquilibrationError, match='the equations of the charges are singular'):
        ChargeEquilibration(operator, tensor([1.0, 0.0]), torch.zeros(2).double()).at_charge(0.0)


def test_no_free_charge_is_refused():
    equilibration, _ = problem(is_free=torch.zeros(6, dtype=torch.bool))
    with pytest.raises(ChargeEquilibrationError, match='no charge of the frame is free'):
        equilibration.at_charge(0.0)


def test_unknown_solver_is_answered_with_the_nearest():
    with pytest.raises(ChargeEquilibrationError, match='direct'):
        problem()[0].at_charge(0.0, 'dirct')


def test_negative_hardness_is_refused_with_its_history():
    positions = tensor([[0, 0, 0], [2.0, 0, 0], [0, 2.0, 0]])
    operator = CoulombOperator.of(positions, tensor(CELL), OPEN, torch.full((3,), 0.7, dtype=torch.float64))
    with pytest.raises(ChargeEquilibrationError, match='no minimum') as raised:
        ChargeEquilibration(operator, tensor([1.0, 0.0, 0.0]), tensor([-30.0] * 3)).at_charge(0.0, SOLVERS[1])
    assert len(raised.value.residuals) == 1
