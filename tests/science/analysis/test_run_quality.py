"""The rule of exclusion: one run for each line of it, and distributions that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_cases import FIRST_WATER, NUMBERS, TARGET, frame_set, run, series_of, still_positions

from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.run_quality import RunQuality, run_quality
from aiida_edl.science.analysis.run_quality_settings import RunQualitySettings, RunQualitySettingsError
from aiida_edl.science.frames import FrameSet

SETTINGS = RunQualitySettings(temperature=TARGET, ensemble='nvt')
OXYGEN, HYDROGEN = FIRST_WATER, FIRST_WATER + 1


def changed(frames: FrameSet, first: int, atom: int, position: object) -> FrameSet:
    """Return the run with an atom moved to a position from a frame on."""
    positions = frames.positions.reshape(len(frames), -1, 3).copy()
    positions[first:, atom] = position
    return replace(frames, positions=positions.reshape(-1, 3))


def only_reason(quality: RunQuality) -> tuple[str, float | None, str]:
    """Return name, time and sentence of the only reason."""
    (reason,) = quality.reasons
    return reason['name'], reason['time'], reason['sentence']


def test_good_run_is_physical_and_censored():
    frames = run(200)
    quality = run_quality(frames, SETTINGS, series_of(frames))
    assert (quality.is_physical, quality.is_censored, quality.reasons) == (True, True, ())
    assert (quality.survival_time, quality.n_physical_frames, quality.duration) == (2000.0, 200, 2000.0)
    assert quality.degrees_of_freedom == 81
    assert (quality.energy_drift, quality.slab_drift) == (0.0, 0.0)
    assert quality.is_canonical is True


def test_what_cannot_be_judged_is_listed():
    frames = replace(run(20), velocities=None)
    quality = run_quality(frames)
    assert quality.is_physical
    assert quality.not_judged == (
        'energy_drift: no thermodynamic series was given',
        'hot, temperature: neither a thermodynamic series nor velocities were given',
        'hot, temperature: no target temperature was given',
        'force: the frames carry no forces',
        'temperature of elements: 0 frames with velocities, at least 4 are needed',
        'distances outside the training set: no training set was given',
    )
    assert quality.is_canonical is None


def test_contact():
    frames = run(50)
    near = frames.positions.reshape(50, -1, 3)[20, OXYGEN] + np.array([0.0, 0.0, 0.5])
    quality = run_quality(changed(frames, 20, HYDROGEN, near), SETTINGS)
    first = quality.reasons[0]
    assert (first['name'], first['time'], quality.survival_time) == ('contact', 210.0, 210.0)
    assert (quality.is_physical, quality.is_censored, quality.n_physical_frames) == (False, False, 20)
    assert first['limit'] == pytest.approx(0.6 * (0.31 + 0.66))


def test_contact_across_the_boundary():
    frames = run(10)
    frames = changed(changed(frames, 0, OXYGEN, [0.1, 2.0, 6.0]), 0, 0, [11.9, 2.0, 6.0])
    assert run_quality(frames).reasons[0]['name'] == 'contact'


def test_broken_water():
    """One of nine oxygens loses its hydrogen: 1.7 Å is beyond the limit, 1.5 Å is not."""
    frames = run(30)
    place = frames.positions.reshape(30, -1, 3)[0, OXYGEN]
    broken = run_quality(changed(frames, 10, HYDROGEN, np.add(place, [0.0, 0.0, 1.7])), SETTINGS)
    assert only_reason(broken) == (
        'broken_water',
        110.0,
        'the share of oxygen without exactly two bound hydrogens is 0.1111 at 110 fs, the limit is 0.05',
    )
    assert run_quality(changed(frames, 10, HYDROGEN, np.add(place, [0.0, 0.0, 1.5])), SETTINGS).is_physical


@pytest.mark.parametrize('pbc_z', [False, True])
def test_evaporated_water(pbc_z):
    """Above the film by more than the gap; with a period the vacuum on its far side remains wider than the gap."""
    frames = run(30, pbc_z=pbc_z)
    for atom, place in enumerate(still_positions()[OXYGEN : OXYGEN + 3]):
        frames = changed(frames, 12, OXYGEN + atom, np.add(place, [0.0, 0.0, 7.5]))
    quality = run_quality(frames, SETTINGS)
    assert only_reason(quality) == (
        'evaporated',
        130.0,
        'the number of evaporated atoms is 3 at 130 fs, the limit is 0',
    )
    allowed = replace(SETTINGS, maximum_evaporated_atoms=3)
    assert run_quality(frames, allowed).is_physical


def test_hot():
    frames = run(40)
    series = series_of(frames)
    series['temperature'][25] = 3.01 * TARGET
    quality = run_quality(frames, SETTINGS, series)
    assert only_reason(quality) == (
        'hot',
        260.0,
        'the instantaneous temperature is 993.3 K at 260 fs, the limit is 990 K',
    )
    series['temperature'][25] = 2.99 * TARGET
    assert 'hot' not in [reason['name'] for reason in run_quality(frames, SETTINGS, series).reasons]


def test_not_finite():
    frames = changed(run(40), 30, 5, np.nan)
    quality = run_quality(frames, SETTINGS)
    assert only_reason(quality) == (
        'not_finite',
        310.0,
        'the number of finite frames is 30 at 310 fs, the limit is 40',
    )


def test_nothing_finite():
    quality = run_quality(changed(run(5), 0, 5, np.nan), SETTINGS)
    assert (quality.is_physical, quality.survival_time, quality.n_physical_frames) == (False, 10.0, 0)


def test_force():
    forces = np.zeros((20, len(NUMBERS), 3))
    forces[7, 3] = [30.0, 40.1, 0.0]
    quality = run_quality(replace(run(20), forces=forces.reshape(-1, 3)), SETTINGS)
    assert only_reason(quality)[:2] == ('force', 80.0)


def test_explosion_that_no_frame_shows():
    """All frames count, but the run did not outlive its length."""
    quality = run_quality(run(40), replace(SETTINGS, outcome='exploded'))
    assert only_reason(quality) == ('exploded', 400.0, 'the program ended the run after 400 fs because it exploded')
    assert (quality.survival_time, quality.is_censored, quality.n_physical_frames) == (400.0, False, 40)


@pytest.mark.parametrize(('shift', 'is_physical'), [(0.98, True), (1.02, False)])
def test_drift_of_the_slab(shift, is_physical):
    """The metal slides along x and across the boundary; the limit is 1 Å."""
    positions = np.tile(still_positions(), (50, 1, 1))
    positions[:, :FIRST_WATER, 0] = np.mod(positions[:, :FIRST_WATER, 0] + 2.5 + np.linspace(0, shift, 50)[:, None], 12)
    quality = run_quality(frame_set(positions), SETTINGS)
    assert quality.slab_drift == pytest.approx(shift, abs=1e-5)
    assert quality.is_physical is is_physical


@pytest.mark.parametrize(('slope', 'is_physical'), [(0.98, True), (1.02, False)])
def test_drift_of_energy(slope, is_physical):
    """Slope in meV per atom that moves and ps; 27 of 45 atoms move."""
    frames = run(200)
    series = series_of(frames)
    series['conserved_energy'] += slope * 1e-3 * 27 * series['time'] / 1000.0
    quality = run_quality(frames, SETTINGS, series)
    assert quality.energy_drift == pytest.approx(slope, rel=1e-4)
    assert quality.is_physical is is_physical


def test_five_per_cent_too_hot_is_refused_and_tested_per_element():
    frames = run(400, temperature=1.05 * TARGET)
    quality = run_quality(frames, SETTINGS, series_of(frames))
    assert 'temperature' in [reason['name'] for reason in quality.reasons]
    assert quality.is_canonical is False
    assert quality.temperature == pytest.approx(1.05 * TARGET, abs=4 * quality.temperature_error)


def test_element_that_is_too_hot_is_remarked_on():
    """Hydrogen hot and oxygen cold, with the right mean over all: the flaw of a thermostat that splits modes."""
    frames = run(400)
    velocities = frames.velocities.reshape(400, -1, 3).copy()
    velocities[:, NUMBERS == 1] *= np.sqrt(1.06)
    velocities[:, NUMBERS == 8] *= np.sqrt(0.88)
    quality = run_quality(replace(frames, velocities=velocities.reshape(-1, 3)), SETTINGS)
    assert quality.is_physical
    hydrogen, oxygen = quality.element_temperature
    assert quality.remarks == (
        f'the mean temperature of H is {hydrogen:.4g} K, the limit is 339.9 K',
        f'the mean temperature of O is {oxygen:.4g} K, the limit is 320.1 K',
    )
    assert quality.element_numbers.tolist() == [1, 8]
    assert quality.element_temperature / TARGET == pytest.approx([1.06, 0.88], rel=0.02)


def test_momentum_that_is_held_takes_its_degrees_of_freedom():
    """Of three free atoms with the momentum held at zero, two thirds of the kinetic energy remain."""
    random = np.random.default_rng(3)
    from aiida_edl.science import units

    masses = np.array([15.999, 1.008, 1.008])
    velocities = (
        random.normal(size=(4000, 3, 3)) * np.sqrt(units.BOLTZMANN * TARGET / (masses * units.ATOMIC_MASS))[:, None]
    )
    velocities -= np.einsum('fax,a->fx', velocities, masses)[:, None] / masses.sum()
    positions = np.tile([[0.0, 0, 0], [0.76, 0, 0.59], [-0.76, 0, 0.59]], (4000, 1, 1))
    positions += 0.01 * random.normal(size=positions.shape)
    frames = FrameSet(
        numbers=np.tile(np.array([8, 1, 1], dtype=np.uint8), 4000),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(4001, dtype=np.int64) * 3,
        cells=np.tile(np.eye(3) * 20, (4000, 1, 1)),
        pbc=np.zeros((4000, 3), dtype=bool),
        velocities=velocities.reshape(-1, 3),
        columns={'time': np.arange(4000.0)},
    )
    quality = run_quality(frames, replace(SETTINGS, pair_stride=100, hot_factor=10.0))
    assert quality.degrees_of_freedom == 6
    assert quality.temperature == pytest.approx(TARGET, abs=4 * quality.temperature_error)
    assert quality.element_temperature == pytest.approx(TARGET, rel=0.04)


def test_extrapolation_is_counted_by_pair():
    """Half of the frames have a hydrogen nearer to its oxygen than any in the training set."""
    frames, training = run(40), run(10, seed=2)
    squeezed = frames.positions.reshape(40, -1, 3).copy()
    squeezed[20:, HYDROGEN] = squeezed[20:, OXYGEN] + [0.75, 0.0, 0.3]
    quality = run_quality(replace(frames, positions=squeezed.reshape(-1, 3)), SETTINGS, training=training)
    row = quality.pair_numbers.tolist().index([1, 8])
    assert quality.is_physical
    assert quality.pair_outside_fraction[row] >= 0.5
    assert quality.pair_smallest[row] == pytest.approx(np.hypot(0.75, 0.3), abs=1e-6)
    inside = run_quality(frames, SETTINGS, training=frames)
    assert (inside.outside_fraction, inside.pair_outside_fraction.max()) == (0.0, 0.0)


def test_pair_that_the_training_set_never_saw():
    """Gold and hydrogen meet in the run only; gold and oxygen likewise, so neither has a distance in training."""
    lifted = still_positions()
    lifted[FIRST_WATER:, 2] += 3.0
    near = still_positions()
    near[FIRST_WATER:, 2] -= 0.6
    quality = run_quality(frame_set(near[None].repeat(5, 0)), SETTINGS, training=frame_set(lifted[None]))
    row = quality.pair_numbers.tolist().index([8, 79])
    assert np.isnan(quality.pair_training[row])
    assert quality.pair_outside_fraction[row] == 1.0


def test_result_survives_storage():
    frames = run(60)
    quality = run_quality(frames, SETTINGS, series_of(frames))
    again = RunQuality.from_parts(quality.arrays(), quality.scalars())
    assert again.scalars() == quality.scalars()
    assert all(np.array_equal(value, again.arrays()[name], equal_nan=True) for name, value in quality.arrays().items())


def test_translation_and_image_change_nothing():
    frames = run(60, pbc_z=True)
    positions = np.add(frames.positions.reshape(60, -1, 3), np.array([3.3, -7.1, 11.0]))
    moved = replace(frames, positions=np.mod(positions, [12.0, 12.0, 30.0]).reshape(-1, 3))
    first, second = run_quality(frames, SETTINGS), run_quality(moved, SETTINGS)
    assert second.is_physical
    assert second.irregular_fraction.tolist() == first.irregular_fraction.tolist()
    assert second.pair_smallest == pytest.approx(first.pair_smallest, abs=1e-5, nan_ok=True)
    assert second.slab_drift == pytest.approx(0.0, abs=1e-5)


def test_frames_without_time_are_refused():
    with pytest.raises(
        NotAnalysableError, match=r"^the frames carry no column 'time' \[fs\], without which a run has no"
    ):
        run_quality(run(5).replaced_columns({}))


def test_two_runs_are_refused():
    with pytest.raises(NotAnalysableError, match=r'^2 runs lie end to end in the frames; judge each alone$'):
        run_quality(FrameSet.concatenate([run(5), run(5)]))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'contact_fractoin': 0.5}, "unknown setting of the quality of a run 'contact_fractoin'"),
        ({'hot_factor': 0.0}, 'hot_factor is 0.0, it must be positive'),
        ({'outcome': 'explode'}, "unknown outcome 'explode'"),
        ({'equilibration_fraction': 1.0}, 'equilibration_fraction is 1.0, it must be at least 0 and below 1'),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(RunQualitySettingsError) as error:
        RunQualitySettings.from_dict(values)
    assert str(error.value).startswith(message)
