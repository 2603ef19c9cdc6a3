"""The locality test as a work chain: toy potentials, labels of a reference, frames of each charge state, charges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Bool, Dict, Str
from calculation_cases import dataset, labelled_frames, potential
from toy.least_squares import LeastSquares

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.locality_test import LocalityTestWorkChain

RECIPE = {'module': 'ase.calculators.lj', 'attribute': 'LennardJones', 'keyword_arguments': {'sigma': 2.3, 'rc': 4.0}}
SETTINGS = {'frame_indices': [2, 3], 'repeat': [1, 1, 1], 'n_moved': 1, 'far': 2.0}


def charged_frames() -> FrameSet:
    """Return geometries at two charges, told apart by labels that the toy cannot know."""
    frames = labelled_frames(2).without_labels()
    doubled = FrameSet.concatenate([frames, frames]).with_columns(
        group=np.array([0, 1, 0, 1]), total_charge=np.array([-1.0, -1.0, 1.0, 1.0])
    )
    charges = doubled.columns['total_charge']
    forces = np.repeat(charges, np.diff(doubled.offsets))[:, None] * np.ones(3)
    return replace(doubled, energies=-1000.0 + charges, forces=forces)


def run(code, **changes):
    inputs = {
        'potentials': {'toy': potential()},
        'codes': {'least_squares': code},
        'structure': dataset(labelled_frames(4)),
        'settings': Dict({**SETTINGS, **changes.pop('settings', {})}),
        **changes,
    }
    return run_get_node(LocalityTestWorkChain, **{name: value for name, value in inputs.items() if value is not None})


@pytest.mark.slow
def test_everything_is_reported_side_by_side(python_code):
    charged = DatasetData.from_frames(charged_frames(), level_of_theory='made by hand')
    reference = {
        'engine': Str('ase_calculator'),
        'code': python_code,
        'model_parameters': Dict({'recipe': RECIPE, 'level_of_theory': 'Lennard-Jones'}),
        'check_gradients': Bool(False),
    }
    outputs, node = run(
        python_code,
        settings={'charge_column': 'total_charge', 'charges': [-1.0, 1.0]},
        reference=reference,
        equilibrated=dataset(),
        charge_frames=charged,
    )
    assert node.is_finished_ok, node.exit_message
    report = outputs['report'].get_dict()
    (row,) = report['rows']
    assert (row['potential'], row['stated_field_angstrom'], row['has_local_energies']) == ('toy', 4.0, False)
    assert row['force_range_angstrom'] <= 4.0  # a pair potential
    assert (row['charge_energy_change_ev'], row['charge_force_change_ev_per_angstrom']) == (0.0, 0.0)
    (both,) = report['side_by_side']
    assert both['removal']['n_pairs'] == 4
    assert both['equilibrated_force_rmse_ev_per_angstrom'] > 0
    assert [state['name'] for state in both['equilibrated_by_charge_state']] == ['0', '2Na']
    (charges,) = report['charge_rows']
    assert (charges['is_blind'], charges['energy_floor_ev']) == (True, pytest.approx(1.0, rel=1e-12))
    assert charges['energy_rmse_ev'] >= charges['energy_floor_ev']
    assert report['words'][-1].startswith('Two questions, two numbers.')
    assert outputs['profiles'].get_array('toy_n_atoms').shape == (3, len(outputs['profiles'].get_array('distance')))
    assert outputs['reference'].n_frames == 6


def test_local_energies_come_along_and_a_refused_potential_does_not_keep_the_others(python_code, monkeypatch):
    binding = replace(LeastSquares.bindings['ase'], atomic_energies='ase')
    monkeypatch.setattr(LeastSquares, 'bindings', {**LeastSquares.bindings, 'ase': binding})
    whole = potential()
    (name,) = whole.model_files
    source = whole.base.repository.get_object_content(name)
    marked = source.replace("('energy', 'free_energy', 'forces')", "('energy', 'free_energy', 'forces', 'energies')")
    marked = marked.replace("            'energy': total,", "            'energy': total, 'energies': fixed[:, 0],")
    node = potential(model_format='native', seed=2)
    node.base.repository.put_object_from_bytes(marked.encode(), name)
    ignorant = potential(('H', 'O', 'Au')).store()
    outputs, process = run(python_code, potentials={'toy': node.store(), 'ignorant': ignorant})
    assert process.exit_status == 700
    assert 'evaluation of ignorant on pairs, which was refused: ' in process.exit_message
    (row,) = outputs['report'].get_dict()['rows']
    assert row['has_local_energies']
    assert 0 < row['energy_range_angstrom'] <= 4.0


def test_no_potential_at_all_is_an_exit_code(python_code):
    _, node = run(python_code, potentials={'ignorant': potential(('H', 'O', 'Au')).store()})
    assert node.exit_status == 511
    assert 'the frames hold Na' in node.exit_message


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'codes': {}}, "potential 'toy' is of architecture 'least_squares', codes are given for none"),
        ({'settings': {'n_move': 1}}, "unknown locality setting 'n_move': did you mean 'n_moved'"),
        ({'settings': {'frame_indices': [9]}}, 'frame_indices holds 9, the structure has 4 frames'),
        (
            {'settings': {'frame_indices': [0], 'heights': [5.0], 'ion': ''}},
            'no pairs can be made of the structure: the frame holds no ions; state the ion that is removed or added',
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_runs(python_code, changes, message):
    with pytest.raises(ValueError, match=message):
        run(python_code, **changes)


@pytest.mark.parametrize(
    ('frames', 'settings', 'message'),
    [
        (charged_frames(), {}, 'charge_frames are given, but the setting charge_column is empty'),
        (charged_frames().without_labels(), {'charge_column': 'q', 'charges': [1.0]}, 'charge_frames lack energies'),
        (charged_frames(), {'charge_column': 'q', 'charges': [1.0]}, "have no column 'q'"),
    ],
)
def test_charges_that_cannot_be_compared_are_refused(python_code, frames, settings, message):
    node = DatasetData.from_frames(frames, level_of_theory='made by hand')
    with pytest.raises(ValueError, match=message):
        run(python_code, charge_frames=node, settings=settings)
