"""Parts of the input script that all runs of LAMMPS share: how a run stops, stores frames and leaves checkpoints."""

from __future__ import annotations

import math

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.md_engines.lammps_output import (
    CHECKPOINT,
    DUMP,
    END_MARK,
    MODEL_FORCES,
    PRODUCTION_MARK,
    Schedule,
)

STORE_MODEL_FORCES = 'fix model_force all store/force  # before the wall: forces of the model alone'
"""Must come before every fix that changes forces."""


def walltime_lines(walltime_seconds: float | None, interval: int) -> list[str]:
    """Return how a run is told to stop by itself.

    :param walltime_seconds: time after which it stops [s]; None for no limit.
    :param interval: steps between two looks at the clock.
    """
    return [] if walltime_seconds is None else [f'timer timeout {max(int(walltime_seconds), 1)} every {interval}']


def explosion_lines(settings: MDSettings) -> list[str]:
    """Return how a run stops when ``mobile_temperature`` passes the maximum.

    :param settings: give the maximum and how often it is compared.
    """
    return [
        'variable temperature equal c_mobile_temperature',
        f'fix explosion all halt {min(settings.sampling_interval, 100)} v_temperature > '
        f'{settings.maximum_temperature:.10g} error soft message yes',
    ]


def production_lines(settings: MDSettings, schedule: Schedule, checkpoint_steps: int, has_charges: bool) -> list[str]:
    """Return production: frames at every sampling interval but the first one, and checkpoints that replace each other.

    A loop stops when a run falls short of its goal: the time limit was reached, or the temperature passed the maximum.

    :param settings: give the sampling interval.
    :param schedule: steps as LAMMPS counts them.
    :param checkpoint_steps: steps between two checkpoints, rounded up to a multiple of the sampling interval.
    :param has_charges: whether atoms have charges, which are stored.
    """
    interval = settings.sampling_interval
    stride = interval * math.ceil(checkpoint_steps / interval)
    quantities = ' '.join(('xu yu zu vx vy vz', *MODEL_FORCES, *(['q'] if has_charges else [])))
    return [
        f'print "{PRODUCTION_MARK} $(step)"',
        'variable first equal $(step)',
        'variable is_first equal "step == v_first"',
        'variable saved string $(step)',
        f'dump trajectory all custom {interval} {DUMP} id {quantities}',
        'dump_modify trajectory sort id format float %.12g flush yes skip v_is_first',
        'label production',
        f'variable goal equal $(ternary(step+{stride}<{schedule.end},step+{stride},{schedule.end}))',
        'run ${goal} upto',
        'write_restart checkpoint.new',
        f'shell mv checkpoint.new {CHECKPOINT.format("$(step)")}',
        f'if "${{saved}} != $(step)" then "shell rm -f {CHECKPOINT.format("${saved}")}"',
        'variable saved delete',
        'variable saved string $(step)',
        f'if "$(step) == ${{goal}} && $(step) < {schedule.end}" then "jump SELF production"',
        f'print "{END_MARK} $(step)"',
    ]
