"""Settings that a user gives by name are checked against the annotations of a dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiida_edl.typed_fields import checked_fields


class ExampleError(ValueError):
    """What the checks of the example raise."""


@dataclass(frozen=True)
class Example:
    """One field of each kind that settings of this package have."""

    steps: int = 1
    width: float = 0.5
    name: str = ''
    is_on: bool = False
    atoms: tuple[int, ...] = ()
    window: tuple[float, float] = (0.0, 1.0)
    limit: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def checked(**values):
    """Return checked values of the example."""
    return checked_fields(Example, values, 'setting', ExampleError, ' of the example')


@pytest.mark.parametrize(
    ('name', 'value', 'expected'),
    [
        ('steps', 100.0, 100),
        ('atoms', [0, 2.0], (0, 2)),
        ('window', [1, 2.5], (1, 2.5)),
        ('width', 3, 3),
        ('limit', None, None),
        ('limit', 2.5, 2.5),
        ('is_on', True, True),
        ('parameters', {'a': 1}, {'a': 1}),
    ],
)
def test_value_is_taken_as_its_field_wants_it(name, value, expected):
    result = checked(**{name: value})[name]
    assert result == expected
    assert type(result) is type(expected)


def test_whole_numbers_of_a_list_become_integers():
    assert [type(item) for item in checked(atoms=[0, 2.0])['atoms']] == [int, int]


@pytest.mark.parametrize(
    ('name', 'value', 'expected'),
    [
        ('steps', 1.5, 'int'),
        ('steps', True, 'int'),
        ('steps', '5', 'int'),
        ('steps', None, 'int'),
        ('width', '0.5', 'float'),
        ('width', False, 'float'),
        ('width', float('nan'), 'a finite number'),
        ('width', float('inf'), 'a finite number'),
        ('name', 5, 'str'),
        ('is_on', 1, 'bool'),
        ('atoms', [1.5], 'list of int'),
        ('atoms', '12', 'list of int'),
        ('atoms', 3, 'list of int'),
        ('window', [1.0], 'list of 2 float'),
        ('window', [1.0, 'high'], 'list of 2 float'),
        ('limit', 'none', 'float or None'),
        ('parameters', [1], 'Mapping'),
    ],
)
def test_value_of_a_wrong_type_is_refused_in_one_sentence(name, value, expected):
    with pytest.raises(ExampleError) as caught:
        checked(**{name: value})
    assert str(caught.value) == f"setting '{name}' of the example is {value!r}, expected {expected}"


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ExampleError) as caught:
        checked(step=1)
    assert str(caught.value).startswith("unknown setting of the example 'step': did you mean 'steps'? Known: ")
