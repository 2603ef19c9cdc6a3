"""The calcfunction compares predictions with the frames they are for."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.error_metrics import error_metrics
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import Frame, FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture
def dataset() -> DatasetData:
    """Five frames of one gold atom and one water, with random labels."""
    random = np.random.default_rng(1)
    frames = [
        Frame(
            np.array([79, 8, 1, 1], dtype=np.uint8),
            random.normal(size=(4, 3)) + np.arange(4)[:, None],
            np.eye(3) * 20.0,
            np.zeros(3, dtype=bool),
            energy=float(index),
            forces=random.normal(size=(4, 3)),
        )
        for index in range(5)
    ]
    return DatasetData.from_frames(FrameSet.from_frames(frames), level_of_theory='random numbers')


def predictions(dataset: DatasetData, indices: list[int], energy_shift: float = 0.0) -> ArrayData:
    """Predictions of some frames, with all forces right."""
    frames = dataset.frames().select(indices)
    node = ArrayData()
    node.set_array('energies', frames.energies + energy_shift)
    node.set_array('forces', frames.forces)
    node.set_array('offsets', frames.offsets)
    node.set_array('frame_indices', np.array(indices))
    return node


def test_predictions_are_compared_with_their_own_frames(dataset):
    result = error_metrics(dataset, predictions(dataset, [3, 1], energy_shift=0.4)).get_dict()
    assert result['summary']['energy_rmse_ev_per_atom'] == pytest.approx(0.1, rel=1e-12)
    assert result['summary']['force_rmse_ev_per_angstrom'] == 0.0
    assert result['summary']['n_frames'] == 2
    assert {'all', 'region', 'element', 'charge_state'} == {row['scope'] for row in result['rows']}


def test_predictions_for_another_data_set_are_refused(dataset):
    node = predictions(dataset, [0, 1])
    node.set_array('offsets', np.array([0, 3, 8]))
    message = (
        '^predictions of 2 frames and 8 atoms do not fit the 2 frames and 8 atoms they are for: they belong to another '
        'data set$'
    )
    with pytest.raises(ValueError, match=message):
        error_metrics(dataset, node)


def test_energies_of_another_zero_are_compared_after_a_fit(dataset):
    node = predictions(dataset, [3, 1, 0], energy_shift=400.0)
    result = error_metrics(dataset, node, Dict({'energy_zero': 'fitted_per_element'})).get_dict()
    assert result['summary']['energy_rmse_ev_per_atom'] == pytest.approx(0.0, abs=1e-12)
    assert sum(result['summary']['energy_shifts_ev'][symbol] for symbol in ('Au', 'O', 'H', 'H')) == pytest.approx(400)
    assert result['summary']['force_rmse_ev_per_angstrom'] == 0.0
