"""The calcfunctions make stencils and take the response of labels and of predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict
from frame_cases import frame_set, interface_frame

from aiida_edl.calculations.functions.charge_response import charge_response
from aiida_edl.calculations.functions.charge_stencil import charge_stencil
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.splitting import SplitError
from aiida_edl.science.units import VACUUM_PERMITTIVITY

pytestmark = pytest.mark.usefixtures('aiida_profile')
OFFSETS = [-0.25, 0.0, 0.25]


@pytest.fixture
def stencil() -> DatasetData:
    """Stencils of four geometries, without labels."""
    frames = frame_set(*(interface_frame(seed, n_ions=seed % 2) for seed in range(4)))
    dataset = DatasetData.from_frames(frames, origin='made by hand')
    return charge_stencil(dataset, Dict({'offsets': OFFSETS}))


@pytest.fixture
def labelled(stencil) -> DatasetData:
    """The same with dE/dq = 2 V and Z* = 1 e for every atom."""
    frames = stencil.frames()
    charges = frames.columns['metal_charge']
    owners = np.repeat(np.arange(len(frames)), np.diff(frames.offsets))
    forces = np.zeros_like(frames.positions)
    forces[:, 2] = charges[owners] / (81.0 * VACUUM_PERMITTIVITY)
    return DatasetData.from_frames(
        replace(frames, energies=2.0 * charges, forces=forces), level_of_theory='a capacitor', origin='made by hand'
    )


def predictions(dataset: DatasetData, indices: list[int], slope: float) -> ArrayData:
    """Return predictions with another dE/dq and without forces."""
    frames = dataset.frames().select(indices)
    node = ArrayData()
    node.set_array('energies', slope * frames.columns['metal_charge'])
    node.set_array('forces', np.zeros_like(frames.positions))
    node.set_array('offsets', frames.offsets)
    node.set_array('frame_indices', np.array(indices))
    return node


def test_stencil_keeps_its_origin_and_has_its_columns(stencil):
    assert stencil.n_frames == 12
    assert {'geometry', 'metal_charge', 'total_charge', 'source_index'} <= set(stencil.columns())
    assert stencil.base.attributes.get('origin') == 'made by hand'
    assert stencil.charge_labels == ('0', '1Na')


def test_response_of_labels(labelled):
    node = charge_response(labelled, Dict({}))
    np.testing.assert_allclose(node.get_array('potentials'), 2.0)
    np.testing.assert_allclose(node.get_array('effective_charges'), 1.0)
    assert 'model_potentials' not in node.get_arraynames()
    assert node.base.attributes.get('n_geometries') == 4
    rows = {(row['quantity'], row['element']): row for row in node.base.attributes.get('rows')}
    assert rows['electrode_potential', 'all']['reference_mean'] == pytest.approx(2.0)
    assert rows['effective_charge', 'Na']['rmse'] is None


def test_response_of_predictions_of_some_frames(labelled):
    node = charge_response(labelled, Dict({}), predictions(labelled, list(range(3, 12)), slope=2.5))
    assert node.base.attributes.get('n_geometries') == 3
    np.testing.assert_allclose(node.get_array('model_potentials'), 2.5)
    rows = {(row['quantity'], row['element']): row for row in node.base.attributes.get('rows')}
    assert rows['electrode_potential', 'all']['rmse'] == pytest.approx(0.5)
    assert rows['effective_charge', 'all']['rmse'] == pytest.approx(1.0)


def test_split_by_time_that_would_part_a_stencil_is_refused(labelled):
    sizes = {'n_training': 2, 'n_validation': 1, 'n_test': 1, 'n_blocks': 6, 'seed': 0, 'charge_states': [0, 1]}
    with pytest.raises(SplitError, match="split by the method 'groups'"):
        split_dataset(labelled, Dict(sizes))


def test_split_by_groups_keeps_the_charges_of_a_geometry_together(labelled):
    split = split_dataset(labelled, Dict({'method': 'groups', 'n_validation': 3, 'n_test': 3, 'seed': 0}))
    names = labelled.frames().columns['geometry']
    parts = [set(names[split.get_array(part)]) for part in ('training', 'validation', 'test')]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert len(set.union(*parts)) == 4
