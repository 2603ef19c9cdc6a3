"""Parameters shared by commands, and how values on the command line become nested settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from aiida.cmdline.params.types import NodeParamType, ProcessParamType

from aiida_edl.provenance.rows import as_dicts
from aiida_edl.provenance.table_formats import FORMATS

STUDY = click.option(
    '--study', type=ProcessParamType(), help='Limit the answer to what this process called, e.g. a benchmark.'
)
"""Option that limits a question to one study."""
REQUIRED_STUDY = click.option(
    '--study', type=ProcessParamType(), required=True, help='The process whose calls are meant, e.g. a benchmark.'
)
"""Option for the study that a question is about."""
FORMAT = click.option(
    '--format', 'style', type=click.Choice(list(FORMATS)), default='table', show_default=True, help='How to print.'
)
"""Option for the form of a table."""
BENCHMARK = click.argument('process', type=ProcessParamType())
"""Argument for the process of a benchmark."""
PRIVATE = click.option(
    '--private', multiple=True, metavar='TEXT', help='A name or absolute path that must not be published; repeatable.'
)
"""Option for further private words and paths."""
SET = click.option(
    '--set', 'assignments', multiple=True, metavar='KEY=VALUE', help='One setting, nested keys with dots; repeatable.'
)
"""Option for single settings."""
EXPONENT = re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+')
"""A number with an exponent."""
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def node_argument(name: str, entry_point: str) -> Decorator:
    """Return an argument that takes a data node of one type by PK, UUID or label.

    :param name: name of the argument.
    :param entry_point: of the node type, e.g. ``'edl.potential'``.
    """
    return click.argument(name, type=NodeParamType(sub_classes=(f'aiida.data:{entry_point}',)))


def print_rows(rows: Sequence[Any], style: str) -> None:
    """Print rows in the form that was asked for."""
    click.echo(FORMATS[style](as_dicts(rows)).rstrip('\n'))


def nested_settings(file: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Return settings from a YAML file and from ``a.b=value``; values are read as YAML.

    >>> nested_settings(None, ['split.seed=3', 'charge_states=[0, 2]'])
    {'split': {'seed': 3}, 'charge_states': [0, 2]}

    :param file: YAML file with nested settings.
    :param assignments: single settings, which win over the file.
    :raises click.UsageError: if the file holds no mapping or an assignment has no ``=``.
    """
    values: Any = yaml.safe_load(file.read_text(encoding='utf-8')) if file else {}
    if not isinstance(values, dict):
        raise click.UsageError(f"'{file}' holds {type(values).__name__}, it must hold settings by name")
    for assignment in assignments:
        path, separator, text = assignment.partition('=')
        if not separator or not path:
            raise click.UsageError(f"'{assignment}' is not a setting, write KEY=VALUE, e.g. split.seed=3")
        *parents, last = path.split('.')
        target = values
        for key in parents:
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise click.UsageError(f"'{assignment}': '{key}' is a value, not a group of settings")
        target[last] = _value(text)
    return values


def _value(text: str) -> Any:
    """Return a value as YAML reads it, but for numbers like ``1e-6``, which YAML takes for words.

    >>> _value('1e-6'), _value('[1, 2]'), _value('RPBE')
    (1e-06, [1, 2], 'RPBE')
    """
    return float(text) if EXPONENT.fullmatch(text.strip()) else yaml.safe_load(text)


def named_values(assignments: Sequence[str], what: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` as a mapping.

    :param assignments: as given.
    :param what: what they name, for the message.
    :raises click.UsageError: if one has no ``=``.
    """
    pairs: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition('=')
        if not separator or not name or not value:
            raise click.UsageError(f"'{assignment}' names no {what}, write NAME={what.upper()}")
        pairs[name] = value
    return pairs


def named_nodes(assignments: Sequence[str], entry_point: str) -> dict[str, Any]:
    """Return ``NAME=NODE`` as a mapping to nodes of one type.

    :param assignments: as given; a node by PK, UUID or label.
    :param entry_point: of the node type, e.g. ``'edl.potential'``.
    :raises click.UsageError: if one has no ``=``, or there is no such node.
    """
    kind = NodeParamType(sub_classes=(f'aiida.data:{entry_point}',))
    nodes = {}
    for name, identifier in named_values(assignments, 'pk').items():
        try:
            nodes[name] = kind.convert(identifier, None, None)
        except click.BadParameter as error:
            what = entry_point.rpartition('.')[2]
            raise click.UsageError(f"'{identifier}' of '{name}' is no {what}: {error.message}") from None
    return nodes


def named_numbers(assignments: Sequence[str], what: str) -> dict[str, float]:
    """Return ``NAME=NUMBER`` as a mapping.

    :param assignments: as given.
    :param what: what the numbers are, for the message.
    :raises click.UsageError: if one has no ``=`` or no number after it.
    """
    numbers = {}
    for name, text in named_values(assignments, what).items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise click.UsageError(f"'{text}' of '{name}' is no number, write e.g. {name}=1.5") from None
    return numbers


def print_attributes(values: Mapping[str, Any], style: str) -> None:
    """Print attributes of a node, one a line."""
    print_rows([{'attribute': key, 'value': value} for key, value in values.items()], style)
