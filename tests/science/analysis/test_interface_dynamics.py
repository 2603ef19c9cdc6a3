"""Dynamics of waters that hop, turn and dissociate as told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.dynamics_settings import DynamicsSettings, DynamicsSettingsError
from aiida_edl.science.analysis.interface_dynamics import InterfaceDynamics, interface_dynamics
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import FrameSet

from .synthetic import BOTTOM, HEIGHT, TOP, film, frame, lattice

LEAVE, RETURN = 0.1, 0.05
INTERVAL = 10.0


def still(n_frames: int, seed: int = 1, **options: object) -> FrameSet:
    """Return waters that stay in their layers and point anywhere in each frame."""
    return film(n_frames, seed, columns={'time': INTERVAL * np.arange(n_frames)}, **options)


def hopping(n_frames: int, seed: int) -> FrameSet:
    """Return nine waters that hop between the first and the second layer, a Markov chain."""
    random = np.random.default_rng(seed)
    is_near = random.random(9) < RETURN / (RETURN + LEAVE)
    vectors = random.normal(size=(9, 3))
    frames = []
    for index in range(n_frames):
        heights = np.where(is_near, TOP + 3.0, TOP + 6.0)
        item = frame(np.column_stack([lattice(), heights]), vectors, is_film=True)
        frames.append(replace(item, columns={'time': INTERVAL * index}))
        draw = random.random(9)
        is_near = np.where(is_near, draw > LEAVE, draw < RETURN)
    return FrameSet.from_frames(frames)


def test_waters_that_stay():
    found = interface_dynamics(still(40))
    assert found.lag_time.tolist() == (INTERVAL * np.arange(21)).tolist()
    assert found.layer_upper.tolist() == [4.0, 7.0, 10.0, np.inf]
    assert found.water_count.sum() == pytest.approx(34 + found.water_count[:3].sum())
    assert found.continuous_survival[:3] == pytest.approx(np.ones((3, 21)))
    assert found.intermittent_survival[3] == pytest.approx(np.ones(21))
    assert np.isnan(found.continuous_survival_e_folding).all()


def test_random_directions_forget_at_once():
    """40 frames of about nine waters: 1/sqrt(360) at the first lag."""
    found = interface_dynamics(still(40))
    assert found.reorientation_1[:, 0] == pytest.approx(np.ones(4))
    assert np.abs(found.reorientation_1[:, 1]).max() < 4 / np.sqrt(3 * 300)
    assert np.abs(found.reorientation_2[:, 1]).max() < 4 / np.sqrt(5 * 300)


def test_independent_waters_have_the_correlation_factor_one():
    found = interface_dynamics(still(400))
    deviation = found.dipole_normal_correlation_factor - 1.0
    assert abs(deviation) < 4 * found.dipole_normal_correlation_factor_error
    assert found.dipole_normal_correlation_factor_error < 0.12


def test_total_dipole_is_that_of_the_charges():
    """H weighs 0.5 e; its waters are those of the test, 0.96 Å and 104.5°."""
    frames = hopping(40, 1)
    found = interface_dynamics(frames, DynamicsSettings(hydrogen_charge=0.5))
    charges = np.select([frames.numbers == 8, frames.numbers == 1], [-1.0, 0.5], 0.0)
    by_hand = (charges * frames.positions[:, 2]).reshape(40, -1).sum(axis=1)
    assert found.dipole_normal_mean == pytest.approx(by_hand.mean())
    assert found.dipole_normal_variance == pytest.approx(0.0, abs=1e-20)


def test_hopping_waters():
    """Times of the chain: 1/e after -1/ln(1 - k) and -1/ln(1 - k - k') frames, within four standard errors."""
    joined = FrameSet.concatenate([hopping(800, seed) for seed in range(3)])
    found = interface_dynamics(joined, DynamicsSettings(maximum_lag_time=1000.0))
    share = RETURN / (RETURN + LEAVE)
    assert (found.n_replicas, len(found.lag_time)) == (3, 101)
    assert found.occupancy[0] == pytest.approx(share, abs=0.03)
    expected = {
        'continuous_survival_e_folding': -INTERVAL / np.log(1 - LEAVE),
        'intermittent_survival_e_folding': -INTERVAL / np.log(1 - LEAVE - RETURN),
        'continuous_survival_integral': -INTERVAL / np.log(1 - LEAVE),
        'intermittent_survival_integral': -INTERVAL / np.log(1 - LEAVE - RETURN),
    }
    for name, value in expected.items():
        error = getattr(found, f'{name}_error')[0]
        assert getattr(found, name)[0] == pytest.approx(value, abs=4 * error), name
        assert 0.002 * value < error < 0.2 * value, name


def test_both_surfaces_count():
    """Nine waters at the lower surface, four at the upper one: a count is per surface, the last row holds all."""
    random = np.random.default_rng(1)
    places = np.concatenate([np.column_stack([lattice(), np.full(9, TOP + 3.0)]),
                             np.column_stack([lattice()[:4], np.full(4, BOTTOM + HEIGHT - 3.0)])])  # fmt: skip
    frames = [replace(frame(places, random.normal(size=(13, 3))), columns={'time': 10.0 * t}) for t in range(20)]
    found = interface_dynamics(FrameSet.from_frames(frames))
    upper = interface_dynamics(FrameSet.from_frames(frames), DynamicsSettings(surfaces='upper'))
    assert (found.n_surfaces, found.water_count.tolist()) == (2, [6.5, 0.0, 0.0, 13.0])
    assert (upper.n_surfaces, upper.water_count.tolist()) == (1, [4.0, 0.0, 0.0, 13.0])


def test_dissociated_water_is_left_out_and_counted():
    """In five of 40 frames, a hydrogen of one water sits at another: two oxygens are unknown, and nobody leaves."""
    frames = still(40)
    positions = frames.positions.reshape(40, -1, 3).copy()
    positions[10:15, 28] = positions[10:15, 30] + [0.0, 0.0, 0.97]
    found = interface_dynamics(replace(frames, positions=positions.reshape(-1, 3)))
    assert (found.n_left_out, found.n_water) == (10, 34)
    assert found.irregular_oxygen_fraction == pytest.approx(10 / (34 * 40))
    assert found.continuous_survival[:3] == pytest.approx(np.ones((3, 21)))
    assert found.intermittent_survival[:3] == pytest.approx(np.ones((3, 21)))


def test_translation_and_images_change_nothing():
    frames = hopping(60, 3)
    positions = frames.positions.reshape(60, -1, 3) + np.array([5.0, -3.0, 0.4])
    positions[..., :2] = np.mod(positions[..., :2], 12.0)
    first = interface_dynamics(frames)
    second = interface_dynamics(replace(frames, positions=positions.reshape(-1, 3)))
    for name, value in first.arrays().items():
        assert second.arrays()[name] == pytest.approx(value, abs=1e-4, nan_ok=True), name


def test_order_of_atoms_changes_no_function():
    """Groups of waters change with the order, and errors with them; functions do not."""
    frames = hopping(60, 3)
    order = np.random.default_rng(1).permutation(54)
    shuffled = replace(
        frames,
        numbers=frames.numbers.reshape(60, -1)[:, order].ravel(),
        positions=frames.positions.reshape(60, -1, 3)[:, order].reshape(-1, 3),
    )
    first, second = interface_dynamics(frames), interface_dynamics(shuffled)
    assert second.intermittent_survival == pytest.approx(first.intermittent_survival, nan_ok=True)
    assert second.reorientation_2 == pytest.approx(first.reorientation_2, nan_ok=True)
    assert second.dipole_normal_mean == pytest.approx(first.dipole_normal_mean)


def test_result_survives_storage():
    found = interface_dynamics(still(20), DynamicsSettings(temperature=330.0))
    again = InterfaceDynamics.from_parts(found.arrays(), found.scalars())
    assert again.scalars() == found.scalars()
    assert found.dipole_normal_response > 0.0


@pytest.mark.parametrize(
    ('times', 'message'),
    [
        (None, "the frames carry no column 'time' [fs], without which they have no dynamics"),
        (
            np.array([0.0, 10, 20, 40, 50]),
            'the time between frames varies from 10 to 20 fs; give frames at equal intervals',
        ),
        (np.array([0.0, 10, 20, 0, 10]), 'a replica has 2 frames; correlation in time needs at least 4 in each'),
    ],
)
def test_frames_without_dynamics(times, message):
    frames = still(5).replaced_columns({} if times is None else {'time': times})
    with pytest.raises(NotAnalysableError) as error:
        interface_dynamics(frames)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'layer_bound': [0, 4]}, "unknown setting of the dynamics 'layer_bound'"),
        ({'layer_bounds': [4, 4]}, 'layer_bounds is [4, 4]; give two or more ascending heights'),
        ({'n_groups': 1}, 'n_groups is 1, an error needs at least 2'),
        ({'hydrogen_charge': 0.0}, 'hydrogen_charge is 0.0, it must be positive'),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(DynamicsSettingsError) as error:
        DynamicsSettings.from_dict(values)
    assert str(error.value).startswith(message)
