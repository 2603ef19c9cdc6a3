"""Labels of given frames by the classical reference: grouping, reading, and physics of the labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from electrode_cases import FIXTURES, MODEL, SETTINGS, run_lammps, small_cell

from aiida_edl.md_engines.base import MDJob, MDSettingsError
from aiida_edl.md_engines.electrode import ElectrodeEngine
from aiida_edl.md_engines.electrode_labels import (
    ARGUMENTS,
    LabelGroup,
    Labels,
    derived_files,
    label_files,
    plan_labels,
    read_labels,
)
from aiida_edl.science import units
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.reference_model import ReferenceModel

MIXED_ORDER = [1, 0, 1, 0]
"""Number of ions of the first frames of the fixture; the fifth frame has a broken molecule."""


def recorded(outcome: str) -> tuple[FrameSet, Labels]:
    """Return frames with the labels of their dynamics, and the labels of a recorded run."""
    folder = FIXTURES / 'single_point' / 'electrode' / outcome
    frames = FrameSet.from_npz(folder / 'frames.npz')
    return frames, read_labels(folder, frames, plan_labels(frames))


def label(folder: Path, frames: list[Frame], model: ReferenceModel = MODEL) -> Labels:
    """Label frames with LAMMPS."""
    joined = FrameSet.from_frames(frames).without_labels()
    plan = plan_labels(joined)
    run_lammps(folder, label_files(joined, model, plan), ARGUMENTS)
    return read_labels(folder, joined, plan)


def thermal_frame(folder: Path, n_ions: int) -> Frame:
    """Return a frame of short dynamics; its energy is that of the label."""
    engine = ElectrodeEngine()
    job = MDJob(small_cell(n_ions), SETTINGS, MODEL.to_dict(), {})
    run_lammps(folder, engine.files(job), engine.commands(job)[0].arguments)
    trajectory = engine.read(folder, job.frame, SETTINGS).trajectory
    assert trajectory is not None
    return trajectory.frame(-1)


def test_frames_are_grouped_by_composition_and_broken_ones_refused():
    frames, _ = recorded('finished')
    plan = plan_labels(frames)
    assert frames.columns['charge_state'][:4].tolist() == MIXED_ORDER
    assert plan.groups == (LabelGroup((0, 2), True), LabelGroup((1, 3), True))
    assert plan.refused == {
        4: 'oxygen 12 has 1 instead of 2 hydrogens, the reference model needs whole water molecules'
    }


def test_cells_of_another_size_are_another_group():
    frame = small_cell(0)
    taller = replace(frame, cell=frame.cell + np.diag([0, 0, 5.0]))
    plan = plan_labels(FrameSet.from_frames([frame, taller, frame]))
    assert [group.frames for group in plan.groups] == [(0, 2), (1,)]


def test_moving_metal_is_noticed():
    frame = small_cell(0)
    moved = replace(frame, positions=frame.positions + np.eye(36, 3) * 1e-3)
    assert not plan_labels(FrameSet.from_frames([frame, moved])).groups[0].is_metal_static


def test_each_group_has_a_data_file_and_a_dump():
    frames, _ = recorded('finished')
    plan = plan_labels(frames)
    files = label_files(frames, MODEL, plan)
    assert set(files) == {'in.lammps', *derived_files(plan)}
    assert derived_files(plan) == ('group_0000.data', 'group_0000.dump', 'group_0001.data', 'group_0001.dump')
    assert files == label_files(frames, MODEL, plan)


def test_labels_hold_no_wall():
    frames, _ = recorded('finished')
    assert b'wall' not in label_files(frames, MODEL, plan_labels(frames))['in.lammps']


def test_labels_equal_the_forces_of_the_dynamics():
    # Same program and same charges; positions pass through text with 12 digits
    frames, labels = recorded('finished')
    good = frames.offsets[4]
    np.testing.assert_allclose(labels.energies[:4], frames.energies[:4], rtol=0, atol=1e-6)
    np.testing.assert_allclose(labels.forces[:good], frames.forces[:good], rtol=0, atol=1e-5)
    np.testing.assert_allclose(labels.charges[:good], frames.charges[:good], rtol=0, atol=1e-6)
    np.testing.assert_allclose(labels.metal_potential[:4], frames.columns['metal_potential'][:4], rtol=0, atol=1e-6)


def test_charge_of_the_metal_is_minus_that_of_the_ions():
    frames, labels = recorded('finished')
    for index, n_ions in enumerate(MIXED_ORDER):
        atoms = slice(frames.offsets[index], frames.offsets[index + 1])
        charges = labels.charges[atoms]
        assert charges[frames.numbers[atoms] == 79].sum() == pytest.approx(-n_ions, abs=1e-9)
        assert charges.sum() == pytest.approx(0.0, abs=1e-9)


def test_refused_frame_has_no_labels_but_a_reason():
    frames, labels = recorded('finished')
    assert labels.is_complete
    assert labels.is_converged.tolist() == [True, True, True, True, False]
    assert labels.failures == plan_labels(frames).refused
    assert np.all(np.isnan(labels.forces[frames.offsets[4] :]))
    assert np.isnan(labels.energies[4])


def test_truncated_run_gives_the_labels_it_has():
    _, labels = recorded('log_incomplete')
    assert not labels.is_complete
    assert labels.stop_reason == 'log.lammps ends early'
    assert labels.is_converged.tolist() == [True, False, True, False, False]
    assert labels.failures[1] == 'log.lammps ends early'
    assert labels.failures[4].startswith('oxygen 12')


def test_version_of_the_program_is_read():
    assert recorded('finished')[1].version == '22 Jul 2025 - Update 4'


@pytest.mark.slow
@pytest.mark.parametrize('is_metal_moved', [False, True])
def test_forces_on_every_species_are_the_slope_of_the_energy(tmp_path, is_metal_moved):
    # Mesh and step (h = 0.01 Å, stiff O-H bonds) leave 7e-4 eV/Å at an accuracy of 1e-6
    model, step = ReferenceModel(electrostatic_accuracy=1e-6), 0.01
    frame = thermal_frame(tmp_path / 'dynamics', 1)
    atoms = [int(np.flatnonzero(frame.numbers == number)[-1]) for number in (8, 1, 11)]
    if is_metal_moved:
        # Shifted gold atoms make one group that is solved by conjugate gradients
        atoms = [int(np.flatnonzero(frame.numbers == 79)[-1]), 0]
    frames = [frame]
    for atom in atoms:
        for axis in range(3):
            for sign in (1, -1):
                positions = frame.positions.copy()
                positions[atom, axis] += sign * step
                frames.append(replace(frame, positions=positions))
    labels = label(tmp_path / 'labels', frames, model)
    assert labels.is_converged.all()
    energies = labels.energies[1:].reshape(len(atoms), 3, 2)
    slopes = -(energies[..., 0] - energies[..., 1]) / (2 * step)
    np.testing.assert_allclose(labels.forces[atoms], slopes, rtol=0, atol=2e-3)


@pytest.mark.slow
def test_conjugate_gradients_give_the_charges_of_the_matrix(tmp_path):
    frame = thermal_frame(tmp_path / 'dynamics', 1)
    moved = replace(frame, positions=frame.positions + np.eye(37, 3) * 0.05)
    together = label(tmp_path / 'together', [frame, moved])
    apart = [label(tmp_path / f'apart_{k}', [item]) for k, item in enumerate([frame, moved])]
    # Charges are converged to 1e-12 in the square of the residual
    np.testing.assert_allclose(together.energies, np.concatenate([x.energies for x in apart]), rtol=0, atol=1e-7)
    np.testing.assert_allclose(together.forces, np.concatenate([x.forces for x in apart]), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_gold_sodium_pair_agrees_with_a_sum_in_numpy(tmp_path):
    frame = thermal_frame(tmp_path / 'dynamics', 1)
    other = ReferenceModel(gold_sodium_well_depth_kcal_per_mol=None, gold_sodium_diameter=None)
    measured = label(tmp_path / 'a', [frame], other).energies[0] - label(tmp_path / 'b', [frame]).energies[0]

    def energy(model: ReferenceModel) -> float:
        sodium = frame.positions[frame.numbers == 11][0]
        images = np.array([[i, j, 0] for i in range(-3, 4) for j in range(-3, 4)]) @ frame.cell
        vectors = sodium - frame.positions[frame.numbers == 79][:, None] + images
        distances = np.linalg.norm(vectors, axis=2).ravel()

        def pair(r: np.ndarray) -> np.ndarray:
            ratio = (model.gold_sodium_distance / r) ** 6
            return 4 * model.gold_sodium_well_depth * units.KILOCALORIE_PER_MOL * (ratio**2 - ratio)

        inside = distances[distances < model.cutoff_radius]
        return float(np.sum(pair(inside) - pair(np.array(model.cutoff_radius))))

    assert measured == pytest.approx(energy(other) - energy(MODEL), abs=1e-7)


@pytest.mark.slow
def test_energy_does_not_depend_on_the_order_of_atoms_or_a_lateral_shift(tmp_path):
    frame = thermal_frame(tmp_path / 'dynamics', 1)
    order = np.random.default_rng(1).permutation(37)
    shuffled = replace(
        frame, **{n: getattr(frame, n)[order] for n in ('numbers', 'positions', 'forces', 'charges', 'velocities')}
    )
    shift = np.array([0.5 * frame.cell[0, 0], 0.0, 0.0])
    labels = label(tmp_path / 'labels', [frame, shuffled, replace(frame, positions=frame.positions + shift)])
    assert labels.energies[1] == pytest.approx(labels.energies[0], abs=1e-7)
    np.testing.assert_allclose(labels.forces[37:74], labels.forces[:37][order], atol=1e-5)
    # A shift moves atoms against the mesh: within its error
    assert labels.energies[2] == pytest.approx(labels.energies[0], abs=5e-3)


def stencil(frame: Frame, offsets: list[float]) -> list[Frame]:
    """Return copies of a frame whose metal carries more than the ions leave it."""
    n_ions = int((frame.numbers == 11).sum())
    return [replace(frame, columns={'metal_charge': -n_ions + offset}) for offset in offsets]


def test_neutral_cells_are_labelled_as_ever_whatever_column_says_so():
    frames = FrameSet.from_frames([replace(small_cell(n), columns={}) for n in (0, 1)])
    stated = frames.with_columns(metal_charge=np.array([0.0, -1.0]))
    plan = plan_labels(frames)
    assert plan == plan_labels(stated)
    assert label_files(frames, MODEL, plan) == label_files(stated, MODEL, plan)


def test_charges_of_one_geometry_are_groups_of_their_own_with_a_sheet():
    frames = FrameSet.from_frames(stencil(small_cell(1), [-0.25, 0.0, 0.25, -0.25]))
    plan = plan_labels(frames)
    assert [(group.frames, group.has_sheet) for group in plan.groups] == [
        ((0, 3), True),
        ((1,), False),
        ((2,), True),
    ]
    files = label_files(frames, MODEL, plan)
    script = files['in.lammps'].decode().split('clear\n')
    assert ['pair_coeff 5 5 0.0 1.0' in part for part in script[1:]] == [True, False, True]
    totals = [line.split()[3] for line in files['in.lammps'].decode().splitlines() if 'electrode/conq' in line]
    assert totals == ['electrode/conq'] * 3
    assert files['group_0000.data'].startswith(b'Interface of the reference model, units real\n\n46 atoms\n')
    atoms = files['group_0002.data'].decode().split('Atoms # full\n\n')[1].split('\n\n')[0].splitlines()
    assert sum(float(line.split()[3]) for line in atoms) == pytest.approx(0.0, abs=1e-9)


def test_film_without_room_for_the_counter_charge_is_refused():
    frame = stencil(small_cell(1), [0.25])[0]
    low = replace(frame, cell=np.diag([*np.diag(frame.cell)[:2], 18.0]))
    assert plan_labels(FrameSet.from_frames([low])).refused == {
        0: 'the metal carries 0.25 e more than the ions leave it, whose counter charge would lie 1.22 Å above the '
        'highest atom; enlarge the vacuum by 2.78 Å'
    }


def test_dynamics_of_a_cell_with_a_sheet_are_refused():
    job = MDJob(stencil(small_cell(1), [0.25])[0], SETTINGS, MODEL.to_dict(), {})
    message = (
        '^the metal carries 0.25 e more than the ions leave it, engine electrode runs neutral cells only; start from a '
        "frame without the columns 'metal_charge' and 'total_charge'$"
    )
    with pytest.raises(MDSettingsError, match=message):
        ElectrodeEngine().files(job)


@pytest.fixture(scope='module')
def charged_labels(tmp_path_factory) -> tuple[FrameSet, Labels]:
    """Return a film at three charges of its metal, and its labels."""
    frames = stencil(small_cell(1), [-0.25, 0.0, 0.25])
    accurate = ReferenceModel.from_dict({'electrostatic_accuracy': 1e-6})
    return FrameSet.from_frames(frames), label(tmp_path_factory.mktemp('stencil'), frames, accurate)


@pytest.mark.slow
def test_slope_of_the_energy_is_the_electrode_potential(charged_labels):
    _, labels = charged_labels
    slope = (labels.energies[2] - labels.energies[0]) / 0.5
    # Errors of the particle mesh: 1 meV in each energy. The dipole of this unrelaxed film makes the 26 V.
    assert slope == pytest.approx(labels.electrode_potential[1], abs=2e-3)
    steps = np.diff(labels.energies) / 0.25
    np.testing.assert_allclose(steps, (labels.electrode_potential[1:] + labels.electrode_potential[:-1]) / 2, atol=1e-2)


@pytest.mark.slow
def test_metal_carries_the_charge_that_is_asked_for(charged_labels):
    frames, labels = charged_labels
    metal = np.where(frames.numbers == 79, labels.charges, 0.0)
    np.testing.assert_allclose(np.add.reduceat(metal, frames.offsets[:-1]), [-1.25, -1.0, -0.75], atol=1e-9)


@pytest.mark.slow
def test_effective_charge_of_an_atom_is_its_fixed_charge(charged_labels):
    frames, labels = charged_labels
    forces = labels.forces.reshape(3, -1, 3)
    area = frames.cells[0, 0, 0] * frames.cells[0, 1, 1]
    response = area * units.VACUUM_PERMITTIVITY * (forces[2] - forces[0])[:, 2] / 0.5
    fixed = MODEL.charges([{79: 'Au', 8: 'O', 1: 'H', 11: 'Na'}[number] for number in frames.frame(0).numbers])
    liquid = frames.frame(0).numbers != 79
    # Next to the metal its charge is not a plane: 1e-3 e at 2.7 Å; a factor 1.01 would be 8e-3 e.
    np.testing.assert_allclose(response[liquid], fixed[liquid], atol=1.5e-3)
    assert response.sum() == pytest.approx(0.0, abs=1e-5)
