"""Errors of a potential."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from aiida_edl.science.analysis.error_metrics import EnergyZero, error_metrics, frame_blocks
from aiida_edl.science.analysis.error_settings import ErrorSettings, ErrorSettingsError
from aiida_edl.science.frames import Frame, FrameSet

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


def salt(counts: list[tuple[int, int]], seed: int = 1) -> FrameSet:
    """Return labelled boxes of lithium and fluorine atoms, as many of each as is told."""
    random = np.random.default_rng(seed)
    return FrameSet.from_frames(
        [
            Frame(
                numbers=np.array([3] * n_lithium + [9] * n_fluorine, dtype=np.uint8),
                positions=random.uniform(0, 8, (n_lithium + n_fluorine, 3)),
                cell=np.eye(3) * 8.0,
                pbc=np.ones(3, dtype=bool),
                energy=float(random.normal()),
                forces=random.normal(size=(n_lithium + n_fluorine, 3)),
            )
            for n_lithium, n_fluorine in counts
        ]
    )


def shifted(frames: FrameSet, lithium: float, fluorine: float) -> np.ndarray:
    """Return the energies of the frames in another zero [eV]."""
    counts = np.add.reduceat(np.stack([frames.numbers == 3, frames.numbers == 9], axis=1), frames.offsets[:-1])
    return frames.energies + counts @ [lithium, fluorine]


COMPOSITIONS = [(4, 4), (5, 4), (4, 5), (8, 8), (9, 8), (3, 4)]


def fitted(frames: FrameSet, energies: np.ndarray, **changes):
    return error_metrics(frames, energies, frames.forces, energy_zero=EnergyZero.FITTED_PER_ELEMENT, **changes)


def test_another_zero_of_energy_is_no_error_after_a_fit_and_is_given():
    frames = salt(COMPOSITIONS)
    energies = shifted(frames, 191.5, -660.25)
    metrics = fitted(frames, energies)
    assert metrics.row().energy_rmse_ev_per_atom == pytest.approx(0.0, abs=1e-10)
    summary = metrics.summary()
    assert summary['energy_shifts_ev'] == {'Li': pytest.approx(191.5), 'F': pytest.approx(-660.25)}
    assert (summary['energy_zero'], summary['n_fitted_energies']) == ('fitted_per_element', 2)
    assert summary['undetermined_energy_shifts'] == []
    assert error_metrics(frames, energies, frames.forces).row().energy_rmse_ev_per_atom > 100.0


def test_one_composition_leaves_the_scatter_about_the_mean_difference():
    """Its only degree of freedom is the mean: the error is the standard deviation of the differences per atom."""
    frames = salt([(4, 4)] * 5)
    differences = np.array([0.8, 0.0, -0.8, 1.6, -1.6])
    metrics = fitted(frames, shifted(frames, 10.0, -3.0) + differences)
    assert metrics.row().energy_rmse_ev_per_atom == pytest.approx(np.std(differences) / 8, rel=1e-9)
    assert metrics.row().energy_mae_ev_per_atom == pytest.approx(0.12, rel=1e-9)
    assert metrics.row().energy_signed_error_ev_per_atom == pytest.approx(0.0, abs=1e-12)
    assert (metrics.summary()['n_fitted_energies'], metrics.summary()['undetermined_energy_shifts']) == (1, ['Li', 'F'])


def test_errors_after_a_fit_do_not_depend_on_the_zero_of_the_model():
    frames = salt(COMPOSITIONS)
    noise = np.random.default_rng(3).normal(size=len(frames))
    first, second = (fitted(frames, shifted(frames, *zero) + noise) for zero in ((0.0, 0.0), (-7.0, 300.0)))
    assert second.row().energy_rmse_ev_per_atom == pytest.approx(first.row().energy_rmse_ev_per_atom, rel=1e-8)
    assert second.row().energy_rmse_error_ev_per_atom == pytest.approx(
        first.row().energy_rmse_error_ev_per_atom, rel=1e-8
    )


def test_no_other_energies_of_elements_give_a_smaller_error_per_atom():
    frames = salt(COMPOSITIONS)
    energies = shifted(frames, 2.0, -1.0) + np.random.default_rng(3).normal(size=len(frames))
    metrics = fitted(frames, energies)
    best, (lithium, fluorine) = metrics.row().energy_rmse_ev_per_atom, metrics.energy_shifts.energies.values()
    for step in ((1e-3, 0.0), (-1e-3, 0.0), (0.0, 1e-3), (0.0, -1e-3), (1e-3, -1e-3), (-1e-3, 1e-3)):
        moved = shifted(dataclasses.replace(frames, energies=energies), -lithium - step[0], -fluorine - step[1])
        assert error_metrics(frames, moved, frames.forces).row().energy_rmse_ev_per_atom > best


def test_forces_and_frames_that_failed_are_untouched_by_a_fit():
    frames = salt(COMPOSITIONS)
    energies = shifted(frames, 191.5, -660.25)
    energies[2] = np.nan
    metrics = fitted(frames, energies)
    assert (metrics.failed_frames, metrics.n_frames) == ((2,), 5)
    assert metrics.row().energy_rmse_ev_per_atom == pytest.approx(0.0, abs=1e-10)
    assert metrics.row().force_rmse_ev_per_angstrom == 0.0


def test_fit_that_leaves_nothing_is_refused():
    frames = salt([(4, 4), (5, 4)])
    message = (
        '^2 frames of 2 independent compositions are fitted exactly by energies of the elements, which leaves no '
        "error; give more than 2 frames, or compare energies 'as_predicted'$"
    )
    with pytest.raises(ValueError, match=message):
        fitted(frames, frames.energies)


def test_summary_without_a_fit_says_nothing_of_one():
    reference = labelled(6)
    summary = error_metrics(reference, reference.energies, reference.forces).summary()
    assert not [key for key in summary if 'shift' in key or 'zero' in key]


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'energy_zer': 'x'},
            "unknown setting of errors 'energy_zer': did you mean 'energy_zero'? Known: energy_zero.",
        ),
        (
            {'energy_zero': 'fitted'},
            "unknown energy_zero of errors 'fitted': did you mean 'fitted_per_element'? Known: as_predicted, "
            'fitted_per_element.',
        ),
    ],
)
def test_wrong_setting_is_refused(values, message):
    with pytest.raises(ErrorSettingsError) as caught:
        ErrorSettings.from_dict(values)
    assert str(caught.value) == message
