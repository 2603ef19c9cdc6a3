"""LAMMPS sums the electrostatics of fixed charges as our own program does: energies, forces, units and the slab."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from electrode_cases import run_lammps
from electrostatics_cases import salt, sheared_salt, slab

pytest.importorskip('numba')

from aiida_edl.md_engines.base import MDSettingsError
from aiida_edl.md_engines.lammps import LammpsEngine
from aiida_edl.md_engines.long_range import composed_recipe
from aiida_edl.md_engines.single_points import SinglePointJob
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.science.electrostatics.tuning import tune
from aiida_edl.science.frames import Frame, FrameSet

NOTHING = {'pair_style': 'zero 6.0', 'pair_coeff': '* *', 'commands': [], 'final_commands': [], 'environment': {}}
FORCE_ERROR = 2e-6
SYSTEMS = {'salt': salt, 'sheared': sheared_salt, 'film': slab}


def frame_of(system):
    """Return charges as a frame of sodium and chlorine."""
    numbers = np.where(system.charges > 0.0, 11, 17).astype(np.uint8)
    return Frame(numbers, system.positions, system.cell, system.pbc)


def model_of(system, method='p3m'):
    """Return the charges, tuned on a system."""
    settings = tune(system, FORCE_ERROR, method).settings
    return LongRangeModel({'Na': 1.0, 'Cl': -1.0}, summation=settings.to_dict(), force_error=FORCE_ERROR)


def by_lammps(folder, frames, model):
    """Return energies and forces of frames, by a pair style that gives nothing and the electrostatics."""
    recipe = composed_recipe('lammps', NOTHING, model)
    job = SinglePointJob(frames=frames, model_recipe=recipe, elements=('Na', 'Cl'), energy_shifts={})
    engine = LammpsEngine()
    (command,) = engine.single_point_commands(job)
    run_lammps(folder, engine.single_point_files(job), command.arguments)
    found = engine.read_single_points(folder, frames, {})
    assert found.failures == {}
    return found


@pytest.mark.slow
@pytest.mark.parametrize('method', ['p3m', 'ewald'])
@pytest.mark.parametrize('name', SYSTEMS)
def test_forces_are_the_same_to_1e_5(tmp_path, name, method):
    system = SYSTEMS[name]()
    model, frames = model_of(system, method), FrameSet.from_frames([frame_of(system)])
    found = by_lammps(tmp_path, frames, model)
    ours = CompiledSummation(model.settings)(system)
    np.testing.assert_allclose(found.forces, ours.forces, atol=1e-5)
    assert found.energies[0] == pytest.approx(ours.energy, abs=2e-6 * len(system.charges))


def test_the_pair_style_is_overlaid_and_the_mesh_added():
    recipe = composed_recipe('lammps', {**NOTHING, 'pair_style': 'deepmd m.pb', 'pair_coeff': '* * {elements}'}, MODEL)
    assert recipe['pair_style'] == 'hybrid/overlay deepmd m.pb coul/long 6'
    assert recipe['pair_coeff'].splitlines() == ['* * deepmd {elements}', '* * coul/long']
    assert recipe['final_commands'] == ['kspace_style pppm 6.94462e-07']


def test_a_style_that_is_overlaid_already_gets_one_more_part():
    recipe = composed_recipe(
        'lammps', {**NOTHING, 'pair_style': 'hybrid/overlay a 3 b 4', 'pair_coeff': '* * a\n* * b'}, MODEL
    )
    assert recipe['pair_style'] == 'hybrid/overlay a 3 b 4 coul/long 6'
    assert recipe['pair_coeff'].splitlines() == ['* * a', '* * b', '* * coul/long']


SUMMATION = {'method': 'p3m', 'cutoff_radius': 6.0, 'smearing': 1.2, 'mesh': [16, 16, 16], 'nodes': 5}
MODEL = LongRangeModel({'Na': 1.0, 'Cl': -1.0}, summation=SUMMATION)


def test_atoms_get_the_charges_of_their_elements():
    job = SinglePointJob(
        frames=FrameSet.from_frames([frame_of(salt())]),
        model_recipe=composed_recipe('lammps', NOTHING, MODEL),
        elements=('Na', 'Cl'),
        energy_shifts={},
    )
    data = LammpsEngine().single_point_files(job)['frame_0000.data'].decode()
    first = data.split('Atoms  # charge')[1].split()
    assert first[:3] == ['1', '1', '1']  # sodium, type 1, +1 e


def test_a_film_is_parted_from_its_images():
    job = SinglePointJob(
        frames=FrameSet.from_frames([frame_of(slab())]),
        model_recipe=composed_recipe('lammps', NOTHING, MODEL),
        elements=('Na', 'Cl'),
        energy_shifts={},
    )
    assert 'kspace_modify slab 3' in LammpsEngine().single_point_files(job)['in.lammps'].decode().splitlines()


def test_styles_that_share_out_pairs_are_refused():
    with pytest.raises(MDSettingsError, match='gives each pair of types to one style, electrostatics needs hybrid'):
        composed_recipe('lammps', {**NOTHING, 'pair_style': 'hybrid a b'}, MODEL)


def test_engines_that_cannot_add_it_are_refused():
    message = r"^'torch_sim' cannot add the long_range electrostatics of a potential; what can: ase, lammps$"
    with pytest.raises(MDSettingsError, match=message):
        composed_recipe('torch_sim', {}, MODEL)


@pytest.mark.slow
def test_a_film_with_little_vacuum_is_summed_alike(tmp_path):
    frame = frame_of(slab())
    cell = frame.cell.copy()
    cell[2, 2] = 1.2 * np.ptp(frame.positions[:, 2])
    thin = replace(frame, cell=cell)
    asked = {'charges': {'Na': 1.0, 'Cl': -1.0}, 'summation': {'method': 'direct'}, 'force_error': FORCE_ERROR}
    system = LongRangeModel(**asked).system_of(thin)
    first, second, third = np.linalg.norm(system.cell, axis=1)
    summation = tune(system, FORCE_ERROR).settings
    model = LongRangeModel(**{**asked, 'summation': summation.to_dict(), 'tuned_lengths': (first, second, third)})
    found = by_lammps(tmp_path, FrameSet.from_frames([thin]), model)
    np.testing.assert_allclose(found.forces, CompiledSummation(summation)(system).forces, atol=1e-5)
