"""The calcfunction stores what the analysis returns."""

from __future__ import annotations

import pytest
from aiida.orm import ArrayData, Dict
from run_cases import run, series_of

from aiida_edl.calculations.functions.convergence import convergence
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.convergence import Convergence

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_rows_become_arrays_and_statements_attributes():
    frames, series = run(60), ArrayData()
    for name, values in series_of(frames).items():
        series.set_array(name, values)
    node = convergence(DatasetData.from_frames(frames, in_single_precision=True), Dict({'temperature': 20.0}), series)
    result = stored_result(Convergence, node)
    assert 'temperature' in result.observables
    assert len(result.statements) == len(result.mean) == len(result.observables)
