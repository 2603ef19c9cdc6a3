"""Read the ports and exit codes of a process specification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HIDDEN = ('metadata', 'monitors')
"""Ports every process has; AiiDA's own manual describes them."""
FIRST_OF_PLUGINS = 200
"""Exit statuses below belong to AiiDA."""


def _ports(namespace: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the port of everything in a namespace."""
    for name, port in sorted(namespace.items()):
        if name in HIDDEN:
            continue
        if hasattr(port, 'items'):
            if port.dynamic:
                yield f'{prefix}{name}.*', port
            yield from _ports(port, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', port


def _type(port: Any) -> str:
    """Return the names of the accepted types."""
    types = port.valid_type if isinstance(port.valid_type, tuple) else (port.valid_type,)
    return ', '.join(f'``{item.__name__}``' for item in types if item is not None and item is not type(None))


def _default(port: Any) -> str:
    """Return the default of an input as text, or whether there must be a value."""
    if getattr(port, 'has_default', lambda: False)():
        value = port.default() if callable(port.default) else port.default
        if hasattr(value, 'get_dict'):
            value = value.get_dict()
        elif hasattr(value, 'get_list'):
            value = value.get_list()
        return f'``{getattr(value, "value", value)!r}``'
    return 'required' if port.required and not getattr(port, 'dynamic', False) else 'optional'


def input_rows(namespace: Any) -> list[tuple[str, ...]]:
    """Return port, type, default and help of each input.

    :param namespace: inputs of a process specification.
    """
    return [(f'``{name}``', _type(port), _default(port), port.help or '') for name, port in _ports(namespace)]


def output_rows(namespace: Any) -> list[tuple[str, ...]]:
    """Return port, type and help of each output.

    :param namespace: outputs of a process specification.
    """
    return [(f'``{name}``', _type(port), port.help or '') for name, port in _ports(namespace)]


def exit_code_rows(spec: Any, is_cached: bool) -> list[tuple[str, ...]]:
    """Return status, name, message and whether the result may be reused, for each exit code from 200 on.

    Lower ones belong to the engine and the scheduler plugins of AiiDA.

    :param spec: process specification.
    :param is_cached: whether AiiDA reuses processes of this kind at all; it never reuses work chains.
    """
    names = {code.status: name for name, code in spec.exit_codes.items()}
    rows = []
    for code in sorted(spec.exit_codes.values(), key=lambda item: item.status):
        if code.status >= FIRST_OF_PLUGINS:
            reused = 'never' if not is_cached else 'no' if code.invalidates_cache else 'yes'
            rows.append((str(code.status), f'``{names[code.status]}``', code.message, reused))
    return rows
