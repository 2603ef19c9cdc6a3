"""The POTCARs that are configured for VASP; aiida-vasp is imported when they are looked up, not before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.orm import QueryBuilder
from aiida.plugins import DataFactory, GroupFactory

from aiida_edl.dft.vasp_settings import VaspSettings, VaspSettingsError
from aiida_edl.registry import registered_names, unknown_name_message

CHILD = 'vasp.v2.vasp'
"""Entry point of the work chain that runs VASP for one structure."""
VALENCE = re.compile(r'ZVAL\s*=\s*(\d+\.?\d*)')
CUTOFF = re.compile(r'ENMAX\s*=\s*(\d+\.?\d*)')
FUNCTIONAL = re.compile(r'LEXCH\s*=\s*(\w+)')
LOCAL_DENSITY = 'CA'
"""What LEXCH is of potentials for the local-density approximation; all functionals here are gradient-corrected."""
UPLOAD = 'aiida-vasp potcar uploadfamily --path=<folder> --name=<family> --description=<text>'
"""Command that makes a family."""


def missing_plugin() -> str | None:
    """Return one sentence if aiida-vasp is not installed."""
    if CHILD in registered_names('aiida.workflows'):
        return None
    return 'the engine vasp needs aiida-vasp, which is not installed; run: pip install aiida-edl[vasp]'


def configured_potentials(settings: VaspSettings, elements: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what is known of the potential of each element: ``name``, ``title``, ``sha512``, ``valence``, ``cutoff``.

    The licensed content stays in the storage of the machine: only its number of electrons, the cutoff that it needs
    [eV] and its functional are read from it.

    :param settings: with family and mapping.
    :param elements: symbols of all elements that occur; those of the mapping are looked up too, so that all parts of a
        data set have the same level of theory.
    :raises VaspSettingsError: if the family or a potential is not configured; one sentence with the remedy.
    """
    by_name = _family(settings)
    potentials = {}
    for element in sorted({*elements, *settings.potential_mapping}):
        if element not in settings.potential_mapping:
            raise VaspSettingsError(
                f'potential_mapping names no POTCAR for {element}, which occurs in the frames; add it, for example '
                f"{{'{element}': '{element}'}}"
            )
        name = settings.potential_mapping[element]
        if name not in by_name:
            message = unknown_name_message(f'POTCAR of the family {settings.potential_family}', name, list(by_name))
            raise VaspSettingsError(message)
        potential = by_name[name]
        if potential.element != element:
            raise VaspSettingsError(
                f"potential_mapping gives the POTCAR '{name}' to {element}, but it is of {potential.element}; name one "
                f'of {element}'
            )
        potentials[element] = {
            'name': name,
            'title': str(potential.title).strip(),
            'sha512': str(potential.sha512),
            **_header(potential, name),
        }
    _check_cutoff(settings, potentials)
    return potentials


def _check_cutoff(settings: VaspSettings, potentials: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a cutoff with which a potential gives wrong forces, and VASP no more than a warning."""
    hardest = max(potentials.values(), key=lambda potential: float(potential['cutoff']))
    if settings.cutoff < hardest['cutoff']:
        raise VaspSettingsError(
            f"cutoff is {settings.cutoff:g} eV, but the POTCAR '{hardest['name']}' needs {hardest['cutoff']:g} eV "
            '(ENMAX); raise it, or take a softer potential'
        )


def family_names() -> list[str]:
    """Return the names of all families of POTCARs."""
    return sorted(QueryBuilder().append(GroupFactory('vasp.potcar'), project='label').all(flat=True))


def _family(settings: VaspSettings) -> dict[str, Any]:
    """Return the potentials of a family by their names."""
    families = family_names()
    if settings.potential_family not in families:
        if not families:
            given = f"'{settings.potential_family}'" if settings.potential_family else 'none'
            raise VaspSettingsError(
                f'potential_family is {given}, but no POTCARs are configured; upload some: {UPLOAD}'
            )
        raise VaspSettingsError(unknown_name_message('potential_family', settings.potential_family, families))
    query = QueryBuilder()
    query.append(GroupFactory('vasp.potcar'), filters={'label': settings.potential_family}, tag='family')
    query.append(DataFactory('vasp.potcar'), with_group='family')
    return {str(potential.full_name): potential for potential in query.all(flat=True)}


def _header(potential: Any, name: str) -> dict[str, float]:
    """Return the electrons that a potential leaves, its ZVAL, and the cutoff that it needs [eV], its ENMAX."""
    try:
        content = potential.find_file_node().get_content().decode('latin-1')
    except NotExistent as error:
        raise VaspSettingsError(
            f"the POTCAR '{name}' was imported without its content, which never leaves a machine; upload it here: "
            f'{UPLOAD}'
        ) from error
    valence, cutoff, functional = (pattern.search(content) for pattern in (VALENCE, CUTOFF, FUNCTIONAL))
    if valence is None or cutoff is None:
        raise VaspSettingsError(
            f"the POTCAR '{name}' does not say how many electrons it has and which cutoff it needs (ZVAL, ENMAX); "
            'upload a whole one'
        )
    if functional is not None and functional[1] == LOCAL_DENSITY:
        raise VaspSettingsError(
            f"the POTCAR '{name}' is for the local-density approximation (LEXCH = {LOCAL_DENSITY}), and the "
            'functionals here are gradient-corrected; upload the family for PBE'
        )
    return {'valence': float(valence[1]), 'cutoff': float(cutoff[1])}
