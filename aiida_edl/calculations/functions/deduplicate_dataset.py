"""Remove near-duplicates from a data set."""

from __future__ import annotations

import dataclasses

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.subset import subset_of
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.duplicates import DuplicateSettings, find_duplicates


@calcfunction
def deduplicate_dataset(dataset: DatasetData, settings: Dict) -> dict[str, DatasetData | ArrayData]:
    """Remove frames that are near-duplicates of an earlier one; frames of different charge never are.

    :param dataset: frames, labelled or not.
    :param settings: ``threshold`` [Å]; ``measure``, ``fingerprint`` (whatever orientation and order of equal atoms) or
        ``displacement`` (of corresponding atoms); ``columns`` that tell frames apart beside those of charges.
    :return: ``dataset``, the frames that stay, with the column ``source_index``; ``removed``, arrays ``removed``
        and ``duplicate_of`` (indices in the source), ``distances`` [Å] and, of labelled frames, ``energy_differences``
        [eV/atom], removed less kept; its attribute ``most_different`` names the two frames whose energies differ most.
    """
    values = DuplicateSettings.from_dict(settings.get_dict())
    frames = dataset.frames()
    found = find_duplicates(frames, values.threshold, values.measure, values.columns)
    removed = ArrayData()
    for name in ('removed', 'duplicate_of', 'distances'):
        removed.set_array(name, getattr(found, name))
    attributes = {'n_frames': len(frames), 'n_removed': len(found.removed), **dataclasses.asdict(values)}
    if frames.energies is not None:
        per_atom = frames.energies / np.diff(frames.offsets)
        differences = per_atom[found.removed] - per_atom[found.duplicate_of]
        removed.set_array('energy_differences', differences)
        attributes['largest_energy_difference'] = float(np.abs(differences).max(initial=0.0))
        # Two labels of one geometry cannot both be right.
        worst = np.argsort(-np.abs(differences), kind='stable')[:1]
        attributes['most_different'] = [int(index) for index in (*found.removed[worst], *found.duplicate_of[worst])]
    attributes['columns'] = list(values.columns)
    removed.base.attributes.set_many(attributes)
    return {'dataset': subset_of(dataset, frames, found.kept), 'removed': removed}
