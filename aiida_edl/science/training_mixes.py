"""Which charge states are trained together: sets named one by one, or in short for all charge states of a study.

Short forms stand for many sets: ``single`` (each charge state alone), ``mixed`` (all together), ``leave_one_out`` (all
but one, for each) and ``pairs`` (those listed). Their names say what they hold, see :func:`resolve_training_sets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiida_edl.registry import unknown_name_message

States = tuple[int, ...]
"""Numbers of ions of the charge states of a set."""
PAIRS = 'pairs'
FEWEST_TO_LEAVE_ONE_OUT = 3
"""Of two charge states, all but one is a single one."""


class TrainingMixError(ValueError):
    """A training set, or a short form of several, that cannot be made of the charge states of a study."""


def _single(states: States) -> dict[str, States]:
    return {f'single_{state}': (state,) for state in states}


def _mixed(states: States) -> dict[str, States]:
    return {'mixed': states}


def _leave_one_out(states: States) -> dict[str, States]:
    if len(states) < FEWEST_TO_LEAVE_ONE_OUT:
        raise TrainingMixError(
            f'leave_one_out of charge states {list(states)} would be single ones; give at least '
            f'{FEWEST_TO_LEAVE_ONE_OUT} charge states, or ask for single'
        )
    return {f'without_{state}': tuple(other for other in states if other != state) for state in states}


SHORT_FORMS: Mapping[str, Callable[[States], dict[str, States]]] = {
    'single': _single,
    'mixed': _mixed,
    'leave_one_out': _leave_one_out,
}
"""Sets by name, from all charge states of a study."""


def resolve_training_sets(asked: Mapping[str, Any], charge_states: Sequence[int]) -> dict[str, list[int]]:
    """Return the charge states of each training set by its name, short forms written out.

    >>> resolve_training_sets({'single': True, 'pairs': [[0, 2]], 'mine': [0, 1]}, [0, 1, 2])
    {'single_0': [0], 'single_1': [1], 'single_2': [2], 'pair_0_2': [0, 2], 'mine': [0, 1]}

    :param asked: by name, a list of charge states; or ``True`` for a short form (``False`` for none), and a list of
        pairs for ``pairs``.
    :param charge_states: all charge states of the study, as numbers of ions.
    :raises TrainingMixError: with one sentence; an unknown short form is answered with the nearest.
    """
    if not isinstance(asked, Mapping):
        raise TrainingMixError(f'training_sets is {asked!r}, it must hold charge states by name')
    states = tuple(charge_states)
    resolved: dict[str, States] = {}
    written_out: set[str] = set()
    for name, value in asked.items():
        sets = _sets(name, value, states)
        if sets is None:
            resolved[name] = tuple(value)
            continue
        for made, members in sets.items():
            if resolved.get(made, members) != members:
                raise TrainingMixError(
                    f"training set '{made}' is given as {list(resolved[made])}, but {name} makes it of "
                    f'{list(members)}; give it another name'
                )
            resolved[made] = members
            written_out.add(made)
    _refuse_twins(resolved, written_out)
    return {name: list(members) for name, members in resolved.items()}


def _sets(name: str, value: Any, states: States) -> dict[str, States] | None:
    """Return the sets of a short form; None if the charge states of one set are given."""
    if isinstance(value, bool):
        if name not in SHORT_FORMS:
            raise TrainingMixError(unknown_name_message('short form of training sets', name, [*SHORT_FORMS, PAIRS]))
        return SHORT_FORMS[name](states) if value else {}
    if not isinstance(value, (list, tuple)):
        raise TrainingMixError(
            f"training set '{name}' is {value!r}; give a list of charge states, or true for one of "
            f'{", ".join(SHORT_FORMS)}'
        )
    if name != PAIRS:
        return None
    for pair in value:
        if not isinstance(pair, (list, tuple)) or len(set(pair)) != 2 or not set(pair) <= set(states):
            raise TrainingMixError(
                f'pairs holds {pair!r}; give two different charge states of {list(states)} for each, e.g. [[0, 2]]'
            )
    return {f'pair_{low}_{high}': (low, high) for low, high in (sorted(pair) for pair in value)}


def _refuse_twins(sets: Mapping[str, States], written_out: set[str]) -> None:
    """Refuse two names for one set if a short form made one of them: it would be trained and counted twice."""
    for name in sorted(written_out):
        for other, members in sets.items():
            if other != name and sorted(members) == sorted(sets[name]):
                raise TrainingMixError(
                    f"training sets '{name}' and '{other}' hold the same charge states {list(members)}; leave one out"
                )


def shapes_atomic_energies(training_set: str) -> bool:
    """Return whether the atomic energies of a study are fitted to the frames of a training set.

    Those of ``leave_one_out`` and ``pairs`` have no say where there are others, so that a study to which they are added
    keeps its numbers, and with them all that was trained.

    :param training_set: its name.

    >>> shapes_atomic_energies('single_2'), shapes_atomic_energies('without_1')
    (True, False)
    """
    return training_set.split('_', maxsplit=1)[0] not in ('without', 'pair')
