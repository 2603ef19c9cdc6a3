"""How the input script of LAMMPS loads a model: what a recipe may say, and the lines that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida_edl.architectures.bindings import ATOMIC_NUMBERS, ELEMENTS, TOTAL_CHARGE
from aiida_edl.md_engines.base import MDSettingsError
from aiida_edl.md_engines.lammps_system import symbols
from aiida_edl.registry import unknown_name_message

ATOM_STYLES = ('atomic', 'charge')
"""Styles of atoms that the data file can have."""
RECIPE: Mapping[str, Any] = {
    'pair_style': '',
    'pair_coeff': '',
    'commands': [],
    'final_commands': [],
    'atom_style': 'atomic',
    'arguments': [],
    'environment': {},
    'packages': [],
    'level_of_theory': '',
    'long_range': {},
}
"""What the recipe of a model may say, and defaults; the first two are needed. ``long_range`` holds the fields of a
long-range model, from which the charges of atoms follow."""


def checked_recipe(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a recipe with the defaults filled in.

    :param recipe: keys of :data:`RECIPE`.
    :raises MDSettingsError: if it lacks a pair style or has an unknown key.
    """
    for key in recipe:
        if key not in RECIPE:
            raise MDSettingsError(unknown_name_message('key of the recipe for lammps', key, list(RECIPE)))
    for key in ('pair_style', 'pair_coeff'):
        if not recipe.get(key):
            raise MDSettingsError(f'the recipe for lammps lacks {key}; it needs pair_style and pair_coeff')
    if recipe.get('atom_style', 'atomic') not in ATOM_STYLES:
        raise MDSettingsError(unknown_name_message('atom_style', recipe['atom_style'], ATOM_STYLES))
    return {**RECIPE, **recipe}


def potential_lines(recipe: Mapping[str, Any], types: Sequence[int], total_charge: float) -> list[str]:
    """Return the pair style with one element for each type of atoms, and the total charge where it has its place.

    :param recipe: recipe with the defaults filled in.
    :param types: atomic number of each type of atoms.
    :param total_charge: total charge of the frame [e], for a pair style that takes one.
    """
    numbers = ' '.join(str(number) for number in types)
    coefficients = recipe['pair_coeff'].replace(ELEMENTS, symbols(types)).replace(ATOMIC_NUMBERS, numbers)
    lines = [
        f'pair_style {recipe["pair_style"]}',
        *(f'pair_coeff {line}' for line in coefficients.splitlines()),
        *recipe['final_commands'],
    ]
    return [
        *(line.replace(TOTAL_CHARGE, f'{total_charge:.10g}') for line in lines),
        'neigh_modify every 1 delay 0 check yes',
    ]
