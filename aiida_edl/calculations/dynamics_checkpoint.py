"""From which checkpoint molecular dynamics may go on: one of the same run, and not beyond its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aiida_edl.calculations.checkpoint_identity import (
    as_attributes,
    checksum_of_arrays,
    optional,
    validate_same_run,
    validate_target,
)
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.science.frames import Frame
from aiida_edl.science.metal_charge import told_charge

STEPS_DONE = 'steps_done'
"""Attribute of a checkpoint: production steps it stands for, all restarts together."""
CHANGEABLE_SETTINGS = ('steps', 'maximum_temperature')
"""Settings that a restart may change: the target, and when a run counts as exploded. The sampling interval is none of
them, for the frames of one run are equally spaced, and LAMMPS counts its steps from a multiple of it."""


def dynamics_identity(inputs: Any) -> dict[str, Any]:
    """Return what a checkpoint and the run that goes on from it have in common, but where they start from.

    A potential is known by its content, so that a copy or one that was imported again is the same. The code, the device
    and the steps between stored frames of the inputs are none of it: they do not change what is computed.

    :param inputs: inputs of a calculation of molecular dynamics.
    """
    potential: PotentialData | None = optional(inputs, 'potential')
    parameters, precision = optional(inputs, 'model_parameters'), optional(inputs, 'precision')
    settings = MDSettings.from_dict(inputs['settings'].get_dict()).to_dict()
    model: dict[str, Any] = dict.fromkeys(('potential', 'model_parameters', 'atomic_energies', 'precision'))
    if potential is not None:
        model['potential'] = potential.base.attributes.get(potential.KEY_SHA256)
        model['atomic_energies'] = potential.energy_shifts
        model['precision'] = potential.precision if precision is None else precision.value
    elif parameters is not None:
        model['model_parameters'] = parameters.get_dict()
    return as_attributes(
        {
            'engine': inputs['engine'].value,
            **model,
            'settings': {name: value for name, value in settings.items() if name not in CHANGEABLE_SETTINGS},
        }
    )


def checksum_of_start(frame: Frame, inputs: Any) -> str:
    """Return a checksum of all that a run takes from its initial frame.

    :param frame: the frame.
    :param inputs: inputs of a calculation of molecular dynamics.
    """
    potential: PotentialData | None = optional(inputs, 'potential')
    column = None if potential is None else potential.total_charge_column
    values = {
        'positions': frame.positions,
        'cell': frame.cell,
        'charges': frame.charges,
        'velocities': frame.velocities,
        'total_charge': None if column is None else told_charge(frame, column),
    }
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in values.items() if value is not None}
    return checksum_of_arrays({**arrays, 'numbers': frame.numbers.astype(np.int64), 'pbc': frame.pbc.astype(np.bool_)})


def validate_dynamics_checkpoint(
    inputs: Mapping[str, Any], identity: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> str | None:
    """Return one sentence if a checkpoint is that of another run, or beyond the target.

    :param inputs: inputs of a calculation of molecular dynamics, otherwise valid.
    :param identity: gives from the inputs what the run says of itself.
    """
    checkpoint = inputs.get('checkpoint')
    if checkpoint is None:
        return None
    done, target = checkpoint.base.attributes.get(STEPS_DONE, 0), MDSettings.from_dict(inputs['settings'].get_dict())
    message = validate_same_run(checkpoint, identity(inputs), 'run')
    return message or validate_target(done, target.steps, 'steps', 'steps')
