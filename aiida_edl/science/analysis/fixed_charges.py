r"""Charges of frames that carry none: fixed ones for liquid and ions, and those that they induce on the metal.

The cell is neutral, and all metal is one equipotential, so the charge of the metal follows from the liquid. With one
wet surface, the metal carries minus the charge of the liquid there. With two, at heights 0 and d, the potential is the
same on both exactly if

.. math:: q_0 = -\sum_i q_i \frac{d - z_i}{d}, \qquad q_d = -\sum_i q_i \frac{z_i}{d},

the charges that point charges induce on two plates of one potential (W. Shockley, J. Appl. Phys. 9, 635 (1938);
S. Ramo, Proc. IRE 27, 584 (1939)). They lie in the plane of the outermost metal layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import atom_groups
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.charge_state import FORMAL_CHARGES
from aiida_edl.science.frames import Floats


def charges_of_atoms(numbers: NDArray[np.uint8], charges: Mapping[str, float]) -> Floats:
    """Return the fixed charge of each atom [e], shape ``(n_atoms,)``; zero for metal, whose charge is induced.

    :param numbers: atomic numbers, shape ``(n_atoms,)``.
    :param charges: charges by element [e]; ions that are not named have their formal charge.
    :raises NotAnalysableError: if an element has none.
    """
    metal = {chemical_symbols[number] for number in numbers[atom_groups(numbers).metal]}
    by_element = {**FORMAL_CHARGES, **charges} | dict.fromkeys(metal, 0.0)
    symbols = [chemical_symbols[number] for number in np.unique(numbers)]
    if missing := [symbol for symbol in symbols if symbol not in by_element]:
        raise NotAnalysableError(
            f"frames without charges hold {', '.join(missing)}: give their charges by the setting 'charges'"
        )
    table = np.zeros(len(chemical_symbols))
    for symbol in symbols:
        table[chemical_symbols.index(symbol)] = by_element[symbol]
    return np.asarray(table[numbers], dtype=np.float64)


def induced_charges(charges: Floats, heights: Floats, separations: Floats | None) -> Floats:
    """Return the charge of each metal surface [e], shape ``(n_frames, n_surfaces)``.

    :param charges: charges of the atoms that are no metal [e], shape ``(n_atoms,)``.
    :param heights: their heights above the first surface [Å], shape ``(n_frames, n_atoms)``.
    :param separations: height of the second surface above the first [Å], shape ``(n_frames,)``; None if there is none.
    """
    total = np.full(len(heights), -charges.sum())
    if separations is None:
        return total[:, None]
    second = -(heights @ charges) / separations
    return np.stack([total - second, second], axis=1)
