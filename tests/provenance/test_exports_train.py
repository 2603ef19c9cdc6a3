"""The published sets, imported, exported, and trained on by the trainers themselves, without this package."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from trainer_environments import environment

from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.dataset_export import ExportSettings, export_dataset
from aiida_edl.provenance.dataset_import import ImportSettings, import_dataset
from aiida_edl.science.frames import FrameSet

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get('AIIDA_EDL_DFT_DATA', ROOT.parent / 'shared' / 'data'))
"""Folder with the published sets; too large for this repository."""
N_FRAMES = 6
N_STEPS = 20
MACE = (
    *('--name=trained', '--train_file=frames.xyz', '--valid_fraction=0.34', '--energy_key=REF_energy'),
    *('--forces_key=REF_forces', '--E0s=average', '--model=MACE', '--num_channels=4', '--max_L=0', '--max_ell=2'),
    *('--correlation=2', '--r_max=3.5', '--batch_size=2', '--max_num_epochs=2', '--device=cpu', '--seed=1'),
    *('--default_dtype=float64', '--plot=False', '--loss=weighted', '--clip_grad=10.0'),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f'no DFT data in {DATA}; name their folder in AIIDA_EDL_DFT_DATA'),
]


SETS = {
    'gold': (
        'au111_water_vasp/train.extxyz',
        ImportSettings(
            'VASP, RPBE as stated by the origin, unverified',
            options={'energy': 'free_energy', 'stress': 'stress', 'columns': {'head': 'group'}},
            n_wet_sides=2,
        ),
    ),
    'platinum': (
        'pt111_water_cp2k/interface',
        ImportSettings('CP2K, PBE-D3, DZVP-MOLOPT-SR, GTH', options={'type_map': ('O', 'H', 'Pt')}, n_wet_sides=2),
    ),
}
"""The published sets, and what is stated of them."""


@pytest.fixture(scope='module', params=SETS)
def node(aiida_profile, request) -> DatasetData:
    """Return the first frames of an imported set."""
    source, settings = SETS[request.param]
    whole = import_dataset(DATA / source, settings)
    part = whole.frames().select(np.arange(N_FRAMES))
    return DatasetData.from_frames(part, whole.level_of_theory, whole.base.attributes.get('origin'), 2).store()


def run(python: Path, folder: Path, *arguments: str) -> str:
    """Return what a trainer printed."""
    settings = {**os.environ, 'OMP_NUM_THREADS': '2', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1', 'DEVICE': 'cpu'}
    done = subprocess.run(
        [str(python), '-m', *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def force_rms(frames: FrameSet) -> float:
    """Return the root mean square of the forces [eV/Å], the error of a model that says zero."""
    return float(np.sqrt(np.mean(np.asarray(frames.forces) ** 2)))


def test_mace_trains_on_the_exported_text(node, tmp_path):
    keys = {'energy': 'REF_energy', 'forces': 'REF_forces'}
    if node.frames().stresses is not None:
        keys['stress'] = 'REF_stress'
    export_dataset(node, tmp_path / 'out', ExportSettings('extended_xyz', keys))
    printed = run(environment('engines'), tmp_path / 'out', 'mace.cli.run_train', *MACE)
    assert (tmp_path / 'out' / 'trained.model').is_file()
    errors = [float(value) for value in re.findall(r'RMSE_F=\s*([\d.]+) meV', printed)]
    assert len(errors) >= 2
    assert 0.0 < errors[0] / 1000.0 < 3.0 * force_rms(node.frames())


def test_deepmd_trains_on_the_exported_systems(node, tmp_path):
    elements = list(node.elements)
    written = ExportSettings('deepmd_npy', {'type_map': tuple(elements)})
    export_dataset(node, tmp_path / 'out', written)
    descriptor = {'type': 'se_e2_a', 'rcut': 3.5, 'rcut_smth': 0.5, 'sel': [40, 30, 30], 'neuron': [4, 8]}
    (tmp_path / 'input.json').write_text(
        json.dumps(
            {
                'model': {
                    'type_map': elements,
                    'descriptor': {**descriptor, 'axis_neuron': 4, 'seed': 1},
                    'fitting_net': {'neuron': [16, 16], 'seed': 1},
                },
                'learning_rate': {'type': 'exp', 'start_lr': 0.005, 'stop_lr': 5e-4, 'decay_steps': 5},
                'loss': {'start_pref_e': 0.02, 'limit_pref_e': 1, 'start_pref_f': 1000, 'limit_pref_f': 1},
                'training': {
                    'training_data': {'systems': ['out/system_000'], 'batch_size': 1},
                    'numb_steps': N_STEPS,
                    'seed': 1,
                    'disp_freq': 1,
                    'save_freq': N_STEPS,
                },
            }
        )
    )
    run(environment('engines'), tmp_path, 'deepmd', '--pt', 'train', 'input.json', '--skip-neighbor-stat')
    header, *rows = (tmp_path / 'lcurve.out').read_text().splitlines()
    column = header.removeprefix('#').split().index('rmse_f_trn')
    errors = [float(row.split()[column]) for row in rows if not row.startswith('#')]
    assert errors[-1] < errors[0]
    # Before the first update, the model is near zero and the error is the size of the forces.
    assert errors[0] == pytest.approx(force_rms(node.frames()), rel=0.5)
