"""A model through its binding for torch-sim gives the forces that its binding for ASE gives; runs are real."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from calculation_cases import labelled_frames
from torch_sim_cases import ENGINE, PYTHON, TESTS, read_replicas, run_folders, stage

from aiida_edl.architectures.mace import Mace
from aiida_edl.architectures.precision import Precision
from aiida_edl.md_engines.ase import DRIVER as ASE_DRIVER
from aiida_edl.md_engines.ase import AseEngine
from aiida_edl.md_engines.base import MDJob, MDOutcome, MDSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason='.environments/engines is missing; run `make install`'),
]
SETTINGS = MDSettings(ensemble='nvt', thermostat='csvr', temperature=100.0, time_step=0.5, steps=6, sampling_interval=1)
MODEL = 'mace.model'
TOLERANCE = {Precision.DOUBLE: 1e-9, Precision.SINGLE: 2e-4}
"""Energies [eV] of eight atoms of 4 keV, in single precision to 2^-24 of that, may differ by a rounding or two."""


def mace_jobs(kind, precision):
    """Return jobs of two frames of different charge states, open along z."""
    recipe = Mace.bindings[kind].recipe(MODEL, 'cpu', precision)
    frames = labelled_frames(4)
    settings = {'a': replace(SETTINGS, seed=1), 'b': replace(SETTINGS, seed=2)}
    return {label: MDJob(frames.frame(2 * n), own, recipe, {}) for n, (label, own) in enumerate(settings.items())}


@pytest.mark.parametrize('precision', [Precision.DOUBLE, Precision.SINGLE])
def test_replicas_of_mace_run_as_with_ase(tmp_path, precision):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1'}
    arguments = [str(PYTHON), '-W', 'ignore', str(TESTS / 'toy' / 'small_mace.py'), str(tmp_path / MODEL)]
    subprocess.run(arguments, env=environment, check=True)
    model = {MODEL: (tmp_path / MODEL).read_bytes()}
    jobs = mace_jobs('torch_sim', precision)
    stage(tmp_path / 'torch_sim', {**ENGINE.replica_files(jobs), **model})
    run_folders(tmp_path / 'torch_sim')
    ours = read_replicas(tmp_path / 'torch_sim', jobs)
    assert ours.outcome is MDOutcome.FINISHED
    for label, job in mace_jobs('ase', precision).items():
        stage(tmp_path / label, {**AseEngine().files(job), **model})
        arguments = [str(PYTHON), '-W', 'ignore', ASE_DRIVER, 'md.json']
        subprocess.run(arguments, cwd=tmp_path / label, env=environment, check=True, capture_output=True)
        theirs = AseEngine().read(tmp_path / label, job.frame, job.settings)
        series = ours.results[label].series
        tolerance = TOLERANCE[precision]
        np.testing.assert_allclose(series['potential_energy'], theirs.series['potential_energy'], atol=tolerance)
        np.testing.assert_allclose(
            ours.results[label].trajectory.positions, theirs.trajectory.positions, atol=tolerance
        )
