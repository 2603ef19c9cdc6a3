"""Trained models of real architectures see as far as they state: cutoff times layers, within one bin.

An architecture whose environment is not installed is skipped by name.
"""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Int, List, Str
from computer_cases import local_computer
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames
from toy.training_cases import training_case

from aiida_edl.data.dataset import DatasetData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.locality_test import LocalityTestWorkChain
from aiida_edl.workflows.training import TrainingWorkChain

pytestmark = pytest.mark.slow

N_FRAMES = 12
OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}
MODELS = {
    'mace': ('mace', {'n_interactions': 2}, 30),
    'deep_potential': ('deep_potential', {}, 60),
    'grace': ('grace', {}, 20),
    'sevennet': ('sevennet', {}, 10),
}
"""Architecture, what differs from its training in other tests, and gradient updates: the range needs no good model."""
SETTINGS = {'n_moved': 4, 'bin_width': 0.5}


def rod() -> DatasetData:
    """Return atoms thrown into a rod of 24 Å.

    Every distance and every way of hops occurs in it; a crystal has shells of neighbours, and no hop just below the
    cutoff radius.
    """
    generator, found = np.random.default_rng(4), [np.zeros(3)]
    for position in generator.uniform([-2.0, -2.0, 0.0], [2.0, 2.0, 24.0], size=(20000, 3)):
        if np.min(np.linalg.norm(np.array(found) - position, axis=1)) > 1.3:
            found.append(position)
    numbers = generator.choice([1, 8, 11, 79], p=[0.5, 0.4, 0.05, 0.05], size=len(found)).astype(np.uint8)
    frame = Frame(numbers, np.array(found), np.zeros((3, 3)), np.zeros(3, bool))
    return DatasetData.from_frames(FrameSet.from_frames([frame]), origin='thrown by hand')


@pytest.fixture(scope='module')
def dataset(aiida_profile):
    return DatasetData.from_frames(film_frames(N_FRAMES, seed=1), level_of_theory='Lennard-Jones').store()


@pytest.fixture(scope='module')
def computer(aiida_profile, tmp_path_factory):
    return local_computer('locality-of-trained', tmp_path_factory.mktemp('work'))


@pytest.fixture(scope='module', params=MODELS)
def tested(request, dataset, computer):
    """Return what the test says of one trained model, and its potential."""
    name, changes, updates = MODELS[request.param]
    case = training_case(name)
    if case.missing:
        pytest.skip(case.missing)
    code = InstalledCode(
        label=f'locality-{name}', computer=computer, filepath_executable=str(case.python.absolute())
    ).store()
    split = ArrayData({'training': np.arange(8), 'validation': np.arange(8, 10), 'test': np.arange(10, 12)})
    architecture = load_member(ARCHITECTURES, name)
    _, training = run_get_node(
        TrainingWorkChain,
        training={
            'dataset': dataset,
            'split': split,
            'architecture': Str(name),
            'hyperparameters': Dict({**case.training['hyperparameters'], **changes}),
            'seed': Int(1),
            'precision': Str(architecture.precisions[-1].value),
            'elements': List(list(ELEMENTS)),
            'atomic_energies': Dict(ATOMIC_ENERGIES),
            'gradient_updates': Int(updates),
            'code': code,
            'metadata': {'options': OPTIONS},
        },
    )
    assert training.is_finished_ok, training.exit_message
    potential = training.outputs.potential
    outputs, node = run_get_node(
        LocalityTestWorkChain,
        potentials={name: potential},
        codes={name: code},
        structure=rod(),
        settings=Dict(SETTINGS),
        options=Dict(OPTIONS),
    )
    assert node.is_finished_ok, node.exit_message
    (row,) = outputs['report'].get_dict()['rows']
    print('\n'.join(outputs['report'].get_dict()['words']))  # noqa: T201  (shown if a test fails)
    return row, potential


def test_range_is_cutoff_times_layers_within_a_bin(tested):
    row, potential = tested
    assert row['has_local_energies']
    assert row['stated_field_angstrom'] == pytest.approx(potential.cutoff_radius * potential.n_layers)
    assert row['largest_distance_angstrom'] > row['stated_field_angstrom']
    assert row['verdict'] == 'local'
    field = row['stated_field_angstrom']
    assert field - SETTINGS['bin_width'] < row['energy_range_angstrom'] <= field
    assert row['energy_range_angstrom'] < row['force_range_angstrom'] <= 2 * field


def test_ions_beyond_the_field_are_not_seen(tested):
    row, _ = tested
    assert row['ion_largest_distance_angstrom'] > row['stated_field_angstrom']
    assert 0 < row['ion_energy_range_angstrom'] <= row['stated_field_angstrom']


def test_rounding_is_far_below_what_matters(tested):
    row, potential = tested
    limit = 1e-8 if potential.precision == 'float64' else 1e-3
    assert row['energy_threshold_ev'] < limit
