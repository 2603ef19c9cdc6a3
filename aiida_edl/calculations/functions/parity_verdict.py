"""Say whether every program that shall run a potential gives what the trainer's own calculator gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.analysis.parity import (
    TOLERANCES,
    Parity,
    ParityTolerances,
    Predicted,
    charge_ranges,
    compare_predictions,
)

ROUTE_KEYS = ('engine', 'format', 'potential_sha256', 'precision')
"""What identifies a route: how a potential is run."""


@calcfunction
def parity_verdict(
    dataset: DatasetData, potential: PotentialData, reference: ArrayData, routes: Dict, **predictions: ArrayData
) -> Dict:
    """Compare energies and forces of a potential by every route with those of its trainer's own ASE calculator.

    A route is an engine with a format of the potential. The reference is a route too: it passes if all its results are
    finite.

    :param dataset: frames that were computed.
    :param potential: the potential as the trainer exports it.
    :param reference: its ``energies`` [eV], ``forces`` [eV/Å], ``offsets`` and ``frame_indices``, by the ASE
        calculator of the trainer.
    :param routes: by name: ``engine``, ``format``, ``potential_sha256`` and ``precision``; ``failure`` in words if the
        program gave nothing; ``tolerances`` with ``energy`` [eV/atom] and ``force`` [eV/Å] if not the usual ones.
        A route without predictions and without failure is the reference itself.
    :param predictions: the same arrays by route.
    :return: ``passed``, ``reasons``, and for each of the ``routes`` its largest differences ``max_energy_difference``
        [eV/atom] and ``max_force_difference`` [eV/Å], ``tolerances``, ``passed`` and ``reasons``; ``charge_states``
        and ``n_frames`` that were compared; ``total_charges``, the smallest and the largest [e] of each charge state,
        if the potential takes one; ``potential_sha256``.
    """
    frames = dataset.frames().select(reference.get_array('frame_indices'))
    expected = _predicted(reference)
    judged = {}
    for name, route in sorted(routes.get_dict().items()):
        found = None if name not in predictions else _predicted(predictions[name])
        judged[name] = _judge(route, expected, found, potential.precision)
    ranges = charge_ranges(frames, potential.total_charge_column)
    reasons = [f'{name}: {reason}' for name, route in judged.items() for reason in route['reasons']]
    return Dict(
        {
            'passed': not reasons,
            'reasons': reasons,
            'routes': judged,
            'n_frames': len(frames),
            'charge_states': sorted(ranges),
            'total_charges': {label: list(charges) for label, charges in ranges.items() if charges is not None},
            'potential_sha256': potential.base.attributes.get(potential.KEY_SHA256),
        }
    )


def _predicted(node: ArrayData) -> Predicted:
    """Return predictions of a node."""
    return Predicted(*(node.get_array(name) for name in ('energies', 'forces', 'offsets')))


def _judge(
    route: Mapping[str, Any], expected: Predicted, found: Predicted | None, precision_of_reference: str
) -> dict[str, Any]:
    """Return what is said of one route."""
    lower = 'float32' if 'float32' in (route['precision'], precision_of_reference) else 'float64'
    given = route.get('tolerances')
    tolerances = ParityTolerances(**given) if given else TOLERANCES[lower]
    if route.get('failure'):
        parity = Parity(math.nan, math.nan, (route['failure'],))
    else:
        parity = compare_predictions(expected, expected if found is None else found, tolerances)
    differences = {
        'max_energy_difference': parity.max_energy_difference,
        'max_force_difference': parity.max_force_difference,
    }
    return {
        **{key: route[key] for key in ROUTE_KEYS},
        **{name: None if math.isnan(value) else value for name, value in differences.items()},
        'tolerances': {'energy': tolerances.energy, 'force': tolerances.force},
        'is_reference': found is None and not route.get('failure'),
        'passed': parity.passed,
        'reasons': list(parity.reasons),
    }
