"""Find a member of a family (architecture, MD engine, format, analysis) by its entry point.

No AiiDA and no backend is imported.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

ARCHITECTURES = 'aiida_edl.architectures'
MD_ENGINES = 'aiida_edl.md_engines'
DATASET_FORMATS = 'aiida_edl.dataset_formats'
ANALYSES = 'aiida_edl.analyses'
KINDS = {ARCHITECTURES: 'architecture', MD_ENGINES: 'MD engine', DATASET_FORMATS: 'format', ANALYSES: 'analysis'}
"""What a member of each family is called."""


class UnknownNameError(ValueError):
    """A name that is not among the known ones; the message holds the nearest known name."""


def unknown_name_message(kind: str, name: str, known: Sequence[str]) -> str:
    """Return one sentence: what was given, what is near, what exists.

    :param kind: what the name stands for, e.g. ``'architecture'``.
    :param name: the name that was given.
    :param known: all names that would have been right.

    >>> unknown_name_message('architecture', 'mase', ['deep_potential', 'mace'])
    "unknown architecture 'mase': did you mean 'mace'? Known: deep_potential, mace."
    """
    same_but_for_case = [other for other in known if other.casefold() == name.casefold()]
    near = same_but_for_case or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? " if near else ''
    return f"unknown {kind} '{name}': {hint}Known: {', '.join(sorted(known)) or 'none'}."


def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=group)}


def registered_names(group: str) -> tuple[str, ...]:
    """Return the names registered in an entry-point group, sorted.

    :param group: one of :data:`KINDS`.
    """
    return tuple(sorted(_entry_points(group)))


def load_member(group: str, name: str) -> Any:
    """Return an instance of the member of a family.

    :param group: one of :data:`KINDS`.
    :param name: entry-point name.
    :raises UnknownNameError: if no such member is registered.
    """
    members = _entry_points(group)
    if name not in members:
        raise UnknownNameError(unknown_name_message(KINDS.get(group, group), name, list(members)))
    return members[name].load()()
