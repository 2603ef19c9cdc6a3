"""Of which run a checkpoint is: what its attributes say, and the sentence by which another run refuses it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.common.constants import AIIDA_FLOAT_PRECISION
from aiida.orm import FolderData
from numpy.typing import NDArray

FIELDS = {'hyperparameters': 'hyperparameter', 'settings': 'setting', 'fine_tuning': 'fine_tuning'}
"""Attributes with the fields of a class, and what one of them is called. A field that one side lacks is not compared:
another version of this package has left it out or added it."""
DIGITS_SHOWN = 12
"""Digits of a checksum in a message."""


def optional(inputs: Any, name: str) -> Any:
    """Return an input, None without it.

    :param inputs: inputs of a process that is validated, or those of its node.
    :param name: name of the port.
    """
    return inputs[name] if name in inputs else None  # noqa: SIM401 - inputs of a node have no method ``get``


def checksum_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a SHA-256 of names, types, shapes and values.

    :param arrays: arrays by name; the caller chooses types that do not depend on where they were stored.
    """
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f'{name} {array.dtype.str} {array.shape} '.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def as_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a stored node gives them back: as JSON types, numbers in the precision of AiiDA.

    >>> as_attributes({'time_step': 0.1 + 0.2, 'fixed_atoms': (0, 1)})
    {'time_step': 0.3, 'fixed_atoms': [0, 1]}

    :param values: what can be written as JSON.
    """
    text = json.dumps(values)
    attributes: dict[str, Any] = json.loads(text, parse_float=lambda t: float(f'{float(t):.{AIIDA_FLOAT_PRECISION}g}'))
    return attributes


def validate_same_run(checkpoint: FolderData, identity: Mapping[str, Any], kind: str) -> str | None:
    """Return one sentence if a checkpoint is of another run.

    What a checkpoint does not say of itself, because an earlier version of this package left it, is not compared.

    :param checkpoint: the checkpoint.
    :param identity: what the run that shall go on from it says of itself, see :func:`as_attributes`.
    :param kind: what is run, e.g. ``'training'``.
    """
    attributes = checkpoint.base.attributes.all
    for name in (name for name in identity if name in attributes):
        there, here = attributes[name], identity[name]
        if name in FIELDS and isinstance(there, dict) and isinstance(here, dict):
            there, here = ({key: values[key] for key in there if key in here} for values in (there, here))
        if found := _first_difference(FIELDS.get(name, name), there, here):
            what, there, here = found
            return (
                f'the checkpoint is of a {kind} with {what} {_shown(there)}, this one has {_shown(here)}; '
                'leave the checkpoint out to start anew'
            )
    return None


def validate_target(done: int, target: int, unit: str, name: str, overshoot: int = 0) -> str | None:
    """Return one sentence if a checkpoint is beyond the target.

    :param done: what the checkpoint stands for.
    :param target: what shall be done, counted from the very first start.
    :param unit: what is counted, e.g. ``'gradient updates'``.
    :param name: input that gives the target.
    :param overshoot: by how much a run may end beyond its target.
    """
    if done <= target + overshoot:
        return None
    return f'the checkpoint stands for {done} {unit}, the target is {target}; raise {name} or leave the checkpoint out'


def _first_difference(name: str, there: Any, here: Any) -> tuple[str, Any, Any] | None:
    """Return the name and both values of the first entry in which two values differ, None if they are equal."""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return None if there == here else (name, there, here)
    for key in sorted({*there, *here}):
        if found := _first_difference(f'{name} {key}', there.get(key), here.get(key)):
            return found
    return None


def _shown(value: Any) -> str:
    """Return a value in words: a checksum by its first digits."""
    if value is None:
        return 'none'
    is_checksum = isinstance(value, str) and len(value) == hashlib.sha256().digest_size * 2
    return f'sha256 {value[:DIGITS_SHOWN]}' if is_checksum else str(value)
