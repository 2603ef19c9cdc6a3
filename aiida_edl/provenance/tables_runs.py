"""The tables of a report on how good and how long runs are, and on models of one kind together."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np

from aiida_edl.provenance.analysed_runs import QUALITY, AnalysedRun, number
from aiida_edl.provenance.results import BenchmarkResults, kind_of
from aiida_edl.provenance.run_exclusions import tag_columns

FEMTOSECOND_PER_PICOSECOND = 1000.0
CONVERGENCE = 'convergence'
"""Name of the analysis that says whether a run is long enough."""
TIMES = ('correlation_time', 'correlation_time_error', 'equilibration_time', 'length')
"""Arrays of the convergence that are times [fs]."""
NUMBERS = ('mean', 'error', 'target_error', 'n_independent', 'drift', 'length_factor')
"""Other arrays of it."""


def quality_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return whether each run stayed within physics by the stated rule, and what broke it.

    :param results: what the benchmark has found.
    """
    rows = []
    for run in results.runs_of(QUALITY):
        values = run.scalars
        reasons = [str(reason['sentence']) for reason in values.get('reasons') or []]
        rows.append(
            {
                **tag_columns(run.tag),
                'run': run.replica or None,
                'is_physical': values.get('is_physical'),
                'survival_ps': _picoseconds(values.get('survival_time')),
                'outlived_its_length': values.get('is_censored'),
                'temperature_kelvin': number(values.get('temperature')),
                'temperature_error_kelvin': number(values.get('temperature_error')),
                'energy_drift_mev_per_atom_and_ps': number(values.get('energy_drift')),
                'energy_drift_error_mev_per_atom_and_ps': number(values.get('energy_drift_error')),
                'outside_of_training_fraction': number(values.get('outside_fraction')),
                'reasons': '; '.join(reasons) or None,
            }
        )
    return rows


def convergence_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return for each run and observable whether the run is long enough, and how long would be.

    :param results: what the benchmark has found.
    """
    return [row for run in results.runs_of(CONVERGENCE) for row in _convergence_of(run)]


def _convergence_of(run: AnalysedRun) -> list[dict[str, Any]]:
    """Return the observables of one run."""
    rows = []
    units, statements = run.scalars.get('units', []), run.scalars.get('statements', [])
    for index, observable in enumerate(run.scalars.get('observables', [])):
        values = {name: number(array[index]) for name in NUMBERS if (array := run.array(name)) is not None}
        times = {f'{name}_ps': _picoseconds(a[index]) for name in TIMES if (a := run.array(name)) is not None}
        is_enough = run.array('is_enough')
        rows.append(
            {
                **tag_columns(run.tag),
                'observable': observable,
                'unit': units[index] if index < len(units) else '',
                **values,
                **times,
                'is_enough': None if is_enough is None else bool(is_enough[index]),
                'statement': statements[index] if index < len(statements) else '',
            }
        )
    return rows


def convergence_summary_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return for each observable in how many runs it is known well enough, and by how much the others are too short.

    :param results: what the benchmark has found.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in convergence_rows(results):
        whose = 'reference' if row['kind'] == 'reference' else 'models'
        groups.setdefault((str(row['observable']), whose), []).append(row)
    rows = []
    for (observable, whose), members in groups.items():
        factors = [row['length_factor'] for row in members if row['length_factor'] is not None]
        times = [row['correlation_time_ps'] for row in members if row['correlation_time_ps'] is not None]
        unit = str(members[0]['unit'])
        rows.append(
            {
                'observable': observable.replace('_', ' '),
                'runs of': whose,
                'long enough': f'{sum(bool(row["is_enough"]) for row in members)} of {len(members)}',
                'wanted error': f'{members[0]["target_error"]:g} {unit}'.strip(),
                'median correlation time (ps)': median(times) if times else None,
                'median length needed / length': median(factors) if factors else None,
                'largest': max(factors, default=None),
            }
        )
    return rows


def survival_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return how long the runs of each architecture and training set stay physical, all seeds together.

    :param results: what the benchmark has found.
    """
    return [
        {
            'architecture': item.architecture,
            'training_set': item.training_set,
            'kind': kind_of(item.training_set),
            'n_runs': item.scalars.get('n_runs'),
            'n_failed': item.scalars.get('n_failed'),
            'surviving_fraction': number(item.arrays['survival'][-1]),
            'surviving_fraction_error': number(item.arrays['survival_error'][-1]),
            'median_survival_ps': _picoseconds(item.scalars.get('median')),
            'median_survival_lower_ps': _picoseconds(item.scalars.get('median_lower')),
            'median_survival_upper_ps': _picoseconds(item.scalars.get('median_upper')),
            'longest_run_ps': _picoseconds(item.scalars.get('longest')),
            'confidence': number(item.scalars.get('confidence')),
        }
        for item in results.survivals
    ]


def survival_curve_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the survival curves, after Kaplan and Meier, by architecture and training set.

    :param results: what the benchmark has found.
    """
    return [
        {
            'architecture': item.architecture,
            'training_set': item.training_set,
            'time_ps': _picoseconds(time),
            'surviving_fraction': number(item.arrays['survival'][index]),
            'surviving_fraction_error': number(item.arrays['survival_error'][index]),
            'n_at_risk': int(item.arrays['n_at_risk'][index]),
        }
        for item in results.survivals
        for index, time in enumerate(item.arrays['time'])
    ]


def size_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return errors on the test frames against the size of the training set, means over seeds.

    :param results: what the benchmark has found.
    """
    columns = {
        'energy_rmse_ev_per_atom': 'energy_rmse',
        'energy_rmse_error_ev_per_atom': 'energy_rmse_error',
        'force_rmse_ev_per_angstrom': 'force_rmse',
        'force_rmse_error_ev_per_angstrom': 'force_rmse_error',
    }
    return [
        {
            'architecture': item.architecture,
            'training_set': item.training_set,
            'n_training_frames': int(size),
            'n_models': int(item.arrays['n_models'][index]),
            **{column: number(item.arrays[name][index]) for column, name in columns.items()},
        }
        for item in results.errors_over_size
        for index, size in enumerate(item.arrays['size'])
    ]


def charge_table_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return ions, charge of the metal, and surface charge of each charge state, with the film of the reference.

    :param results: what the benchmark has found.
    """
    rows = [dict(row) for row in results.charge_table] or [
        {
            'charge_label': str(state['label']),
            'n_ions': sum(state['ions'].values()),
            'metal_charge': state['metal_charge'],
            'area': state['area'],
            'n_wet_sides': state.get('n_wet_sides'),
            'surface_charge_e_per_angstrom2': state['surface_charge_e_per_angstrom2'],
            'surface_charge_microcoulomb_per_cm2': state['surface_charge_microcoulomb_per_cm2'],
        }
        for state in results.charge_states
    ]
    names = {'metal_charge': 'metal_charge_e', 'area': 'area_square_angstrom', 'charge_label': 'charge_state'}
    return [
        {
            **{names.get(name, name): value for name, value in row.items()},
            'water_film_angstrom': results.water_thickness(str(row['charge_label'])),
        }
        for row in rows
    ]


def solvent_dipole_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return how strongly the total solvent dipole of each run fluctuates over that of the reference.

    :param results: what the benchmark has found.
    """
    return [
        {name: value for name, value in row.items() if name != 'sentence'}
        for row in results.solvent_dipoles.get('rows', [])
    ]


def _picoseconds(value: Any) -> float | None:
    """Return a time [fs] in ps; None for what is not known."""
    found = number(value)
    return None if found is None or not np.isfinite(found) else found / FEMTOSECOND_PER_PICOSECOND
