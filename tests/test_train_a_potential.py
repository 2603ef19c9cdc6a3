"""The page on training a potential, executed from top to bottom with the toy architecture."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import aiida.engine
import pytest
from aiida.engine import run_get_node
from aiida.orm import Int
from calculation_cases import dataset, labelled_frames, register_toy, training_inputs

from aiida_edl.architectures.protocols import training_protocol
from aiida_edl.workflows.training import TrainingWorkChain

PAGE = Path(__file__).parents[1] / 'docs' / 'source' / 'howto' / 'train_a_potential.md'
BLOCK = re.compile(r'^```python\n(.*?)^```$', re.MULTILINE | re.DOTALL)
REPLACED = {
    "'mace'": "'least_squares'",
    "'balanced'": "'fast'",
    'mace-python@cluster': 'toy-python@localhost',
    'List([1, 2, 3, 4])': 'List([1, 2])',
    'List([16, 32, 64])': 'List([16, 64])',
}
"""The page trains MACE on a cluster, twelve times for the ensemble; what stands here instead takes seconds."""


@pytest.fixture
def toy_code(aiida_code_installed, monkeypatch):
    """Return the interpreter of the tests as the code of the toy architecture."""
    register_toy(monkeypatch)
    return aiida_code_installed(label='toy-python', filepath_executable=sys.executable)


@pytest.fixture
def page(aiida_profile_clean, toy_code, monkeypatch):
    """Return what the blocks of the page have made, with every process run to its end where it is submitted."""
    frames = dataset(labelled_frames(200)).store()
    frames.label = 'gold'
    monkeypatch.setattr(aiida.engine, 'submit', lambda process, **inputs: run_get_node(process, **inputs)[1])
    text = '\n'.join(BLOCK.findall(PAGE.read_text(encoding='utf-8')))
    for stated, used in REPLACED.items():
        assert stated in text
        text = text.replace(stated, used)
    made = {}
    exec(compile(text, PAGE.name, 'exec'), made)
    return made


def test_what_the_page_trains_is_what_it_says(page):
    for name in ('chain', 'evaluation', 'further', 'ensemble'):
        assert page[name].is_finished_ok, (name, page[name].exit_message)
    inputs = page['chain'].called[0].inputs
    assert (inputs.device.value, inputs.hyperparameters['batch_size'], inputs.gradient_updates.value) == ('cuda', 2, 20)
    assert page['summary']['threads'] == 8
    summary = page['further'].outputs.training_summary
    assert (summary['is_restart'], summary['gradient_updates_done']) == (True, 40)
    assert sorted(page['ensemble'].outputs.potentials) == [
        'n_00016_seed_01',
        'n_00016_seed_02',
        'n_00064_seed_01',
        'n_00064_seed_02',
    ]
    assert page['curve'].get_array('size').tolist() == [16, 64]


@pytest.mark.slow
def test_chain_of_too_few_jobs_leaves_the_checkpoint_of_the_last(aiida_profile_clean, toy_code):
    training = training_inputs(toy_code, hyperparameters={'pause_seconds': 6.0})
    training['metadata'] = {'options': {'max_wallclock_seconds': 20}}
    _, chain = run_get_node(TrainingWorkChain, training=training, max_iterations=Int(1))
    assert chain.exit_status == 401
    assert 0 < chain.outputs.checkpoint.base.attributes.get('gradient_updates_done') < 6


def test_protocol_that_the_page_names_has_what_it_takes_from_it():
    assert TrainingWorkChain.get_protocol_hyperparameters('mace', 'balanced', {'batch_size': 2})['batch_size'] == 2
    assert {'gradient_updates', 'precision'} <= set(training_protocol('mace', 'balanced'))
