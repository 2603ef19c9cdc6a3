"""The mean time for which runs stay physical."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.physical_time import physical_time
from aiida_edl.science.analysis.survival_of_runs import survival_of_runs


def test_runs_that_all_outlive_their_length_have_no_error():
    found = physical_time([500.0, 500.0], [True, True])
    assert (found.mean, found.error, found.n_left) == (500.0, None, 0)


def test_one_run_has_no_error():
    assert physical_time([10.0], [False]).error is None


def test_no_run_has_no_time():
    assert physical_time([], []) is None


def test_mean_is_the_area_below_the_curve_of_kaplan_and_meier():
    length, generator = 100.0, np.random.default_rng(1)
    drawn = generator.exponential(60.0, 40)
    times, is_censored = np.minimum(drawn, length), drawn >= length
    curve = survival_of_runs(times, is_censored)
    area = np.sum(curve.survival * np.diff([*curve.time, length]))
    assert physical_time(times.tolist(), is_censored.tolist()).mean == pytest.approx(area)


def test_error_is_the_scatter_of_means():
    generator = np.random.default_rng(2)
    samples = [np.minimum(generator.exponential(60.0, 20), 100.0) for _ in range(2000)]
    found = [physical_time(times.tolist(), (times == 100.0).tolist()) for times in samples]
    scatter = np.std([each.mean for each in found])
    assert np.sqrt(np.mean([each.error**2 for each in found])) == pytest.approx(scatter, rel=0.05)


def test_a_flag_is_needed_for_each_run():
    with pytest.raises(ValueError, match=r'^there are 2 times and 1 is_censored; give one of each for each run$'):
        physical_time([1.0, 2.0], [False])
