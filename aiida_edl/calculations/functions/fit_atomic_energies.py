"""One set of atomic energies for all models of a study."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.atomic_energies import atomic_energy_fit


@calcfunction
def fit_atomic_energies(dataset: DatasetData) -> Dict:
    """Fit one energy per element to the energies of a data set, by least squares on composition.

    All models of a study share these numbers, so that each can be asked about every composition. With few
    compositions the single values are one choice among many; their sums over the compositions of the set are not.

    :param dataset: labelled frames.
    :return: energy by chemical symbol [eV].
    """
    return Dict(dict(atomic_energy_fit(dataset.frames()).energies))
