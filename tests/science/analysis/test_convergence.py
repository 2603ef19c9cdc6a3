"""Statements on runs of which is known how long they would have to be."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.convergence import Convergence, convergence
from aiida_edl.science.analysis.convergence_settings import ConvergenceSettings, ConvergenceSettingsError
from aiida_edl.science.analysis.interface_profiles import interface_profiles
from aiida_edl.science.analysis.interface_series import interface_series
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.trajectory_parts import replica_ranges, trajectory_parts
from aiida_edl.science.frames import FrameSet

from .synthetic import TOP, WIDTH, directions, film, frame, lattice


def run(n_frames: int, seed: int = 1, **options: object) -> FrameSet:
    """Return independent frames every 10 fs."""
    return film(n_frames, seed, columns={'time': 10.0 * np.arange(n_frames)}, **options)


def row_of(result: Convergence, name: str) -> dict[str, object]:
    """Return the numbers and the statement of one observable."""
    index = result.observables.index(name)
    numbers = {key: value[index] for key, value in result.arrays().items()}
    return {**numbers, 'statement': result.statements[index]}


def temperatures(n_samples: int, spread: float, seed: int = 1) -> dict[str, np.ndarray]:
    """Return thermodynamic series of independent temperatures around 330 K."""
    values = 330.0 + spread * np.random.default_rng(seed).normal(size=n_samples)
    return {'time': 10.0 * np.arange(n_samples), 'temperature': values, 'potential_energy': np.full(n_samples, -5.0)}


def test_independent_frames():
    result = convergence(run(200))
    row = row_of(result, 'first_layer_mean_cosine')
    assert row['correlation_time'] == pytest.approx(5.0, abs=3 * row['correlation_time_error'])
    assert row['n_independent'] == pytest.approx(200, rel=0.3)
    assert abs(row['drift']) < 3.5
    assert result.observables == (
        'first_layer_count',
        'first_layer_mean_cosine',
        'ion_height',
        'solvent_dipole',
        'potential_step',
    )


def test_means_and_errors_are_those_of_the_profiles():
    frames = run(100)
    result, profiles = convergence(frames), interface_profiles(frames)
    row = row_of(result, 'first_layer_mean_cosine')
    assert row['mean'] == pytest.approx(profiles.first_layer_mean_cosine)
    assert row['error'] == pytest.approx(profiles.first_layer_mean_cosine_error)


def test_how_much_longer():
    """400 samples of 20 K give 1 K: for half of it, four times as long is needed."""
    result = convergence(run(50), ConvergenceSettings(temperature=0.5), temperatures(400, 20.0))
    row = row_of(result, 'temperature')
    assert row['error'] == pytest.approx(1.0, rel=0.15)
    assert row['length_factor'] == pytest.approx((row['error'] / 0.5) ** 2)
    assert (row['is_enough'], row['length']) == (False, 4000.0)
    expected = f'temperature is known to {row["error"]:.2g} K; {row["length_factor"]:.1f} times longer needed for 0.5 K'
    assert row['statement'] == expected


def test_long_enough():
    row = row_of(convergence(run(50), ConvergenceSettings(temperature=2.0), temperatures(400, 20.0)), 'temperature')
    assert row['is_enough']
    assert row['statement'] == f'temperature is known to {row["error"]:.2g} K, wanted was 2 K: long enough'


def test_too_few_independent_samples():
    series = temperatures(400, 20.0)
    series['temperature'] = np.repeat(series['temperature'][:10], 40)
    row = row_of(convergence(run(50), None, series), 'temperature')
    assert not row['is_enough']
    assert row['length_factor'] >= 25.0 / row['n_independent'] > 1.0
    assert row['statement'].startswith(f'temperature: {row["n_independent"]:.1f} independent samples are too few')


def test_run_that_has_not_settled():
    """Two halves that differ by half a standard deviation, with little correlation within."""
    series = temperatures(4000, 20.0)
    series['temperature'][2000:] += 6.0
    row = row_of(convergence(run(50), ConvergenceSettings(minimum_independent=5.0), series), 'temperature')
    assert row['drift'] > 3.0
    assert row['statement'].startswith('temperature has not settled: its halves differ by')


def test_what_never_changes_is_said():
    row = row_of(convergence(run(50), None, temperatures(50, 20.0)), 'potential_energy')
    assert (np.isnan(row['error']), row['is_enough']) == (True, False)
    expected = 'potential_energy never changes in one of the replicas: nothing can be said on its error'
    assert row['statement'] == expected


def test_what_is_missing_is_listed():
    assert convergence(run(20, n_ions=0)).not_assessed == (
        'ion_height: the frames do not hold it',
        'temperature: no thermodynamic series was given',
        'potential_energy: no thermodynamic series was given',
    )


def test_potential_step_of_an_ion_and_of_dipoles():
    """An ion at 5 Å: 5 e Å over ε0 A; waters that point away from the metal add their dipoles."""
    settings = ConvergenceSettings(hydrogen_charge=0.5)
    oxygen = np.column_stack([lattice(), np.full(9, TOP + 3.0)])
    items = [frame(oxygen, directions(np.full(9, 1.0)), np.array([[1.0, 1.0, TOP + 5.0]]), is_film=True)] * 8
    frames = FrameSet.from_frames(items)
    (part,), _ = trajectory_parts(frames, replica_ranges(frames, settings), settings, ion=None)
    series = interface_series(frames, part, settings)
    dipole = 9 * 2 * 0.5 * 0.96 * np.cos(np.radians(104.5 / 2))
    assert series['solvent_dipole'] == pytest.approx(np.full(8, dipole))
    assert series['ion_height'] == pytest.approx(np.full(8, 5.0))
    expected = (5.0 + dipole) / (units.VACUUM_PERMITTIVITY * WIDTH**2)
    assert series['potential_step'] == pytest.approx(np.full(8, expected))


def test_replicas_and_equilibration():
    joined = FrameSet.concatenate([run(60, 1), run(60, 2)])
    result = convergence(joined, ConvergenceSettings(equilibration_frames=10))
    assert (result.n_replicas, result.n_frames) == (2, 100)
    assert row_of(result, 'first_layer_count')['length'] == 1000.0


def test_result_survives_storage():
    result = convergence(run(20), None, temperatures(20, 10.0))
    again = Convergence.from_parts(result.arrays(), result.scalars())
    assert again.scalars() == result.scalars()


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        (run(7), 'a replica has 7 frames; halves of a run need at least 8 frames together'),
        (
            run(8).replaced_columns({}),
            "the frames carry no column 'time' [fs], without which they have no length",
        ),
    ],
)
def test_frames_that_are_no_run(frames, message):
    with pytest.raises(NotAnalysableError) as error:
        convergence(frames)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'temperatur': 1.0}, "unknown setting of the convergence 'temperatur'"),
        ({'temperature': 0.0}, 'temperature is 0.0, it must be positive'),
        ({'equilibration_frames': -1}, 'equilibration_frames is -1, it must not be negative'),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(ConvergenceSettingsError) as error:
        ConvergenceSettings.from_dict(values)
    assert str(error.value).startswith(message)
