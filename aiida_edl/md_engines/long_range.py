"""How programs add the electrostatics of fixed charges to a short-range model: a recipe around its recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aiida_edl.md_engines.base import MDSettingsError
from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT
from aiida_edl.science.electrostatics.long_range_model import FRAME_PBC, LongRangeModel
from aiida_edl.science.electrostatics.slab_correction import film_length
from aiida_edl.science.frames import Frame

MODULES = ('aiida_edl.science.electrostatics.ase_calculator',)
"""Modules that a job ships in which ASE adds the electrostatics."""
PACKAGES = ('numba',)
"""What they need beside numpy, scipy and ASE."""
SLAB_FACTOR = 3.0
"""By how much LAMMPS lengthens the cell of a slab at least; its manual advises 3."""
MOST_NODES = 7
"""Largest order of the splines of LAMMPS."""
FINENESS = 1.25
"""By how much the mesh is finer where more nodes were tuned than LAMMPS has."""
KINDS = ('ase', 'lammps')
"""Kinds of bindings around which electrostatics can be put."""


def composed_recipe(kind: str, recipe: Mapping[str, Any], model: LongRangeModel) -> dict[str, Any]:
    """Return the recipe of a short-range model and electrostatics together.

    :param kind: kind of binding, e.g. ``'ase'``.
    :param recipe: what the program is told of the short-range model.
    :param model: the charges.
    :raises MDSettingsError: if programs of this kind cannot add both.
    """
    if kind == 'ase':
        return _ase_recipe(recipe, model)
    if kind == 'lammps':
        return _lammps_recipe(recipe, model)
    raise MDSettingsError(
        f"'{kind}' cannot add the long_range electrostatics of a potential; what can: {', '.join(KINDS)}"
    )


def _ase_recipe(recipe: Mapping[str, Any], model: LongRangeModel) -> dict[str, Any]:
    """Return the recipe of an ASE calculator that holds the other one."""
    outer = {
        'module': MODULES[0],
        'attribute': 'WithElectrostatics',
        'keyword_arguments': {'short_range': dict(recipe), 'long_range': model.to_dict()},
        'environment': {},
        'info': dict(recipe.get('info') or {}),
    }
    seen = {key: recipe[key] for key in ('is_fully_periodic', 'cutoff_radius') if key in recipe}
    return {**outer, **seen, **({'pbc_info': FRAME_PBC} if seen.get('is_fully_periodic') else {})}


def _lammps_recipe(recipe: Mapping[str, Any], model: LongRangeModel) -> dict[str, Any]:
    """Return a recipe with ``hybrid/overlay`` of the pair style and the pairs of the sum, and its mesh.

    The accuracy of LAMMPS is relative to the force between two elementary charges 1 Å apart; the numbers of a mesh come
    with the frame, see :func:`mesh_lines`.

    :raises MDSettingsError: for a direct sum.
    """
    settings = model.settings
    if settings.method == 'direct':
        raise MDSettingsError(
            "engine lammps sums over images: the method 'direct' of long_range does not; tune it anew"
        )
    style = recipe['pair_style']
    name, is_hybrid = style.split()[0], style.startswith('hybrid')
    if is_hybrid and not style.startswith('hybrid/overlay'):
        raise MDSettingsError(
            f"pair_style '{style}' gives each pair of types to one style, electrostatics needs hybrid/overlay"
        )
    coefficients = [
        line if is_hybrid else ' '.join((*line.split()[:2], name, *line.split()[2:]))
        for line in recipe['pair_coeff'].splitlines()
    ]
    kspace = 'ewald' if settings.method == 'ewald' else 'pppm'
    accuracy = model.force_error / COULOMB_CONSTANT
    return {
        **recipe,
        'pair_style': f'{"" if is_hybrid else "hybrid/overlay "}{style} coul/long {settings.cutoff_radius:.10g}',
        'pair_coeff': '\n'.join([*coefficients, '* * coul/long']),
        'final_commands': [*recipe['final_commands'], f'kspace_style {kspace} {accuracy:.6g}'],
        'atom_style': 'charge',
        'long_range': model.to_dict(),
    }


def mesh_lines(frame: Frame, box_height: float, long_range: Mapping[str, Any]) -> list[str]:
    """Return what LAMMPS is told of the sum of charges beside its accuracy, nothing without charges.

    Smearing, mesh and order of P3M are those that were tuned: what LAMMPS finds by itself misses the accuracy of a film
    by a factor of a hundred. An order that it does not have is made good by a finer mesh.

    :param frame: the frame.
    :param box_height: length of its box along z [Å], which is more than that of the cell if it is open there.
    :param long_range: fields of a long-range model; empty without one.
    """
    if not long_range:
        return []
    model, lines, cell = LongRangeModel.from_dict(long_range), [], np.array(frame.cell, dtype=float)
    stretch = 1.0
    if not frame.pbc[2]:
        factor = max(SLAB_FACTOR, math.ceil(film_length(cell, frame.positions[:, 2]) / box_height))
        lines.append(f'kspace_modify slab {factor:g}')
        length = float(np.linalg.norm(cell[2]))
        tuned = length if model.tuned_lengths is None else model.tuned_lengths[2]
        cell[2] *= tuned / length
        stretch = factor * box_height / tuned
    settings = model.settings_for(cell)
    if settings.mesh is not None:
        fineness = FINENESS if settings.nodes > MOST_NODES else 1.0
        n_x, n_y, n_z = (math.ceil(fineness * factor * n) for factor, n in zip((1.0, 1.0, stretch), settings.mesh))
        splitting = 1.0 / (math.sqrt(2.0) * settings.smearing)
        order = min(settings.nodes, MOST_NODES)
        lines.append(f'kspace_modify gewald {splitting:.10g} mesh {n_x} {n_y} {n_z} order {order}')
    return lines


def with_point_charges(frame: Frame, long_range: Mapping[str, Any]) -> Frame:
    """Return a frame with the charges of a long-range model, or as it is without one.

    :param frame: the frame.
    :param long_range: fields of a long-range model; empty without one.
    :raises aiida_edl.science.electrostatics.long_range_model.LongRangeModelError: if they do not go with the frame.
    """
    if not long_range:
        return frame
    return replace(frame, charges=LongRangeModel.from_dict(long_range).charges_of(frame.numbers))
