"""What VASP reads for one frame: tags of the INCAR, mesh of the KPOINTS, order of the sites in the POSCAR."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.dft.functionals import Dispersion, Functional
from aiida_edl.dft.vasp_settings import TAGS_BY_ELEMENT, Shape, Smearing, VaspSettings, shape_of
from aiida_edl.science.frames import Frame
from aiida_edl.science.gradient_check import REFERENCE_SCALE

GGA = {Functional.PBE: 'PE', Functional.RPBE: 'RP', Functional.REVPBE: 'RE'}
"""Value of the tag GGA."""
IVDW = {Dispersion.D3_ZERO: 11, Dispersion.D3_BJ: 12}
"""Value of the tag IVDW."""
ISMEAR = {Smearing.GAUSSIAN: 0, Smearing.FERMI_DIRAC: -1, Smearing.METHFESSEL_PAXTON: 1}
"""Value of the tag ISMEAR."""
ROUNDING = 1e-9
"""By how much a mesh may fall short for the rounding of cells; else a cell of just the right size gets a point more."""


def site_order(frame: Frame) -> NDArray[np.int64]:
    """Return the order of sites in which each element is one block; within an element that of the frame.

    VASP reads a POTCAR for each block of the POSCAR, so that water as O, H, H, O, H, H would need hundreds of them.

    >>> frame = Frame(np.array([8, 1, 1, 8], dtype=np.uint8), np.zeros((4, 3)), np.eye(3), np.ones(3, dtype=bool))
    >>> site_order(frame).tolist()
    [1, 2, 0, 3]

    :param frame: the frame.
    :return: index in the frame of each site, shape ``(n_atoms,)``; elements by their symbols, alphabetically.
    """
    symbols = [chemical_symbols[number] for number in frame.numbers]
    return np.array(sorted(range(len(symbols)), key=lambda index: symbols[index]), dtype=np.int64)


def k_point_mesh(frame: Frame, settings: VaspSettings) -> tuple[int, int, int]:
    """Return the divisions of the mesh, centred on Gamma.

    ``N_i = max(1, ceil(|b_i| / KSPACING))`` with reciprocal vectors that include 2π, the rule of VASP for KSPACING.
    Films have one point along z, atoms and molecules one in all. A frame with the column ``reference_scale`` has the
    mesh of the cell before it was scaled, as energies of different meshes cannot be compared.

    :param frame: the frame.
    :param settings: with the spacing.
    """
    shape = shape_of(frame)
    if shape in (Shape.ATOM, Shape.MOLECULE):
        return (1, 1, 1)
    scales = np.where(frame.pbc, float(frame.columns.get(REFERENCE_SCALE, 1.0)), 1.0)
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(frame.cell / scales[:, None]), axis=0)
    divisions = np.maximum(1, np.ceil(lengths / settings.k_spacing - ROUNDING)).astype(int).tolist()
    return (divisions[0], divisions[1], 1 if shape is Shape.FILM else divisions[2])


def incar(frame: Frame, settings: VaspSettings, n_valence_electrons: float) -> dict[str, Any]:
    """Return the tags of the INCAR, in small letters.

    :param frame: accepted by :func:`aiida_edl.dft.vasp_settings.check_frame`.
    :param settings: level of theory and how it is reached.
    :param n_valence_electrons: electrons of the neutral frame, the sum of ZVAL over its atoms.
    """
    shape = shape_of(frame)
    is_atom = shape is Shape.ATOM
    tags: dict[str, Any] = {
        'prec': settings.precision,
        'encut': settings.cutoff,
        'gga': GGA[settings.functional],
        'lasph': True,
        'ismear': ISMEAR[Smearing.GAUSSIAN if is_atom else settings.smearing],
        'sigma': settings.smearing_width,
        'ispin': 2 if is_atom or settings.is_spin_polarized else 1,
        'lreal': 'Auto' if settings.has_real_space_projectors else False,
        'ediff': settings.energy_threshold,
        'nelm': settings.maximum_scf_steps,
        'algo': settings.algorithm,
        'ibrion': -1,
        'nsw': 0,
        'isif': 2,
        'lwave': False,
        'lcharg': False,
    }
    if settings.dispersion in IVDW and not is_atom:
        tags['ivdw'] = IVDW[settings.dispersion]
    if is_atom:
        tags['isym'] = 0
    if shape is Shape.FILM:
        tags |= _film_tags(frame, settings)
    if charge := settings.total_charge(frame):
        tags['nelect'] = n_valence_electrons - charge
    parallel = {'ncore': settings.n_cores_per_orbital, 'kpar': settings.n_k_point_groups}
    tags |= {name: value for name, value in parallel.items() if value is not None}
    return tags | _own_tags(frame, settings)


def _own_tags(frame: Frame, settings: VaspSettings) -> dict[str, Any]:
    """Return the tags that are given as such; those by element in the order of the POSCAR.

    An atom whose element has no moment keeps the one that VASP starts from: from 0 it would not become polarised.
    """
    symbols = [chemical_symbols[frame.numbers[index]] for index in site_order(frame)]
    sizes = {symbol: len(list(sites)) for symbol, sites in groupby(symbols)}
    tags = {tag.lower(): value for tag, value in settings.tags.items()}
    if shape_of(frame) is Shape.ATOM and not set(tags.get('magmom', ())) & set(sizes):
        tags.pop('magmom', None)
    for tag in set(tags) & set(TAGS_BY_ELEMENT):
        values = {symbol: tags[tag].get(symbol, TAGS_BY_ELEMENT[tag]) for symbol in sizes}
        words = [f'{sizes[symbol]}*{value}' if tag == 'magmom' else str(value) for symbol, value in values.items()]
        tags[tag] = ' '.join(words)
    return tags


def _film_tags(frame: Frame, settings: VaspSettings) -> dict[str, Any]:
    """Return the tags of a film; its middle is the centre of the dipole, so that the jump is amid the vacuum."""
    tags: dict[str, Any] = {}
    if settings.has_dipole_correction:
        heights = frame.positions[:, 2]
        middle = float((heights.min() + heights.max()) / 2 / frame.cell[2, 2])
        tags = {'ldipol': True, 'idipol': 3, 'dipol': f'0.5 0.5 {middle:.6f}'}
    return tags | ({'lvhar': True} if settings.reports_vacuum_level else {})
