"""Charges beside a potential: which atom has which, what is refused, and the sum as a calculator of ASE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from electrostatics_cases import PERIODIC, SLAB, force_error, salt

pytest.importorskip('numba')

from aiida_edl.science.electrostatics.ase_calculator import WithElectrostatics
from aiida_edl.science.electrostatics.charged_system import ChargedSystemError, supercell
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings
from aiida_edl.science.electrostatics.labels import subtract_electrostatics
from aiida_edl.science.electrostatics.long_range_model import FRAME_PBC, LongRangeModel, LongRangeModelError
from aiida_edl.science.electrostatics.slab_correction import check_slab
from aiida_edl.science.electrostatics.tuning import tune
from aiida_edl.science.frames import Frame, FrameSet

SUMMATION = {'method': 'p3m', 'cutoff_radius': 5.0, 'smearing': 1.0, 'mesh': [24, 24, 24], 'nodes': 5}
FINE = {'method': 'ewald', 'cutoff_radius': 9.0, 'smearing': 1.3, 'k_cutoff': 5.0}
SALT = {'charges': {'Na': 1.0, 'Cl': -1.0}, 'summation': SUMMATION}


def atoms_of(system, pbc=PERIODIC):
    symbols = ['Na' if charge > 0.0 else 'Cl' for charge in system.charges]
    return Atoms(symbols, system.positions, cell=system.cell, pbc=pbc)


def test_each_element_has_its_charge():
    model = LongRangeModel(charges={'O': -0.8, 'H': 0.4}, summation=SUMMATION)
    np.testing.assert_array_equal(model.charges_of(np.array([8, 1, 1])), [-0.8, 0.4, 0.4])


def test_an_element_shares_what_is_missing_to_neutrality():
    model = LongRangeModel(charges={'Na': 1.0}, balanced_by='Au', summation=SUMMATION)
    np.testing.assert_array_equal(model.charges_of(np.array([79, 11, 11, 79])), [-1.0, 1.0, 1.0, -1.0])


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'charges': {}}, r'^long_range has no charges; give one for each element, e\.g\. \{"Na": 1\.0\}$'),
        ({'charges': {'Xy': 1.0}}, r"^'Xy' in long_range is no chemical symbol$"),
        ({'charges': {'Na': '1'}}, r"^the charge of Na is '1', it must be a number \[e\]$"),
        ({'balanced_by': 'Na'}, r'^Na balances the charge of a frame and has a charge of 1 e as well; leave one'),
        ({'force_error': 0.0}, r'^force_error is 0\.0 eV/Å, it must be positive$'),
        ({'summation': {}}, r'^long_range has no summation; run edl\.tune_long_range to get its numbers$'),
        ({'summation': {'method': 'p3m'}}, r'^the method p3m needs a mesh of three numbers, none was given$'),
        ({'mode': 'joint'}, r"^the mode of long_range is 'joint', it must be 'subtracted', or"),
        ({'charge': {}}, r"^unknown key of long_range 'charge': did you mean 'charges'\?"),
    ],
)
def test_what_makes_no_energy_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        LongRangeModel.from_dict({**SALT, **values})


def test_a_frame_that_is_not_neutral_is_refused():
    model = LongRangeModel.from_dict(SALT)
    with pytest.raises(
        LongRangeModelError, match=r'^the charges of a frame sum to 1 e; change them, name an element in'
    ):
        model.charges_of(np.array([11, 11, 17]))


def test_an_element_without_charge_is_refused():
    with pytest.raises(
        LongRangeModelError, match=r'^O has no charge in long_range, which has Na, Cl; 0 is a charge too$'
    ):
        LongRangeModel.from_dict(SALT).charges_of(np.array([11, 17, 8]))


def test_the_calculator_adds_both_parts():
    system = salt()
    atoms, plain = atoms_of(system), atoms_of(system)
    atoms.calc = WithElectrostatics(LennardJones(sigma=2.0, rc=5.0), SALT)
    plain.calc = LennardJones(sigma=2.0, rc=5.0)
    added = CompiledSummation(LongRangeModel.from_dict(SALT).settings)(system)
    assert atoms.get_potential_energy() == pytest.approx(plain.get_potential_energy() + added.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), plain.get_forces() + added.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), plain.get_stress(voigt=False) + added.stress, atol=1e-12)


def test_stress_of_the_calculator_is_the_derivative_by_strain():
    # the electrostatics alone has the wrong sign of stress in ASE if it has it anywhere: pull the cell and look
    atoms = atoms_of(salt())
    atoms.calc = WithElectrostatics(LennardJones(sigma=2.0, rc=5.0, smooth=True), SALT)
    stress = atoms.get_stress(voigt=False)[2, 2]
    energies = []
    for step in (1e-5, -1e-5):
        strained = atoms.copy()
        strained.calc = atoms.calc
        strained.set_cell(atoms.cell.array * [1.0, 1.0, 1.0 + step], scale_atoms=True)
        energies.append(strained.get_potential_energy())
    assert stress == pytest.approx((energies[0] - energies[1]) / 2e-5 / atoms.get_volume(), abs=1e-5)


def test_the_periodicity_of_the_frame_counts_where_the_short_range_part_sees_another():
    system = salt()
    cell = system.cell.copy()
    cell[2, 2] = 40.0
    film = Atoms(atoms_of(system).symbols, system.positions, cell=cell, pbc=True)
    film.info[FRAME_PBC] = SLAB
    film.calc = WithElectrostatics(LennardJones(sigma=2.0, rc=5.0), SALT)
    energy = film.get_potential_energy()
    plain = film.copy()
    plain.calc = LennardJones(sigma=2.0, rc=5.0)
    frame = Frame(film.numbers, film.positions, cell, SLAB)
    model = LongRangeModel.from_dict(SALT)
    added = CompiledSummation(model.settings)(model.system_of(frame))
    assert energy == pytest.approx(plain.get_potential_energy() + added.energy, abs=1e-10)
    assert 'stress' not in film.calc.results


def test_a_film_with_little_vacuum_is_summed_in_a_longer_cell():
    system = salt()
    numbers = np.where(system.charges > 0, 11, 17).astype(np.uint8)
    thickness = np.ptp(system.positions[:, 2])
    found = []
    for length in (1.2 * thickness, 2.5 * thickness):
        cell = np.diag([*np.diag(system.cell)[:2], length])
        atoms = Atoms(numbers, system.positions, cell=cell, pbc=SLAB)
        atoms.calc = WithElectrostatics(LennardJones(sigma=2.0, rc=5.0), {**SALT, 'summation': FINE})
        found.append((atoms.get_potential_energy(), atoms.get_forces()))
    (thin, forces_of_thin), (wide, forces_of_wide) = found
    assert thin == pytest.approx(wide, abs=1e-4)
    # images 15 Å away of a film that repeats every 11 Å
    np.testing.assert_allclose(forces_of_thin, forces_of_wide, atol=5e-5)


def test_a_frame_that_does_not_go_with_the_charges_is_named():
    system = salt()
    good = Frame(np.where(system.charges > 0, 11, 17).astype(np.uint8), system.positions, system.cell, system.pbc)
    bad = Frame(np.full(len(system.charges), 11, dtype=np.uint8), system.positions, system.cell, system.pbc)
    with pytest.raises(LongRangeModelError, match=r'^frame 1: the charges of a frame sum to 64 e; change them'):
        subtract_electrostatics(FrameSet.from_frames([good, bad]), LongRangeModel.from_dict(SALT))


def test_a_larger_cell_gets_a_larger_mesh_and_keeps_its_accuracy():
    system = salt()
    tuned = tune(system, 1e-4)
    lengths = tuple(np.linalg.norm(system.cell, axis=1).tolist())
    model = LongRangeModel({'Na': 1.0, 'Cl': -1.0}, summation=tuned.settings.to_dict(), tuned_lengths=lengths)
    for copies in ((1, 1, 2), (2, 2, 2)):
        large = supercell(system, copies)
        settings = model.settings_for(large.cell)
        exact = CompiledSummation(converged_settings(large, 1e-8))(large)
        assert force_error(CompiledSummation(settings)(large), exact) < 1.5e-4


def test_the_mesh_of_the_calculator_stays_while_the_cell_breathes():
    atoms = atoms_of(salt())
    lengths = [float(length) for length in atoms.cell.lengths()]
    atoms.calc = WithElectrostatics(LennardJones(sigma=2.0, rc=5.0), {**SALT, 'tuned_lengths': lengths})
    meshes = []
    for factor in (1.0, 1.01, 1.05, 1.0):
        atoms.set_cell(np.diag(lengths) * factor, scale_atoms=True)
        atoms.get_potential_energy()
        meshes.append(atoms.calc.evaluate.settings.mesh)
    assert meshes == [(24, 24, 24), (24, 24, 24), (27, 27, 27), (27, 27, 27)]


def test_stress_taken_off_a_film_is_by_the_volume_of_its_frame():
    system = salt()
    numbers = np.where(system.charges > 0, 11, 17).astype(np.uint8)
    thickness = np.ptp(system.positions[:, 2])
    model = LongRangeModel.from_dict({**SALT, 'summation': FINE})
    taken = []
    for length in (1.2 * thickness, 6.0 * thickness):
        cell = np.diag([*np.diag(system.cell)[:2], length])
        frame = Frame(numbers, system.positions, cell, SLAB)
        labels = {'energies': np.zeros(1), 'forces': np.zeros((64, 3)), 'stresses': np.zeros((1, 3, 3))}
        labelled = replace(FrameSet.from_frames([frame]), **labels)
        taken.append(subtract_electrostatics(labelled, model).stresses[0] * np.linalg.det(cell))
    np.testing.assert_allclose(taken[0][:2, :2], taken[1][:2, :2], atol=1e-3)
    assert np.abs(taken[0][0, 0]) > 1.0


def test_a_film_on_edge_is_told_what_a_slab_is():
    system = salt()
    numbers = np.where(system.charges > 0, 11, 17).astype(np.uint8)
    cell = np.array([[11.2, 0.0, 0.0], [0.0, 0.0, 11.2], [0.0, 30.0, 1.0]])
    made = LongRangeModel.from_dict({**SALT, 'summation': FINE}).system_of(Frame(numbers, system.positions, cell, SLAB))
    with pytest.raises(ChargedSystemError, match='is no slab with its normal along z'):
        check_slab(made)
