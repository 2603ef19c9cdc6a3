"""What processes cost: jobs, wall time, core-hours and GPU-hours by stage, as the programs state them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiida.orm import CalcJobNode, ProcessNode

from aiida_edl.workflows.gpu_options import CUSTOM, VISIBLE_DEVICES

LABELLING = 'labelling'
"""Stage of all jobs that serve labels, whatever program they run."""
SUMMARIES: Mapping[str, str] = {
    'training_summary': 'training',
    'evaluation_summary': 'evaluation',
    'md_summary': 'dynamics',
    'label_summary': LABELLING,
    'conversion_summary': 'conversion',
}
"""Stage by the output in which a job states its times."""
LABELLERS = ('aiida.workflows:edl.labelling', 'aiida.workflows:edl.single_point.')
"""How the types of the processes begin below which every job is of the labelling."""
OTHER = 'other'
"""Stage of other jobs without a summary: those of other plugins, and those that failed before they stated anything."""
SECONDS_PER_HOUR = 3600.0
FRAMES = 'n_labelled'
"""What a labelling counts besides its time."""
GPU_REQUEST = re.compile(r'--(?P<option>gres=gpu|gpus)[:=](?:[a-zA-Z]\w*[:=])?(?P<number>\d+)')
"""A line for the head of a job script of Slurm that asks for accelerators; ``gres`` counts those of one machine."""


def costs_of(*processes: ProcessNode) -> dict[str, dict[str, float]]:
    """Return what all jobs below some processes cost, by stage.

    A job from the cache counts as what it cost when it ran. Core-hours are the time of the processors where a program
    states it, else the wall time on all cores that the job asked for; such jobs are counted as ``estimated``. Jobs of
    which neither program nor scheduler tells the time are counted as ``without_time``, not as zero in silence.

    :param processes: the processes.
    :return: by stage ``jobs``, ``without_time``, ``estimated``, ``wall_hours``, ``core_hours``, ``gpu_hours``, and for
        the labelling ``frames``.
    """
    ledger: dict[str, dict[str, float]] = {}
    for process in processes:
        for job, is_labelling in _jobs(process, False):
            stage, stated = _stated(job)
            _add(ledger.setdefault(LABELLING if is_labelling else stage, _empty()), stated, job)
        if n_frames := _labelled_below(process):
            ledger.setdefault(LABELLING, _empty())['frames'] += n_frames
    return {stage: {key: round(value, 6) for key, value in row.items()} for stage, row in sorted(ledger.items())}


def _jobs(process: ProcessNode, is_labelling: bool) -> Iterator[tuple[CalcJobNode, bool]]:
    """Yield all jobs below a process, and whether they serve labels."""
    is_labelling = is_labelling or (process.process_type or '').startswith(LABELLERS)
    for child in process.called:
        if isinstance(child, CalcJobNode):
            yield child, is_labelling
        yield from _jobs(child, is_labelling)


def _labelled_below(process: ProcessNode) -> int:
    """Return how many frames were labelled below a process.

    A work chain states all labels of its jobs; what is below one that does is not counted once more.
    """
    return sum(_labelled(child) for child in process.called)


def _labelled(process: ProcessNode) -> int:
    """Return how many frames a process has labelled."""
    if 'label_summary' in process.outputs:
        return int(process.outputs.label_summary.get_dict().get(FRAMES) or 0)
    return _labelled_below(process)


def _stated(job: CalcJobNode) -> tuple[str, Mapping[str, Any]]:
    """Return the stage of a job and what it states of its times, else what VASP or the scheduler tell."""
    stage, stated = OTHER, {}
    for name, candidate in SUMMARIES.items():
        if name in job.outputs:
            stage, stated = candidate, job.outputs[name].get_dict()
            break
    wall = stated.get('wall_seconds')
    if wall is None and 'misc' in job.outputs:
        wall = (job.outputs.misc.get_dict().get('run_stats') or {}).get('elapsed_time')
    if wall is None and (info := job.get_last_job_info()) is not None:
        wall = info.wallclock_time_seconds
    return stage, {'wall_seconds': wall, 'cpu_seconds': stated.get('cpu_seconds')}


def _empty() -> dict[str, float]:
    numbers = dict.fromkeys(('jobs', 'without_time', 'estimated'), 0)
    return {**numbers, 'wall_hours': 0.0, 'core_hours': 0.0, 'gpu_hours': 0.0, 'frames': 0}


def _cores(job: CalcJobNode) -> int:
    """Return how many cores a job asked for."""
    resources = job.get_option('resources') or {}
    n_machines = resources.get('num_machines') or 1
    if of_machine := resources.get('num_cores_per_machine'):
        return int(n_machines * of_machine)
    n_processes = resources.get('tot_num_mpiprocs') or n_machines * (resources.get('num_mpiprocs_per_machine') or 1)
    return int(n_processes * (resources.get('num_cores_per_mpiproc') or 1))


def _accelerators(job: CalcJobNode) -> int:
    """Return how many accelerators a job asked the scheduler for, at least one if it ran on any."""
    runs_on_one = 'device' in job.inputs and job.inputs.device.value == 'cuda'
    visible = (job.get_option('environment_variables') or {}).get(VISIBLE_DEVICES, '')
    n_asked = len([number for number in str(visible).split(',') if number.strip()])
    for request in GPU_REQUEST.finditer(job.get_option(CUSTOM) or ''):
        n_machines = (job.get_option('resources') or {}).get('num_machines') or 1
        n_asked = int(request['number']) * (n_machines if request['option'].startswith('gres') else 1)
    return max(n_asked, int(runs_on_one))


def _add(row: dict[str, float], stated: Mapping[str, Any], job: CalcJobNode) -> None:
    """Add one job to the row of its stage."""
    wall, processor = stated['wall_seconds'], stated['cpu_seconds']
    row['jobs'] += 1
    row['without_time'] += wall is None
    if processor is None and wall is not None:
        row['estimated'] += 1
        processor = wall * _cores(job)
    row['wall_hours'] += (wall or 0.0) / SECONDS_PER_HOUR
    row['core_hours'] += (processor or 0.0) / SECONDS_PER_HOUR
    row['gpu_hours'] += (wall or 0.0) * _accelerators(job) / SECONDS_PER_HOUR
