"""Atomic energies from isolated atoms."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict, List

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.atomic_energies import isolated_atom_energies as energies_of
from aiida_edl.science.merging import Difference


@calcfunction
def isolated_atom_energies(dataset: DatasetData, atoms: DatasetData, accepted_differences: List | None = None) -> Dict:
    """Take one energy per element from labelled isolated atoms of the same level of theory.

    :param dataset: labelled frames that the energies are for.
    :param atoms: labelled frames of one atom each, every element of the data set among them.
    :param accepted_differences: ``['level_of_theory']`` if the atoms are labelled in another way, e.g. with spin
        polarisation or without a dispersion correction.
    :return: energy by chemical symbol [eV], for all elements that occur in one of the two.
    """
    accepted = () if accepted_differences is None else accepted_differences.get_list()
    levels = dataset.level_of_theory, atoms.level_of_theory
    if levels[0] != levels[1] and Difference.LEVEL_OF_THEORY.value not in accepted:
        raise ValueError(
            f'the frames have the level of theory {levels[0]!r}, the isolated atoms {levels[1]!r}; label the atoms as '
            "the frames, or accept the difference 'level_of_theory'"
        )
    node = Dict(energies_of(atoms.frames(), dataset.elements))
    node.description = f'Energies of isolated atoms, {levels[1]}.'
    node.base.extras.set_many({'level_of_theory': levels[1], 'is_unique': True, 'undetermined': []})
    return node
