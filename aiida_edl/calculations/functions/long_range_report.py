"""What a validation of summation methods found, as one table."""

from __future__ import annotations

import dataclasses

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.science.electrostatics.validation_report import summarise


@calcfunction
def long_range_report(validation: Dict) -> Dict:
    """Summarise each summation method over all cases, in rows and in words.

    :param validation: output ``validation`` of ``edl.long_range_validation``.
    """
    values = validation.get_dict()
    rows = values['rows']
    summaries = summarise(rows, values['lattices'])
    return Dict(
        {
            'rows': rows,
            'lattices': values['lattices'],
            'drifts': values['drifts'],
            'methods': [
                {**dataclasses.asdict(summary), 'keeps_its_word': summary.keeps_its_word} for summary in summaries
            ],
            'words': [summary.sentence() for summary in summaries],
        }
    )
