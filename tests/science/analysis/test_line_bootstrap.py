"""Lines through few points: exact fits, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aiida_edl.science.analysis.line_bootstrap import interval, line_bootstrap, standard_error, trend_weights

X = np.array([10.0, 12.0, 15.0, 18.0, 20.0])


def test_points_on_a_line():
    line = line_bootstrap(X, 2.0 - 0.5 * X, np.full(5, 1e-9), np.full(5, 9.0), n_samples=1000, seed=1)
    assert (line.slope, line.at(0.0)) == pytest.approx((-0.5, 2.0), abs=1e-6)


def test_equal_known_errors_are_those_of_least_squares():
    errors = np.full(5, 0.2)
    line = line_bootstrap(X, np.zeros(5), errors, np.full(5, np.inf), n_samples=200000, seed=1)
    # 200 000 samples: the quantiles are known to 0.3 %.
    assert standard_error(line.slopes) == pytest.approx(0.2 / np.sqrt(np.sum((X - X.mean()) ** 2)), rel=0.01)


def test_few_degrees_of_freedom_widen_the_interval():
    """Sums of t of 2 degrees of freedom reach to 4.3 to 4.6 standard errors, against 1.96 of the normal ones."""
    widths = []
    for degrees in (2.0, 1e6):
        line = line_bootstrap(X[:3], np.zeros(3), np.full(3, 0.2), np.full(3, degrees), n_samples=100000, seed=1)
        low, high = interval(line.slopes, 0.95)
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4.5 / 1.96, rel=0.06)


def test_one_small_error_by_chance_does_not_take_all_weight():
    errors = np.array([0.2, 0.2, 0.02, 0.2, 0.2])
    few, many = (trend_weights(X, errors, np.full(5, degrees)) for degrees in (2.0, 1e6))
    assert many[2] / many[1] == pytest.approx(100.0, rel=1e-3)
    assert few[2] / few[1] < 5.0


@pytest.mark.parametrize(('n_degrees', 'n_points'), [(4, 3), (4, 5), (9, 5), (30, 5)])
def test_coverage(n_degrees, n_points):
    """In 1000 trials 94 to 98 % of the 95 % intervals hold the truth, and they are not much wider than they must be."""
    random = np.random.default_rng(1)
    x = X[:n_points]
    true = 0.1 * np.linspace(0.7, 1.5, n_points)
    weights = true**-2
    ideal = 1.0 / np.sqrt(weights @ (x - weights @ x / weights.sum()) ** 2)
    holds, widths = [], []
    for trial in range(1000):
        errors = true * np.sqrt(random.chisquare(n_degrees, n_points) / n_degrees)
        y = -0.3 * x + true * random.normal(size=n_points)
        line = line_bootstrap(x, y, errors, np.full(n_points, float(n_degrees)), n_samples=2000, seed=trial)
        low, high = interval(line.slopes, 0.95)
        holds.append(low <= -0.3 <= high)
        widths.append(high - low)
    assert 0.94 <= np.mean(holds) <= 0.98
    # Student's quantile alone would widen the interval of one point by 1.42 for 4 degrees of freedom.
    widening = stats.t.ppf(0.975, n_degrees) / stats.norm.ppf(0.975)
    assert 1.0 < np.mean(widths) / (2.0 * stats.norm.ppf(0.975) * ideal) < widening + 0.02
