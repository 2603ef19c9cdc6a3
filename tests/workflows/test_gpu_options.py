"""Accelerators are asked for in the words of each scheduler, beside what is asked for already."""

from __future__ import annotations

import re

import pytest

from aiida_edl.workflows.gpu_options import GpuOptionsError, GpuRequest, gpu_options, options_with_gpus


@pytest.mark.parametrize(
    ('request_by', 'kind', 'line'),
    [
        (GpuRequest.GRES, '', '#SBATCH --gres=gpu:2'),
        (GpuRequest.GRES, 'a100', '#SBATCH --gres=gpu:a100:2'),
        (GpuRequest.GPUS, '', '#SBATCH --gpus=2'),
        (GpuRequest.GPUS, 'a100', '#SBATCH --gpus=a100:2'),
    ],
)
def test_slurm(request_by, kind, line):
    assert gpu_options('core.slurm', 2, request_by, kind) == {'custom_scheduler_commands': line}


def test_machine_without_batch_system():
    assert gpu_options('core.direct', 3) == {'environment_variables': {'CUDA_VISIBLE_DEVICES': '0,1,2'}}


def test_other_scheduler_is_answered_with_the_option():
    message = (
        "GPUs can be asked of core.slurm and core.direct, the scheduler is 'core.sge'; write its own lines into the "
        'option custom_scheduler_commands'
    )
    with pytest.raises(GpuOptionsError, match=f'^{re.escape(message)}$'):
        gpu_options('core.sge', 1)


def test_none_is_refused():
    with pytest.raises(GpuOptionsError, match=r'^0 GPUs are asked for, it must be at least 1$'):
        gpu_options('core.slurm', 0)


def test_options_of_the_user_are_kept():
    options = {
        'default': {'max_wallclock_seconds': 60, 'custom_scheduler_commands': '#SBATCH --account=a'},
        'pet': {'environment_variables': {'A': '1'}},
    }
    found = options_with_gpus(options, {'mace': 'core.slurm', 'pet': 'core.direct'}, 1)
    assert found == {
        **options,
        'mace': {
            'max_wallclock_seconds': 60,
            'custom_scheduler_commands': '#SBATCH --account=a\n#SBATCH --gres=gpu:1',
        },
        'pet': {'environment_variables': {'A': '1', 'CUDA_VISIBLE_DEVICES': '0'}},
    }
