"""What one round of a potential that finds its own frames did, in one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.learning_round import label_counts

ERRORS = (
    'force_rmse_ev_per_angstrom',
    'force_rmse_error_ev_per_angstrom',
    'energy_rmse_ev_per_atom',
    'energy_rmse_error_ev_per_atom',
)
"""What is taken from the summary of errors."""
COUNTS = ('n_planned', 'n_frames', 'n_unphysical', 'exclusions', 'n_selected', 'by_stratum')
"""What is taken from a selection as it is."""


@calcfunction
def fine_tuning_round(
    split: ArrayData,
    facts: Dict,
    selection: Dict | None = None,
    rejected: Dict | None = None,
    extended: ArrayData | None = None,
    **errors: Dict,
) -> Dict:
    """Draw up one round: what the dynamics of a potential found, how wrong it was there, and what it then learnt.

    :param split: frames that the potential of this round was trained, validated and tested on.
    :param facts: ``round``, ``is_retrained``, ``temperatures`` [K], ``runs`` and ``failed_runs`` of the dynamics,
        ``wall_seconds`` by stage; copied.
    :param selection: result of ``edl.select_own_frames``; none if there was no dynamics.
    :param rejected: labels that did not pass the gate.
    :param extended: split of the data set with the labels of this round.
    :param errors: results of ``edl.error_metrics``: ``own`` on the labels of this round, of the potential that ran the
        dynamics and has not learnt them, and ``test`` on the test frames, of the potential of this round.
    :return: one flat row, with units in the names of its columns, ``by_stratum``, ``exclusions`` and ``rejections``.
        An error bar is a standard deviation over resamples of blocks of frames; None where there is one block alone.
    """
    row: dict[str, Any] = dict(facts.get_dict())
    row |= {f'n_{name}': len(split.get_array(name)) for name in ('training', 'validation', 'test')}
    for prefix in ('own', 'test'):
        summary: Mapping[str, Any] = errors[prefix].get_dict()['summary'] if prefix in errors else {}
        row |= {f'{prefix}_{name}': summary.get(name) for name in ERRORS}
        row[f'n_{prefix}_without_prediction'] = len(summary.get('failed_frames', []))
    if selection is not None:
        found = selection.get_dict()
        row |= {name: found[name] for name in COUNTS}
    return Dict(row | label_counts(rejected, extended))
