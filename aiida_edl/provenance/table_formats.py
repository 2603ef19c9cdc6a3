"""The forms in which a table can be printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiida_edl.provenance.latex import to_latex
from aiida_edl.provenance.markdown import to_markdown
from aiida_edl.provenance.table_text import Row, to_csv, to_json, to_text

FORMATS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    'table': to_text,
    'json': to_json,
    'csv': to_csv,
    'latex': to_latex,
    'markdown': to_markdown,
}
"""How rows can be printed."""
PRINTED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    'errors': (
        'architecture',
        'training_set',
        'seed',
        'charge_state',
        'force_rmse_ev_per_angstrom',
        'force_rmse_error_ev_per_angstrom',
        'energy_rmse_ev_per_atom',
        'energy_rmse_error_ev_per_atom',
    ),
    'spread': (
        'charge_state',
        'observable',
        'training_set',
        'architecture',
        'n_models',
        'spread_rms',
        'noise_rms',
        'excess_variance',
        'excess_variance_low',
        'excess_variance_high',
    ),
    'comparisons': (
        'charge_state',
        'observable',
        'architecture',
        'n_mixed_models',
        'n_single_models',
        'variance_ratio',
        'variance_ratio_low',
        'variance_ratio_high',
        'adjusted_p_value',
        'decision',
    ),
    'force_ratios': (
        'contrast',
        'architecture',
        'training_set',
        'charge_state',
        'region',
        'n_models',
        'n_baseline_models',
        'ratio',
        'ratio_low',
        'ratio_high',
        'adjusted_p_value',
        'finding',
    ),
    'energy_shift_means': (
        'architecture',
        'training_set',
        'charge_state',
        'n_models',
        'energy_signed_error_ev_per_atom',
        'energy_signed_error_error_ev_per_atom',
        'energy_shift_rms_ev_per_atom',
        'adjusted_p_value',
        'finding',
    ),
    'receptive_field_ranking': (
        'quantity',
        'architecture',
        'receptive_field_angstrom',
        'penalty',
        'penalty_error',
        'tau',
        'smallest_p',
        'trend',
    ),
}
"""Columns that a page of print has room for, of tables with more."""
PRINTED_ROWS = 80
"""Longest table that is written for print; the others are CSV only."""


def printed_columns(name: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a table with those columns that a page has room for, without rows if there are too many of them.

    :param name: name of the table.
    :param rows: its rows.
    """
    if not rows or len(rows) > PRINTED_ROWS:
        return []
    columns = PRINTED_COLUMNS.get(name) or tuple(rows[0])
    return [{column: row.get(column) for column in columns} for row in rows]


def printed(name: str, rows: Sequence[Row], caption: str) -> str:
    """Return a table for print, empty if it is too long for that.

    :param name: name of the table.
    :param rows: its rows.
    :param caption: what stands above it.
    """
    found = printed_columns(name, rows)
    return to_latex(found, caption, f'tab:{name}') if found else ''
