"""Scheduler options that ask for accelerators: of Slurm, or of a machine without a batch system."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

SLURM = 'core.slurm'
DIRECT = 'core.direct'
CUSTOM = 'custom_scheduler_commands'
"""Option of AiiDA with lines for the head of a job script."""
VISIBLE_DEVICES = 'CUDA_VISIBLE_DEVICES'
"""Environment variable with the numbers of the accelerators that CUDA may use."""


class GpuOptionsError(ValueError):
    """A request for accelerators that cannot be made; the message says what would be right."""


class GpuRequest(str, Enum):
    """By which option Slurm is asked; clusters differ in which of them they know."""

    GRES = 'gres'
    GPUS = 'gpus'


def gpu_options(
    scheduler_type: str, n_gpus: int, request: GpuRequest = GpuRequest.GRES, kind: str = ''
) -> dict[str, Any]:
    """Return the options of a job that needs accelerators.

    >>> gpu_options('core.slurm', 1)
    {'custom_scheduler_commands': '#SBATCH --gres=gpu:1'}
    >>> gpu_options('core.slurm', 2, GpuRequest.GPUS, kind='a100')
    {'custom_scheduler_commands': '#SBATCH --gpus=a100:2'}
    >>> gpu_options('core.direct', 2)
    {'environment_variables': {'CUDA_VISIBLE_DEVICES': '0,1'}}

    :param scheduler_type: entry point of the scheduler of the computer.
    :param n_gpus: accelerators of one job.
    :param request: option by which Slurm is asked.
    :param kind: kind of accelerator as the cluster names it; any without it.
    :raises GpuOptionsError: if less than one is asked for, or of a scheduler that is not known here.
    """
    if n_gpus < 1:
        raise GpuOptionsError(f'{n_gpus} GPUs are asked for, it must be at least 1')
    if scheduler_type == SLURM:
        amount = f'{kind}:{n_gpus}' if kind else str(n_gpus)
        line = f'--gres=gpu:{amount}' if request is GpuRequest.GRES else f'--gpus={amount}'
        return {CUSTOM: f'#SBATCH {line}'}
    if scheduler_type == DIRECT:
        return {'environment_variables': {VISIBLE_DEVICES: ','.join(map(str, range(n_gpus)))}}
    raise GpuOptionsError(
        f"GPUs can be asked of {SLURM} and {DIRECT}, the scheduler is '{scheduler_type}'; write its own lines into the "
        f'option {CUSTOM}'
    )


def options_with_gpus(
    options: Mapping[str, Any],
    schedulers: Mapping[str, str],
    n_gpus: int,
    request: GpuRequest = GpuRequest.GRES,
) -> dict[str, Any]:
    """Return scheduler options in which some codes ask for accelerators, beside what they ask for already.

    :param options: options by name of the code, or ``default``.
    :param schedulers: entry point of the scheduler, by name of the code that needs accelerators.
    :param n_gpus: accelerators of each job.
    :param request: option by which Slurm is asked.
    :raises GpuOptionsError: if they cannot be asked for.
    """
    found = dict(options)
    for name, scheduler_type in schedulers.items():
        own = dict(options.get(name, options.get('default', {})))
        for key, value in gpu_options(scheduler_type, n_gpus, request).items():
            if isinstance(value, Mapping):
                own[key] = {**own.get(key, {}), **value}
            else:
                own[key] = '\n'.join(filter(None, (own.get(key), value)))
        found[name] = own
    return found
