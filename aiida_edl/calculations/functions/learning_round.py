"""What one round of active learning did, in one row."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.science.learning_rounds import mean_error

ERRORS = {
    'test_force_rmse_ev_per_angstrom': 'force_rmse_ev_per_angstrom',
    'test_energy_rmse_ev_per_atom': 'energy_rmse_ev_per_atom',
}
"""Columns of the report by the key of ``error_metrics`` that they average over the committee."""
COUNTS = ('n_planned', 'n_frames', 'accurate', 'candidate', 'failed', 'n_without_deviation', 'n_selected')
"""What is taken from a selection as it is."""


@calcfunction
def learning_round(
    split: ArrayData,
    facts: Dict,
    selection: Dict | None = None,
    rejected: Dict | None = None,
    extended: ArrayData | None = None,
    **errors: Dict,
) -> Dict:
    """Draw up one round of active learning: a committee, and what its exploration has brought.

    :param split: frames that the committee was trained, validated and tested on.
    :param facts: ``round``, ``runs`` and ``failed_runs`` of the exploration, ``wall_seconds`` by stage; copied.
    :param selection: result of ``edl.select_candidates``; none if there was no exploration.
    :param rejected: labels that did not pass the gate.
    :param extended: split of the data set with the labels of this round.
    :param errors: result of ``edl.error_metrics`` of each member.
    :return: one flat row, with units in the names of its columns, ``by_charge_state``, ``deviation_quantiles`` [eV/Å]
        and ``rejections``.
    """
    row: dict[str, Any] = {**facts.get_dict(), 'n_members': len(errors)}
    row |= {f'n_{name}': len(split.get_array(name)) for name in ('training', 'validation', 'test')}
    for column, key in ERRORS.items():
        values = [node.get_dict()['summary'][key] for _, node in sorted(errors.items())]
        known = [value for value in values if value is not None]
        error = mean_error(known) if known else None
        row[column] = error.mean if error else None
        row[f'{column}_error'] = error.standard_error if error and len(known) > 1 else None
    if selection is not None:
        found = selection.get_dict()
        row |= {name: found[name] for name in COUNTS}
        row['lowest_accurate_share'] = found['accurate_share']
        row |= {name: found[name] for name in ('by_charge_state', 'deviation_quantiles')}
    return Dict(row | label_counts(rejected, extended))


def label_counts(rejected: Dict | None, extended: ArrayData | None) -> dict[str, Any]:
    """Return the columns of a row on the labels of the round.

    :param rejected: labels that did not pass the gate; None without labels.
    :param extended: split of the data set with the labels of this round; None without any.
    """
    row: dict[str, Any] = {}
    if rejected is not None:
        gate = rejected.get_dict()
        row |= {'n_labelled': gate['n_frames'] - gate['n_rejected'], 'n_rejected': gate['n_rejected']}
        row['rejections'] = [f'frame {entry["frame"]}: {entry["reason"]}' for entry in gate['frames']]
    if extended is not None:
        row |= {
            name: extended.base.attributes.get(name) for name in ('n_near_test', 'nearest_test_distance', 'dropped')
        }
    return row
