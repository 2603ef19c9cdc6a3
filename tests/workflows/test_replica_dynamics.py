"""Interrupted replicas continue to the same target; one that explodes is named in a warning. Runs are real."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, InstalledCode
from calculation_cases import TESTS, replica_inputs, stored_once
from torch_sim_cases import PYTHON, toy

from aiida_edl.workflows.replica_dynamics import ReplicaDynamicsWorkChain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason='.environments/engines is missing; run `make install`'),
]


@pytest.fixture
def torch_sim_code(aiida_localhost):
    """Return the Python interpreter of the environment with torch-sim."""
    return stored_once(
        'torch-sim',
        lambda: InstalledCode(label='torch-sim', computer=aiida_localhost, filepath_executable=str(PYTHON)),
    )


@pytest.fixture
def interrupted_and_whole(torch_sim_code, monkeypatch):
    """Return a run that was interrupted once, and the same run in one process; both are run once for all tests."""
    monkeypatch.setenv('PYTHONPATH', str(TESTS))

    def run(calls_per_process):
        parameters = {'recipe': dict(toy('InterruptedModel', after=calls_per_process)), 'level_of_theory': 'a pair'}
        inputs = replica_inputs(torch_sim_code, model_parameters=parameters)
        return run_get_node(ReplicaDynamicsWorkChain, md=inputs)[1]

    return stored_once('interrupted replicas', lambda: run(30)), stored_once('whole replicas', lambda: run(10**6))


def test_interrupted_run_reaches_its_target(interrupted_and_whole):
    interrupted, _ = interrupted_and_whole
    jobs = sorted(interrupted.called_descendants, key=lambda node: node.pk)
    assert [job.exit_status for job in jobs if isinstance(job, CalcJobNode)] == [400, 0]


def test_explosion_of_one_replica_is_a_warning_that_names_it(interrupted_and_whole):
    for node in interrupted_and_whole:
        assert node.exit_status == 700
        assert node.exit_message == (
            '1 of 3 replicas exploded, their frames before that are kept: displaced: the temperature is 1997 K at '
            'step 11, the maximum is 1950 K'
        )


def test_joined_trajectories_are_those_of_one_process(interrupted_and_whole):
    interrupted, whole = (node.outputs for node in interrupted_and_whole)
    for label in ('bulk', 'displaced', 'film'):
        frames = [outputs.trajectories[label].frames() for outputs in (interrupted, whole)]
        np.testing.assert_array_equal(frames[0].columns['step'], frames[1].columns['step'])
        np.testing.assert_array_equal(frames[0].positions, frames[1].positions)


def test_joined_series_are_those_of_one_process(interrupted_and_whole):
    interrupted, whole = (node.outputs for node in interrupted_and_whole)
    for label in ('bulk', 'displaced', 'film'):
        for name in whole.series[label].get_arraynames():
            np.testing.assert_array_equal(
                interrupted.series[label].get_array(name), whole.series[label].get_array(name)
            )
