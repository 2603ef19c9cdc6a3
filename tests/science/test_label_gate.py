"""The gate in front of training: accepted and rejected together are all frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.frames import FrameSet
from aiida_edl.science.label_gate import GateSettings, gate_labels


def make_frames(n_frames: int = 20) -> FrameSet:
    """Return frames of two hydrogen atoms with thermal scatter of energies (10 meV/atom) and forces."""
    generator = np.random.default_rng(0)
    return FrameSet(
        numbers=np.ones(2 * n_frames, dtype=np.uint8),
        positions=generator.normal(size=(2 * n_frames, 3)),
        offsets=2 * np.arange(n_frames + 1),
        cells=np.tile(np.eye(3) * 10.0, (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
        energies=-30.0 + 0.02 * generator.normal(size=n_frames),
        forces=generator.normal(size=(2 * n_frames, 3)),
    )


def all_converged(frames: FrameSet) -> np.ndarray:
    """Return a flag per frame."""
    return np.ones(len(frames), dtype=bool)


def test_good_labels_pass():
    frames = make_frames()
    report = gate_labels(frames, all_converged(frames))
    assert report.accepted.tolist() == list(range(20))
    assert (report.rejected, report.notes) == ((), ())


def test_unconverged_label_is_rejected():
    frames = make_frames()
    converged = all_converged(frames)
    converged[3] = False
    report = gate_labels(frames, converged)
    assert report.rejected == ((3, 'the calculation did not converge'),)


def test_failed_label_of_not_a_numbers_gives_all_reasons():
    frames = make_frames()
    energies, forces, converged = frames.energies.copy(), frames.forces.copy(), all_converged(frames)
    energies[5], forces[10:12], converged[5] = np.nan, np.nan, False
    report = gate_labels(replace(frames, energies=energies, forces=forces), converged)
    reason = (
        'the calculation did not converge; energies hold values that are not finite; '
        'forces hold values that are not finite'
    )
    assert report.rejected == ((5, reason),)


def test_large_force_is_rejected():
    frames = make_frames()
    forces = frames.forces.copy()
    forces[15] = [0.0, 30.0, 40.0]
    report = gate_labels(replace(frames, forces=forces), all_converged(frames))
    assert report.rejected == ((7, 'the largest force is 50 eV/Å, the cap is 30 eV/Å'),)


def test_energy_outlier_is_rejected():
    frames = make_frames()
    energies = frames.energies.copy()
    energies[2] += 1.0
    ((index, reason),) = gate_labels(replace(frames, energies=energies), all_converged(frames)).rejected
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
    assert gate_labels(frames, all_converged(frames)).notes == (
        '3 frames were not screened for energy outliers: their composition occurs in fewer than 8 frames',
    )


def test_missing_record_of_convergence_is_noted():
    assert gate_labels(make_frames()).notes == ('the labels carry no record of convergence, so it was not checked',)


def test_settings_move_the_limits():
    frames = make_frames()
    report = gate_labels(frames, all_converged(frames), GateSettings(force_cap=0.1))
    assert len(report.rejected) == len(frames)


def test_unlabelled_frames_are_refused():
    message = '^the gate needs labels, the frames have no energies and no forces; label them first$'
    with pytest.raises(ValueError, match=message):
        gate_labels(make_frames().without_labels())


def test_wrong_number_of_flags_is_refused():
    with pytest.raises(ValueError, match=r"^'converged' has shape \(3,\), expected \(20,\): one flag per frame$"):
        gate_labels(make_frames(), [True] * 3)


def test_setting_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"^gate setting 'force_cap' is -1.0, it must be positive$"):
        GateSettings(force_cap=-1.0)


def test_deviation_below_the_floor_is_no_outlier():
    energies = np.full(20, -30.0)
    energies[4] += 0.008  # 4 meV/atom, the floor is 5
    frames = replace(make_frames(), energies=energies)
    assert not gate_labels(frames, all_converged(frames)).rejected
