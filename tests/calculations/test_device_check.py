"""A job of an executable runs on the device it states, or does not run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory
from calculation_cases import dataset, evaluation_inputs, labelled_frames, md_inputs, potential

from aiida_edl.calculations.device_check import DEVICE_MISSING_FILE, device_lines

LENNARD_JONES = {'pair_style': 'lj/cut 5.0', 'pair_coeff': '* * 0.02 2.5'}
GPU = 'echo "GPU 0: NVIDIA H200 (UUID: GPU-0)"'
NONE = 'echo "No devices found."; exit 6'


def executable(path, text):
    """Write a shell script that can be run."""
    path.write_text(f'#!/bin/bash\n{text}\n')
    path.chmod(0o755)
    return path


def run_lines(folder, device, nvidia_smi=None, **variables):
    """Run the lines before an executable, then print which GPUs it would see."""
    tools = folder / 'bin'
    tools.mkdir()
    if nvidia_smi is not None:
        executable(tools / 'nvidia-smi', nvidia_smi)
    environment = {name: value for name, value in os.environ.items() if name != 'CUDA_VISIBLE_DEVICES'}
    return subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', f'{device_lines(device)}\necho "sees ${{CUDA_VISIBLE_DEVICES-all}}"'],
        cwd=folder,
        env={**environment, 'PATH': f'{tools}:{os.environ["PATH"]}', **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_job_on_processors_sees_no_gpu(tmp_path):
    assert run_lines(tmp_path, 'cpu', GPU, CUDA_VISIBLE_DEVICES='0').stdout == 'sees \n'


@pytest.mark.parametrize('visible', [{}, {'CUDA_VISIBLE_DEVICES': '1'}], ids=['all', 'one'])
def test_job_on_a_gpu_goes_on_where_one_is_listed(tmp_path, visible):
    done = run_lines(tmp_path, 'cuda', GPU, **visible)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == f'sees {visible.get("CUDA_VISIBLE_DEVICES", "all")}\n'
    assert not (tmp_path / DEVICE_MISSING_FILE).exists()


@pytest.mark.parametrize(
    ('nvidia_smi', 'visible', 'seen'),
    [
        (NONE, {}, 'nvidia-smi lists no GPU'),
        (GPU, {'CUDA_VISIBLE_DEVICES': ''}, "CUDA_VISIBLE_DEVICES is ''"),
        (GPU, {'CUDA_VISIBLE_DEVICES': 'NoDevFiles'}, "CUDA_VISIBLE_DEVICES is 'NoDevFiles'"),
    ],
    ids=['none listed', 'hidden', 'not asked for'],
)
def test_job_on_a_gpu_ends_where_there_is_none(tmp_path, nvidia_smi, visible, seen):
    done = run_lines(tmp_path, 'cuda', nvidia_smi, **visible)
    assert (done.returncode, done.stdout, done.stderr) == (1, '', '')
    assert (tmp_path / DEVICE_MISSING_FILE).read_text() == (
        f"device is 'cuda', but {seen}; use a node with a GPU, or device 'cpu'\n"
    )


@pytest.mark.skipif(
    any(Path('/dev').glob('nvidia[0-9]*')) or Path('/dev/kfd').exists(), reason='this machine has a GPU'
)
def test_job_on_a_gpu_ends_on_a_machine_without_a_driver(tmp_path):
    assert run_lines(tmp_path, 'cuda').returncode == 1
    assert (tmp_path / DEVICE_MISSING_FILE).read_text() == (
        "device is 'cuda', but there is neither nvidia-smi nor /dev/nvidia0 nor /dev/kfd; use a node with a GPU, or "
        "device 'cpu'\n"
    )


@pytest.fixture
def lammps_code(aiida_code_installed, tmp_path):
    """Return a code that says which GPUs it sees and leaves no result."""
    path = executable(tmp_path / 'lmp', 'echo "sees ${CUDA_VISIBLE_DEVICES-all}"')
    return aiida_code_installed(label='lammps-of-device-check', filepath_executable=str(path))


def lammps_inputs(entry_point, code, device):
    """Return inputs with a model that says nothing of its device; the job asked for no GPU."""
    changes = {
        'engine': 'lammps',
        'device': device,
        'metadata': {'options': {'environment_variables': {'CUDA_VISIBLE_DEVICES': 'NoDevFiles'}}},
    }
    if entry_point == 'edl.evaluation':
        return evaluation_inputs(code, potential=potential(architecture='grace'), **changes)
    structure = dataset(labelled_frames(1))
    return md_inputs(code, structure=structure, potential=None, model_parameters=LENNARD_JONES, **changes)


@pytest.mark.parametrize('entry_point', ['edl.molecular_dynamics', 'edl.evaluation'])
def test_missing_gpu_ends_the_job_before_lammps_runs(lammps_code, entry_point):
    results, node = run_get_node(CalculationFactory(entry_point), **lammps_inputs(entry_point, lammps_code, 'cuda'))
    assert node.exit_status == 210
    assert node.exit_message == (
        "There is no accelerator: device is 'cuda', but CUDA_VISIBLE_DEVICES is 'NoDevFiles'; use a node with a GPU, "
        "or device 'cpu'"
    )
    assert 'lammps.out' not in node.outputs.retrieved.base.repository.list_object_names()
    if entry_point == 'edl.molecular_dynamics':
        assert results['md_summary']['outcome'] == 'device_missing'


def test_lammps_on_processors_sees_no_gpu(lammps_code):
    inputs = lammps_inputs('edl.molecular_dynamics', lammps_code, 'cpu')
    _, node = run_get_node(CalculationFactory('edl.molecular_dynamics'), **inputs)
    assert node.outputs.retrieved.base.repository.get_object_content('lammps.out') == 'sees \n'
