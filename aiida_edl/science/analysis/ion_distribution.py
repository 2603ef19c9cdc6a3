"""Distribution of one kind of ion along the surface normal, with the same origin as all profiles."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.atom_groups import AtomGroups, Integers
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.charge_state import FORMAL_CHARGES


def ion_symbol(numbers: NDArray[np.uint8], groups: AtomGroups, wanted: str = '') -> str:
    """Return the ion whose profile is taken; ``''`` if there is none.

    :param numbers: atomic numbers of one frame, shape ``(n_atoms,)``.
    :param groups: groups of that frame.
    :param wanted: chemical symbol, or ``''`` for the only kind of ion that occurs.
    :raises NotAnalysableError: if the symbol stands for no ion, or several kinds occur and none is chosen: their
        sum would mix charges.
    """
    if wanted:
        if wanted not in FORMAL_CHARGES:
            raise NotAnalysableError(unknown_name_message('ion', wanted, list(FORMAL_CHARGES)))
        return wanted
    present = [chemical_symbols[number] for number in np.unique(numbers[groups.ions])]
    if len(present) > 1:
        raise NotAnalysableError(f"the frames hold the ions {', '.join(present)}: choose one by the setting 'ion'")
    return present[0] if present else ''


def ion_indices(numbers: NDArray[np.uint8], symbol: str) -> Integers:
    """Return the indices of the ions of one kind, shape ``(n_ions,)``.

    :param numbers: atomic numbers of one frame, shape ``(n_atoms,)``.
    :param symbol: chemical symbol; ``''`` for none.
    """
    return np.flatnonzero(numbers == atomic_numbers[symbol]) if symbol else np.zeros(0, dtype=np.int64)
