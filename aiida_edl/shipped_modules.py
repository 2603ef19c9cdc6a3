"""Modules of this package that travel with a job, so that the environment of the code needs neither it nor AiiDA.

The compute node then runs exactly the source whose checksum is in the graph. A job ships the modules it names and all
that they import from this package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

PACKAGE = 'aiida_edl'


class NotShippableError(ValueError):
    """A module that is not there, or needs AiiDA."""


def shipped_modules(names: Sequence[str], data: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the source files of modules and of all that they import from this package, by path.

    :param names: modules by their full names.
    :param data: further files of the package, e.g. ``'aiida_edl/science/electrostatics/ion_frames.json'``.
    :raises NotShippableError: if a module is not there or imports AiiDA.
    """
    sources: dict[str, bytes] = {path: _resource(path).read_bytes() for path in data}
    waiting = list(names)
    while waiting:
        path = _path_of(waiting.pop())
        if path in sources:
            continue
        sources[path] = _resource(path).read_bytes()
        waiting.extend(_imported(path, sources[path]))
        waiting.extend(_parents(path))
    return dict(sorted(sources.items()))


def shipped_program(name: str) -> dict[str, bytes]:
    """Return the source of a driver by its name, and by path those of all modules it imports from this package.

    :param name: file of ``aiida_edl/drivers``.
    :raises NotShippableError: if it imports AiiDA.
    """
    source = _resource(f'{PACKAGE}/drivers/{name}').read_bytes()
    return {name: source, **shipped_modules(tuple(_imported(name, source)))}


def _resource(path: str) -> Traversable:
    """Return a file of the package."""
    return files(PACKAGE).joinpath(*path.split('/')[1:])


def _path_of(name: str) -> str:
    """Return the path of the source of a module or package.

    :raises NotShippableError: if it is neither.
    """
    stem = name.replace('.', '/')
    for path in (f'{stem}.py', f'{stem}/__init__.py'):
        if _resource(path).is_file():
            return path
    raise NotShippableError(f"'{name}' is no module of {PACKAGE}")


def _parents(path: str) -> list[str]:
    """Return the packages that hold a file."""
    parts = path.split('/')[:-1]
    return ['.'.join(parts[: depth + 1]) for depth in range(len(parts))]


def _imported(path: str, source: bytes) -> Iterator[str]:
    """Yield the modules of this package that a source imports.

    :raises NotShippableError: if it imports AiiDA.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [node.module]
            if node.module.split('.')[0] == PACKAGE:
                found += [name for alias in node.names if _is_module(name := f'{node.module}.{alias.name}')]
        else:
            continue
        for name in found:
            if name.split('.')[0] == 'aiida':
                raise NotShippableError(f'{path} imports {name}, which is not there on a compute node')
            if name.split('.')[0] == PACKAGE:
                yield name


def _is_module(name: str) -> bool:
    """Return whether a name is a module and not something within one."""
    stem = name.replace('.', '/')
    return _resource(f'{stem}.py').is_file() or _resource(f'{stem}/__init__.py').is_file()
