"""Trained potentials in LAMMPS: input, reading, real runs with the pair style deepmd and with one that is built in."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import lammps_cases as cases
import numpy as np
import pytest
from lammps_cases import ENGINE, FIXED, FIXTURES, SETTINGS, crystal, film, free, job
from toy.training import ATOMIC_ENERGIES, ELEMENTS

from aiida_edl.architectures.bindings import ATOMIC_NUMBERS, MODEL_PATH, LammpsBinding
from aiida_edl.architectures.bindings import ELEMENTS as ELEMENTS_PLACEHOLDER
from aiida_edl.architectures.precision import Precision
from aiida_edl.md_engines import lammps_system
from aiida_edl.md_engines.base import MDJob, MDOutcome, MDResult, MDSettings, MDSettingsError
from aiida_edl.md_engines.lammps_files import read_dump
from aiida_edl.md_engines.single_points import SinglePointJob
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science import units
from aiida_edl.science.frames import FrameSet


def script(a_job: MDJob | None = None, **changes) -> list[str]:
    """Return the lines of the input script of a job."""
    return ENGINE.files(a_job or job(**changes))['in.lammps'].decode().splitlines()


def recorded(outcome: str) -> Path:
    """Return the folder of a recorded run."""
    return FIXTURES / 'md' / 'lammps' / outcome


def read(folder: Path) -> MDResult:
    """Read a recorded run."""
    settings = MDSettings.from_dict(json.loads((folder / 'settings.json').read_text()))
    return ENGINE.read(folder, FrameSet.from_npz(folder / 'initial.npz').frame(0), settings)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'ensemble': 'npt'},
            "engine lammps cannot change the cell of fixed atoms by 'npt'; use 'nvt' or let all atoms move",
        ),
        (
            {'fixed_atoms': ()},
            'engine lammps counts wall_height 9.0 Å from the topmost fixed atom, but fixed_elements is empty; name the '
            'elements that do not move or set wall_height to 0',
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(changes, message):
    settings = replace(SETTINGS, **changes)
    assert ENGINE.refuse(settings) == message
    with pytest.raises(MDSettingsError, match=f'^{re.escape(message)}$'):
        ENGINE.files(job(settings=settings))


@pytest.mark.parametrize(
    ('a_job', 'message'),
    [
        (
            job(total_charge=1.0),
            'the potential takes the total charge of a frame, which engine lammps cannot pass on to it; use engine ase',
        ),
        (
            job(settings=replace(SETTINGS, fixed_elements=('H', 'O', 'Au'))),
            'all atoms are fixed, so that there is nothing to run; fix fewer',
        ),
        (
            job(settings=free(ensemble='npt')),
            "ensemble 'npt' needs a frame that is periodic in all directions, its pbc is [True, True, False]",
        ),
        (
            job(replace(film(), pbc=np.array([True, True, True]))),
            'engine lammps has no wall in a periodic direction, and the frame is periodic along z; open it along z',
        ),
        (
            job(settings=replace(SETTINGS, wall_height=50.0)),
            'wall_height 50.0 Å puts the wall 58.09 Å above the bottom of the cell, whose height is 20.62 Å: lower the '
            'wall or enlarge the cell',
        ),
        (
            job(replace(crystal(), cell=crystal().cell[[1, 0, 2]]), free()),
            'the volume of the cell is -551.368 Å³, engine lammps needs a right-handed cell: exchange two cell '
            'vectors, or give the missing ones',
        ),
        (
            job(replace(crystal(), pbc=np.array([False, True, True])), free()),
            'the cell is open along x and not orthogonal, which engine lammps cannot run: make it orthogonal, or let '
            'the open axis be z',
        ),
        (
            job(model_recipe={'pair_style': 'lj/cut 5.0'}),
            'the recipe for lammps lacks pair_coeff; it needs pair_style and pair_coeff',
        ),
        (
            job(model_recipe={**cases.LENNARD_JONES, 'atom_style': 'charge'}),
            'the pair style reads charges, but the frame has none; give a frame with charges',
        ),
    ],
    ids=['charge', 'all fixed', 'open npt', 'periodic wall', 'high wall', 'left-handed', 'open x', 'recipe', 'charges'],
)
def test_frame_or_model_that_does_not_go_with_the_run_is_refused(a_job, message):
    with pytest.raises(MDSettingsError, match=f'^{re.escape(message)}$'):
        ENGINE.files(a_job)


def test_single_points_do_not_drop_the_total_charge():
    frames = FrameSet.from_frames([film(1)])
    charged = SinglePointJob(frames, cases.LENNARD_JONES, ('H', 'O', 'Au'), {}, total_charges=np.array([1.0]))
    message = (
        'the potential takes the total charge of a frame, which engine lammps cannot pass on to it; use engine ase'
    )
    with pytest.raises(MDSettingsError, match=f'^{message}$'):
        ENGINE.single_point_files(charged)


def test_total_charge_has_its_place_in_any_line_of_the_potential():
    recipe = {
        **cases.LENNARD_JONES,
        'final_commands': ['pair_modify shift yes', 'variable charge equal {total_charge}'],
    }
    assert 'variable charge equal -2' in script(model_recipe=recipe, total_charge=-2.0)


def test_seed_beyond_those_of_lammps_begins_again():
    lines = script(settings=free(ensemble='nvt', thermostat='csvr', seed=1_800_000_004))
    assert 'fix heat mobile temp/csvr 200 200 0.1 5' in lines
    assert any(line.startswith('velocity mobile create 200 5 ') for line in lines)


def test_heat_that_no_checkpoint_holds_is_written_beside_it():
    lines = script(settings=free(ensemble='nvt', thermostat='langevin'), is_restart=True)
    assert lines.index('variable stored_heat file checkpoint.$(step).heat') > lines.index(
        'read_restart checkpoint.*.restart'
    )
    assert 'print "$(v_carried_heat:%.17g)" file checkpoint.$(step).heat screen no' in lines
    assert not any('carried_heat' in line for line in script(settings=free(ensemble='nvt', thermostat='csvr')))


def test_unknown_key_of_a_recipe_is_answered_with_the_nearest():
    with pytest.raises(MDSettingsError, match=r"^unknown key of the recipe for lammps 'pairstyle': did you mean "):
        ENGINE.files(job(model_recipe={'pairstyle': 'lj/cut 5.0'}))


def test_each_type_of_atoms_has_its_element_in_pair_coeff():
    recipe = LammpsBinding(
        f'deepmd {MODEL_PATH}', f'* * {ELEMENTS_PLACEHOLDER}', commands=('atom_modify map yes',)
    ).recipe('model.savedmodeltf', 'cpu', Precision.DOUBLE)
    lines = script(model_recipe=recipe)
    assert 'pair_style deepmd model.savedmodeltf' in lines
    assert 'pair_coeff * * H O Au' in lines
    assert lines.index('atom_modify map yes') < lines.index('read_data initial.data')
    masses = ENGINE.files(job(model_recipe=recipe))['initial.data'].decode()
    assert re.findall(r'^(\d) \S+  # (\w+)$', masses, re.MULTILINE) == [('1', 'H'), ('2', 'O'), ('3', 'Au')]


def test_pair_style_may_count_elements_by_atomic_number():
    recipe = LammpsBinding(f'metatomic {MODEL_PATH} device cpu', f'* * {ATOMIC_NUMBERS}').recipe(
        'model.pt', 'cpu', Precision.DOUBLE
    )
    assert 'pair_coeff * * 1 8 79' in script(model_recipe=recipe)


def test_overlay_has_a_line_for_each_part_and_commands_after_them():
    recipe = LammpsBinding(
        pair_style=f'hybrid/overlay deepmd {MODEL_PATH} coul/long 6.0',
        pair_coeff=f'* * deepmd {ELEMENTS_PLACEHOLDER}\n* * coul/long',
        final_commands=('kspace_style pppm 1e-6', 'kspace_modify slab 3.0'),
        atom_style='charge',
    ).recipe('model.savedmodeltf', 'cpu', Precision.DOUBLE)
    frame = replace(film(), charges=np.linspace(-0.55, 0.55, 12))
    lines = script(frame=frame, model_recipe=recipe)
    begin = lines.index('pair_style hybrid/overlay deepmd model.savedmodeltf coul/long 6.0')
    assert lines[begin + 1 : begin + 5] == [
        'pair_coeff * * deepmd H O Au',
        'pair_coeff * * coul/long',
        'kspace_style pppm 1e-6',
        'kspace_modify slab 3.0',
    ]
    atoms = ENGINE.files(job(frame, model_recipe=recipe))['initial.data'].decode().split('# charge\n\n')[1]
    assert atoms.splitlines()[0].split()[:3] == ['1', '3', '-0.55']


def test_total_charge_is_an_argument_of_the_pair_style():
    binding = load_member(ARCHITECTURES, 'deep_potential').bindings['lammps']
    recipe = binding.recipe('model.savedmodeltf', 'cpu', Precision.DOUBLE, ELEMENTS, knows_charge=True)
    assert 'pair_style deepmd model.savedmodeltf fparam -2' in script(model_recipe=recipe, total_charge=-2.0)


def test_accelerator_is_asked_for_on_the_command_line():
    binding = load_member(ARCHITECTURES, 'mace').bindings['lammps']
    (command,) = ENGINE.commands(job(model_recipe=binding.recipe('model.pt', 'cuda', Precision.DOUBLE)))
    assert command.arguments[6:12] == ('-k', 'on', 'g', '1', '-sf', 'kk')


def test_message_passing_keeps_a_map_of_atoms():
    recipe = load_member(ARCHITECTURES, 'deep_potential_mp').bindings['lammps'].recipe('m', 'cpu', Precision.DOUBLE)
    assert recipe['commands'] == ['atom_modify map yes']


def test_wall_has_half_the_force_constant_and_stands_at_its_height():
    words = next(line for line in script() if line.startswith('fix wall ')).split()
    top_of_box = film().cell[2, 2] + lammps_system.OPEN_MARGIN
    wall = film().positions[list(FIXED), 2].max() + SETTINGS.wall_height
    assert float(words[6]) == SETTINGS.wall_force_constant / 2
    assert float(words[8]) == pytest.approx(top_of_box - wall, abs=1e-8)


@pytest.mark.parametrize(
    ('changes', 'lines'),
    [
        ({'ensemble': 'nve'}, ['fix motion mobile nve']),
        (
            {'thermostat': 'nose_hoover'},
            ['fix motion mobile nvt temp 200 200 0.1', 'fix_modify motion temp mobile_temperature'],
        ),
        (
            {'thermostat': 'csvr'},
            [
                'fix motion mobile nve',
                'fix heat mobile temp/csvr 200 200 0.1 4',
                'fix_modify heat temp mobile_temperature',
            ],
        ),
        (
            {'thermostat': 'langevin'},
            ['fix motion mobile nve', 'fix heat mobile langevin 200 200 0.1 $((step+3)%900000000+1) tally yes'],
        ),
        (
            {'ensemble': 'npt', 'thermostat': 'nose_hoover', 'pressure_bar': 10.0},
            ['fix motion mobile npt temp 200 200 0.1 iso 10 10 1', 'fix_modify motion temp mobile_temperature'],
        ),
        (
            {'ensemble': 'npt', 'thermostat': 'csvr'},
            [
                'fix motion mobile nph iso 1 1 1',
                'fix_modify motion temp mobile_temperature',
                'fix heat mobile temp/csvr 200 200 0.1 4',
                'fix_modify heat temp mobile_temperature',
            ],
        ),
    ],
)
def test_ensemble_and_thermostat(changes, lines):
    written = script(frame=crystal(), settings=free(**{'ensemble': 'nvt', **changes}))
    begin = written.index(lines[0])
    assert written[begin : begin + len(lines)] == lines


def test_centre_of_mass_is_at_rest_unless_atoms_are_fixed_or_kicked():
    degrees = 'compute_modify mobile_temperature extra/dof {}'
    assert degrees.format(3) in script(settings=free())
    assert degrees.format(0) in script()
    assert degrees.format(0) in script(settings=free(ensemble='nvt', thermostat='langevin'))


def test_restart_reads_the_newest_checkpoint_and_draws_no_velocities():
    lines = script(is_restart=True)
    assert 'read_restart checkpoint.*.restart' in lines
    assert not [line for line in lines if line.startswith(('read_data', 'velocity', 'boundary', 'reset_timestep'))]


def test_turned_cell_comes_back():
    frame = crystal()
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    box = lammps_system.box_of(replace(frame, cell=frame.cell @ turn, positions=frame.positions @ turn))
    assert not np.any(np.triu(box.cell, 1))
    np.testing.assert_allclose(box.cell @ box.rotation, frame.cell @ turn, atol=1e-12)
    np.testing.assert_allclose(box.turned(frame.cell @ turn), box.cell, atol=1e-12)


def test_open_axes_without_cell_vector_get_a_box():
    frame = replace(film(), cell=np.zeros((3, 3)), pbc=np.zeros(3, dtype=bool))
    box = lammps_system.box_of(frame)
    assert box.boundary == ('f', 'f', 'f')
    assert (box.low < frame.positions.min(axis=0)).all()
    assert (box.low + np.diag(box.cell) > frame.positions.max(axis=0)).all()


def test_box_of_a_tilted_snapshot(tmp_path):
    (tmp_path / 'dump').write_text(
        'ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS xy xz yz pp pp pp\n0 12 1\n0 10 1\n0 10 1\n'
        'ITEM: ATOMS id xu yu zu\n1 0 0 0\n'
    )
    (snapshot,) = read_dump(tmp_path / 'dump')
    cell, origin = snapshot.box()
    # Tilts xy = xz = 1 lengthen the bounds along x by their sum
    np.testing.assert_array_equal(cell, [[10.0, 0, 0], [1.0, 9.0, 0], [1.0, 1.0, 10.0]])
    np.testing.assert_array_equal(origin, [0.0, 0.0, 0.0])


def test_finished_run_has_atomic_energies_in_its_energy():
    result = read(recorded('finished'))
    assert result.outcome is MDOutcome.FINISHED
    assert result.trajectory.columns['step'].tolist() == [10, 20, 30, 40]
    line = next(
        row for row in (recorded('finished') / 'log.lammps').read_text().splitlines() if row[:10].strip() == '50'
    )
    atomic = 8 * ATOMIC_ENERGIES['Au'] + 2 * ATOMIC_ENERGIES['O'] + 2 * ATOMIC_ENERGIES['H']
    assert result.trajectory.energies[-1] == float(line.split()[2]) + atomic
    assert result.cost['versions'] == {'lammps': '22 Jul 2025 - Update 2', 'deepmd-kit': '3.2.0'}


def test_fixed_atoms_do_not_move():
    trajectory, start = read(recorded('finished')).trajectory, film().positions
    for frame in trajectory:
        # The dump has twelve digits
        np.testing.assert_allclose(frame.positions[list(FIXED)], start[list(FIXED)], rtol=0, atol=1e-10)
    assert np.abs(trajectory.frame(-1).positions - start)[4:].max() > 1e-3


def test_temperature_is_that_of_the_mobile_atoms():
    result, start = read(recorded('finished')), film()
    frame = result.trajectory.frame(-1)
    masses = np.select([start.numbers == 1, start.numbers == 8], [1.008, 15.999], 196.966569)
    kinetic = 0.5 * np.sum(masses[:, None] * frame.velocities**2) * units.ATOMIC_MASS
    assert result.series['kinetic_energy'][-1] == pytest.approx(kinetic, rel=1e-5)
    assert result.series['temperature'][-1] == pytest.approx(2 * kinetic / (3 * 8 * units.BOLTZMANN), rel=1e-5)


def test_run_out_of_walltime_leaves_a_checkpoint():
    result = read(recorded('out_of_walltime'))
    assert result.message == f'the time limit was reached at step {result.steps_done} of 10000000'
    assert result.checkpoint_files == (f'checkpoint.{result.steps_done + 10}.restart',)


def test_hot_run_counts_as_exploded():
    result = read(recorded('exploded'))
    assert result.message == 'the temperature passed 150 K before step 0 of 40'
    assert result.checkpoint_files == ()


def test_killed_run_is_read_up_to_its_checkpoint():
    result = read(recorded('output_incomplete'))
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.steps_done == 40
    assert result.trajectory.columns['step'].tolist() == [10, 20, 30, 40]


def test_atoms_that_leave_the_box_count_as_an_explosion(tmp_path):
    folder = shutil.copytree(recorded('output_incomplete'), tmp_path / 'lost')
    with (folder / 'log.lammps').open('a') as handle:
        handle.write('\nERROR: Lost atoms: original 12 current 11\n')
    assert read(folder).outcome is MDOutcome.EXPLODED
