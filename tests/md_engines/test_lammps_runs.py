"""LAMMPS runs for real: pair style deepmd with a potential that is trained and converted here, and built-in styles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import lammps_cases as cases
import numpy as np
import pytest
from lammps_cases import SETTINGS, converted, crystal, environment, film, free, job, missing, run, trained
from toy.training import ATOMIC_ENERGIES, ELEMENTS

from aiida_edl.architectures.precision import Precision
from aiida_edl.drivers import evaluate_model
from aiida_edl.md_engines import lammps
from aiida_edl.md_engines.base import MDOutcome
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.frames import FrameSet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing('engines', 'deepmd_lammps') is not None, reason=str(missing('engines', 'deepmd_lammps'))
    ),
]
ARCHITECTURE = load_member(ARCHITECTURES, 'deep_potential')
ENERGY_TOLERANCE = 1e-6
"""Energies of a few tens of eV are printed with 15 digits; the two backends round in another order [eV]."""


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the folder of a potential that was trained and converted, the file as trained beside it.

    ``AIIDA_EDL_LAMMPS_MODEL`` names one that is there already.
    """
    if given := os.environ.get('AIIDA_EDL_LAMMPS_MODEL'):
        return Path(given)
    return converted(ARCHITECTURE, trained('deep_potential', tmp_path_factory.mktemp('model')))


@pytest.fixture(scope='module')
def dp(model):
    """Return what a job says of the converted potential."""
    recipe = ARCHITECTURE.bindings['lammps'].recipe(model.name, 'cpu', Precision.DOUBLE)
    return {'model_recipe': recipe, 'atomic_energies': ATOMIC_ENERGIES}


def by_ase(folder, architecture, model, frames):
    """Return energies and forces of a model by the driver of all evaluations, in the environment of the trainer."""
    folder.mkdir(exist_ok=True)
    (folder / model.name).symlink_to(model)
    replace(frames.without_labels(), columns={}).to_npz(folder / 'frames.npz')
    document = {
        'recipe': architecture.bindings['ase'].recipe(model.name, 'cpu', Precision.DOUBLE, ELEMENTS),
        'frames': 'frames.npz',
        'predictions': 'predictions.npz',
        'energy_shifts': ATOMIC_ENERGIES,
        'walltime_seconds': None,
    }
    (folder / 'evaluate.json').write_text(json.dumps(document))
    shutil.copy(evaluate_model.__file__, folder)
    name = 'engines' if model.suffix == '.pth' else 'deepmd_lammps'
    arguments = [str(environment(name) / 'python'), 'evaluate_model.py', 'evaluate.json']
    subprocess.run(arguments, cwd=folder, check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True)
    with np.load(folder / 'predictions.npz') as stored:
        assert stored['converged'].all(), (folder / 'failures.json').read_text()
        return stored['energies'], stored['forces']


def assert_same_as_ase(folder, architecture, model, result, frames=None):
    """Check energies and forces of a trajectory against the model as it was trained."""
    frames = result.trajectory if frames is None else frames
    energies, forces = by_ase(folder, architecture, model.parent / 'frozen.pth', frames)
    np.testing.assert_allclose(result.trajectory.energies, energies, rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(result.trajectory.forces, forces, rtol=0, atol=1e-6)


def test_energies_and_forces_are_those_of_the_trainer(tmp_path, model, dp):
    result = run(tmp_path / 'run', job(**dp), model)
    assert result.outcome is MDOutcome.FINISHED, result.message
    # The wall is not part of them; the film is open along z in LAMMPS and periodic across its vacuum in ASE
    assert_same_as_ase(tmp_path / 'ase', ARCHITECTURE, model, result)


def test_messages_pass_in_lammps_too(tmp_path):
    architecture = load_member(ARCHITECTURES, 'deep_potential_mp')
    model = converted(architecture, trained('deep_potential_mp', tmp_path))
    recipe = architecture.bindings['lammps'].recipe(model.name, 'cpu', Precision.DOUBLE)
    result = run(tmp_path / 'run', job(model_recipe=recipe, atomic_energies=ATOMIC_ENERGIES), model)
    assert result.outcome is MDOutcome.FINISHED, result.message
    assert_same_as_ase(tmp_path / 'ase', architecture, model, result)


def test_converted_model_gives_the_same_in_ase(tmp_path, model):
    frames = FrameSet.from_frames([film(7), film(8)])
    native = by_ase(tmp_path / 'native', ARCHITECTURE, model.parent / 'frozen.pth', frames)
    saved = by_ase(tmp_path / 'saved', ARCHITECTURE, model, frames)
    for one, other in zip(native, saved):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-8)


def test_order_of_types_does_not_matter(tmp_path, model, dp, monkeypatch):
    """The model knows H, O, Na, Au; the film has no sodium, and its types may be numbered in any order."""
    settings = replace(SETTINGS, steps=10, sampling_interval=5)
    straight = run(tmp_path / 'straight', job(settings=settings, **dp), model)
    monkeypatch.setattr(lammps, 'types_of', lambda frame: (8, 79, 1))
    permuted_job = job(settings=settings, **dp)
    assert 'pair_coeff * * O Au H' in lammps.LammpsEngine().files(permuted_job)['in.lammps'].decode()
    permuted = run(tmp_path / 'permuted', permuted_job, model)
    np.testing.assert_allclose(permuted.trajectory.forces, straight.trajectory.forces, rtol=0, atol=1e-9)


def test_order_of_types_of_the_model_does_not_matter(tmp_path):
    """The model numbers its types as Na, H, Au, O; LAMMPS numbers those of the film by atomic number."""
    model = converted(ARCHITECTURE, trained('deep_potential', tmp_path, elements=('Na', 'H', 'Au', 'O')))
    recipe = ARCHITECTURE.bindings['lammps'].recipe(model.name, 'cpu', Precision.DOUBLE)
    result = run(tmp_path / 'run', job(model_recipe=recipe, atomic_energies=ATOMIC_ENERGIES), model)
    assert result.outcome is MDOutcome.FINISHED, result.message
    assert_same_as_ase(tmp_path / 'ase', ARCHITECTURE, model, result)


def test_turned_and_tilted_cell_gives_the_forces_of_the_trainer(tmp_path, model, dp):
    frame = crystal()
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    turned = replace(frame, cell=frame.cell @ turn, positions=frame.positions @ turn)
    settings = free(steps=4, sampling_interval=2)
    result = run(tmp_path / 'run', job(turned, settings, **dp), model)
    assert result.outcome is MDOutcome.FINISHED, result.message
    np.testing.assert_array_equal(result.trajectory.cells[0], turned.cell)
    assert_same_as_ase(tmp_path / 'ase', ARCHITECTURE, model, result)


def test_cells_of_a_barostat_belong_to_their_frames(tmp_path, model, dp):
    settings = free(ensemble='npt', thermostat='nose_hoover', pressure_bar=2e4, pressure_relaxation_time=50.0)
    result = run(tmp_path / 'run', job(crystal(), replace(settings, steps=20), **dp), model)
    assert result.outcome is MDOutcome.FINISHED, result.message
    volumes = np.linalg.det(result.trajectory.cells)
    assert len(set(volumes.tolist())) == len(volumes)
    assert_same_as_ase(tmp_path / 'ase', ARCHITECTURE, model, result)


def test_total_energy_is_conserved_without_thermostat(tmp_path, model, dp):
    settings = replace(SETTINGS, time_step=0.25, steps=400, sampling_interval=20, wall_height=4.6)
    result = run(tmp_path, job(settings=settings, **dp), model)
    energy = result.series['conserved_energy']
    assert result.outcome is MDOutcome.FINISHED, result.message
    # Velocity Verlet at 0.25 fs: total energy wanders by a small part of the fluctuation of the potential energy
    assert energy.std() < 0.05 * result.series['potential_energy'].std()


def test_restart_continues_the_same_trajectory_to_the_target(tmp_path, model, dp):
    whole = run(tmp_path / 'whole', job(**dp), model)
    first = run(tmp_path / 'first', job(settings=replace(SETTINGS, steps=20), **dp), model)
    (tmp_path / 'second').mkdir()
    shutil.copy(tmp_path / 'first' / first.checkpoint_files[0], tmp_path / 'second')
    second = run(tmp_path / 'second', job(is_restart=True, **dp), model)
    assert second.outcome is MDOutcome.FINISHED, second.message
    assert second.steps_done == 40
    assert second.trajectory.columns['step'].tolist() == [30, 40]
    np.testing.assert_allclose(second.trajectory.positions, whole.trajectory.select([2, 3]).positions, atol=1e-8)


@pytest.mark.parametrize('thermostat', ['csvr', 'nose_hoover', 'langevin'])
def test_mean_temperature_is_that_of_the_thermostat(tmp_path, thermostat):
    settings = replace(
        SETTINGS,
        ensemble='nvt',
        thermostat=thermostat,
        time_step=2.0,
        relaxation_time=50.0,
        steps=20000,
        equilibration_steps=2000,
        sampling_interval=10,
        fixed_atoms=tuple(range(8)),
        wall_height=0.0,
    )
    frame = crystal(2)
    stiff = {**cases.LENNARD_JONES, 'pair_coeff': '* * 0.4 2.6'}
    result = run(tmp_path, job(frame, settings, model_recipe=stiff), lammps='engines')
    assert result.outcome is MDOutcome.FINISHED, result.message
    # 24 mobile atoms: one sample scatters by √(2/72) = 17 %; 40 ps hold 400 to 800 relaxation times, hence 3 σ = 3 %
    assert result.series['temperature'].mean() == pytest.approx(settings.temperature, rel=0.04)


@pytest.mark.parametrize('thermostat', ['csvr', 'nose_hoover', 'langevin'])
def test_conserved_energy_counts_heat_and_atomic_energies(tmp_path, thermostat):
    settings = free(ensemble='nvt', thermostat=thermostat, steps=2000, relaxation_time=50.0)
    result = run(tmp_path, job(crystal(), settings, atomic_energies={'Au': -3.0, 'O': -2.0}), lammps='engines')
    total = result.series['potential_energy'] + result.series['kinetic_energy']
    assert np.ptp(result.series['conserved_energy']) < 0.02 * np.ptp(total)
    numbers = crystal().numbers
    shift = -3.0 * np.sum(numbers == 79) - 2.0 * np.sum(numbers == 8)
    assert result.series['potential_energy'][0] < shift


@pytest.mark.parametrize('thermostat', ['csvr', 'nose_hoover', 'langevin'])
def test_conserved_energy_goes_on_after_a_restart(tmp_path, thermostat):
    settings = free(ensemble='nvt', thermostat=thermostat, steps=2500, relaxation_time=50.0)
    first = run(tmp_path / 'first', job(crystal(), replace(settings, steps=1500)), lammps='engines')
    (tmp_path / 'second').mkdir()
    for name in first.checkpoint_files:
        shutil.copy(tmp_path / 'first' / name, tmp_path / 'second')
    second = run(tmp_path / 'second', job(crystal(), settings, is_restart=True), lammps='engines')
    assert second.outcome is MDOutcome.FINISHED, second.message
    joined, total = (
        np.concatenate([sum(result.series[name] for name in names) for result in (first, second)])
        for names in (['conserved_energy'], ['potential_energy', 'kinetic_energy'])
    )
    assert len(joined) == 250
    assert np.ptp(joined) < 0.02 * np.ptp(total)


def test_restart_with_nothing_left_finishes_without_frames(tmp_path):
    settings = free(ensemble='nvt', thermostat='langevin', steps=50, sampling_interval=10, equilibration_steps=15)
    first = run(tmp_path / 'first', job(crystal(), settings), lammps='engines')
    (tmp_path / 'second').mkdir()
    for name in first.checkpoint_files:
        shutil.copy(tmp_path / 'first' / name, tmp_path / 'second')
    second = run(tmp_path / 'second', job(crystal(), settings, is_restart=True), lammps='engines')
    assert (second.outcome, second.trajectory, second.series) == (MDOutcome.FINISHED, None, None), second.message
    assert (second.steps_done, second.checkpoint_steps, second.checkpoint_files) == (50, 50, first.checkpoint_files)


@pytest.mark.parametrize('thermostat', ['csvr', 'langevin'])
def test_any_seed_is_one_for_lammps(tmp_path, thermostat):
    """Seeds above 900000000 are refused by its generators, and 2147483647 makes one of them go round for ever."""
    settings = free(ensemble='nvt', thermostat=thermostat, steps=10, sampling_interval=5)
    positions = []
    for seed in (899_999_999, 900_000_000, 2**31 - 2, 2**40):
        result = run(tmp_path / str(seed), job(crystal(), replace(settings, seed=seed)), lammps='engines')
        assert result.outcome is MDOutcome.FINISHED, result.message
        positions.append(result.trajectory.positions)
    assert not np.allclose(positions[0], positions[1])


def test_wall_is_harmonic_with_the_stated_force_constant(tmp_path):
    """One atom alone moves between the fixed film and the wall: the sum of all energies stays, the wall's included."""
    frame = film()
    positions, mobile = frame.positions.copy(), 11
    wall = positions[:mobile, 2].max() + 1.0
    positions[mobile] = [1.0, 1.0, wall + 0.4]
    frame = replace(frame, positions=positions, velocities=np.zeros_like(positions))
    settings = replace(
        SETTINGS, fixed_atoms=tuple(range(mobile)), wall_height=1.0, time_step=0.01, steps=10, equilibration_steps=0
    )
    settings = replace(settings, sampling_interval=1)
    nothing = {'pair_style': 'lj/cut 0.5', 'pair_coeff': '* * 0.0 0.1'}
    result = run(tmp_path, job(frame, settings, model_recipe=nothing), lammps='engines')
    # Energy k/2 d² at rest
    expected = 0.5 * settings.wall_force_constant * 0.4**2
    assert result.series['conserved_energy'] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(result.trajectory.forces, 0.0)


def test_atom_that_leaves_the_box_is_an_explosion(tmp_path):
    frame = film()
    velocities = np.zeros_like(frame.positions)
    velocities[11, 2] = 0.5
    settings = replace(free(maximum_temperature=1e9), steps=400)
    result = run(tmp_path, job(replace(frame, velocities=velocities), settings), lammps='engines')
    assert result.outcome is MDOutcome.EXPLODED
    assert 'Lost atoms' in result.message


def test_native_model_in_a_build_without_its_backend_is_an_outcome(tmp_path, model, dp):
    recipe = ARCHITECTURE.bindings['lammps'].recipe('frozen.pth', 'cpu', Precision.DOUBLE)
    result = run(tmp_path, job(**{**dp, 'model_recipe': recipe}), model.parent / 'frozen.pth')
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message


STYLES_OF_OTHER_BUILDS = {
    'mliap': 'mace',
    'metatomic': 'pet',
    'grace': 'grace',
    'deepmd with a map': 'deep_potential_mp',
}


@pytest.mark.parametrize('name', sorted(STYLES_OF_OTHER_BUILDS))
@pytest.mark.parametrize(('ensemble', 'thermostat'), [('nvt', 'csvr'), ('npt', 'nose_hoover'), ('npt', 'langevin')])
def test_script_is_legal_where_the_pair_style_is_missing(tmp_path, name, ensemble, thermostat):
    """All commands but the pair style are run by a LAMMPS that skips the steps, ``-skiprun``."""
    recipe = (
        load_member(ARCHITECTURES, STYLES_OF_OTHER_BUILDS[name])
        .bindings['lammps']
        .recipe('model', 'cpu', Precision.DOUBLE)
    )
    dry = {**recipe, 'pair_style': 'zero 5.0', 'pair_coeff': '* *', 'arguments': ['-skiprun']}
    settings = free(ensemble=ensemble, thermostat=thermostat, equilibration_steps=10)
    run(tmp_path, job(crystal(), settings, model_recipe=dry, walltime_seconds=100.0), lammps='engines')
    log = (tmp_path / lammps.LOG).read_text()
    assert 'ERROR' not in log
    assert 'run stopped at step' in log
