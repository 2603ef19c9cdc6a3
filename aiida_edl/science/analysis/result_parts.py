"""Results as arrays and JSON scalars, and back; also of results made of parts.

A result is a frozen dataclass. A part of it is one of arrays, numbers and tuples of strings; its fields carry its
prefix when they are laid flat.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Part = TypeVar('Part')
Result = TypeVar('Result', bound='StoredResult')


class ResultSettings(Protocol):
    """Settings that a result states."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], /) -> Any:
        """Return settings from JSON types."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""


class StoredResult:
    """A frozen dataclass of arrays, numbers, words and tuples; a number that is not known is NaN, in JSON None."""

    stored_subject: ClassVar[str]
    """How the message on a missing field begins, e.g. ``'profiles need'``."""
    settings_type: ClassVar[type[ResultSettings] | None] = None
    """Class of the field ``settings``, if there is one."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields that are arrays, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def scalars(self) -> dict[str, Any]:
        """Return the other fields as JSON types, by name; NaN becomes None."""
        return {name: _as_json(value) for name, value in vars(self).items() if not isinstance(value, np.ndarray)}

    @classmethod
    def from_parts(cls: type[Result], arrays: Mapping[str, NDArray[Any]], scalars: Mapping[str, Any]) -> Result:
        """Rebuild a result from :meth:`arrays` and :meth:`scalars`; other names are left aside.

        :raises ValueError: if a field is missing.
        """
        given = {**arrays, **scalars}
        fields = {field.name: str(field.type) for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if missing := [name for name in fields if name not in given]:
            raise ValueError(f'{cls.stored_subject} the fields {missing}, which were not given')
        values = {name: _from_json(given[name], kind) for name, kind in fields.items()}
        if cls.settings_type is not None:
            values['settings'] = cls.settings_type.from_dict(given['settings'])
        return cls(**values)


def _as_json(value: Any) -> Any:
    """Return a field as JSON types."""
    if isinstance(value, float) and np.isnan(value):
        return None
    if isinstance(value, tuple):
        return [dict(entry) if isinstance(entry, Mapping) else entry for entry in value]
    return value.to_dict() if hasattr(value, 'to_dict') else value


def _from_json(value: Any, kind: str) -> Any:
    """Return a field from JSON types; ``kind`` is its annotation."""
    if value is None and kind == 'float':
        return np.nan
    return tuple(value) if kind.startswith('tuple') else value


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
