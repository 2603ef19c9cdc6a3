"""Parts of the input script that all runs of LAMMPS share: how a run stops, stores frames and leaves checkpoints."""

from __future__ import annotations

import math

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.md_engines.lammps_output import (
    CHECKPOINT,
    CHECKPOINT_HEAT,
    DUMP,
    END_MARK,
    MODEL_FORCES,
    PRODUCTION_MARK,
    Schedule,
)

STORE_MODEL_FORCES = 'fix model_force all store/force  # before the wall: forces of the model alone'
"""Must come before every fix that changes forces."""

LARGEST_SEED = 900_000_000
"""Largest seed that the random numbers of LAMMPS accept; the smallest is 1."""


def lammps_seed(seed: int, number: int = 1) -> int:
    """Return the seed that LAMMPS is given for a seed of the settings: the same, if that is small enough.

    >>> lammps_seed(6), lammps_seed(6, 2), lammps_seed(899_999_999), lammps_seed(900_000_000)
    (7, 8, 900000000, 1)

    :param seed: not negative; two that differ by a multiple of :data:`LARGEST_SEED` give the same run.
    :param number: number, from 1, of the place where random numbers are drawn, for each its own.
    """
    return (seed + number - 1) % LARGEST_SEED + 1


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


def heat_lines(is_restart: bool) -> list[str]:
    """Return how a run is told what a thermostat has given that does not tell it in a checkpoint.

    :param is_restart: whether it goes on from a checkpoint.
    """
    if not is_restart:
        return ['variable carried_heat equal 0']
    return [
        f'variable stored_heat file {CHECKPOINT_HEAT.format("$(step)")}',
        'variable carried_heat equal ${stored_heat}',
    ]


def production_lines(
    settings: MDSettings, schedule: Schedule, checkpoint_steps: int, has_charges: bool, is_heat_carried: bool = False
) -> list[str]:
    """Return production: frames at every sampling interval but the first one, and checkpoints that replace each other.

    A loop stops when a run falls short of its goal: the time limit was reached, or the temperature passed the maximum.

    :param settings: give the sampling interval.
    :param schedule: steps as LAMMPS counts them.
    :param checkpoint_steps: steps between two checkpoints, rounded up to a multiple of the sampling interval.
    :param has_charges: whether atoms have charges, which are stored.
    :param is_heat_carried: whether the heat of the fix ``heat`` is written beside a checkpoint, see :func:`heat_lines`.
    """
    interval = settings.sampling_interval
    stride = interval * math.ceil(checkpoint_steps / interval)
    heat_file = CHECKPOINT_HEAT.format('$(step)')
    carry = [
        'variable carried_heat equal $(f_heat+v_carried_heat:%.17g)',
        f'print "$(v_carried_heat:%.17g)" file {heat_file} screen no',
    ]
    old = ' '.join(name.format('${saved}') for name in (CHECKPOINT, *([CHECKPOINT_HEAT] if is_heat_carried else [])))
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
        *(carry if is_heat_carried else []),
        'write_restart checkpoint.new',
        f'shell mv checkpoint.new {CHECKPOINT.format("$(step)")}',
        f'if "${{saved}} != $(step)" then "shell rm -f {old}"',
        'variable saved delete',
        'variable saved string $(step)',
        f'if "$(step) == ${{goal}} && $(step) < {schedule.end}" then "jump SELF production"',
        f'print "{END_MARK} $(step)"',
    ]
