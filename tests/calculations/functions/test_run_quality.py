"""Quality of runs and their survival as nodes."""

from __future__ import annotations

import pytest
from aiida.orm import ArrayData, Dict
from run_cases import TARGET, run, series_of

from aiida_edl.calculations.functions.run_quality import run_quality
from aiida_edl.calculations.functions.survival_of_runs import survival_of_runs
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.run_quality import RunQuality

pytestmark = pytest.mark.usefixtures('aiida_profile')


def trajectory(seed: int = 1) -> DatasetData:
    """Return a run as its parser stores it."""
    attributes = {'temperature': TARGET, 'ensemble': 'nvt'}
    return DatasetData.from_frames(run(60, seed), attributes=attributes, in_single_precision=True)


def test_target_comes_from_the_trajectory():
    series = ArrayData()
    for name, values in series_of(run(60)).items():
        series.set_array(name, values)
    node = run_quality(trajectory(), Dict({}), series)
    quality = stored_result(RunQuality, node)
    assert (quality.settings.temperature, quality.settings.ensemble) == (TARGET, 'nvt')
    assert node.base.attributes.get('is_physical') is True


def test_survival_over_seeds():
    """One run of two exploded at its end, so half survive."""
    good = run_quality(trajectory(1), Dict({}))
    bad = run_quality(trajectory(2), Dict({'outcome': 'exploded'}), training=trajectory(3))
    node = survival_of_runs(seed_1=good, seed_2=bad)
    assert node.get_array('survival').tolist() == [1.0, 0.5]
    assert node.base.attributes.get('median') == 600.0
    assert node.base.attributes.get('sentence').startswith('1 of 2 runs left physics; median survival time 600 fs')
