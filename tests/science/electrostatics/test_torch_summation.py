"""Differentiable sums: exact constants, invariants, the compiled sums, and derivatives of both orders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from electrostatics_cases import PERIODIC, force_error, salt, sheared_salt, slab

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch

from aiida_edl.science.electrostatics.charged_system import (
    COULOMB_CONSTANT,
    ChargedSystem,
    ChargedSystemError,
    supercell,
)
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.power_law import PowerLaw
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

TIGHT = SummationSettings('ewald', cutoff_radius=9.0, smearing=9.0 / 8.5, k_cutoff=8.5**2 / 9.0, has_background=True)
COARSE = {  # far from converged: derivatives are exact and both programs agree all the same
    'ewald': replace(TIGHT, cutoff_radius=6.0, k_cutoff=4.0),
    'pme': SummationSettings('pme', 6.0, 1.0, mesh=(14, 15, 16), nodes=5, has_background=True),
    'p3m': SummationSettings('p3m', 6.0, 1.0, mesh=(14, 15, 16), nodes=5, has_background=True),
}
RESULTS = ('energy', 'forces', 'stress', 'potentials')


@pytest.fixture(params=['float32', 'float64'])
def default_dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, request.param))
    yield request.param
    torch.set_default_dtype(before)


def in_units_of(lattice, method, ratio, **kwargs):
    """Return the energy of a lattice over its reference, with a cutoff of four units of length."""
    settings = SummationSettings(method, 4.0, 4.0 / ratio, has_background=not lattice.is_neutral, **kwargs)
    return TorchSummation(settings)(lattice.system(1.0)).energy / (COULOMB_CONSTANT * lattice.energy)


def four_ions():
    """Return four ions in a small oblique cell, none of them near the border of a mesh cell of the tests."""
    cell = np.array([[4.0, 0.1, 0.3], [-0.5, 5.1, 0.2], [0.7, 0.4, 4.4]])
    fractions = np.array([[0.10, 0.22, 0.31], [0.61, 0.43, 0.12], [0.34, 0.81, 0.72], [0.82, 0.11, 0.63]])
    return ChargedSystem(fractions @ cell, cell, np.array([1.0, -0.5, 0.3, -0.8]), PERIODIC)


@pytest.mark.parametrize('name', REFERENCE_LATTICES)
def test_ewald_gives_the_constants_of_the_lattices(name):
    # 1e-10: the constants of wurtzite and of the Wigner crystals are listed to ten digits
    assert in_units_of(REFERENCE_LATTICES[name], 'ewald', 9.0, k_cutoff=81.0 / 4.0) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize('name', REFERENCE_LATTICES)
def test_pme_gives_the_constants_of_the_lattices(name):
    # all atoms lie on points of the mesh, where Lagrange's interpolation is exact; 1e-10 as for ewald
    assert in_units_of(REFERENCE_LATTICES[name], 'pme', 9.0, mesh=(24, 24, 24), nodes=5) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize('name', REFERENCE_LATTICES)
def test_p3m_gives_the_constants_of_the_lattices_in_every_cell(name):
    # five nodes, a mesh of a tenth of the unit of length, cutoff of seven smearings: the largest error is 7e-8
    lattice = REFERENCE_LATTICES[name]
    mesh = tuple(int(np.ceil(length * 10.0)) for length in np.linalg.norm(lattice.cell, axis=1))
    assert in_units_of(lattice, 'p3m', 7.0, mesh=mesh, nodes=5) == pytest.approx(1.0, abs=2e-7)


def test_two_charges_attract_by_coulombs_law():
    positions = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    system = ChargedSystem(positions, np.zeros((3, 3)), np.array([1.0, -1.0]), ~PERIODIC)
    result = TorchSummation(SummationSettings('direct'))(system)
    assert result.energy == pytest.approx(-14.39964548 / 2.0, rel=1e-9)
    np.testing.assert_allclose(result.forces, [[14.39964548 / 4.0, 0, 0], [-14.39964548 / 4.0, 0, 0]], rtol=1e-9)
    np.testing.assert_allclose(result.potentials, [-14.39964548 / 2.0, 14.39964548 / 2.0], rtol=1e-9)
    np.testing.assert_array_equal(result.stress, np.zeros((3, 3)))


def test_one_open_charge_has_no_energy():
    system = ChargedSystem(np.ones((1, 3)), np.zeros((3, 3)), np.ones(1), ~PERIODIC)
    result = TorchSummation(SummationSettings('direct'))(system)
    assert (result.energy, *result.forces[0], *result.potentials) == (0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize('method', ['ewald', 'p3m'])
@pytest.mark.parametrize('make', [sheared_salt, slab, lambda: slab(net_charge=0.5)])
@pytest.mark.parametrize('nodes', [4, 5])
def test_the_compiled_sum_gives_the_same_numbers(method, make, nodes):
    pytest.importorskip('numba')
    from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation

    settings = replace(COARSE[method], nodes=nodes, cutoff_radius=8.0)  # so far that nothing is tabulated
    ours, theirs = (program(settings)(make()) for program in (TorchSummation, CompiledSummation))
    for name in RESULTS:
        # 1e-12: rounding of sums of 1e4 terms in another order
        largest = np.max(np.abs(getattr(theirs, name)))
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-12 * largest, err_msg=name)


def test_pme_agrees_with_ewald_in_a_sheared_cell():
    system = sheared_salt()
    settings = SummationSettings('pme', 7.0, 1.0, mesh=(64, 64, 64), nodes=7)
    # forces of 0.5 eV/Å; seven nodes a fifth of the smearing apart leave 2e-6 eV/Å of forces in a straight cell
    assert force_error(TorchSummation(settings)(system), TorchSummation(TIGHT)(system)) < 1e-5


@pytest.mark.parametrize('method', COARSE)
@pytest.mark.parametrize('nodes', [4, 5])
def test_single_precision_is_kept_whatever_the_default_type_is(method, nodes, default_dtype):
    system, settings = sheared_salt(), replace(COARSE[method], nodes=nodes)
    single, double = (TorchSummation(settings, dtype)(system) for dtype in (torch.float32, torch.float64))
    for name in RESULTS:
        # 2e-5: phases and places on the mesh, numbers up to 100, are known to 24 bits, half a dozen of which cancel
        largest = np.max(np.abs(getattr(double, name)))
        np.testing.assert_allclose(getattr(single, name), getattr(double, name), atol=2e-5 * largest, err_msg=name)


def test_the_type_of_the_result_is_that_which_was_asked_for(default_dtype):
    summation = TorchSummation(COARSE['p3m'], torch.float32)
    system = four_ions()
    tensors = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    assert summation.energy(*tensors).dtype == torch.float32


@pytest.mark.parametrize('method', COARSE)
def test_the_order_of_the_atoms_does_not_matter(method):
    system = sheared_salt()
    order = np.random.default_rng(0).permutation(len(system.charges))
    other = replace(system, positions=system.positions[order], charges=system.charges[order])
    first, second = (TorchSummation(COARSE[method])(item) for item in (system, other))
    assert second.energy == pytest.approx(first.energy, rel=1e-12)
    np.testing.assert_allclose(second.forces, first.forces[order], atol=1e-12)


@pytest.mark.parametrize('method', COARSE)
def test_atoms_may_be_moved_by_cell_vectors_and_points_of_the_mesh(method):
    system = sheared_salt()
    steps = np.array([-3.0, 2.0, 5.0]) / np.array([14.0, 15.0, 16.0])
    moved = system.positions + steps @ system.cell
    moved[5] += np.array([2.0, -1.0, 3.0]) @ system.cell
    first, second = (TorchSummation(COARSE[method])(item) for item in (system, replace(system, positions=moved)))
    assert second.energy == pytest.approx(first.energy, rel=1e-12)
    np.testing.assert_allclose(second.forces, first.forces, atol=1e-11)


@pytest.mark.parametrize('method', COARSE)
def test_a_supercell_with_its_mesh_holds_the_same_atoms_many_times(method):
    system, settings = four_ions(), COARSE[method]
    doubled = settings if settings.mesh is None else replace(settings, mesh=(2 * settings.mesh[0], *settings.mesh[1:]))
    single, double = TorchSummation(settings)(system), TorchSummation(doubled)(supercell(system, (2, 1, 1)))
    assert double.energy == pytest.approx(2.0 * single.energy, rel=1e-12)
    np.testing.assert_allclose(double.forces[:4], single.forces, atol=1e-12)
    np.testing.assert_allclose(double.stress, single.stress, atol=1e-12)


@pytest.mark.parametrize('method', COARSE)
def test_forces_and_stress_turn_with_the_cell(method):
    system = four_ions()
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = replace(system, positions=system.positions @ turn.T, cell=system.cell @ turn.T)
    first, second = (TorchSummation(COARSE[method])(item) for item in (system, turned))
    assert second.energy == pytest.approx(first.energy, rel=1e-12)
    np.testing.assert_allclose(second.forces, first.forces @ turn.T, atol=1e-12)
    np.testing.assert_allclose(second.stress, turn @ first.stress @ turn.T, atol=1e-12)


@pytest.mark.parametrize('method', COARSE)
def test_energies_do_not_jump_when_the_cell_grows(method):
    # the library's mesh doubles at some length of each cell vector
    system, evaluate = four_ions(), TorchSummation(replace(COARSE[method], cutoff_radius=9.0))
    scales = 1.0 + np.linspace(0.0, 0.01, 11)
    energies = [evaluate(replace(system, positions=s * system.positions, cell=s * system.cell)).energy for s in scales]
    # for 1/r the energy is that of one length over the length, but for what the mesh and wave vectors leave out
    np.testing.assert_allclose(scales * energies, energies[0], rtol=2e-3)
    assert np.max(np.abs(np.diff(energies, n=2))) < 1e-4 * abs(energies[0])


@pytest.mark.parametrize('method', COARSE)
def test_first_and_second_derivatives_are_those_of_the_energy(method):
    system, summation = four_ions(), TorchSummation(COARSE[method])
    pairs = summation.pairs_of(system)
    inputs = [summation.tensor(array).requires_grad_() for array in (system.positions, system.cell, system.charges)]

    def energy(positions, cell, charges):
        return summation.energy(positions, cell, charges, pairs=pairs)

    assert torch.autograd.gradcheck(energy, inputs)
    assert torch.autograd.gradgradcheck(energy, inputs)


@pytest.mark.parametrize('net_charge', [0.0, 0.5])
def test_derivatives_of_a_slab_are_those_of_its_energy(net_charge):
    system, summation = slab(net_charge), TorchSummation(COARSE['p3m'])
    cell, pairs = summation.tensor(system.cell), summation.pairs_of(system)
    inputs = [summation.tensor(array).requires_grad_() for array in (system.positions, system.charges)]

    def energy(positions, charges):
        return summation.energy(positions, cell, charges, system.pbc, pairs)

    assert torch.autograd.gradcheck(energy, inputs)
    assert torch.autograd.gradgradcheck(energy, inputs)


@pytest.mark.parametrize('method', COARSE)
def test_a_loss_on_forces_trains_charges(method):
    system, summation = four_ions(), TorchSummation(COARSE[method])
    cell, positions = summation.tensor(system.cell), summation.tensor(system.positions).requires_grad_()

    def loss(charges):
        energy = summation.energy(positions, cell, charges)
        return torch.sum(torch.autograd.grad(energy, positions, create_graph=True)[0] ** 2)

    assert torch.autograd.gradcheck(loss, [summation.tensor(system.charges).requires_grad_()])


@pytest.mark.parametrize('method', COARSE)
def test_channels_add_up(method):
    system, summation = sheared_salt(), TorchSummation(COARSE[method])
    positions, cell, charges = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    channels = torch.stack([charges.clamp(min=0.0), charges.clamp(max=0.0)], dim=1)
    together = summation.potentials(positions, cell, charges)
    apart = summation.potentials(positions, cell, channels)
    torch.testing.assert_close(apart.sum(dim=1), together, rtol=1e-11, atol=1e-11)


def test_each_channel_has_its_energy():
    system, summation = sheared_salt(), TorchSummation(COARSE['p3m'])
    positions, cell, charges = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    energies = summation.energy(positions, cell, torch.stack([charges, 2.0 * charges], dim=1))
    energy = summation.energy(positions, cell, charges)
    torch.testing.assert_close(energies, torch.stack([energy, 4.0 * energy]), rtol=1e-12, atol=0.0)


def test_the_wave_vectors_of_ewald_reach_as_far_as_was_said():
    # One wave vector more along the longest cell vector: the energy changes at 2π n/L and nowhere between.
    system = ChargedSystem(
        np.array([[0.2, 0.0, 0.0], [3.1, 1.0, 0.5]]), np.diag([10.0, 4.0, 4.0]), np.array([1.0, -1.0]), PERIODIC
    )
    unit = 2.0 * np.pi / 10.0
    energies = [TorchSummation(replace(TIGHT, k_cutoff=k * unit))(system).energy for k in (1.01, 1.99, 2.01)]
    assert energies[1] == energies[0]
    assert abs(energies[2] - energies[1]) > 0.1


def test_pairs_beyond_the_cutoff_change_nothing():
    system, evaluate = sheared_salt(), TorchSummation(COARSE['p3m'])
    assert evaluate(system, neighbour_pairs(system, 8.0)).energy == pytest.approx(evaluate(system).energy, rel=1e-13)


def test_pairs_that_do_not_reach_the_cutoff_are_refused():
    system = sheared_salt()
    message = r'^the pairs reach 4 Å, the sum needs all up to 6 Å: list them with that cutoff$'
    with pytest.raises(ChargedSystemError, match=message):
        TorchSummation(COARSE['p3m'])(system, neighbour_pairs(system, 4.0))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_rounding_of_charges_is_no_net_charge(dtype):
    system = salt(repetitions=(1, 1, 1))
    summation = TorchSummation(replace(COARSE['p3m'], has_background=False), dtype)
    charges = summation.tensor(system.charges) * (1.0 + 2.0 * torch.finfo(dtype).eps)
    charges[0] = charges[0] * (1.0 + 4.0 * torch.finfo(dtype).eps)
    energy = summation.energy(summation.tensor(system.positions), summation.tensor(system.cell), charges)
    assert torch.isfinite(energy)


def test_a_net_charge_of_tensors_is_refused_without_a_background():
    system = four_ions()
    summation = TorchSummation(replace(COARSE['p3m'], has_background=False))
    positions, cell, charges = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    message = (
        r'^the charges sum to 4 e, a periodic cell must be neutral: add counter-charges, or state the uniform '
        r'background by has_background$'
    )
    with pytest.raises(ChargedSystemError, match=message):
        summation.energy(positions, cell, charges + 1.0)


def test_a_net_charge_of_one_channel_is_refused_without_a_background():
    system = four_ions()
    summation = TorchSummation(replace(COARSE['p3m'], has_background=False))
    positions, cell, charges = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    with pytest.raises(ChargedSystemError, match=r'^the charges sum to -4 e, a periodic cell must be neutral'):
        summation.energy(positions, cell, torch.stack([charges, charges - 1.0], dim=1))


def test_a_slab_whose_normal_is_not_z_is_refused():
    system = replace(slab(), pbc=np.array([False, True, True]))
    with pytest.raises(ChargedSystemError, match=r'a slab must be along its first two cell vectors only$'):
        TorchSummation(TIGHT)(system)


def test_a_direct_sum_of_a_periodic_system_is_refused():
    message = (
        r'^the system is periodic \(\[True, True, True\]\), the direct sum takes only open ones: use ewald or p3m$'
    )
    with pytest.raises(ChargedSystemError, match=message):
        TorchSummation(SummationSettings('direct'))(four_ions())


def test_numbers_of_another_type_are_refused():
    system, summation = four_ions(), TorchSummation(COARSE['p3m'], torch.float32)
    positions, cell, charges = (summation.tensor(array) for array in (system.positions, system.cell, system.charges))
    message = r'^the charges are of the type torch\.float64, the sum is in torch\.float32: convert one or the other$'
    with pytest.raises(ChargedSystemError, match=message):
        summation.energy(positions, cell, charges.double())


def test_more_nodes_than_torch_pme_has_are_refused():
    message = (
        r'^nodes is 6, the splines of torch-pme have at most 5: give fewer nodes with a finer mesh, or take the '
        r'compiled summation$'
    )
    with pytest.raises(SummationSettingsError, match=message):
        TorchSummation(replace(COARSE['p3m'], nodes=6))(four_ions())


def test_pairs_given_as_tensors_are_those_that_are_searched():
    system, summation = four_ions(), TorchSummation(COARSE['ewald'])
    tensors = [summation.tensor(array) for array in (system.positions, system.cell, system.charges)]
    pairs = TorchPairs.of(neighbour_pairs(system, 6.0), summation.dtype, summation.device)
    assert float(summation.energy(*tensors, pairs=pairs)) == pytest.approx(float(summation.energy(*tensors)), rel=1e-13)


def lattice_sum(exponent, signs, shells=40):
    """Return Σ s/r^p over the points of a simple cubic lattice but the origin, by cubes of even size averaged."""
    axis = np.arange(-shells, shells + 1)
    x, y, z = np.meshgrid(axis, axis, axis, indexing='ij')
    squared = (x * x + y * y + z * z).astype(float)
    squared[shells, shells, shells] = np.inf
    weights = np.ones(len(axis))
    weights[[0, -1]] = 0.5  # Evjen's method: the border belongs to two cubes
    share = weights[:, None, None] * weights[None, :, None] * weights[None, None, :]
    sign = np.where((x + y + z) % 2 == 0, 1.0, -1.0) if signs else 1.0
    return float(np.sum(share * sign * squared ** (-0.5 * exponent)))


@pytest.mark.parametrize('exponent', [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize('method', ['ewald', 'p3m'])
def test_powers_of_the_distance_give_sums_over_alternating_charges(exponent, method):
    # rock salt with neighbours at distance one; Evjen's sum over 80 shells and a mesh of 0.1 leave 1e-6
    system = REFERENCE_LATTICES['nacl_cubic'].system(1.0)
    settings = SummationSettings(method, 4.0, 4.0 / 7.0, k_cutoff=16.0, mesh=(20, 20, 20), nodes=5)
    energy = TorchSummation(settings, power_law=PowerLaw(exponent, 1.0))(system).energy
    assert energy == pytest.approx(0.5 * 8.0 * lattice_sum(exponent, signs=True), rel=2e-6)


@pytest.mark.parametrize(('name', 'constant'), [('sc', 8.4019239748), ('bcc', 12.2536678673), ('fcc', 14.4539210438)])
def test_dispersion_gives_the_sums_of_the_cubic_lattices(name, constant):
    # J. E. Lennard-Jones and A. E. Ingham, Proc. R. Soc. A 107, 636 (1925), neighbours at distance one
    cell = REFERENCE_LATTICES[f'wigner_{name}'].cell
    cell = cell / np.min(np.linalg.norm(cell, axis=1))
    system = ChargedSystem(np.zeros((1, 3)), cell, np.ones(1), PERIODIC)
    settings = SummationSettings('ewald', 5.0, 5.0 / 8.0, k_cutoff=14.0)
    energy = TorchSummation(settings, power_law=PowerLaw(6, -1.0))(system).energy
    assert energy == pytest.approx(-0.5 * constant, rel=1e-9)
