"""One set of atomic energies for all models of a study."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.atomic_energies import atomic_energy_fit


@calcfunction
def fit_atomic_energies(dataset: DatasetData, **splits: ArrayData) -> Dict:
    """Fit one energy per element to the energies of the training frames, by least squares on composition.

    All models of a study share these numbers, so that each can be asked about every composition. With few
    compositions the single values are one choice among many; their sums over the compositions of the set are not.
    How far the values are determined is in the description and in the extras ``n_frames``, ``rank``, ``is_unique``,
    ``undetermined`` (elements) and ``residual_rmse_ev_per_atom`` of the result.

    :param dataset: labelled frames.
    :param splits: results of ``edl.split_dataset`` for this set, under any labels; the fit is to the frames in the
        ``training`` of any of them. Without splits it is to all frames.
    :return: energy by chemical symbol [eV], for all elements of the set.
    """
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
