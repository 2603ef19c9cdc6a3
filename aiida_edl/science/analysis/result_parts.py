"""Results made of parts, written as flat arrays and JSON scalars and read back.

A part is a frozen dataclass of arrays, numbers and tuples of strings; its fields carry its prefix when they are laid
flat.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Part = TypeVar('Part')


def part_arrays(part: Any, prefix: str) -> dict[str, NDArray[Any]]:
    """Return the fields that are arrays, by prefix and name.

    :param part: the part.
    :param prefix: what precedes the names, e.g. ``'rdf_'``.
    """
    return {f'{prefix}{name}': value for name, value in vars(part).items() if isinstance(value, np.ndarray)}


def part_scalars(part: Any, prefix: str) -> dict[str, Any]:
    """Return the other fields as JSON types, by prefix and name; NaN becomes None.

    :param part: the part.
    :param prefix: what precedes the names.
    """
    values = {f'{prefix}{name}': value for name, value in vars(part).items() if not isinstance(value, np.ndarray)}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()}


def rebuilt_part(cls: type[Part], prefix: str, given: Mapping[str, Any]) -> Part:
    """Return a part from what it was laid flat to.

    :param cls: class of the part.
    :param prefix: what precedes the names.
    :param given: arrays and scalars by name; others are left aside.
    :raises ValueError: if a field is missing.
    """
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    if missing := [f'{prefix}{name}' for name in names if f'{prefix}{name}' not in given]:
        raise ValueError(f'the fields {missing} of a result were not given')
    values = {name: given[f'{prefix}{name}'] for name in names}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return cls(**{name: np.nan if value is None else value for name, value in values.items()})
