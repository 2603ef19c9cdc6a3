"""A run that hangs is really ended by the monitor, and goes on from its checkpoint."""

from __future__ import annotations

import ase_cases
import pytest
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, Dict
from calculation_cases import TESTS, md_inputs

from aiida_edl.calculations.monitors import STALLED
from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines import ase as ase_engine
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain

pytestmark = pytest.mark.slow

N_STEPS, HANGS_AFTER = 20, 9


@pytest.fixture
def hung_run(python_code, monkeypatch):
    """Return a work chain whose first process stopped dead; checkpoints are written after every step."""
    monkeypatch.setenv('PYTHONPATH', str(TESTS))
    monkeypatch.setattr(ase_engine, 'FLUSH_INTERVAL_SECONDS', 0.0)
    recipe = {
        'module': 'toy.failing_calculator',
        'attribute': 'HangingCalculator',
        'keyword_arguments': {'after': HANGS_AFTER},
    }
    inputs = md_inputs(
        python_code,
        potential=None,
        model_parameters={'recipe': recipe, 'level_of_theory': 'Morse potential'},
        structure=DatasetData.from_frames(FrameSet.from_frames([ase_cases.gold(1)]), origin='made by hand'),
        settings={'steps': N_STEPS, 'sampling_interval': 2, 'temperature': 300.0},
    )
    monitor = Dict({'entry_point': 'edl.md_stall', 'kwargs': {'stall_seconds': 8.0}, 'minimum_poll_interval': 1})
    return run_get_node(MolecularDynamicsWorkChain, md={**inputs, 'monitors': {'stall': monitor}})[1]


def test_hung_run_is_ended_read_and_continued(hung_run):
    assert hung_run.is_finished_ok, hung_run.exit_message
    jobs = sorted((n for n in hung_run.called_descendants if isinstance(n, CalcJobNode)), key=lambda node: node.pk)
    assert [job.exit_status for job in jobs] == [150, 0]
    assert jobs[0].exit_message.startswith(STALLED)
    assert jobs[0].outputs.trajectory.frames().columns['step'].tolist() == [2, 4, 6]
    assert jobs[1].inputs.checkpoint.uuid == jobs[0].outputs.checkpoint.uuid
    assert hung_run.outputs.trajectory.frames().columns['step'].tolist() == list(range(2, N_STEPS + 1, 2))
