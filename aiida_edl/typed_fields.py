"""Check settings that a user gives by name against the annotations of a dataclass; no AiiDA, no backend is imported."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from aiida_edl.registry import unknown_name_message

LENGTHS_VARY = Ellipsis
"""Second argument of ``tuple[int, ...]``."""


def checked_fields(
    cls: type, values: Mapping[str, Any], kind: str, error: type[ValueError], owner: str = ''
) -> dict[str, Any]:
    """Return values that have the types of the fields of a dataclass.

    A whole float becomes an integer where one is expected, and a list a tuple. An integer stays one where a float is
    expected: it is the same number.

    :param cls: the dataclass.
    :param values: values by name of the field.
    :param kind: what a field is called, e.g. ``'MD setting'``.
    :param error: what is raised.
    :param owner: what the fields belong to, e.g. ``' of mace'``.
    :raises ValueError: of the type ``error``, for an unknown name, with the nearest, or a value of a wrong type.
    """
    hints = get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise error(unknown_name_message(f'{kind}{owner}', name, known))
        try:
            checked[name] = _converted(value, hints[name])
        except TypeError as mismatch:
            raise error(f"{kind} '{name}'{owner} is {value!r}, expected {mismatch}") from mismatch
    return checked


def _converted(value: Any, hint: Any) -> Any:
    """Return a value as its annotation wants it.

    :raises TypeError: if it is of another type; the message is the type that was expected.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _converted_to_any(value, hint)
    if origin is tuple:
        kinds = arguments[:1] * len(value) if _is_list(value) and arguments[-1] is LENGTHS_VARY else arguments
        if not _is_list(value) or len(value) != len(kinds):
            raise TypeError(_in_words(hint))
        try:
            return tuple(_converted(item, kind) for item, kind in zip(value, kinds))
        except TypeError as mismatch:
            raise TypeError(_in_words(hint)) from mismatch
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    accepted = (int, float) if hint is float else origin or hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise TypeError(_in_words(hint))
    if hint is float and not math.isfinite(value):
        raise TypeError('a finite number')
    return value


def _converted_to_any(value: Any, hint: Any) -> Any:
    """Return a value as one of the members of a union wants it.

    :raises TypeError: if none does.
    """
    for member in get_args(hint):
        try:
            return _converted(value, member)
        except TypeError:
            continue
    raise TypeError(_in_words(hint))


def _is_list(value: Any) -> bool:
    """Return whether a value is a list or a tuple."""
    return isinstance(value, (list, tuple))


def _in_words(hint: Any) -> str:
    """Return an annotation in words.

    >>> _in_words(tuple[int, ...]), _in_words(tuple[float, float]), _in_words(float | None)
    ('list of int', 'list of 2 float', 'float or None')
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return ' or '.join(_in_words(member) for member in arguments)
    if origin is tuple:
        length = '' if arguments[-1] is LENGTHS_VARY else f'{len(arguments)} '
        return f'list of {length}{_in_words(arguments[0])}'
    if hint is type(None):
        return 'None'
    return str((origin or hint).__name__)
