"""Two conversions of a real Deep Potential: one is right, one is silently wrong, and the gate tells them apart.

DeePMD-kit 3.2 converts a model of its PyTorch backend to a frozen graph of its TensorFlow backend (``.pb``) without a
word, and the energies of what comes out are off by 0.01 to 0.1 eV per atom. The same model as a TensorFlow saved model
is right to rounding.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from aiida.engine import run_get_node
from aiida.orm import Bool, InstalledCode, Int, Str
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train
from toy.training_cases import ROOT, training_case

from aiida_edl.architectures.base import TrainingJob
from aiida_edl.architectures.bindings import NATIVE
from aiida_edl.architectures.deep_potential import DeepPotential
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.parity import ParityWorkChain

pytestmark = pytest.mark.slow

CASE = training_case('deep_potential')
TENSORFLOW = ROOT / '.environments' / 'deepmd_lammps' / 'bin' / 'python'
FORMATS = ('savedmodeltf', 'pb')
DP = ('-m', 'deepmd', 'convert-backend')
VARIABLES = {'OMP_NUM_THREADS': '1', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1', 'TF_CPP_MIN_LOG_LEVEL': '3'}


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Train a small model and convert it; return the files of each format."""
    if CASE.missing:
        pytest.skip(CASE.missing)
    if not TENSORFLOW.exists():
        pytest.skip('conversions are not tested: the environment .environments/deepmd_lammps is not installed')
    folder = tmp_path_factory.mktemp('conversions')
    architecture = DeepPotential()
    job = TrainingJob(
        training_set=film_frames(20, seed=1),
        validation_set=film_frames(4, seed=2),
        elements=ELEMENTS,
        hyperparameters=architecture.make_hyperparameters(CASE.training['hyperparameters']),
        atomic_energies=ATOMIC_ENERGIES,
        gradient_updates=100,
        seed=11,
    )
    result = train(architecture, job, folder, str(CASE.python))
    for python, source, target in (
        (CASE.python, result.model_path, 'model.dp'),
        *((TENSORFLOW, 'model.dp', f'model.{name}') for name in FORMATS),
    ):
        subprocess.run(
            [str(python), *DP, source, target], cwd=folder, check=True, env={**os.environ, **VARIABLES}, timeout=900
        )
    paths = {NATIVE: folder / result.model_path, **{name: folder / f'model.{name}' for name in FORMATS}}
    return {name: files_of(path) for name, path in paths.items()}


def files_of(path: Path) -> dict[str, bytes]:
    """Return the files of a model, a file or a folder, by path in a later job."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    parts = [part for part in path.rglob('*') if part.is_file()]
    return {part.relative_to(path.parent).as_posix(): part.read_bytes() for part in parts}


def potential_of(files: dict[str, bytes], model_format: str) -> PotentialData:
    return PotentialData.from_model(
        files,
        architecture='deep_potential',
        elements=ELEMENTS,
        cutoff_radius=4.0,
        n_layers=1,
        level_of_theory='Lennard-Jones',
        atomic_energies=ATOMIC_ENERGIES,
        embeds_atomic_energies=False,
        precision='float64',
        model_format=model_format,
    ).store()


@pytest.fixture
def codes(models, aiida_localhost, monkeypatch):
    """Return the interpreters of both backends; let a frozen graph be loaded, which the package does not offer."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    binding = replace(DeepPotential.bindings['ase'], formats=(NATIVE, *FORMATS))
    monkeypatch.setattr(DeepPotential, 'bindings', {**DeepPotential.bindings, 'ase': binding})
    paths = {'torch': CASE.python, 'tensorflow': TENSORFLOW, 'lammps': TENSORFLOW.with_name('lmp')}
    return {name: InstalledCode(aiida_localhost, str(path), label=name).store() for name, path in paths.items()}


def test_gate_tells_the_wrong_conversion_from_the_right_one(models, codes):
    frames = film_frames(2, seed=9)
    charged = frames.numbers.copy()
    charged[-1] = 11  # a sodium ion in place of the last hydrogen atom
    dataset = DatasetData.from_frames(
        FrameSet.concatenate([frames, replace(frames, numbers=charged)]), level_of_theory='none', origin='made by hand'
    )
    converted = {name: potential_of(models[name], name) for name in FORMATS}
    outputs, node = run_get_node(
        ParityWorkChain,
        dataset=dataset,
        potential=potential_of(models[NATIVE], NATIVE),
        code=codes['torch'],
        routes={
            **{
                name: {'engine': Str('ase'), 'code': codes['tensorflow'], 'potential': converted[name]}
                for name in FORMATS
            },
            'lammps': {'engine': Str('lammps'), 'code': codes['lammps'], 'potential': converted['savedmodeltf']},
        },
        n_frames=Int(1),
    )
    assert node.exit_status == 453, node.exit_message
    number = r'0\.\d+'
    assert re.fullmatch(
        f'The potential is not the same by every route: pb: its energy is off by {number} eV/atom in frame [01], '
        f'allowed are 1e-06; pb: its force is off by {number} eV/Å in frame [01], allowed are 1e-05',
        node.exit_message,
    ), node.exit_message
    verdict = outputs['verdict'].get_dict()
    assert verdict['charge_states'] == ['0', '1Na']
    right, wrong = (verdict['routes'][name] for name in FORMATS)
    lammps = verdict['routes']['lammps']
    assert (right['passed'], lammps['passed'], wrong['passed']) == (True, True, False), verdict['reasons']
    assert lammps['max_energy_difference'] < 1e-9
    assert lammps['max_force_difference'] < 1e-9
    assert right['max_energy_difference'] < 1e-12
    assert right['max_force_difference'] < 1e-10
    assert wrong['max_energy_difference'] * len(frames.numbers) / 2 > 0.05  # eV
    assert wrong['max_force_difference'] > 0.1
    run, gate = {'engine': Str('ase'), 'potential': converted['pb']}, MolecularDynamicsWorkChain.validate_gate
    refusal = gate({'md': run, 'parity': outputs['verdict']}, None)
    assert refusal is not None
    assert refusal.startswith("the ase engine with the format 'pb' in float64 failed the parity gate: ")
    assert gate({'md': run, 'parity': outputs['verdict'], 'skip_parity_check': Bool(True)}, None) is None
    assert gate({'md': {**run, 'potential': converted['savedmodeltf']}, 'parity': outputs['verdict']}, None) is None
