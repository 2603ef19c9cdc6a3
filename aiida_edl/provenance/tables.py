"""The tables behind the figures of a report: flat rows, units in the names of the columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from aiida_edl.provenance.curves import CURVE_FIGURES
from aiida_edl.provenance.paper_claims import claim_rows
from aiida_edl.provenance.results import BenchmarkResults
from aiida_edl.provenance.rows import as_dicts
from aiida_edl.provenance.run_exclusions import excluded_rows, tag_columns
from aiida_edl.provenance.tables_analyses import (
    analysis_rows,
    curve_rows,
    energy_shift_mean_rows,
    force_ratio_rows,
    hyperparameter_rows,
    nested_rows,
    ranking_rows,
)
from aiida_edl.provenance.tables_runs import (
    charge_table_rows,
    convergence_rows,
    quality_rows,
    size_rows,
    solvent_dipole_rows,
    survival_curve_rows,
    survival_rows,
)

FEMTOSECOND_PER_PICOSECOND = 1000.0


def profile_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return ⟨cos θ⟩ and ion density of every run in the coarse bins.

    :param results: what the benchmark has found.
    """
    rows = []
    for item in results.profiles:
        profiles = item.profiles
        columns = {
            'mean_cosine': profiles.coarse_mean_cosine,
            'mean_cosine_error': profiles.coarse_mean_cosine_error,
            'ion_number_density_per_cubic_angstrom': profiles.coarse_ion_number_density,
            'ion_number_density_error_per_cubic_angstrom': profiles.coarse_ion_number_density_error,
        }
        for index, z in enumerate(profiles.coarse_z):
            values = {name: _number(array[index]) for name, array in columns.items()}
            rows.append({**tag_columns(item.tag), 'z_angstrom': round(float(z), 6), **values})
    return rows


def spread_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the spread over models of each training set, the noise of the MD, and the deviation from the reference.

    :param results: what the benchmark has found.
    """
    return [dict(row) for row in results.answer.get('groups', [])]


def comparison_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return mixed against single training, with what was decided.

    :param results: what the benchmark has found.
    """
    return [dict(row) for row in results.answer.get('comparisons', [])]


def error_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return errors of each potential on the test frames of each charge state, and of all.

    :param results: what the benchmark has found.
    """
    return [dict(row) for row in results.errors if row['scope'] in ('all', 'charge_state')]


def energy_shift_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the mean signed energy error of each potential at each charge state.

    :param results: what the benchmark has found.
    """
    columns: tuple[str, ...] = ('architecture', 'training_set', 'seed', 'charge_state')
    columns += ('energy_signed_error_ev_per_atom', 'energy_signed_error_error_ev_per_atom', 'n_frames')
    return [{column: row[column] for column in columns} for row in results.errors if row['scope'] == 'charge_state']


def learning_curve_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return errors on the validation frames during training.

    :param results: what the benchmark has found.
    """
    return [
        {
            'architecture': potential.architecture,
            'training_set': potential.training_set,
            'seed': potential.seed,
            'gradient_updates': int(curve.gradient_updates[index]),
            'validation_energy_rmse_ev_per_atom': _number(curve.validation_energy_rmse[index]),
            'validation_force_rmse_ev_per_angstrom': _number(curve.validation_force_rmse[index]),
        }
        for potential, curve in results.learning_curves
        for index in range(len(curve.gradient_updates))
    ]


def sampling_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return how well each run samples the first water layer.

    :param results: what the benchmark has found.
    """
    rows = []
    for item in results.profiles:
        profiles = item.profiles
        rows.append(
            {
                **tag_columns(item.tag),
                'length_ps': _number(profiles.n_frames * profiles.frame_interval / FEMTOSECOND_PER_PICOSECOND),
                'frames': profiles.n_frames,
                'independent_samples': _number(profiles.n_effective),
                'first_layer_mean_cosine': _number(profiles.first_layer_mean_cosine),
                'first_layer_mean_cosine_error': _number(profiles.first_layer_mean_cosine_error),
            }
        )
    return rows


def receptive_field_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return how far each architecture sees, against the thickness of the water film.

    :param results: what the benchmark has found.
    """
    found = [results.water_thickness(label) for label in results.charge_labels]
    thicknesses = [value for value in found if value is not None]
    film = max(thicknesses) if thicknesses else None
    ends = [item.profiles.z[-1] for item in results.profiles if item.tag.is_reference]
    fields = sorted({(row.architecture, row.receptive_field) for row in results.potentials})
    return [
        {
            'architecture': architecture,
            'receptive_field_angstrom': reach,
            'water_film_angstrom': film,
            'film_reaches_end_of_grid': None if film is None else film >= max(ends),
            'reaches_through_film': None if film is None else reach >= film,
        }
        for architecture, reach in fields
    ]


TABLES: Mapping[str, Callable[[BenchmarkResults], list[dict[str, Any]]]] = {
    'profiles': profile_rows,
    'spread': spread_rows,
    'comparisons': comparison_rows,
    'errors': error_rows,
    'energy_shifts': energy_shift_rows,
    'learning_curves': learning_curve_rows,
    'sampling': sampling_rows,
    'receptive_fields': receptive_field_rows,
    'force_ratios': force_ratio_rows,
    'energy_shift_means': energy_shift_mean_rows,
    'energy_shift_contrasts': partial(nested_rows, source='penalty', table='shift_contrasts'),
    'receptive_field_ranking': ranking_rows,
    'excluded_runs': excluded_rows,
    'run_quality': quality_rows,
    'survival_of_runs': survival_rows,
    'survival_curves': survival_curve_rows,
    'convergence': convergence_rows,
    'errors_over_size': size_rows,
    'charge_states': charge_table_rows,
    'locality': lambda results: as_dicts(results.locality),
    'given_potentials': lambda results: as_dicts(results.given),
    'remedies': partial(nested_rows, source='remedies', table='rows'),
    'remedy_comparisons': partial(nested_rows, source='remedies', table='comparisons'),
    'solvent_dipoles': solvent_dipole_rows,
    'structure_distributions': partial(nested_rows, source='structures', table='distributions'),
    'structure_numbers': partial(nested_rows, source='structures', table='numbers'),
    'structure_groups': partial(nested_rows, source='structures', table='groups'),
    'structures_without_reference': partial(nested_rows, source='structures', table='without_reference'),
    'structure_contrasts': partial(nested_rows, source='structures', table='contrasts'),
    'capacitance': partial(nested_rows, source='capacitance', table='series'),
    'capacitance_points': partial(nested_rows, source='capacitance', table='points'),
    'capacitance_intervals': partial(nested_rows, source='capacitance', table='intervals'),
    'capacitance_groups': partial(nested_rows, source='capacitance', table='groups'),
    'analyses': analysis_rows,
    'hyperparameters': hyperparameter_rows,
    'paper_claims': claim_rows,
    **{name: partial(curve_rows, name=name) for name, kind in CURVE_FIGURES.items() if not kind.table},
}
"""Tables by name."""


def _number(value: Any) -> float | None:
    """Return None for what is not a number."""
    return float(value) if np.isfinite(value) else None
