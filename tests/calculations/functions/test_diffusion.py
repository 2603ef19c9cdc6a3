"""Calcfunctions of diffusion store what the analyses return."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.activation_energy_difference import activation_energy_difference
from aiida_edl.calculations.functions.arrhenius import arrhenius
from aiida_edl.calculations.functions.diffusion import diffusion
from aiida_edl.calculations.functions.van_hove import van_hove
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.arrhenius import Arrhenius
from aiida_edl.science.analysis.diffusion import Diffusion
from aiida_edl.science.analysis.van_hove import VanHove
from aiida_edl.science.walkers import Walkers, arrhenius_rate

pytestmark = pytest.mark.usefixtures('aiida_profile')
ENERGY = 0.3
"""eV"""


def trajectory(temperature: float, n_frames: int = 1000) -> DatasetData:
    rate = arrhenius_rate(temperature, ENERGY, 0.05)
    frames = Walkers(n_walkers=8, n_frames=n_frames, rate=rate, seed=int(temperature)).frames()
    return DatasetData.from_frames(frames, attributes={'temperature': temperature}, in_single_precision=True)


def test_temperature_is_that_of_the_trajectory():
    found = stored_result(Diffusion, diffusion(trajectory(800.0), Dict({'hop_length': 3.0})))
    assert found.temperature == 800.0
    assert found.is_determined
    assert found.settings.hop_length == 3.0


def test_run_that_is_too_short_is_stored_with_its_reason():
    node = diffusion(trajectory(800.0, n_frames=60), Dict({'hop_length': 3.0, 'minimum_hops': 1e6}))
    assert node.base.attributes.get('tracer_diffusion') is None
    assert 'effective hops of 3.00 Å in 6 ps are fewer' in node.base.attributes.get('reasons')[0]


def test_runs_become_an_activation_energy_and_two_a_difference():
    runs = {
        f'at_{temperature}': diffusion(trajectory(float(temperature)), Dict({'hop_length': 3.0}))
        for temperature in (800, 900, 1000, 1200)
    }
    node = arrhenius(Dict({'prediction_temperatures': [600.0]}), **runs)
    found = stored_result(Arrhenius, node)
    assert found.labels == ('at_800', 'at_900', 'at_1000', 'at_1200')
    assert found.activation_energy_low < ENERGY < found.activation_energy_high
    assert np.isfinite(found.predicted_diffusion).all()
    difference = activation_energy_difference(node, arrhenius(Dict({'seed': 2}), **runs)).get_dict()
    assert difference['difference'] == pytest.approx(0.0, abs=1e-9)
    assert difference['is_decided'] is False


def test_van_hove_functions_are_stored():
    found = stored_result(VanHove, van_hove(trajectory(800.0), Dict({'lags': [500.0], 'bin_width': 0.5})))
    assert found.lag_time.tolist() == [500.0]
    assert found.self_part.shape == found.distinct_part.shape == (1, 36)
