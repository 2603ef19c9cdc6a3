"""Compiled sums: exact constants, invariants, derivatives by differences, and each method against another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from electrostatics_cases import PERIODIC, force_error, salt, sheared_salt, slab

pytest.importorskip('numba')

from aiida_edl.science.electrostatics.charged_system import (
    COULOMB_CONSTANT,
    ChargedSystem,
    ChargedSystemError,
    supercell,
)
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError

TIGHT = SummationSettings('ewald', cutoff_radius=9.0, smearing=9.0 / 8.5, k_cutoff=8.5**2 / 9.0)


def p3m(system, smearing=1.0, spacing=0.4, nodes=8, **kwargs):
    mesh = tuple(int(np.ceil(length / (spacing * smearing))) for length in np.linalg.norm(system.cell, axis=1))
    return CompiledSummation(SummationSettings('p3m', 6.5 * smearing, smearing, mesh=mesh, nodes=nodes, **kwargs))


def in_units_of(lattice, method, ratio, **kwargs):
    """Return the energy of a lattice over its reference, with a cutoff of four units of length."""
    smearing = 4.0 / ratio
    settings = SummationSettings(method, 4.0, smearing, has_background=not lattice.is_neutral, **kwargs)
    return CompiledSummation(settings)(lattice.system(1.0)).energy / (COULOMB_CONSTANT * lattice.energy)


@pytest.mark.parametrize('name', REFERENCE_LATTICES)
def test_ewald_gives_the_constants_of_the_lattices(name):
    # 1e-10: the constants of wurtzite and of the Wigner crystals are listed to ten digits
    lattice = REFERENCE_LATTICES[name]
    assert in_units_of(lattice, 'ewald', 9.0, k_cutoff=81.0 / 4.0) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize('name', REFERENCE_LATTICES)
def test_p3m_gives_the_constants_of_the_lattices_in_every_cell(name):
    lattice = REFERENCE_LATTICES[name]
    mesh = tuple(int(np.ceil(length * 9.0)) for length in np.linalg.norm(lattice.cell, axis=1))
    assert in_units_of(lattice, 'p3m', 8.0, mesh=mesh, nodes=8) == pytest.approx(1.0, abs=1e-8)


def test_two_charges_attract_by_coulombs_law():
    system = ChargedSystem(
        np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]), np.zeros((3, 3)), np.array([1.0, -1.0]), ~PERIODIC
    )
    result = CompiledSummation(SummationSettings('direct'))(system)
    assert result.energy == pytest.approx(-14.39964548 / 2.0, rel=1e-9)
    np.testing.assert_allclose(result.forces, [[14.39964548 / 4.0, 0, 0], [-14.39964548 / 4.0, 0, 0]], rtol=1e-9)
    np.testing.assert_allclose(result.potentials, [-14.39964548 / 2.0, 14.39964548 / 2.0], rtol=1e-9)


@pytest.mark.parametrize('make', [salt, sheared_salt])
def test_p3m_agrees_with_ewald(make):
    system = make()
    reference, result = CompiledSummation(TIGHT)(system), p3m(system, spacing=0.3)(system)
    # cutoff/smearing of 6.5 neglects exp(-6.5²/2) = 7e-10 of forces of 1 eV/Å, the mesh 3e-7
    assert force_error(result, reference) < 1e-6
    assert result.energy == pytest.approx(reference.energy, abs=1e-5)
    np.testing.assert_allclose(result.stress, reference.stress, atol=1e-8)
    np.testing.assert_allclose(result.potentials, reference.potentials, atol=1e-5)


def test_a_sheared_cell_is_as_right_as_a_straight_one():
    errors = [force_error(p3m(s, nodes=5)(s), CompiledSummation(TIGHT)(s)) for s in (salt(), sheared_salt())]
    assert errors[1] < 2.0 * errors[0]


def finite_difference(energy, step=1e-4):
    return (energy(step) - energy(-step)) / (2.0 * step)


SUMS = {
    'ewald': lambda system: CompiledSummation(replace(TIGHT, has_background=True)),
    'p3m': lambda system: p3m(
        system, spacing=0.7, nodes=5, has_background=True
    ),  # coarse: exact derivatives all the same
}


@pytest.mark.parametrize('method', SUMS)
@pytest.mark.parametrize('make', [sheared_salt, slab, lambda: slab(net_charge=0.5)])
def test_forces_are_the_gradient_of_the_energy(method, make):
    system = make()
    evaluate = SUMS[method](system)

    def energy(step):
        positions = system.positions.copy()
        positions[3, 2] += step
        return evaluate(replace(system, positions=positions)).energy

    assert evaluate(system).forces[3, 2] == pytest.approx(-finite_difference(energy), abs=1e-6)


@pytest.mark.parametrize('method', SUMS)
@pytest.mark.parametrize('make', [sheared_salt, lambda: slab(net_charge=0.5)])
def test_potentials_are_the_derivative_by_charges(method, make):
    system = make()
    evaluate = SUMS[method](system)

    def energy(step):
        charges = system.charges.copy()
        charges[3] += step
        return evaluate(replace(system, charges=charges)).energy

    assert evaluate(system).potentials[3] == pytest.approx(finite_difference(energy), abs=1e-6)


@pytest.mark.parametrize('method', SUMS)
@pytest.mark.parametrize(('row', 'column'), [(0, 0), (0, 1), (1, 2), (2, 2)])
def test_stress_is_the_derivative_by_strain(method, row, column):
    system = sheared_salt()
    evaluate = SUMS[method](system)

    def energy(step):
        strain = np.eye(3)
        strain[row, column] += 0.5 * step
        strain[column, row] += 0.5 * step
        return evaluate(replace(system, positions=system.positions @ strain, cell=system.cell @ strain)).energy

    # 1e-7: pairs that cross the cutoff of 6.5 smearings
    assert evaluate(system).stress[row, column] == pytest.approx(finite_difference(energy) / system.volume, abs=1e-7)


def test_translation_changes_nothing_of_ewald():
    system = sheared_salt()
    moved = replace(system, positions=system.positions + np.array([0.3, -7.0, 55.0]))
    first, second = (CompiledSummation(TIGHT)(item) for item in (system, moved))
    assert second.energy == pytest.approx(first.energy, abs=1e-9)
    np.testing.assert_allclose(second.forces, first.forces, atol=1e-10)


def test_a_supercell_holds_the_same_atoms_many_times():
    system = salt(repetitions=(1, 1, 1))
    single, double = (CompiledSummation(TIGHT)(item) for item in (system, supercell(system, (2, 1, 1))))
    assert double.energy == pytest.approx(2.0 * single.energy, rel=1e-11)
    np.testing.assert_allclose(double.forces[: len(single.forces)], single.forces, atol=1e-10)
    np.testing.assert_allclose(double.stress, single.stress, atol=1e-12)


def test_where_the_sum_is_parted_does_not_matter():
    system = sheared_salt()
    settings = replace(TIGHT, smearing=1.3 * TIGHT.smearing, cutoff_radius=1.3 * TIGHT.cutoff_radius)
    other = CompiledSummation(settings)(system)
    assert other.energy == pytest.approx(CompiledSummation(TIGHT)(system).energy, abs=1e-9)


def test_where_the_sum_of_a_slab_is_parted_does_not_matter():
    # with this smearing the real-space part reaches the images of the slab across the vacuum
    wide = SummationSettings('ewald', cutoff_radius=34.0, smearing=4.0, k_cutoff=8.5 / 4.0)
    system = slab(height=20.0)
    assert CompiledSummation(wide)(system).energy == pytest.approx(CompiledSummation(TIGHT)(system).energy, abs=1e-9)


def test_a_neutral_slab_does_not_see_its_vacuum():
    thin, thick = (CompiledSummation(TIGHT)(slab(height=height)) for height in (40.0, 80.0))
    assert thick.energy == pytest.approx(thin.energy, abs=1e-7)


@pytest.mark.parametrize('net_charge', [0.0, 0.5])
def test_a_slab_may_be_moved_along_its_normal(net_charge):
    system = slab(net_charge)
    evaluate = CompiledSummation(replace(TIGHT, has_background=True))
    moved = replace(system, positions=system.positions + np.array([0.0, 0.0, 3.0]))
    assert evaluate(moved).energy == pytest.approx(evaluate(system).energy, abs=1e-8)


def test_a_charged_sheet_attracts_as_gauss_says():
    # Two sheets of opposite charge on a fine grid, 5 Å apart: the energy grows by 2π k σ² A for each Å between them.
    side, n = 8.0, 8
    grid = np.stack(np.meshgrid(*[np.arange(n) * side / n] * 2, indexing='ij'), axis=-1).reshape(-1, 2)
    charges = np.concatenate([np.full(n * n, 1.0), np.full(n * n, -1.0)]) / (n * n)

    def energy(distance):
        positions = np.concatenate([np.c_[grid, np.zeros(n * n)], np.c_[grid, np.full(n * n, distance)]])
        system = ChargedSystem(positions, np.diag([side, side, 40.0]), charges, slab().pbc)
        return CompiledSummation(TIGHT)(system).energy

    slope = 2.0 * np.pi * COULOMB_CONSTANT / side**2
    assert energy(6.0) - energy(5.0) == pytest.approx(slope, rel=1e-8)


def test_a_net_charge_is_refused_without_a_background():
    system = slab(net_charge=0.5)
    message = (
        r'^the charges sum to 0\.5 e, a periodic cell must be neutral: add counter-charges, or state the uniform '
        r'background by has_background$'
    )
    with pytest.raises(ChargedSystemError, match=message):
        CompiledSummation(TIGHT)(system)


def test_a_slab_whose_normal_is_not_z_is_refused():
    system = replace(slab(), pbc=np.array([False, True, True]))
    with pytest.raises(ChargedSystemError, match=r'a slab must be along its first two cell vectors only$'):
        CompiledSummation(TIGHT)(system)


def test_a_slab_without_vacuum_is_refused():
    with pytest.raises(ChargedSystemError, match=r'lengthen the third cell vector to 9\.60 Å$'):
        CompiledSummation(TIGHT)(slab(height=8.0))


def test_a_sum_over_images_of_an_open_system_is_refused():
    system = replace(slab(), pbc=~PERIODIC)
    with pytest.raises(ChargedSystemError, match=r'^the system is open in all directions, the method ewald sums'):
        CompiledSummation(TIGHT)(system)


def test_the_influence_function_follows_the_cell():
    first, second = salt(), replace(salt(), cell=1.02 * salt().cell)
    evaluate = p3m(first)
    evaluate(first)
    assert evaluate(second).energy == p3m(first)(second).energy


def test_two_charges_at_one_place_are_refused():
    system = salt()
    positions = system.positions.copy()
    positions[7] = positions[3]
    with pytest.raises(ChargedSystemError, match=r'^the atoms 3 and 7 are at the same place, their energy is'):
        CompiledSummation(TIGHT)(replace(system, positions=positions))


def test_pairs_that_do_not_reach_far_enough_are_refused():
    system = salt()
    with pytest.raises(ChargedSystemError, match=r'^the pairs reach 4 Å, the sum needs 9 Å$'):
        CompiledSummation(TIGHT)(system, neighbour_pairs(system, 4.0))


def test_pme_is_refused():
    with pytest.raises(SummationSettingsError, match=r'^the compiled sums have no pme; use p3m, or PyTorch$'):
        CompiledSummation(SummationSettings('pme', mesh=(20, 20, 20)))
