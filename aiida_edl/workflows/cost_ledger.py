"""What processes cost: jobs, wall time, core-hours and GPU-hours by stage, as the programs state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import CalcJobNode, ProcessNode

SUMMARIES: Mapping[str, str] = {
    'training_summary': 'training',
    'evaluation_summary': 'evaluation',
    'md_summary': 'dynamics',
    'label_summary': 'labelling',
    'conversion_summary': 'conversion',
}
"""Stage by the output in which a job states its times."""
OTHER = 'other'
"""Stage of jobs without a summary: those of other plugins, and those that failed before they could state anything."""
SECONDS_PER_HOUR = 3600.0
FRAMES = 'n_labelled'
"""What a labelling counts besides its time."""


def costs_of(*processes: ProcessNode) -> dict[str, dict[str, float]]:
    """Return what all jobs below some processes cost, by stage.

    A job from the cache counts as what it cost when it ran. Times that a program does not state are counted as jobs
    ``without_time``, not as zero in silence.

    :param processes: the processes.
    :return: by stage ``jobs``, ``without_time``, ``wall_hours``, ``core_hours``, ``gpu_hours``, and for the labelling
        ``frames``.
    """
    ledger: dict[str, dict[str, float]] = {}
    for job in (job for process in processes for job in process.called_descendants):
        if not isinstance(job, CalcJobNode):
            continue
        stage, stated = _stated(job)
        _add(ledger.setdefault(stage, _empty()), stated, _device(job))
    return {stage: {key: round(value, 6) for key, value in row.items()} for stage, row in sorted(ledger.items())}


def _stated(job: CalcJobNode) -> tuple[str, Mapping[str, Any]]:
    """Return the stage of a job and what it states of its cost; of one without a summary what the scheduler tells."""
    for name, stage in SUMMARIES.items():
        if name in job.outputs:
            return stage, job.outputs[name].get_dict()
    info = job.get_last_job_info()
    return OTHER, {'wall_seconds': None if info is None else info.wallclock_time_seconds}


def _empty() -> dict[str, float]:
    return {'jobs': 0, 'without_time': 0, 'wall_hours': 0.0, 'core_hours': 0.0, 'gpu_hours': 0.0, 'frames': 0}


def _device(job: CalcJobNode) -> str:
    return str(job.inputs.device.value) if 'device' in job.inputs else 'cpu'


def _add(row: dict[str, float], summary: Mapping[str, Any], device: str) -> None:
    """Add one job to the row of its stage."""
    wall, processor = summary.get('wall_seconds'), summary.get('cpu_seconds')
    row['jobs'] += 1
    row['without_time'] += wall is None
    row['wall_hours'] += (wall or 0.0) / SECONDS_PER_HOUR
    row['core_hours'] += (processor or 0.0) / SECONDS_PER_HOUR
    row['gpu_hours'] += (wall or 0.0) / SECONDS_PER_HOUR if device == 'cuda' else 0.0
    row['frames'] += summary.get(FRAMES) or 0
