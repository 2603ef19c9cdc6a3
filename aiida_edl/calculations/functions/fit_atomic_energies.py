"""One set of atomic energies for all models of a study."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict, List

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.atomic_energies import atomic_energy_fit
from aiida_edl.science.merging import Difference

PER_SET = {Difference.LEVEL_OF_THEORY.value, Difference.ENERGY_ZERO.value}
"""Differences between parts of a joined set that one set of atomic energies cannot cover."""


@calcfunction
def fit_atomic_energies(dataset: DatasetData, accepted_differences: List | None = None, **splits: ArrayData) -> Dict:
    """Fit one energy per element to the energies of the training frames, by least squares on composition.

    All models of a study share these numbers, so that each can be asked about every composition. With few
    compositions the single values are one choice among many; their sums over the compositions of the set are not.
    How far the values are determined is in the description and in the extras ``n_frames``, ``rank``, ``is_unique``,
    ``undetermined`` (elements) and ``residual_rmse_ev_per_atom`` of the result.

    :param dataset: labelled frames, of one level of theory and zero of energy.
    :param accepted_differences: what the parts of a joined set may differ in all the same: ``level_of_theory``,
        ``energy_zero``.
    :param splits: results of ``edl.split_dataset`` for this set, under any labels; the fit is to the frames in the
        ``training`` of any of them. Without splits it is to all frames.
    :return: energy by chemical symbol [eV], for all elements of the set.
    """
    accepted = () if accepted_differences is None else accepted_differences.get_list()
    if refused := sorted(set(dataset.base.attributes.get('differences', [])) & PER_SET - set(accepted)):
        raise ValueError(
            f'the data set joins parts that differ in {" and ".join(refused)}, one set of atomic energies belongs to '
            f'one of them; fit each part, or accept {" and ".join(map(repr, refused))}'
        )
    frames = dataset.frames()
    elements = frames.elements
    if splits:
        frames = frames.select(np.unique(np.concatenate([node.get_array('training') for node in splits.values()])))
    fit = atomic_energy_fit(frames, elements)
    node = Dict(dict(fit.energies))
    node.description = f'{fit.sentence} The fit leaves {fit.residual_rmse:.3g} eV/atom.'
    node.base.extras.set_many(
        {
            'n_frames': len(frames),
            'rank': fit.rank,
            'is_unique': fit.is_unique,
            'undetermined': list(fit.undetermined),
            'residual_rmse_ev_per_atom': fit.residual_rmse,
        }
    )
    return node
