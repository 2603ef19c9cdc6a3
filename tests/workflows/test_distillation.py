"""A foundation model that ships in a package: imported, teacher of a small model, fine-tuned; all in the graph."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Int, List, QueryBuilder, Str
from ase import Atoms
from ase.build import fcc111, molecule
from computer_cases import local_computer
from toy.training_cases import training_case

from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.replay_checks import ReplayKind, replay_kind
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.foundation_import import add_foundation_model
from aiida_edl.provenance.foundation_registry import find_model
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.training import TrainingWorkChain

pytestmark = pytest.mark.slow

ELEMENTS = ['H', 'O', 'Au']
OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}
PARTS = {'training': range(34), 'validation': range(34, 37), 'test': range(37, 40)}
SMALL_MACE = {
    'cutoff_radius': 4.0,
    'n_channels': 8,
    'max_l': 0,
    'max_ell': 1,
    'correlation': 2,
    'n_interactions': 1,
    'radial_network': [16],
    'batch_size': 1,
    'learning_rate': 0.02,
    'n_evaluations': 5,
}


def water(generator: np.random.Generator) -> Atoms:
    """Return a periodic box of four molecules."""
    atoms = Atoms(cell=[5.4, 5.4, 5.4], pbc=True)
    for corner in ((0, 0, 0), (2.7, 2.7, 0), (2.7, 0, 2.7), (0, 2.7, 2.7)):
        one = molecule('H2O')
        one.rotate(generator.uniform(0, 360), generator.normal(size=3))
        one.translate(corner)
        atoms += one
    return atoms


def film(generator: np.random.Generator) -> Atoms:
    """Return a gold film with a molecule on it, open along z."""
    atoms = fcc111('Au', (1, 2, 3), a=4.17, vacuum=6.0, orthogonal=True)
    one = molecule('H2O')
    one.rotate(generator.uniform(0, 360), generator.normal(size=3))
    one.translate(atoms.positions[-1] + [0, 0, 3.0] - one.positions[0])
    return atoms + one


def unlabelled_frames() -> FrameSet:
    """Return 40 frames, boxes and films by turns."""
    generator = np.random.default_rng(5)
    frames = []
    for index in range(40):
        atoms = (film if index % 2 else water)(generator)
        atoms.rattle(0.05, rng=generator)
        frames.append(
            Frame(
                numbers=atoms.numbers.astype(np.uint8),
                positions=atoms.positions,
                cell=np.array(atoms.cell),
                pbc=np.array(atoms.pbc),
            )
        )
    return FrameSet.from_frames(frames)


@pytest.fixture(scope='module')
def computer(aiida_profile, tmp_path_factory):
    return local_computer('distillation', tmp_path_factory.mktemp('work'))


@pytest.fixture(scope='module')
def code_of(computer):
    """Return a function that gives the interpreter of an architecture as a code."""

    def code(name: str) -> InstalledCode:
        case = training_case(name)
        if case.missing:
            pytest.skip(case.missing)
        made = InstalledCode(label=f'{name}-python', computer=computer, filepath_executable=str(case.python.absolute()))
        return made.store()

    codes = {name: code(name) for name in ('sevennet', 'mace')}
    return codes.__getitem__


@pytest.fixture(scope='module')
def foundation(code_of) -> PotentialData:
    return add_foundation_model(find_model('7net-0'), python=training_case('sevennet').python).node


@pytest.fixture(scope='module')
def labelled(foundation, code_of):
    """Return the data set that the foundation model labelled."""
    _, node = run_get_node(
        LabellingWorkChain,
        dataset=DatasetData.from_frames(unlabelled_frames(), level_of_theory=''),
        engine=Str('ase_calculator'),
        potential=foundation,
        code=code_of('sevennet'),
        options=Dict(OPTIONS),
    )
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.rejected['n_rejected'] == 0, node.outputs.rejected.get_dict()
    return node.outputs.dataset


@pytest.fixture(scope='module')
def split(aiida_profile):
    node = ArrayData()
    for name, indices in PARTS.items():
        node.set_array(name, np.array(indices))
    return node.store()


@pytest.fixture(scope='module')
def atomic_energies(labelled):
    return fit_atomic_energies(labelled)


@pytest.fixture(scope='module')
def train(labelled, split, atomic_energies, code_of):
    """Return a function that trains one architecture on the labels."""

    def run(architecture: str, hyperparameters: dict, gradient_updates: int, **changes):
        _, node = run_get_node(
            TrainingWorkChain,
            training={
                'dataset': labelled,
                'split': split,
                'architecture': Str(architecture),
                'hyperparameters': Dict(hyperparameters),
                'seed': Int(1),
                'precision': Str('float32'),
                'elements': List(ELEMENTS),
                'atomic_energies': atomic_energies,
                'gradient_updates': Int(gradient_updates),
                'code': code_of(architecture),
                'metadata': {'options': OPTIONS},
                **changes,
            },
        )
        assert node.is_finished_ok, node.exit_message
        return node

    return run


@pytest.fixture(scope='module')
def distilled(train):
    return train('mace', SMALL_MACE, 400)


def test_small_model_follows_its_teacher(distilled, labelled, split, code_of):
    _, node = run_get_node(
        EvaluationWorkChain,
        evaluation={
            'dataset': labelled,
            'split': split,
            'potential': distilled.outputs.potential,
            'code': code_of('mace'),
            'metadata': {'options': OPTIONS},
        },
    )
    assert node.is_finished_ok, node.exit_message
    forces = labelled.frames().select(np.array(PARTS['test'])).forces
    error = node.outputs.errors.get_dict()['summary']['force_rmse_ev_per_angstrom']
    assert error < 0.5 * np.sqrt(np.mean(forces**2))


def test_teacher_is_an_ancestor_of_the_small_model(distilled, foundation):
    query = QueryBuilder().append(PotentialData, filters={'uuid': foundation.uuid}, tag='teacher')
    query.append(PotentialData, with_ancestors='teacher', filters={'uuid': distilled.outputs.potential.uuid})
    assert query.count() >= 1  # one for each way through the graph


def test_foundation_model_is_the_one_of_the_registry_and_says_what_it_is(foundation, code_of):
    again = add_foundation_model(find_model('7net-0'), python=training_case('sevennet').python)
    assert (again.is_new, again.node.uuid, again.remarks) == (False, foundation.uuid, ())
    values = foundation.base.attributes.all
    assert (values['training_set'], values['licence']) == ('MPtrj', 'MIT')
    assert values['sha256'] == '7052cb42b7b3be42b40b97fa0d21077a48c54b5548948fc4dcf346629f813c36'


def test_labels_of_the_teacher_are_its_pseudo_labels(labelled, foundation):
    """They may be replayed when it is fine-tuned, and those of another model may not."""
    assert replay_kind(labelled, foundation) is ReplayKind.PSEUDO


def test_labels_name_the_teacher_and_its_level_of_theory(labelled, foundation):
    assert foundation.level_of_theory in labelled.level_of_theory
    assert 'sevennet' in labelled.level_of_theory


def test_fine_tuning_starts_from_the_weights_of_the_foundation(train, foundation):
    """With hardly any learning, the tuned model has the forces of its parent, which made the labels."""
    hyperparameters = TrainingWorkChain.get_protocol_hyperparameters(
        'sevennet', 'foundation', {'learning_rate': 1e-7, 'batch_size': 17}
    )
    node = train(
        'sevennet',
        hyperparameters,
        2,
        parent_potential=foundation,
        fine_tuning=Dict({'mode': 'naive', 'atomic_energies': 'parent'}),
    )
    curve, potential = node.outputs.learning_curve, node.outputs.potential
    # Single precision; energies are sums of ten terms of a few eV.
    assert curve.get_array('validation_force_rmse')[-1] < 1e-3
    assert curve.get_array('validation_energy_rmse')[-1] < 1e-3
    assert (potential.n_layers, potential.cutoff_radius) == (5, 5.0)
