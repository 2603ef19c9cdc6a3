"""Whether the electrostatics of a potential can be added where it is used."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.long_range import KINDS
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.science.electrostatics.periodic_check import check_open, check_periodic
from aiida_edl.science.electrostatics.slab_correction import check_slab

RIGHT_ANGLE = 1e-6
"""Product of two cell vectors up to which they count as at right angles [Å²]."""
OBLIQUE_FILM = (
    'the first two cell vectors of the film are not at right angles, in which LAMMPS cannot sum the charges of a slab; '
    'take the engine ase, or an orthogonal cell'
)


def missing_package() -> str | None:
    """Return one sentence if what compiles the sums is not installed beside AiiDA; else None."""
    if importlib.util.find_spec('numba') is not None:
        return None
    return "long_range needs numba beside AiiDA, which is not there: pip install 'aiida-edl[electrostatics]'"


def validate_long_range_part(potential: PotentialData, kind: str, dataset: DatasetData) -> str | None:
    """Return one sentence if the long-range part of a potential cannot be added, or not to all frames; else None.

    :param potential: the potential, with or without such a part.
    :param kind: kind of binding, one that the architecture has.
    :param dataset: the frames.
    """
    if potential.long_range is None:
        return None
    model = LongRangeModel.from_dict(potential.long_range)
    message = refuse_long_range(kind, potential.architecture, potential.cutoff_radius, model.settings.cutoff_radius)
    return message or validate_charges(model, dataset, for_lammps=kind == 'lammps')


def refuse_long_range(kind: str, architecture: str, cutoff_radius: float, coulomb_cutoff: float | None) -> str | None:
    """Return one sentence if programs of a kind cannot add electrostatics to a potential; else None.

    :param kind: kind of binding, one that the architecture has.
    :param architecture: entry-point name.
    :param cutoff_radius: cutoff radius of the potential [Å].
    :param coulomb_cutoff: that of the pairs of charges [Å]; None if a tuning is free to choose it.
    """
    if kind not in KINDS:
        return f"the potential has a long-range part, which '{kind}' cannot add; what can: {', '.join(KINDS)}"
    binding = load_member(ARCHITECTURES, architecture).bindings.get(kind)
    if binding is None:
        return f'{architecture} has no binding {kind}, by which its potentials are tested and charges are added'
    if not getattr(binding, 'fixes_coulomb_cutoff', False) or coulomb_cutoff == cutoff_radius:
        return None
    has = 'no cutoff radius of its own' if coulomb_cutoff is None else f'a cutoff radius of {coulomb_cutoff:g} Å'
    return (
        f'the long-range part of the potential has {has}, but the pair style of {architecture} lets LAMMPS have that '
        f'of the potential only, {cutoff_radius:g} Å; tune long_range with cutoff_radius {cutoff_radius:g} and train '
        'anew'
    )


def validate_charges(model: LongRangeModel, dataset: DatasetData, *, for_lammps: bool = False) -> str | None:
    """Return one sentence if charges do not go with one of the frames; else None.

    :param model: the charges.
    :param dataset: the frames.
    :param for_lammps: whether LAMMPS sums them.
    """
    for index in _unlike_frames(dataset):
        try:
            system = model.system_of(dataset.frame(index))
            if model.settings.method == 'direct':
                check_open(system)
            else:
                check_periodic(system, model.settings)
                if not system.pbc.all():
                    check_slab(system)
                    if for_lammps and abs(float(system.cell[0] @ system.cell[1])) > RIGHT_ANGLE:
                        return OBLIQUE_FILM
        except ValueError as error:
            return f'the charges of long_range do not go with frame {index}: {error}'
    return None


def _unlike_frames(dataset: DatasetData) -> Iterator[int]:
    """Yield the first frame of each order of elements, periodicity and kind of cell."""
    numbers, offsets = dataset.get_array('numbers'), dataset.get_array('offsets')
    cells, pbc = dataset.get_array('cells'), dataset.get_array('pbc')
    products = np.abs(cells @ cells.transpose(0, 2, 1))[:, ~np.eye(3, dtype=bool)]
    is_right_angled = np.all(products <= RIGHT_ANGLE, axis=1)
    is_upright = np.all(np.abs(cells[:, [0, 1, 2, 2], [2, 2, 0, 1]]) <= RIGHT_ANGLE, axis=1) & cells[:, 2].any(axis=1)
    seen = set()
    for index, (start, stop) in enumerate(pairwise(offsets.tolist())):
        kind = (
            numbers[start:stop].tobytes(),
            pbc[index].tobytes(),
            bool(is_right_angled[index]),
            bool(is_upright[index]),
        )
        if kind not in seen:
            seen.add(kind)
            yield index
