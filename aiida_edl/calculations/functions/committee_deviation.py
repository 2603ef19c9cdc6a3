"""Measure how far the members of a committee of potentials differ."""

from __future__ import annotations

import dataclasses

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.science.analysis import committee_deviation as analysis


@calcfunction
def committee_deviation(**predictions: ArrayData) -> ArrayData:
    """Measure the deviation of energies and forces over a committee, frame by frame.

    :param predictions: ``energies`` [eV], ``forces`` [eV/Å], ``offsets`` and ``frame_indices`` of each member, all for
        the same frames.
    :return: ``energy_deviation`` [eV/atom], ``max_force_deviation`` and ``mean_force_deviation`` over atoms [eV/Å],
        ``n_members`` and ``frame_indices``, one value a frame; square roots of unbiased variances (attribute ``ddof``
        is 1). Attributes ``max_force_deviation`` and ``mean_force_deviation`` are the largest of the maxima and the
        mean of the means over frames.
    """
    members = [predictions[key] for key in in_natural_order(predictions)]
    offsets, indices = (members[0].get_array(name) for name in ('offsets', 'frame_indices'))
    for member in members[1:]:
        if member.get_array('frame_indices').tolist() != indices.tolist():
            raise ValueError('the members of a committee must be asked about the same frames, these were not')
    found = analysis.committee_deviation(
        np.stack([member.get_array('energies') for member in members]),
        np.stack([member.get_array('forces') for member in members]),
        offsets,
    )
    node = ArrayData()
    for name, values in {**dataclasses.asdict(found), 'frame_indices': indices}.items():
        node.set_array(name, values)
    is_known = np.isfinite(found.max_force_deviation)
    node.base.attributes.set_many(
        {
            'ddof': analysis.DDOF,
            'n_members': len(members),
            'max_force_deviation': float(found.max_force_deviation[is_known].max()) if is_known.any() else None,
            'mean_force_deviation': float(found.mean_force_deviation[is_known].mean()) if is_known.any() else None,
        }
    )
    return node
