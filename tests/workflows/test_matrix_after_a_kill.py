"""The matrix by the daemon, whose worker is killed in the middle; then with one architecture more."""

from __future__ import annotations

import os

import numpy as np
import pytest
from aiida.engine import run_get_node, submit
from aiida.manage.caching import disable_caching
from aiida.orm import Dict, Int
from benchmark_cases import small_settings
from daemon_cases import computed_jobs, ended, kill_workers, trainings, wait_for

from aiida_edl.provenance.cached_jobs import cached_jobs
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.extension import consequences, extended_settings

pytestmark = pytest.mark.slow


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
def daemon(toy_everywhere, caching_daemon):
    """Return a daemon that knows the toy architecture and takes jobs from the cache."""
    return caching_daemon


@pytest.fixture
def code(toy_everywhere, aiida_code_installed):
    """Return the interpreter of the tests as a code."""
    import sys

    return aiida_code_installed(label='python of the matrix', filepath_executable=sys.executable)


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
    assert [name for name in computed_jobs(grown) if not name.startswith('further_')] == []
    n_cached, n_jobs = cached_jobs(grown)
    assert 0 < n_cached < n_jobs
