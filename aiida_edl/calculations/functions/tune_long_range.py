"""Find the numbers by which the electrostatics of fixed charges is summed."""

from __future__ import annotations

import dataclasses

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.typed_fields import checked_fields


@dataclasses.dataclass(frozen=True)
class TuningRequest:
    """What a tuning is asked for."""

    charges: dict[str, float] = dataclasses.field(default_factory=dict)
    """Charge of the atoms of each element [e]."""
    balanced_by: str = ''
    """Element whose atoms share the charge that makes a frame neutral."""
    force_error: float = 1e-5
    """Root mean square force error that is asked for [eV/Å]."""
    method: str = 'p3m'
    """``'p3m'`` or ``'ewald'``."""
    cutoff_radius: float | None = None
    """Cutoff of the pairs [Å]; the one of least work if not given."""
    has_background: bool = False
    """Whether a uniform background neutralises a net charge."""
    frame_index: int = 0
    """Frame on which the error is measured."""


@calcfunction
def tune_long_range(dataset: DatasetData, settings: Dict) -> dict[str, Dict]:
    """Return the long-range model of fixed charges, tuned to a force error that is measured on a frame.

    :param dataset: frames as they will be used; their labels are not read.
    :param settings: ``charges`` by element [e], ``balanced_by``, ``force_error`` [eV/Å], ``method``, ``cutoff_radius``
        [Å], ``has_background``, ``frame_index``.
    :return: ``long_range``, input of trainings, and ``tuning`` with the error that was measured.
    """
    from aiida_edl.science.electrostatics.tuning import tune  # noqa: PLC0415  (compiles its loops)

    request = TuningRequest(**checked_fields(TuningRequest, settings.get_dict(), 'setting of the tuning', ValueError))
    untuned = LongRangeModel(
        charges=request.charges,
        balanced_by=request.balanced_by,
        summation={'method': 'direct', 'has_background': request.has_background},
        force_error=request.force_error,
    )
    system = untuned.system_of(dataset.frame(request.frame_index))
    tuned = tune(system, request.force_error, request.method, request.cutoff_radius)
    first, second, third = (float(length) for length in np.linalg.norm(system.cell, axis=1))
    model = dataclasses.replace(untuned, summation=tuned.settings.to_dict(), tuned_lengths=(first, second, third))
    found = {**dataclasses.asdict(tuned), 'settings': tuned.settings.to_dict(), 'reference': tuned.reference.to_dict()}
    return {'long_range': Dict(model.to_dict()), 'tuning': Dict(found)}
