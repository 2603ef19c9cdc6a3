"""The gate in front of training: accepted and rejected together are all frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.frames import FrameSet
from aiida_edl.science.label_gate import Finding, GateSettings, LabelDiagnostics, gate_labels


def make_frames(n_frames: int = 20) -> FrameSet:
    """Return frames of two hydrogen atoms with thermal scatter of energies (10 meV/atom) and forces."""
    generator = np.random.default_rng(0)
    return FrameSet(
        numbers=np.ones(2 * n_frames, dtype=np.uint8),
        positions=np.tile([[1.0, 1.0, 1.0], [1.0, 1.0, 2.0]], (n_frames, 1)),
        offsets=2 * np.arange(n_frames + 1),
        cells=np.tile(np.eye(3) * 10.0, (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
        energies=-30.0 + 0.02 * generator.normal(size=n_frames),
        forces=np.kron(generator.normal(size=(n_frames, 3)), [[1.0], [-1.0]]),
    )


def all_converged(frames: FrameSet, **others) -> LabelDiagnostics:
    """Return what an engine says of labels that are as they should be."""
    return LabelDiagnostics(converged=np.ones(len(frames), dtype=bool), **others)


def test_good_labels_pass():
    frames = make_frames()
    report = gate_labels(frames, all_converged(frames))
    assert report.accepted.tolist() == list(range(20))
    assert report.rejected == ()


def reasons(report) -> dict[int, str]:
    """Return why frames were rejected by their indices."""
    return {rejection.frame: rejection.reason for rejection in report.rejected}


def flags(frames: FrameSet, *failed: int) -> np.ndarray:
    """Return which calculations converged."""
    return ~np.isin(np.arange(len(frames)), failed)


def test_unconverged_label_is_rejected():
    frames = make_frames()
    report = gate_labels(frames, LabelDiagnostics(converged=flags(frames, 3)))
    assert reasons(report) == {3: 'the calculation did not converge'}


def test_frame_without_a_label_has_the_reason_of_the_engine_alone():
    frames = make_frames()
    energies, forces = frames.energies.copy(), frames.forces.copy()
    energies[5], forces[10:12] = np.nan, np.nan
    known = LabelDiagnostics(converged=flags(frames, 5), failures={5: 'CP2K aborted'})
    report = gate_labels(replace(frames, energies=energies, forces=forces), known)
    assert [rejection.findings for rejection in report.rejected] == [(Finding('label', 'CP2K aborted'),)]


def test_label_that_is_no_number_is_rejected():
    frames = make_frames()
    energies, forces = frames.energies.copy(), frames.forces.copy()
    energies[5], forces[10] = np.nan, np.inf
    report = gate_labels(replace(frames, energies=energies, forces=forces), all_converged(frames))
    assert reasons(report) == {5: 'energies hold values that are not finite; forces hold values that are not finite'}


def test_calculation_that_used_all_its_steps_is_rejected_whatever_its_flag_says():
    frames = make_frames()
    steps, limits = np.full(20, 30.0), np.full(20, 60.0)
    steps[::10] = 60.0
    report = gate_labels(frames, all_converged(frames, n_scf_steps=steps, maximum_scf_steps=limits))
    reason = 'the self-consistent field used 60 steps of at most 60'
    assert [rejection.findings for rejection in report.rejected] == [(Finding('scf_steps', reason, 60.0, 60.0),)] * 2
    assert [rejection.frame for rejection in report.rejected] == [0, 10]


def test_large_force_is_rejected_with_value_and_limit():
    frames = make_frames()
    forces = frames.forces.copy()
    forces[14:16] = [[0.0, 30.0, 40.0], [0.0, -30.0, -40.0]]
    (rejection,) = gate_labels(replace(frames, forces=forces), all_converged(frames)).rejected
    reason = 'the largest force is 50 eV/Å, the cap is 30 eV/Å'
    assert (rejection.frame, rejection.findings) == (7, (Finding('force_cap', reason, 50.0, 30.0),))


def test_forces_that_do_not_add_up_to_zero_are_rejected():
    frames = make_frames()
    forces = frames.forces.copy()
    forces[14:16] = [[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]]
    report = gate_labels(replace(frames, forces=forces), all_converged(frames))
    assert reasons(report) == {7: 'the sum of all forces is 5 eV/Å, the cap is 1 eV/Å'}


def test_atoms_on_top_of_each_other_are_rejected():
    frames = make_frames()
    positions = frames.positions.copy()
    positions[6:8] = [[0.1, 5.0, 5.0], [9.8, 5.0, 5.0]]  # 0.3 Å apart through the face of the cell
    report = gate_labels(replace(frames, positions=positions), all_converged(frames))
    assert reasons(report) == {3: 'atoms H 0 and H 1 are 0.3 Å apart, below 0.5 Å'}


def test_three_bad_labels_of_ten_thousand_cost_three():
    frames = make_frames(10_000)
    energies, converged = frames.energies.copy(), np.ones(10_000, dtype=bool)
    energies[17], converged[4711] = np.nan, False
    forces = frames.forces.copy()
    forces[2 * 9999] = [0.0, 0.0, 99.0]
    report = gate_labels(replace(frames, energies=energies, forces=forces), LabelDiagnostics(converged=converged))
    assert [rejection.frame for rejection in report.rejected] == [17, 4711, 9999]
    assert len(report.accepted) == 9997


def test_electrons_that_contradict_atoms_and_charge_are_rejected():
    frames = make_frames()
    found, expected = np.full(20, 2.0), np.full(20, 2.0)
    found[4] = 1.0
    report = gate_labels(frames, all_converged(frames, n_electrons=found, expected_electrons=expected))
    assert reasons(report) == {
        4: 'the calculation had 1 electrons, atoms and total charge make 2; check the total charge'
    }


def test_field_in_the_vacuum_of_a_film_is_rejected_and_no_vacuum_is_not():
    frames = make_frames()
    fields = np.full((20, 2), np.nan)
    fields[3], fields[4] = [0.001, -0.137], [0.019, -0.019]
    report = gate_labels(frames, all_converged(frames, vacuum_fields=fields))
    assert reasons(report) == {
        3: 'the vacuum is not free of field: 0.001 V/Å below and -0.137 V/Å above the film, the cap is 0.02 V/Å'
    }
    assert report.rejected[0].findings[0].value == pytest.approx(0.137)


def test_energy_outlier_is_rejected():
    frames = make_frames()
    energies = frames.energies.copy()
    energies[2] += 1.0
    ((index, reason),) = reasons(gate_labels(replace(frames, energies=energies), all_converged(frames))).items()
    per_atom = energies / 2
    deviations = np.abs(per_atom - np.median(per_atom))
    limit = 8 * 1.4826 * np.median(deviations)
    assert index == 2
    assert reason == (
        f'the energy lies {deviations[2]:.4g} eV/atom from the median of its composition, '
        f'the limit is {limit:.4g} eV/atom'
    )


def test_outliers_are_counted_per_composition():
    """Two compositions whose energies differ by 100 eV are no outliers of each other."""
    frames, other = make_frames(), make_frames()
    heavy = replace(other, numbers=np.full_like(other.numbers, 8), energies=other.energies - 100.0)
    both = FrameSet.concatenate([frames, heavy])
    assert not gate_labels(both, all_converged(both)).rejected


def test_equal_energies_are_no_outliers():
    frames = replace(make_frames(), energies=np.full(20, -30.0))
    assert not gate_labels(frames, all_converged(frames)).rejected


def test_few_frames_are_not_screened_and_the_report_says_so():
    frames = make_frames(3)
    assert gate_labels(frames, all_converged(frames)).notes[-1] == (
        '3 frames were not screened for energy outliers: their composition occurs in fewer than 8 frames'
    )


def test_what_is_not_recorded_is_noted():
    films = replace(make_frames(), pbc=np.tile([True, True, False], (20, 1)))
    assert gate_labels(films).notes == (
        'the labels carry no record of convergence, so it was not checked',
        'the labels carry no record of the steps of the self-consistent field, so it was not checked',
        'the labels carry no record of the number of electrons, so it was not checked',
        'the labels carry no record of the field in the vacuum of films, so it was not checked',
    )


def test_films_without_a_record_of_their_field_are_counted():
    films = replace(make_frames(), pbc=np.tile([True, True, False], (20, 1)))
    fields = np.zeros((20, 2))
    fields[:3] = np.nan
    notes = gate_labels(films, all_converged(films, vacuum_fields=fields)).notes
    assert notes[-1] == 'the labels carry no record of the field in the vacuum of 3 films, so it was not checked'


def test_charged_cells_are_no_outliers_among_neutral_ones():
    """One in five has lost an electron, which costs 5 eV."""
    frames = make_frames(100)
    charges = np.where(np.arange(100) % 5, 0.0, 1.0)
    charged = replace(frames, energies=frames.energies + 5.0 * charges).with_columns(total_charge=charges)
    assert not gate_labels(charged, all_converged(charged)).rejected


def test_settings_move_the_limits():
    frames = make_frames()
    report = gate_labels(frames, all_converged(frames), GateSettings(force_cap=0.1))
    assert len(report.rejected) == len(frames)


def test_unlabelled_frames_are_refused():
    message = '^the gate needs labels, the frames have no energies and no forces; label them first$'
    with pytest.raises(ValueError, match=message):
        gate_labels(make_frames().without_labels())


def test_wrong_number_of_flags_is_refused():
    with pytest.raises(ValueError, match=r"^'converged' has shape \(3,\), expected \(20,\): one row per frame$"):
        gate_labels(make_frames(), LabelDiagnostics(converged=np.ones(3, dtype=bool)))


def test_setting_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"^gate setting 'force_cap' is -1.0, it must be positive$"):
        GateSettings(force_cap=-1.0)


def test_deviation_below_the_floor_is_no_outlier():
    energies = np.full(20, -30.0)
    energies[4] += 0.008  # 4 meV/atom, the floor is 5
    frames = replace(make_frames(), energies=energies)
    assert not gate_labels(frames, all_converged(frames)).rejected
