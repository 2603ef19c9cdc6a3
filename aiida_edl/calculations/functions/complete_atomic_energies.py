"""Atomic energies of a training whose replayed frames hold elements that its own frames do not."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict, List

from aiida_edl.data.potential import PotentialData


@calcfunction
def complete_atomic_energies(atomic_energies: Dict, potential: PotentialData, elements: List) -> Dict:
    """Add the atomic energies of a parent for the elements that are not known otherwise.

    No frame of the new labels holds these elements, so that their values change no energy that is learnt from them.

    :param atomic_energies: energy by chemical symbol [eV].
    :param potential: the parent.
    :param elements: chemical symbols that must be covered.
    :return: energy by chemical symbol [eV].
    """
    known, of_parent = atomic_energies.get_dict(), potential.atomic_energies
    wished = elements.get_list()
    if missing := [symbol for symbol in wished if symbol not in known and symbol not in of_parent]:
        raise ValueError(
            f'neither the labels nor the parent have an atomic energy of {", ".join(missing)}; state it in '
            'atomic_energies'
        )
    return Dict({symbol: known.get(symbol, of_parent.get(symbol)) for symbol in wished})
