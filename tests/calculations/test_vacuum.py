"""Films whose images the calculator would see are refused wherever a potential computes them."""

from __future__ import annotations

import re

import pytest
from aiida.engine import run_get_node
from aiida.orm import Int, Str
from calculation_cases import (
    dataset,
    evaluation_inputs,
    md_inputs,
    potential,
    refusal,
    replica_inputs,
    single_point_inputs,
    split,
    stage,
    stored_once,
    take_films_as_periodic,
    thin_films,
    training_inputs,
)
from toy.least_squares import LeastSquares

from aiida_edl.architectures.bindings import TorchSimBinding
from aiida_edl.workflows.assessment_checks import validate_assessment
from aiida_edl.workflows.parity import ParityWorkChain


def sentence(frame: str) -> str:
    """Return what is said of a thin film."""
    return (
        rf'ase computes films by least_squares as periodic along all cell vectors, but frame {frame} has '
        r'[12]\.\d\d Å of vacuum along its open cell vector 2, less than the cutoff radius 4\.0 Å; lengthen that cell '
        r'vector by [123]\.\d\d Å'
    )


@pytest.fixture
def thin(monkeypatch):
    take_films_as_periodic(monkeypatch)
    return stored_once('thin films', lambda: dataset(thin_films()))


def test_evaluation_names_the_frame_of_the_subset(python_code, thin):
    message = refusal('edl.evaluation', evaluation_inputs(python_code, dataset=thin, split=split(test=[8, 9])))
    assert re.fullmatch(sentence('8'), message), message


def test_molecular_dynamics_names_the_initial_frame(python_code, thin):
    message = refusal('edl.molecular_dynamics', md_inputs(python_code, structure=thin, frame_index=3))
    assert re.fullmatch(sentence('3 of the structure'), message), message


def test_replicas_name_the_replica(python_code, thin, monkeypatch):
    batched = TorchSimBinding('toy', 'Toy', is_fully_periodic=True)
    monkeypatch.setattr(LeastSquares, 'bindings', {'torch_sim': batched})
    inputs = replica_inputs(
        python_code,
        structures={'film': thin},
        replicas={'first': {'structure': 'film', 'seed': 1, 'frame_index': 2}},
        potential=potential(),
        model_parameters=None,
    )
    message = refusal('edl.replica_dynamics', inputs)
    said = sentence("2 of structure 'film' of replica 'first'").replace('ase computes', 'torch_sim computes')
    assert re.fullmatch(said, message), message


def test_labels_by_a_teacher_are_refused(python_code, thin):
    inputs = single_point_inputs(python_code, dataset=thin, potential=potential(), model_parameters=None)
    assert re.fullmatch(sentence('0'), refusal('edl.single_point.ase_calculator', inputs))


def test_parity_cannot_be_judged_by_such_frames(python_code, thin):
    routes = {'md': {'engine': Str('ase'), 'code': python_code}}
    inputs = {'dataset': thin, 'potential': potential(), 'code': python_code, 'routes': routes, 'n_frames': Int(1)}
    _, node = run_get_node(ParityWorkChain, **inputs)
    assert node.exit_status == 211
    said = f'The reference of the comparison cannot be computed: {sentence("0")}'
    assert re.fullmatch(said, node.exit_message), node.exit_message


@pytest.mark.parametrize(('part', 'frame'), [('dataset', '5'), ('structures', "-1 of structure 'film'")])
def test_assessment_is_refused_before_its_training(python_code, thin, part, frame):
    training = {**training_inputs(python_code), **({'dataset': thin} if part == 'dataset' else {})}
    structures = {'film': thin if part == 'structures' else dataset()}
    inputs = {
        'training': training,
        'structures': structures,
        'engine': Str('ase'),
        'md_settings': md_inputs(None)['settings'],
    }
    message = validate_assessment(inputs, None)
    assert re.fullmatch(sentence(frame).replace(r'4\.0', r'\d\.\d').replace('[123]', r'\d'), message), message


def test_calculator_that_keeps_films_open_takes_them(python_code, tmp_path):
    stage('edl.evaluation', tmp_path, evaluation_inputs(python_code, dataset=dataset(thin_films())))


def test_wide_film_is_taken_and_the_run_is_told_the_cutoff_radius(python_code, thin, tmp_path):
    stage('edl.molecular_dynamics', tmp_path, md_inputs(python_code))
    text = (tmp_path / 'md.json').read_text()
    assert '"is_fully_periodic": true' in text
    assert '"cutoff_radius": 4.0' in text
