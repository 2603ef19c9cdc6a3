"""Find the numbers by which the electrostatics of fixed charges is summed."""

from __future__ import annotations

import dataclasses

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.electrostatics.tuning_request import TuningRequest


@calcfunction
def tune_long_range(dataset: DatasetData, settings: Dict) -> dict[str, Dict]:
    """Return the long-range model of fixed charges, tuned to a force error that is measured on a frame.

    :param dataset: frames as they will be used; their labels are not read.
    :param settings: fields of :class:`~aiida_edl.science.electrostatics.tuning_request.TuningRequest`.
    :return: ``long_range``, input of trainings, and ``tuning`` with the error that was measured.
    """
    from aiida_edl.science.electrostatics.tuning import tune  # noqa: PLC0415  (compiles its loops)

    request = TuningRequest.from_dict(settings.get_dict())
    untuned = request.untuned()
    system = untuned.system_of(dataset.frame(request.frame_index))
    tuned = tune(system, request.force_error, request.method, request.cutoff_radius)
    first, second, third = (float(length) for length in np.linalg.norm(system.cell, axis=1))
    model = dataclasses.replace(untuned, summation=tuned.settings.to_dict(), tuned_lengths=(first, second, third))
    found = {**dataclasses.asdict(tuned), 'settings': tuned.settings.to_dict(), 'reference': tuned.reference.to_dict()}
    return {'long_range': Dict(model.to_dict()), 'tuning': Dict(found)}
