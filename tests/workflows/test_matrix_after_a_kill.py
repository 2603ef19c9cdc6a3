"""The matrix by the daemon, whose worker is killed in the middle; then with one architecture more."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from aiida.engine import run_get_node, submit
from aiida.manage.caching import disable_caching
from aiida.orm import CalcJobNode, Dict, Int, QueryBuilder, load_node
from benchmark_cases import small_settings

from aiida_edl.provenance.cached_jobs import CACHED_FROM, cached_jobs
from aiida_edl.provenance.graph import called_processes
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.extension import consequences, extended_settings

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 900.0
CACHING = 'caching.enabled_for'


@pytest.fixture(scope='module')
def toy_everywhere(tmp_path_factory):
    """Register the toy architecture for the daemon, too: by the metadata of a distribution on its path."""
    site = tmp_path_factory.mktemp('site')
    metadata = site / 'toy_architecture-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: toy-architecture\nVersion: 1.0\n')
    line = 'least_squares = toy.least_squares:LeastSquares'
    (metadata / 'entry_points.txt').write_text(f'[aiida_edl.architectures]\n{line}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv('PYTHONPATH', os.pathsep.join([str(site), os.environ['PYTHONPATH']]))
        yield


@pytest.fixture
def daemon(toy_everywhere, aiida_config, aiida_profile, daemon_client):
    """Return a daemon that takes jobs from the cache."""
    aiida_config.set_option(CACHING, ['aiida.calculations:edl.*'], scope=aiida_profile.name)
    aiida_config.store()
    daemon_client.start_daemon()
    yield daemon_client
    daemon_client.stop_daemon(wait=True)
    aiida_config.unset_option(CACHING, scope=aiida_profile.name)


@pytest.fixture
def code(toy_everywhere, aiida_code_installed):
    """Return the interpreter of the tests as a code."""
    import sys

    return aiida_code_installed(label='python of the matrix', filepath_executable=sys.executable)


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f'{what} within {DEADLINE_SECONDS:.0f} s'
        time.sleep(0.5)


def trainings(node):
    """Return how many trainings a benchmark has begun."""
    return sum(called.process_label == 'TrainingCalculation' for called in called_processes(node))


def kill_workers(client):
    """Kill every worker of the daemon at once, as a lost node would."""
    workers = client.get_worker_info()['info']
    for info in workers.values():
        os.kill(info['pid'], signal.SIGKILL)
    assert workers


def ended(node):
    wait_for(lambda: load_node(node.pk).is_terminated, f'{node.process_label}<{node.pk}> did not end')
    return load_node(node.pk)


def results(node):
    """Return the numbers of a benchmark by name."""
    numbers = {f'errors {key}': errors.get_dict()['summary'] for key, errors in node.outputs.errors.items()}
    numbers |= {key: profile.get_array('oxygen_number_density') for key, profile in node.outputs.profiles.items()}
    return numbers


def test_matrix_survives_the_worker_and_grows_without_recomputing(daemon, code, aiida_profile):
    chain = ChargedInterfaceBenchmarkWorkChain
    settings = small_settings(seeds=(1,))
    codes = {'reference': code, 'least_squares': code}
    node = submit(chain, settings=Dict(settings), codes=codes, max_active=Int(2))
    wait_for(lambda: trainings(node) > 0, 'no training began')
    kill_workers(daemon)
    killed = ended(node)
    assert (killed.exit_status, killed.exit_message) == (0, None)
    assessments = [child for child in killed.called if child.process_label == 'PotentialAssessmentWorkChain']
    assert len(assessments) == 3  # nothing was submitted twice

    with disable_caching():
        undisturbed = run_get_node(chain, settings=Dict(settings), codes=codes).node
    expected, found = results(undisturbed), results(killed)
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_equal(found[name], value)  # to the last bit: every job has the same inputs

    part = settings['architectures']['least_squares']
    part = {**part, 'architecture': 'least_squares', 'hyperparameters': {'n_radial_functions': 8}}
    extended = extended_settings(killed, {'architectures': {'further': part}})
    assert consequences(settings, extended) == []
    grown = ended(submit(chain, settings=Dict(extended), codes={**codes, 'further': code}))
    assert (grown.exit_status, grown.exit_message) == (0, None)
    assert len(grown.outputs.potentials) == 6
    jobs = {called.pk: called.path[0] for called in called_processes(grown) if called.is_calculation}
    query = QueryBuilder().append(
        CalcJobNode,
        filters={'id': {'in': list(jobs)}, 'extras': {'!has_key': CACHED_FROM}},
        project='id',
    )
    assert [jobs[pk] for pk in query.all(flat=True) if not jobs[pk].startswith('further_')] == []
    n_cached, n_jobs = cached_jobs(grown)
    assert 0 < n_cached < n_jobs
