"""Means and standard errors over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.size_curve import SizeError, size_curve


def test_means_and_standard_errors_for_each_size():
    curve = size_curve([SizeError(200, 0.1, 1.0), SizeError(50, 0.3, 2.0), SizeError(50, 0.5, 6.0)])
    assert curve.size.tolist() == [50, 200]
    assert curve.n_models.tolist() == [2, 1]
    np.testing.assert_allclose(curve.energy_rmse, [0.4, 0.1])
    np.testing.assert_allclose(curve.force_rmse, [4.0, 1.0])
    # Two values 0.2 apart: the standard error of their mean is half that.
    assert curve.energy_rmse_error[0] == pytest.approx(0.1)
    assert curve.force_rmse_error[0] == pytest.approx(2.0)


def test_one_model_has_no_error_bar():
    curve = size_curve([SizeError(10, 0.1, 1.0)])
    assert np.isnan(curve.energy_rmse_error).all()
    assert np.isnan(curve.force_rmse_error).all()


def test_without_errors_there_is_no_curve():
    with pytest.raises(ValueError, match=r'^no errors are given, a curve needs those of at least one potential$'):
        size_curve([])
