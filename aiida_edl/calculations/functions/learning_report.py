"""What all rounds of learning did, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.calculations.link_labels import in_natural_order


@calcfunction
def learning_report(ending: Dict, **rounds: Dict) -> Dict:
    """Join the rounds of learning in their order, and say how it ended.

    :param ending: ``has_converged``, ``reason`` and ``failures``; copied.
    :param rounds: results of ``learning_round`` or ``fine_tuning_round``, by a label that holds the number of the
        round.
    :return: ``rounds`` (a list of rows), ``ending``, and ``totals``: labelled and rejected frames and wall time by
        stage [s].
    """
    rows = [rounds[label].get_dict() for label in in_natural_order(rounds)]
    totals: dict[str, Any] = {name: sum(row.get(name, 0) for row in rows) for name in ('n_labelled', 'n_rejected')}
    totals['wall_seconds'] = _summed([row.get('wall_seconds', {}) for row in rows])
    return Dict({**ending.get_dict(), 'rounds': rows, 'totals': totals})


def _summed(times: list[Mapping[str, float]]) -> dict[str, float]:
    """Return wall times summed by stage [s]."""
    stages = sorted({stage for entry in times for stage in entry})
    return {stage: round(sum(entry.get(stage, 0.0) for entry in times), 1) for stage in stages}
