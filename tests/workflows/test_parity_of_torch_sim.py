"""A real MACE potential by torch-sim and by its own ASE calculator: equal but for rounding."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida.engine import run_get_node
from aiida.orm import InstalledCode, Int, Str
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train
from toy.training_cases import training_case

from aiida_edl.architectures.base import TrainingJob
from aiida_edl.architectures.mace import Mace
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.parity import ParityWorkChain

pytestmark = pytest.mark.slow
CASE = training_case('mace')


@pytest.fixture
def potential(aiida_profile, tmp_path):
    if CASE.missing:
        pytest.skip(CASE.missing)
    architecture = Mace()
    job = TrainingJob(
        training_set=film_frames(6, seed=1),
        validation_set=film_frames(2, seed=2),
        elements=ELEMENTS,
        hyperparameters=architecture.make_hyperparameters(CASE.recording['hyperparameters']),
        atomic_energies=ATOMIC_ENERGIES,
        gradient_updates=12,
        seed=11,
    )
    result = train(architecture, job, tmp_path, str(CASE.python))
    return PotentialData.from_model(
        {architecture.model_file_name: (tmp_path / Path(result.model_path)).read_bytes()},
        architecture='mace',
        elements=ELEMENTS,
        cutoff_radius=4.0,
        n_layers=1,
        level_of_theory='Lennard-Jones',
        atomic_energies=ATOMIC_ENERGIES,
        embeds_atomic_energies=True,
        precision='float64',
    ).store()


def test_torch_sim_passes(potential, aiida_localhost):
    code = InstalledCode(aiida_localhost, str(CASE.python.absolute()), label='engines').store()
    dataset = DatasetData.from_frames(film_frames(2, seed=9), level_of_theory='none', origin='made by hand')
    outputs, node = run_get_node(
        ParityWorkChain,
        dataset=dataset,
        potential=potential,
        code=code,
        routes={'torch_sim': {'engine': Str('torch_sim'), 'code': code}},
        n_frames=Int(2),
    )
    assert node.is_finished_ok, node.exit_message
    judged = outputs['verdict'].get_dict()['routes']['torch_sim']
    assert judged['passed'], judged['reasons']
    assert judged['max_force_difference'] < 1e-9
