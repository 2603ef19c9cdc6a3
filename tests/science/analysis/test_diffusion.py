"""Walkers whose diffusion is known are found, within the stated error; what is not known gets no number."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aiida_edl.science.analysis.diffusion import Diffusion, diffusion
from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings, DiffusionSettingsError
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.units import BOLTZMANN
from aiida_edl.science.walkers import Walkers

RECORDED = Path(__file__).parents[2] / 'fixtures' / 'diffusion' / 'kinisi' / 'kinisi.json'
MANY = Walkers(n_walkers=64, n_frames=4000, n_replicas=3)
"""80 000 hops: D is known to 0.4 %."""


def found(walkers: Walkers, **settings: object) -> Diffusion:
    return diffusion(walkers.frames(), DiffusionSettings.from_dict({'hop_length': 3.0, **settings}))


def test_walkers():
    result = found(MANY)
    assert result.is_determined
    assert result.tracer_diffusion == pytest.approx(MANY.tracer_diffusion, rel=0.02)
    assert abs(result.tracer_diffusion - MANY.tracer_diffusion) < 3.0 * result.tracer_diffusion_error
    assert result.tracer_diffusion_error < 0.01 * MANY.tracer_diffusion


def test_vibration_that_is_remembered_does_not_count():
    walkers = dataclasses.replace(MANY, rate=1e-3, vibration=0.3, relaxation_time=500.0)
    result = found(walkers)
    assert result.tracer_diffusion == pytest.approx(walkers.tracer_diffusion, rel=0.02)
    assert result.window_start > walkers.relaxation_time


def test_drift_of_the_whole_does_not_count():
    frames = MANY.frames(drift=(1e-3, 0.0, -1e-3))
    result = diffusion(frames, DiffusionSettings(hop_length=3.0))
    assert result.tracer_diffusion == pytest.approx(found(MANY).tracer_diffusion, rel=1e-9)


def test_one_axis():
    result = found(MANY, axes='z')
    assert result.tracer_diffusion == pytest.approx(MANY.tracer_diffusion, rel=0.02)
    assert result.msd[0] == pytest.approx(2.0 * MANY.tracer_diffusion * 100.0, rel=0.03)


def test_atoms_that_move_together():
    """One carrier moves four atoms by each hop: the Haven ratio is a quarter, and the error above that of walkers."""
    walkers = Walkers(n_walkers=64, n_frames=4000, n_replicas=4, rate=1e-2, knocked_on=4)
    result = found(walkers)
    assert result.tracer_diffusion == pytest.approx(walkers.tracer_diffusion, abs=3.0 * result.tracer_diffusion_error)
    assert result.charge_diffusion == pytest.approx(walkers.charge_diffusion, abs=3.0 * result.charge_diffusion_error)
    assert result.haven_ratio == pytest.approx(0.25, abs=3.0 * result.haven_ratio_error)
    assert result.haven_ratio_error < 0.02
    assert result.tracer_diffusion_error > 1.9 * result.tracer_error_of_walkers


@pytest.mark.parametrize('knocked_on', [0, 4])
def test_interval_holds_the_truth(knocked_on):
    """Of 40 seeds, a 95 % interval misses the truth in more than 6 with a probability of 0.3 %."""
    rate = 2e-3 if knocked_on else 1e-3
    walkers = Walkers(n_walkers=8, n_frames=600, rate=rate, knocked_on=knocked_on)
    misses, n_determined = 0, 0
    for seed in range(40):
        result = found(dataclasses.replace(walkers, seed=seed))
        if not result.is_determined:
            continue
        n_determined += 1
        reach = stats.t.ppf(0.975, result.tracer_degrees_of_freedom) * result.tracer_diffusion_error
        misses += abs(result.tracer_diffusion - walkers.tracer_diffusion) > reach
    assert n_determined >= 38
    assert misses <= 6


def test_carriers_and_conductivity():
    result = found(MANY, n_carriers=2, temperature=900.0, charge=2.0)
    assert result.carrier_diffusion == pytest.approx(32.0 * result.tracer_diffusion)
    coulomb, volume = 1.602176634e-19, (12 * 3.0e-10) ** 3
    joule = BOLTZMANN * 900.0 * coulomb
    siemens_per_metre = 64 * (2.0 * coulomb) ** 2 * result.charge_diffusion * 1e-5 / (volume * joule)
    assert result.conductivity_siemens_per_cm == pytest.approx(siemens_per_metre / 100.0, rel=1e-9)


def test_size_of_a_cubic_cell():
    result = found(MANY, temperature=300.0, viscosity_pascal_second=8.9e-4)
    metres, joule = 36.0e-10, 1.380649e-23 * 300.0
    correction = 2.837297 * joule / (6.0 * np.pi * 8.9e-4 * metres) / 1e-5
    assert result.corrected_diffusion - result.tracer_diffusion == pytest.approx(correction, rel=1e-6)


def test_too_few_hops_give_no_number():
    walkers = Walkers(n_walkers=27, n_frames=2000, n_replicas=2, rate=2e-6, vibration=0.2)
    result = found(walkers)
    assert not result.is_determined
    assert np.isnan([result.tracer_diffusion, result.charge_diffusion, result.haven_ratio]).all()
    assert np.isfinite(result.msd).all()
    assert 5.0 < result.effective_hops < 35.0
    needed = 50.0 * 400.0 / result.effective_hops
    expected = (
        f'{result.effective_hops:.1f} effective hops of 3.00 Å in 400 ps are fewer than minimum_hops = 50: about '
        f'{needed:.2g} ps are needed, over all replicas'
    )
    assert result.reasons[0] == expected


def test_frozen_crystal_says_how_long_at_least():
    result = found(Walkers(rate=0.0, vibration=0.2))
    assert result.reasons[0] == (
        '0.0 effective hops of 3.00 Å in 200 ps are fewer than minimum_hops = 50: more than 3.3e+03 ps are needed, '
        'over all replicas'
    )


def test_vibration_is_no_hop():
    """The displacement at the end would count 64 * 6 * 0.5² / 9 = 11 hops."""
    result = found(Walkers(n_walkers=64, rate=0.0, vibration=0.5))
    assert result.effective_hops < 1.0


def test_run_that_flies_is_no_diffusion():
    walkers = Walkers(n_frames=2000, rate=1e-5)
    frames = walkers.frames()
    moving = np.tile(np.repeat([1.0, 0.0], 27), 2000)
    ballistic = np.repeat(frames.columns['time'], 54) * moving * 2e-3
    positions = frames.positions + np.stack([ballistic, 0.0 * ballistic, 0.0 * ballistic], axis=1)
    result = diffusion(dataclasses.replace(frames, positions=positions), DiffusionSettings(hop_length=3.0))
    assert not result.is_determined
    assert re.fullmatch(
        r'the mean square displacement grows as t\^\(2\.00 ± 0\.0\d\) from 10 ps to 40 ps, the longest lags that '
        r'count, not as t: the run does not reach the diffusive regime; replicas at least twice as long are needed',
        result.reasons[0],
    )


def test_given_window_in_the_vibration_is_refused():
    walkers = dataclasses.replace(MANY, rate=2e-4, vibration=0.3, relaxation_time=500.0)
    result = found(walkers, window=[100.0, 1000.0])
    assert not result.is_determined
    by_rule = found(walkers)
    assert re.fullmatch(
        r'the window from 0\.1 ps to 1 ps is outside the diffusive regime, where the exponent is 1: the mean square '
        rf'displacement grows as t\^\(0\.\d\d ± 0\.0\d\) there; the rule would take '
        rf'{by_rule.window_start / 1000.0:.3g} ps to 80 ps',
        result.reasons[0],
    )


def test_given_window_is_used():
    result = found(MANY, window=[2000.0, 20000.0])
    assert (result.window_start, result.window_stop) == (2000.0, 20000.0)
    assert result.tracer_diffusion == pytest.approx(MANY.tracer_diffusion, abs=3.0 * result.tracer_diffusion_error)


def test_given_window_that_shows_nothing_is_refused():
    """An exponent of 0.4 ± 3.8 is 1 within its error, and shows no diffusion."""
    result = found(Walkers(n_walkers=8, n_frames=300, rate=2e-3, seed=2), window=[5000.0, 0.0])
    assert not result.is_determined
    assert re.fullmatch(
        r'the mean square displacement grows as t\^\(0\.35 ± 3\.\d\d\) up to 6 ps: an error above '
        r'maximum_slope_error = 0\.5 does not show diffusion; '
        r'replicas of at least about 1\.\d\de\+03 ps, or more of them, are needed',
        result.reasons[0],
    )


SLOW_MEMORY = Walkers(n_walkers=27, n_frames=1000, rate=2e-4, vibration=0.8, relaxation_time=20000.0)
"""A vibration remembered for as long as the longest lag: at each lag the exponent is nearly 1, over all it is not."""


def test_window_starts_later_where_its_lags_deviate_together():
    """From 0.2 ps on the exponent of this seed is 1 within two errors at each lag, but 0.93 ± 0.02 over all."""
    result = found(dataclasses.replace(SLOW_MEMORY, seed=4))
    assert result.is_determined
    assert result.window_start == 1400.0
    refused = found(dataclasses.replace(SLOW_MEMORY, seed=4), window=[200.0, 20000.0])
    assert re.match(
        r'the window from 0\.2 ps to 20 ps is outside the diffusive regime, where the exponent is 1: the mean square '
        r'displacement grows as t\^\(0\.93 ± 0\.02\) there; the rule would take 1\.4 ps to 20 ps$',
        refused.reasons[0],
    )


def test_lags_that_deviate_together_at_every_start_are_no_diffusion():
    walkers = dataclasses.replace(SLOW_MEMORY, n_walkers=64, rate=1e-4, vibration=1.5, seed=1)
    result = found(walkers)
    assert not result.is_determined
    assert re.fullmatch(
        r'the mean square displacement grows as t\^\(0\.95 ± 0\.01\) from 0\.2 ps to 20 ps, the longest lags that '
        r'count, not as t: the run does not reach the diffusive regime; replicas at least twice as long are needed',
        result.reasons[0],
    )


def test_window_beyond_the_statistics_is_refused():
    result = found(MANY, window=[1000.0, 300000.0])
    assert result.reasons == (
        'the window from 1 ps to 300 ps cannot be used: give one of at least 3 frames that ends before 80 ps, which is '
        'longest_share = 0.2 of the shortest replica',
    )


def test_hop_length_from_the_first_frame():
    result = diffusion(Walkers(rate=1e-4, n_frames=500).frames(), DiffusionSettings())
    assert result.hop_length == pytest.approx(3.0)


def test_hop_length_of_one_atom_must_be_given():
    message = "one Li atom has no neighbour that tells how long a hop is; give the setting 'hop_length' [Å]"
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        diffusion(Walkers(n_walkers=1, n_frames=500).frames(), DiffusionSettings())


def test_equilibration_is_left_out():
    result = found(MANY, equilibration_frames=1000)
    assert (result.n_frames, result.n_replicas) == (9000, 3)


def test_short_replica_is_refused():
    message = 'a replica of 30 frames has lags of 6 frames at most (longest_share = 0.2); diffusion needs at least 8'
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        found(Walkers(n_frames=30))


def test_result_returns_from_arrays_and_scalars():
    result = found(Walkers(n_frames=300), temperature=500.0)
    again = Diffusion.from_parts(result.arrays(), json.loads(json.dumps(result.scalars())))
    assert again.scalars() == result.scalars()


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'mobil': 'Li'}, "unknown setting of diffusion 'mobil'"),
        ({'window': [5.0, 3.0]}, 'window is [5.0, 3.0]; give two ascending lags [fs], each 0 for the rule'),
        ({'drift_reference': ['Li']}, "drift_reference holds the mobile 'Li'; give elements that do not diffuse"),
        ({'minimum_hops': 0.0}, 'minimum_hops is 0.0, it must be positive'),
        ({'longest_share': 0.8}, 'longest_share is 0.8; it must be above 0 and at most 0.5'),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(DiffusionSettingsError) as raised:
        DiffusionSettings.from_dict(values)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize('name', ['walkers', 'vibrating'])
def test_mean_square_displacement_of_mdanalysis(name):
    recorded = json.loads(RECORDED.read_text())[name]
    result = found(Walkers(**recorded['case']), n_lags=400)
    ours = [float(np.interp(100.0 * lag, result.lag_time, result.msd)) for lag in recorded['lags']]
    # MDAnalysis holds positions in single precision: 1e-7 of up to 100 Å against displacements of 1 Å.
    np.testing.assert_allclose(ours, recorded['msd_of_mdanalysis'], rtol=2e-4)


@pytest.mark.parametrize('name', ['walkers', 'vibrating'])
def test_coefficient_of_kinisi(name):
    recorded = json.loads(RECORDED.read_text())[name]
    result = found(Walkers(**recorded['case']), window=[1000.0, 0.0])
    both = np.hypot(result.tracer_diffusion_error, recorded['diffusion_error'])
    assert result.tracer_diffusion == pytest.approx(recorded['diffusion'], abs=2.0 * both)


def test_scatter_of_replicas_counts_where_time_origins_miss_it():
    """Replicas of unlike D, as of unlike defects: only their scatter knows, with one degree less than replicas."""
    cases = [Walkers(n_walkers=27, n_frames=1000, rate=rate, seed=seed) for seed, rate in enumerate((5e-4, 1e-3, 2e-3))]
    parts = [item.frames() for item in cases]
    frames = FrameSet.concatenate([part.with_columns(replica=index) for index, part in enumerate(parts)])
    result = diffusion(frames, DiffusionSettings(hop_length=3.0))
    scatter = np.std(result.replica_tracer_diffusion, ddof=1) / np.sqrt(3.0)
    assert result.tracer_diffusion_error == pytest.approx(scatter)
    assert (result.tracer_error_source, result.tracer_degrees_of_freedom) == ('scatter of replicas', 2.0)
