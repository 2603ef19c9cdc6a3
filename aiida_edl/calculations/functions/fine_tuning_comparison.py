"""All models of a fine-tuning study beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.science.analysis.activation_energy_sheet import activation_energy_sheet
from aiida_edl.science.analysis.error_metrics import EnergyZero
from aiida_edl.science.analysis.fine_tuning_table import curve_table, learning_curves
from aiida_edl.science.analysis.migration_rate import migration_rate, rate_activation

OF_ERRORS: Mapping[str, str] = {
    'force_rmse_ev_per_angstrom': 'force_rmse_ev_per_angstrom',
    'force_rmse_error_ev_per_angstrom': 'force_rmse_error_ev_per_angstrom',
    'energy_rmse_ev_per_atom': 'energy_rmse_ev_per_atom',
    'energy_rmse_error_ev_per_atom': 'energy_rmse_error_ev_per_atom',
    'n_frames': 'n_frames',
}
"""Columns by key of the summary of ``edl.error_metrics``."""
OF_ARRHENIUS: Mapping[str, str] = {
    'activation_energy': 'activation_energy_ev',
    'activation_energy_error': 'activation_energy_error_ev',
    'activation_energy_low': 'activation_energy_low_ev',
    'activation_energy_high': 'activation_energy_high_ev',
    'prefactor': 'prefactor_angstrom2_per_fs',
}
"""Columns by attribute of a result of ``edl.arrhenius``."""
PARTS: Mapping[str, str] = {'errors': 'test', 'holdout_errors': 'holdout'}
"""Prefix of the columns by kind of error."""

STAGES: Mapping[str, str] = {'training': 'training', 'labelling': 'labelling', 'exploration': 'dynamics'}
"""What is spent on a model before it is known, by prefix of the columns: the stage of its ledger."""
COUNTS: Mapping[str, str] = {'n_jobs_estimated': 'estimated', 'n_jobs_without_time': 'without_time'}
"""Columns that say how far the hours of a model can be trusted, by what the ledger counts."""


@calcfunction
def fine_tuning_comparison(facts: Dict, **results: Dict) -> Dict:
    """Draw up the models of a study: a row for each model and system, learning curves with errors, diffusion, cost.

    :param facts: ``models`` (what each is and what its training cost), ``systems``, and ``names``: what each result is,
        by its link label, as ``errors.<model>``, ``holdout_errors.<model>`` or ``<system>.<model>`` for the report of
        its runs.
    :param results: results of ``edl.error_metrics`` and ``edl.diffusion_report``.
    :return: ``models``, rows with units in the names of the columns; ``learning_curves``, rows with the mean of a
        quantity over seeds, its error, and how many models have none; ``diffusion``, rows by temperature; ``sheet``,
        activation energies beside published ones.
    """
    values = facts.get_dict()
    by_name = {values['names'][label]: node.get_dict() for label, node in results.items()}
    rows, diffusion = [], []
    for model, known in sorted(values['models'].items()):
        about = {'model': model, **{name: value for name, value in known.items() if name != 'costs'}}
        errors: dict[str, Any] = {}
        for kind, prefix in PARTS.items():
            summary = by_name.get(f'{kind}.{model}', {}).get('summary', {})
            errors |= {f'{prefix}_{column}': summary.get(key) for key, column in OF_ERRORS.items()}
            zero = summary.get('energy_zero', EnergyZero.AS_PREDICTED.value) if summary else None
            errors[f'{prefix}_energy_zero'] = zero
        for system in values['systems']:
            report = by_name.get(f'{system}.{model}')
            found = (report or {}).get('arrhenius', {})
            costs = (report or {}).get('costs', {})
            temperatures = [_with_rate(row) for row in (report or {}).get('temperatures', [])]
            rows.append(
                {
                    **about,
                    'system': system,
                    **errors,
                    **{column: found.get(key) for key, column in OF_ARRHENIUS.items()},
                    **_rate_columns(temperatures),
                    **_time_columns(temperatures),
                    **_by_temperature(temperatures),
                    'n_excluded_runs': None if report is None else len(report['excluded']),
                    'labelled_frames': _labelled(known),
                    **_cost_columns(known['costs'], costs),
                }
            )
            diffusion += [{**about, 'system': system, **row} for row in temperatures]
    points = learning_curves(rows)
    return Dict(
        {
            'models': _alike(rows),
            'learning_curves': curve_table(points),
            'diffusion': _alike(diffusion),
            'sheet': activation_energy_sheet(points),
        }
    )


def _by_temperature(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return coefficient, rate and share of knock-offs at each temperature, with errors, as columns of a model."""
    found: dict[str, Any] = {}
    for row in rows:
        at = f'at_{row["temperature_kelvin"]:g}_kelvin'.replace('.', '_')
        for name, unit in (
            ('tracer_diffusion', '_angstrom2_per_fs'),
            ('migration_rate', '_per_ps'),
            ('knock_off_share', ''),
        ):
            found[f'{name}_{at}{unit}'] = row.get(f'{name}{unit}')
            found[f'{name}_{at}{unit}_error'] = row.get(f'{name}_error{unit}')
    return found


def _with_rate(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a temperature with the rate at which defects move on, if their events were looked at."""
    found = migration_rate(row)
    if found is None:
        return row
    return {**row, 'migration_rate_per_ps': found.rate, 'migration_rate_error_per_ps': found.error}


def _rate_columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the activation energy of the rates of a model with its error, or why there is none."""
    rates = [rate for row in rows if (rate := migration_rate(row)) is not None]
    found = rate_activation(rates)
    return {
        'rate_activation_energy_ev': found.energy,
        'rate_activation_energy_error_ev': found.error,
        'rate_activation_reason': found.reason if rates else '',
    }


def _time_columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return for how long runs of a model stayed physical, with its error: the mean over temperatures."""
    judged = [row for row in rows if row.get('n_judged')]
    errors = [row['physical_time_error_ps'] for row in judged if row['physical_time_error_ps'] is not None]
    count = len(judged)
    return {
        'n_judged_runs': sum(row['n_judged'] for row in judged),
        'n_left_physics': sum(row['n_left_physics'] for row in judged),
        'physical_time_ps': math.fsum(row['physical_time_ps'] for row in judged) / count if judged else None,
        'physical_time_error_ps': math.sqrt(math.fsum(error**2 for error in errors)) / count if errors else None,
    }


def _alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows that all have the same columns; what a row has not is None."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return [{column: row.get(column) for column in columns} for row in rows]


def _labelled(model: Mapping[str, Any]) -> int:
    """Return how many labels a model has cost: those that its loop made, else those that it was given."""
    made = model['costs'].get('labelling', {}).get('frames')
    return int(model['n_frames'] + model['n_validation'] if made is None else made)


def _cost_columns(
    of_model: Mapping[str, Mapping[str, float]], of_runs: Mapping[str, Mapping[str, float]]
) -> dict[str, float | None]:
    """Return what a model and its runs cost; the total is that of the model, None if nothing was run for it."""
    columns: dict[str, float | None] = {}
    for kind in ('core_hours', 'gpu_hours'):
        parts = {name: _hours(of_model, stage, kind) for name, stage in STAGES.items()}
        known = [value for value in parts.values() if value is not None]
        columns |= {f'{name}_{kind}': value for name, value in parts.items()}
        columns[f'dynamics_{kind}'] = _hours(of_runs, 'dynamics', kind)
        columns[f'total_{kind}'] = sum(known) if known else None
    rows = [of_model[stage] for stage in STAGES.values() if stage in of_model]
    for column, counted in COUNTS.items():
        columns[column] = sum(row.get(counted, 0) for row in rows) if rows else None
    return columns


def _hours(costs: Mapping[str, Mapping[str, float]], stage: str, kind: str) -> float | None:
    """Return the hours of a stage, None if nothing of it was run."""
    row = costs.get(stage)
    return None if row is None else row[kind]
