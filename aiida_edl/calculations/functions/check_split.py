"""Look for what the test frames of a split share with its training frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict, Float

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.leak_report import leak_report
from aiida_edl.science.splitting import Split

LISTED = 100
"""Near-duplicates that are listed; all are counted."""


@calcfunction
def check_split(dataset: DatasetData, split: ArrayData, threshold: Float) -> Dict:
    """Report leaks between training and test: shared groups, equal and nearly equal geometries, neighbours in time.

    :param dataset: the frames.
    :param split: indices ``training`` and ``test``.
    :param threshold: distance of fingerprints within which two geometries are nearly the same, whatever orientation,
        order of equal atoms, ions and charge [Å].
    :return: ``shared_groups`` by column (counts and the first names), ``n_duplicates`` (the same atoms at the same
        places), ``n_near_duplicates`` and the first of them (frame, nearest training frame, distance [Å]),
        ``nearest_geometry`` (smallest root mean square displacement [Å]), ``nearest_time`` [fs], and ``has_leak``.
    """
    parts = {name: split.get_array(name).astype(np.int64) for name in ('training', 'validation', 'test')}
    report = leak_report(dataset.frames(), Split(**parts), duplicate_threshold=threshold.value)
    near = report.near_duplicates or ()
    shared = {name: {'n': len(names), 'first': list(names[:10])} for name, names in report.shared_groups.items()}
    return Dict(
        {
            'n_training': len(parts['training']),
            'n_test': len(parts['test']),
            'shared_groups': shared,
            'n_duplicates': report.n_duplicates,
            'n_near_duplicates': len(near),
            'near_duplicates': [
                {'test': test, 'training': training, 'distance': distance} for test, training, distance in near[:LISTED]
            ],
            'nearest_geometry': _finite(report.nearest_geometry_distances.min(initial=math.inf)),
            'nearest_time': _finite(report.nearest_time_distance),
            'has_leak': bool(near or report.n_duplicates or any(report.shared_groups.values())),
        }
    )


def _finite(value: Any) -> float | None:
    """Return a number, None if it is not finite."""
    return float(value) if math.isfinite(value) else None
