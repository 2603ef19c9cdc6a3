"""The protocol ``fast`` with its real engines: its worker is killed, it grows by an architecture, and others read it.

On two cores it takes about half an hour. It needs the environment of the engines. Models trained so shortly may leave
physics in MD, and which of them do depends on the machine: that is a result of the study, told as a warning.
"""

from __future__ import annotations

import pytest
from aiida.engine import submit
from aiida.orm import Dict, Int
from daemon_cases import accidents, computed_jobs, ended, explosions, kill_workers, trainings, wait_for
from electrode_cases import find_lammps
from trainer_environments import environment

from aiida_edl.provenance.archive import publish
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.extension import consequences, extended_settings
from aiida_edl.workflows.launch import benchmark_settings

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 5400.0
SEES_FURTHER = {
    'architecture': 'mace',
    'protocol': 'fast',
    'hyperparameters': {'cutoff_radius': 4.5},
    'seeds': [1],
    'gradient_updates': 500,
    'precision': 'float32',
    'device': 'cpu',
}


@pytest.fixture
def codes(aiida_code_installed):
    """Return the codes of the protocol and of the architecture that joins it."""
    python = str(environment('engines'))
    trainer = aiida_code_installed(label='engines of the fast protocol', filepath_executable=python)
    reference = aiida_code_installed(label='lmp of the fast protocol', filepath_executable=find_lammps())
    return {'reference': reference, 'mace': trainer, 'deep_potential': trainer, 'mace_sees_further': trainer}


def test_killed_grown_and_published(caching_daemon, codes, tmp_path):
    chain = ChargedInterfaceBenchmarkWorkChain
    settings = benchmark_settings('fast')
    asked = {name: codes[name] for name in ('reference', *settings['architectures'])}
    node = submit(chain, settings=Dict(settings), codes=asked, max_active=Int(2))
    wait_for(lambda: trainings(node) > 2, 'no second pair of trainings began', DEADLINE_SECONDS)
    kill_workers(caching_daemon)
    killed = ended(node, DEADLINE_SECONDS)
    assert accidents(killed) == []
    assert killed.exit_status == (700 if explosions(killed) else 0)
    assert len(killed.outputs.potentials) == 12
    assessments = [child for child in killed.called if child.process_label == 'PotentialAssessmentWorkChain']
    assert len(assessments) == 12  # nothing was submitted twice

    extended = extended_settings(killed, {'architectures': {'mace_sees_further': SEES_FURTHER}})
    assert consequences(settings, extended) == []
    grown = ended(submit(chain, settings=Dict(extended), codes=codes, max_active=Int(2)), DEADLINE_SECONDS)
    assert accidents(grown) == []
    assert grown.exit_status == (700 if explosions(grown) else 0)
    assert len(grown.outputs.potentials) == 15
    assert [name for name in computed_jobs(grown) if not name.startswith('mace_sees_further_')] == []

    published = publish([grown], tmp_path / 'study.aiida')
    assert published.read_back.differences == ()
    assert published.audit.is_clean
