"""Errors of a potential."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from aiida_edl.science.analysis.error_metrics import error_metrics, frame_blocks
from aiida_edl.science.frames import FrameSet

from . import synthetic


def labelled(n_frames: int, n_ions: int = 2, seed: int = 1) -> FrameSet:
    """Film with random labels."""
    frames = synthetic.film(n_frames, seed, n_ions)
    random = np.random.default_rng(seed)
    return dataclasses.replace(
        frames, energies=random.normal(size=n_frames), forces=random.normal(size=(len(frames.numbers), 3))
    )


def both_states(n_frames: int) -> FrameSet:
    """Frames without ions, then with two."""
    return FrameSet.concatenate([labelled(n_frames, 0), labelled(n_frames, 2)])


def test_perfect_predictions_have_no_error():
    reference = labelled(6)
    metrics = error_metrics(reference, reference.energies, reference.forces)
    row = metrics.row()
    assert (row.energy_rmse_ev_per_atom, row.force_rmse_ev_per_angstrom) == (0.0, 0.0)
    assert row.force_rmse_error_ev_per_angstrom == 0.0


def test_energy_error_is_per_atom():
    reference = labelled(6)
    n_atoms = int(reference.offsets[1])
    row = error_metrics(reference, reference.energies + 0.5, reference.forces).row()
    assert row.energy_rmse_ev_per_atom == pytest.approx(0.5 / n_atoms, rel=1e-12)
    assert row.energy_mae_ev_per_atom == pytest.approx(0.5 / n_atoms, rel=1e-12)
    assert row.energy_signed_error_ev_per_atom == pytest.approx(0.5 / n_atoms, rel=1e-12)


def test_force_error_is_of_components_not_of_vectors():
    reference = labelled(6)
    row = error_metrics(reference, reference.energies, reference.forces + np.array([0.3, 0.0, 0.0])).row()
    assert row.force_rmse_ev_per_angstrom == pytest.approx(0.3 / np.sqrt(3), rel=1e-12)
    assert row.force_mae_ev_per_angstrom == pytest.approx(0.1, rel=1e-12)
    assert row.n_force_components == 3 * len(reference.numbers)


def test_scale_of_the_reference_forces_is_given():
    reference = labelled(6)
    row = error_metrics(reference, reference.energies, reference.forces).row()
    assert row.reference_force_rms_ev_per_angstrom == pytest.approx(np.sqrt(np.mean(reference.forces**2)), rel=1e-12)


def test_errors_are_told_apart_by_element_and_region():
    reference = labelled(6)
    forces = reference.forces + np.where(reference.numbers == 11, 0.2, 0.0)[:, None]
    metrics = error_metrics(reference, reference.energies, forces)
    assert metrics.row('element', 'Na').force_rmse_ev_per_angstrom == pytest.approx(0.2, rel=1e-12)
    assert metrics.row('region', 'ion').force_rmse_ev_per_angstrom == pytest.approx(0.2, rel=1e-12)
    for scope, name in (('element', 'O'), ('element', 'Au'), ('region', 'metal'), ('region', 'bulk')):
        assert metrics.row(scope, name).force_rmse_ev_per_angstrom == 0.0


def test_mobile_atoms_are_all_but_the_metal():
    reference = labelled(6)
    forces = reference.forces + np.where(reference.numbers == 79, 9.0, 0.1)[:, None]
    metrics = error_metrics(reference, reference.energies, forces)
    assert metrics.row('region', 'mobile').force_rmse_ev_per_angstrom == pytest.approx(0.1, rel=1e-12)
    assert metrics.row('region', 'metal').force_rmse_ev_per_angstrom == pytest.approx(9.0, rel=1e-12)
    assert metrics.row().force_rmse_ev_per_angstrom > 1.0


def test_metal_alone_has_no_mobile_atoms():
    frames = labelled(6)
    metal = dataclasses.replace(frames, numbers=np.full_like(frames.numbers, 79))
    summary = error_metrics(metal, metal.energies + 0.1, metal.forces).summary()
    assert summary['mobile_force_rmse_ev_per_angstrom'] is None
    assert summary['force_rmse_ev_per_angstrom'] == 0.0


def test_parts_of_the_atoms_have_no_energy():
    reference = labelled(6)
    row = error_metrics(reference, reference.energies, reference.forces).row('region', 'mobile')
    assert np.isnan(row.energy_rmse_ev_per_atom)


def test_shift_of_a_charge_state_shows_in_its_signed_error():
    reference = both_states(5)
    n_atoms = np.diff(reference.offsets)
    shift = np.repeat([0.01, -0.02], 5)
    metrics = error_metrics(reference, reference.energies + shift * n_atoms, reference.forces)
    signed = {name: metrics.row('charge_state', name, name).energy_signed_error_ev_per_atom for name in ('0', '2Na')}
    assert signed == {'0': pytest.approx(0.01, rel=1e-9), '2Na': pytest.approx(-0.02, rel=1e-9)}
    assert metrics.row().energy_rmse_ev_per_atom == pytest.approx(np.sqrt((0.01**2 + 0.02**2) / 2), rel=1e-9)


def test_regions_are_told_apart_by_charge_state():
    reference = both_states(5)
    forces = reference.forces.copy()
    forces[reference.offsets[5] :] += 0.5
    metrics = error_metrics(reference, reference.energies, forces)
    assert metrics.row('region', 'mobile', '0').force_rmse_ev_per_angstrom == 0.0
    assert metrics.row('region', 'mobile', '2Na').force_rmse_ev_per_angstrom == pytest.approx(0.5, rel=1e-12)


def test_frames_weigh_the_same_in_any_order():
    reference = both_states(5)
    random = np.random.default_rng(4)
    energies = reference.energies + random.normal(size=10)
    forces = reference.forces + random.normal(size=reference.forces.shape)
    order = random.permutation(10)
    predicted = dataclasses.replace(reference, energies=energies, forces=forces).select(order)
    first = error_metrics(reference, energies, forces)
    second = error_metrics(reference.select(order), predicted.energies, predicted.forces)
    for row in first.rows:
        other = second.row(row.scope, row.name, row.charge_state)
        assert other.force_rmse_ev_per_angstrom == pytest.approx(row.force_rmse_ev_per_angstrom, rel=1e-12)


def test_error_bar_is_the_scatter_over_repeated_test_sets():
    values, errors = [], []
    base = synthetic.film(200, seed=1, n_ions=0)
    base = dataclasses.replace(base, energies=np.zeros(200), forces=np.zeros((len(base.numbers), 3)))
    n_atoms = int(base.offsets[1])
    for seed in range(60):
        deviations = np.random.default_rng(seed).normal(size=200) * n_atoms
        row = error_metrics(base, deviations, base.forces, seed=seed).row()
        values.append(row.energy_rmse_ev_per_atom)
        errors.append(row.energy_rmse_error_ev_per_atom)
    # RMSE of n normal numbers scatters by 1/sqrt(2 n) = 0.05; the scatter of 60 sets is known to 9 %, three of these.
    assert np.std(values) == pytest.approx(0.05, rel=0.28)
    assert np.mean(errors) == pytest.approx(0.05, rel=0.1)


def test_blocks_are_successive_frames_of_one_group():
    frames = synthetic.film(30, seed=1, columns={'group': np.array(['a', 'b'] * 13 + ['c'] * 4)})
    blocks = frame_blocks(frames)
    # Thirteen frames of a and b: blocks of three; the small group c is one block.
    assert blocks[0:26:2].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert blocks[26:].tolist() == [10, 10, 10, 10]


def test_correlated_frames_enlarge_the_error_bar():
    base = synthetic.film(512, seed=1, n_ions=0)
    base = dataclasses.replace(base, energies=np.zeros(512), forces=np.zeros((len(base.numbers), 3)))
    random = np.random.default_rng(3).normal(size=64) * int(base.offsets[1])
    slow = error_metrics(base, np.repeat(random, 8), base.forces).row()
    # 64 independent values: 1/sqrt(128) = 0.088, to the 9 % of one set; 512 would give 0.031.
    assert slow.energy_rmse_error_ev_per_atom == pytest.approx(0.088 * slow.energy_rmse_ev_per_atom, rel=0.3)


def test_charge_state_in_one_block_has_no_error_bar():
    """Two blocks in all, but each state lies in one of them: its spread over blocks is unknown, not zero."""
    frames = FrameSet.concatenate([labelled(2, n).with_columns(group=n) for n in (0, 2)])
    metrics = error_metrics(frames, frames.energies + 0.1, frames.forces)
    assert metrics.n_blocks == 2
    rows = [row for row in metrics.rows if row.scope == 'charge_state']
    assert len(rows) == 2
    assert all(np.isnan(row.energy_rmse_error_ev_per_atom) for row in rows)


def test_one_block_has_no_error_bar():
    reference = labelled(1)
    assert np.isnan(error_metrics(reference, reference.energies, reference.forces).row().energy_rmse_error_ev_per_atom)


def test_failed_predictions_are_left_out_and_listed():
    reference = labelled(10)
    energies, forces = reference.energies.copy(), reference.forces.copy()
    energies[3] = np.nan
    forces[reference.offsets[7]] = np.nan
    metrics = error_metrics(reference, energies, forces)
    assert (metrics.failed_frames, metrics.n_frames, metrics.row().force_rmse_ev_per_angstrom) == ((3, 7), 8, 0.0)


def test_failure_of_every_prediction_is_refused():
    reference = labelled(3)
    with pytest.raises(ValueError, match=r'^not one of 3 frames has a finite prediction; errors need at least one$'):
        error_metrics(reference, np.full(3, np.nan), reference.forces)


def test_unlabelled_frames_are_refused():
    reference = labelled(2)
    message = '^errors need reference energies and forces, the given frames are not labelled$'
    with pytest.raises(ValueError, match=message):
        error_metrics(reference.without_labels(), reference.energies, reference.forces)


def test_wrong_shapes_are_refused():
    reference = labelled(2)
    with pytest.raises(ValueError, match=r"^predicted 'energies' have shape \(1,\), the reference has \(2,\)$"):
        error_metrics(reference, reference.energies[:1], reference.forces)


def test_unknown_row_is_an_error():
    reference = labelled(2)
    with pytest.raises(KeyError, match="no errors for scope 'element', name 'Fe', charge state 'all'"):
        error_metrics(reference, reference.energies, reference.forces).row('element', 'Fe')


def test_table_and_summary_are_json():
    reference = labelled(6)
    metrics = error_metrics(reference, reference.energies + 1.0, reference.forces + 0.1)
    table = json.loads(json.dumps(metrics.table(), allow_nan=False))
    assert {'scope', 'name', 'charge_state', 'energy_rmse_ev_per_atom', 'force_rmse_ev_per_angstrom'} <= set(table[0])
    assert json.loads(json.dumps(metrics.summary(), allow_nan=False))['mobile_force_rmse_ev_per_angstrom'] == (
        pytest.approx(0.1, rel=1e-12)
    )
