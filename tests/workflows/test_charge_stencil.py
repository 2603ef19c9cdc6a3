"""From geometries to effective charges through the graph: stencil, labels of the reference, gate, split, response."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Bool, Dict, Str
from electrode_cases import MODEL, find_lammps, small_cell

from aiida_edl.calculations.functions.charge_response import charge_response
from aiida_edl.calculations.functions.charge_stencil import charge_stencil
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.labelling import LabellingWorkChain

pytestmark = pytest.mark.slow


def test_reference_gives_the_fixed_charges_of_water_and_ions(aiida_code_installed):
    geometries = DatasetData.from_frames(FrameSet.from_frames([small_cell(0), small_cell(1)]), origin='made by hand')
    stencil = charge_stencil(geometries, Dict({}))
    code = aiida_code_installed(label='lmp-of-stencils', filepath_executable=find_lammps())
    outputs, node = run_get_node(
        LabellingWorkChain,
        dataset=stencil,
        engine=Str('electrode'),
        code=code,
        model_parameters=Dict({'electrostatic_accuracy': 1e-6}),
        check_gradients=Bool(True),
        gate=Dict({'force_cap': 100.0}),
    )
    assert node.is_finished_ok, node.exit_message
    assert outputs['rejected']['n_rejected'] == 0, outputs['rejected'].get_dict()
    assert outputs['gradient_check']['verdict'] == 'passed'
    dataset = outputs['dataset']
    assert {'electrode_potential', 'metal_charge', 'geometry'} <= set(dataset.columns())
    split = split_dataset(dataset, Dict({'method': 'groups', 'n_test': 5}))
    assert len(set(dataset.frames().columns['geometry'][split.get_array('test')])) == 1
    response = charge_response(dataset, Dict({}))
    numbers, found = response.get_array('numbers'), response.get_array('effective_charges')
    symbols = {1: 'H', 8: 'O', 11: 'Na', 79: 'Au'}
    fixed = MODEL.charges([symbols[number] for number in numbers.tolist()])
    liquid = numbers != 79
    np.testing.assert_allclose(found[liquid], fixed[liquid], atol=2e-3)
    centres = dataset.frames().columns['electrode_potential'][[2, 7]]
    np.testing.assert_allclose(response.get_array('potentials'), centres, atol=5e-3)
