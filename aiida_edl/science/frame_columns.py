"""Scalars of frames by name: those that are stored, and those that follow from the atoms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.frames import FrameSet

Indices = NDArray[np.int64]

FROM_ATOMS = ('charge_state', 'composition', 'n_atoms')
"""Names that every set of frames knows: ions, chemical formula, atoms."""
RESULT_COLUMNS = (
    'metal_potential',
    'electrode_potential',
    'fermi_level',
    'work_function',
    'n_electrons',
    'n_scf_steps',
    'energy_zero_smearing',
)
"""Columns that are results of the method that labelled the frames; they go with the labels."""
_CHARGE = re.compile(r'(^|[^a-z])charge($|[^a-z])|^n_?elect')
DIGITS_OF_CHARGES = 6
"""Decimals to which charges [e] are compared."""


def charge_states_of(frames: FrameSet) -> Indices:
    """Return the number of ions of each frame: the column ``charge_state``, or from the composition without it.

    :param frames: the frames.
    """
    if 'charge_state' in frames.columns:
        return np.asarray(frames.columns['charge_state'], dtype=np.int64)
    return ions_per_frame(frames.numbers, frames.offsets)


def composition_counts(frames: FrameSet) -> tuple[Indices, NDArray[np.uint8]]:
    """Return how many atoms of each element each frame has.

    :param frames: the frames.
    :return: counts, shape ``(n_frames, n_elements)``, and the atomic numbers of their columns, ascending.
    """
    numbers, columns = np.unique(frames.numbers, return_inverse=True)
    owners = np.repeat(np.arange(len(frames)), np.diff(frames.offsets))
    flat = np.bincount(owners * len(numbers) + columns, minlength=len(frames) * len(numbers))
    return flat.reshape(len(frames), len(numbers)).astype(np.int64), numbers


def composition_numbers(frames: FrameSet) -> Indices:
    """Return consecutive numbers of the compositions, one for each frame.

    :param frames: the frames.
    """
    return np.asarray(np.unique(composition_counts(frames)[0], axis=0, return_inverse=True)[1], np.int64).reshape(-1)


def column_of(frames: FrameSet, name: str) -> NDArray[Any]:
    """Return one scalar per frame: a column, or what follows from the atoms (see :data:`FROM_ATOMS`).

    :param frames: the frames.
    :param name: name of the column.
    :raises ValueError: if there is no such column; the message holds the nearest.
    """
    if name == 'charge_state':
        return charge_states_of(frames)
    if name in frames.columns:
        return frames.columns[name]
    if name == 'n_atoms':
        return np.diff(frames.offsets)
    if name == 'composition':
        counts, numbers = composition_counts(frames)
        kinds, owners = np.unique(counts, axis=0, return_inverse=True)
        formulas = [
            ''.join(f'{chemical_symbols[n]}{count if count > 1 else ""}' for n, count in zip(numbers, kind) if count)
            for kind in kinds
        ]
        return np.array(formulas)[owners.reshape(-1)]
    raise ValueError(unknown_name_message('column', name, sorted({*frames.columns, *FROM_ATOMS})))


def charge_columns(frames: FrameSet) -> tuple[str, ...]:
    """Return the columns that state a charge: the word ``charge`` is in their name, or they count the electrons.

    :param frames: the frames.
    """
    return tuple(sorted(name for name in frames.columns if _CHARGE.search(name.lower())))


def charge_classes(frames: FrameSet, columns: Sequence[str] = ()) -> Indices:
    """Return consecutive numbers of what frames must share to be the same: composition, periodicity, charges, columns.

    :param frames: the frames.
    :param columns: further columns, e.g. the potential of an electrode; see :func:`column_of`.
    :raises ValueError: if there is no such column.
    """
    keys: list[NDArray[Any]] = [composition_numbers(frames), *frames.pbc.T.astype(np.int64)]
    for name in (*charge_columns(frames), *columns):
        values = column_of(frames, name)
        if np.issubdtype(values.dtype, np.floating):
            values = np.round(values, DIGITS_OF_CHARGES) + 0.0
        keys.append(np.unique(values, return_inverse=True)[1])
    return np.asarray(np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1], dtype=np.int64).reshape(-1)
