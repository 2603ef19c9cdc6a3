"""A whole benchmark that loses labels on the way, and to which a potential is given."""

from __future__ import annotations

import sys

import pytest
from aiida.engine import run_get_node
from aiida.orm import Computer, Dict, InstalledCode, load_computer
from benchmark_cases import small_settings
from calculation_cases import potential, register_toy

from aiida_edl.workflows import benchmark_reference
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain

pytestmark = pytest.mark.slow

LOST = '2Na_02'
REASON = 'the trajectory is unreadable'


@pytest.fixture(scope='module')
def code(aiida_profile):
    """Return the interpreter of the tests as a code, whose jobs are asked for without delay."""
    computer = Computer('nearby', 'localhost', '', 'core.local', 'core.direct', '/tmp/aiida-edl-tests/{username}')
    computer.store().set_minimum_job_poll_interval(0.0)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return InstalledCode(load_computer('nearby'), sys.executable, label='python-of-losses').store()


@pytest.fixture(scope='module')
def benchmark(code):
    """Return a benchmark of one model of which one of two reference runs gave no labels."""
    chosen = benchmark_reference.select_frames

    def choose(**inputs):
        if inputs['settings'].get_dict()['columns']['group'] == LOST:
            raise ValueError(REASON)
        return chosen(**inputs)

    with pytest.MonkeyPatch.context() as monkeypatch:
        register_toy(monkeypatch)
        monkeypatch.setattr(benchmark_reference, 'select_frames', choose)
        settings = small_settings((1,), charge_states=[2], training_sets={'single': True})
        settings['reference']['replicas'] = 2
        codes = dict.fromkeys(('reference', 'least_squares', 'foundation'), code)
        given = {'foundation': potential()}
        chain = ChargedInterfaceBenchmarkWorkChain
        yield run_get_node(chain, settings=Dict(settings), codes=codes, given_potentials=given).node


def test_losses_are_a_warning_with_the_reason(benchmark):
    expected = f'The comparison lacks parts that failed: choice of frames of {LOST} ({REASON})'
    assert benchmark.exit_status == 700
    assert benchmark.exit_message.startswith(expected)  # the toy that is given explodes besides


def test_what_was_not_lost_is_there(benchmark):
    outputs = benchmark.outputs
    assert list(outputs.rejected) == ['2Na_01']
    assert {'reference_2Na_01', f'reference_{LOST}'} <= set(outputs.profiles)
    assert 'answer' in outputs


def test_given_potential_is_tested_and_run_as_the_trained_one(benchmark):
    outputs, names = benchmark.outputs, {'foundation_given_seed_01', 'least_squares_single_2_seed_01'}
    assert set(outputs.errors) == set(outputs.potentials) == names
    assert 'least_squares_single_2_seed_01_at_2Na' in outputs.profiles
    assert 'foundation_given_seed_01' in benchmark.base.links.get_outgoing().all_link_labels()
    assert outputs.potentials['foundation_given_seed_01'].uuid == potential().uuid
    frames = {node.get_dict()['summary']['n_frames'] for node in outputs.errors.values()}
    assert frames == {4}
