"""Profiles, errors and the answer of the stored benchmark: plausible numbers, repeatable."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import numpy as np
from aiida.orm import ArrayData

from aiida_edl.calculations.stored_results import result_node, stored_result
from aiida_edl.provenance.analysed_runs import PROFILES
from aiida_edl.provenance.curves import CURVE_FIGURES
from aiida_edl.science.analysis.error_metrics import ErrorRow
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.model_spread import model_spread
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.penalty_by_architecture import penalties_by_architecture
from aiida_edl.science.analysis.penalty_verdict import contrast_rows, penalty_verdict, ratio_rows, shift_rows
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.receptive_field_ranking import correlation_row, point_rows, rank_correlation
from aiida_edl.science.analysis.size_curve import SizeError, size_curve
from aiida_edl.science.analysis.spread_tables import (
    bin_rows,
    comparison_rows,
    deviation_rows,
    excluded_rows,
    group_rows,
)
from aiida_edl.science.analysis.spread_verdict import verdict
from aiida_edl.science.analysis.survival_of_runs import survival_of_runs
from aiida_edl.science.analysis.training_penalty import ErrorTag, ModelErrors, training_penalty

SHIFT = {'mixed': 0.30, 'single_0': 0.02, 'single_2': 0.02, 'reference': 0.0}
"""How far the orientation of a model lies from the reference."""
RDF_PAIRS = ['Na-O', 'Au-O', 'O-O', 'O-H']
"""Pairs of the radial distributions, in an order of their own."""
IONS = {'0': 0, '2Na': 2}


def _sign(architecture: str, seed: int) -> float:
    return (-1.0) ** seed * (1.5 if architecture == 'deep_potential' else 0.5)


def profiles_by_hand(label: str, architecture: str, training_set: str, seed: int) -> InterfaceProfiles:
    settings = ProfileSettings(z_max=12.0)
    z, coarse_z, angle = settings.bins.centres, settings.coarse_bins.centres, settings.angle_bins.centres
    random = np.random.default_rng(zlib.crc32(f'{label}{architecture}{training_set}{seed}'.encode()))
    shift = SHIFT[training_set] * _sign(architecture, seed)

    def cosine(height: Any) -> Any:
        values = (0.1 - 0.3 * IONS[label] + shift) * np.exp(-(((height - 3.0) / 1.2) ** 2))
        return np.where(height < 2.0, np.nan, values + 0.01 * random.standard_normal(height.shape))

    def peak(height: Any, centre: float, top: float) -> Any:
        return top * np.exp(-(((height - centre) / 0.6) ** 2))

    water = peak(z, 3.0, 2.6) + np.where(z > 4.0, 1.0, 0.0)
    values: dict[str, Any] = {
        'z': z,
        'coarse_z': coarse_z,
        'angle': angle,
        'mean_cosine': cosine(z),
        'coarse_mean_cosine': cosine(coarse_z),
        'water_mass_density': water,
        'orientation_density': water * 0.1,
        'oxygen_number_density': water / 30.0,
        'coarse_oxygen_number_density': peak(coarse_z, 3.0, 0.08),
        'ion_number_density': peak(z, 5.0, 0.01 * IONS[label]),
        'coarse_ion_number_density': peak(coarse_z, 5.0 + 2 * shift, 0.01 * IONS[label]),
        'angle_distribution': np.full(angle.shape, 1 / 180.0),
        'irregular_oxygen_counts': np.zeros(20, dtype=np.int64),
        'first_layer_count': 8.0,
        'first_layer_count_error': 0.3,
        'first_layer_mean_cosine': 0.1 - 0.3 * IONS[label] + shift,
        'first_layer_mean_cosine_error': 0.02,
        'irregular_oxygen_fraction': 0.0,
        'ion': 'Na' if IONS[label] else '',
        'n_surfaces': 1,
        'area': 86.4,
        'n_frames': 20,
        'n_replicas': 1,
        'n_effective': 9.0,
        'first_layer_count_correlation_time': 1.0,
        'first_layer_mean_cosine_correlation_time': 1.1,
        'frame_interval': 10.0,
        'settings': settings,
    }
    for name in ('mean_cosine', 'ion_number_density', 'oxygen_number_density'):
        values[f'coarse_{name}_of_replicas'] = values[f'coarse_{name}'][np.newaxis]
        values[f'coarse_{name}_n_effective'] = np.full(coarse_z.shape, 40.0)
    for field in dataclasses.fields(InterfaceProfiles):
        if field.name not in values and not field.name.endswith('_error'):
            values[field.name] = np.zeros(z.shape)
    for name in [field.name for field in dataclasses.fields(InterfaceProfiles) if field.name not in values]:
        size = 0.0005 if 'number_density' in name else 0.02
        values[name] = np.full(values[name.removesuffix('_error')].shape, size)
    return InterfaceProfiles(**values)


def profiles_node(label: str, architecture: str, training_set: str, seed: int) -> ArrayData:
    profiles = profiles_by_hand(label, architecture, training_set, seed)
    return result_node(profiles)


ANALYSES = sorted({curve.analysis for figure in CURVE_FIGURES.values() for curve in figure.curves} - {PROFILES})
ANALYSES += ['convergence', 'run_quality']
"""Further analyses of every run of the stored benchmark: all that the report draws, and the quality."""


def analysis_nodes(key: str) -> dict[str, ArrayData]:
    """Return what further analyses found in a run: every array that the report draws, and the quality of the run."""
    random = np.random.default_rng(zlib.crc32(key.encode()))
    arrays: dict[str, dict[str, Any]] = {}
    for curve in (curve for figure in CURVE_FIGURES.values() for curve in figure.curves):
        if curve.analysis == PROFILES:
            continue
        found = arrays.setdefault(curve.analysis, {})
        x = np.linspace(0.0, 10.0, 30) if curve.x != 'z' else np.linspace(0.2, 9.8, 29)
        n_rows = len(RDF_PAIRS) if curve.pair else 3
        shape = x.shape if curve.row is None and curve.pair is None else (n_rows, *x.shape)
        found[curve.x] = x
        found[curve.y] = np.exp(-x / 3.0) + 0.02 * random.standard_normal(shape)
        found[f'{curve.y}_error'] = np.full(shape, 0.02)
    nodes = {name: ArrayData(values) for name, values in arrays.items()}
    layers = {'settings': {'layer_bounds': [0.0, 4.0, 7.0, 10.0]}}
    nodes['angular_distributions'].base.attributes.set_many(layers)
    nodes['interface_structure'].base.attributes.set_many({'rdf_pairs': RDF_PAIRS, 'ion': 'Na'})
    nodes['interface_dynamics'].base.attributes.set_many(
        {'dipole_normal_variance': 1.2, 'dipole_normal_variance_error': 0.1, 'n_frames': 20, 'boundary': 'vacuum'}
    )
    temperatures = {'element_temperature': np.array([330.0, 329.0]), 'element_temperature_error': np.ones(2)}
    quality = ArrayData({'element_numbers': np.array([1, 8]), **temperatures})
    scalars = {
        'is_physical': True,
        'is_censored': True,
        'survival_time': 2000.0,
        'reasons': [],
        'outside_fraction': None,
    }
    numbers = {'temperature': 331.0, 'temperature_error': 2.0, 'energy_drift': 0.01, 'energy_drift_error': 0.02}
    quality.base.attributes.set_many({**scalars, **numbers})
    return {**nodes, 'run_quality': quality, 'convergence': _convergence()}


def _convergence() -> ArrayData:
    names = ('mean', 'error', 'target_error', 'n_independent', 'drift', 'correlation_time', 'correlation_time_error')
    arrays = {name: np.array([8.0, 2.0]) for name in (*names, 'equilibration_time', 'length')}
    node = ArrayData({**arrays, 'length_factor': np.array([0.5, 4.0]), 'is_enough': np.array([True, False])})
    values = {'observables': ['first_layer_count', 'solvent_dipole'], 'units': ['', 'e Å']}
    node.base.attributes.set_many({**values, 'statements': ['long enough', '4.0 times longer needed']})
    return node


def survival_node(times: list[float], is_censored: list[bool]) -> ArrayData:
    """Return the survival curve of some runs."""
    found = survival_of_runs(times, is_censored)
    node = ArrayData(found.arrays())
    node.base.attributes.set_many(found.scalars())
    return node


def size_node() -> ArrayData:
    """Return errors of two sizes."""
    errors = [SizeError(size, 0.01 / size, 0.4 / size * (1.0 + 0.1 * seed)) for size in (2, 4) for seed in (0, 1)]
    return ArrayData(dataclasses.asdict(size_curve(errors)))


def _row(scope: str, name: str, state: str, scale: float, shift: float) -> dict[str, Any]:
    has_energy = scope != 'region'
    values: dict[str, Any] = {
        'scope': scope,
        'name': name,
        'charge_state': state,
        'energy_rmse_ev_per_atom': 0.002 * scale + abs(shift) if has_energy else None,
        'energy_mae_ev_per_atom': 0.0015 * scale if has_energy else None,
        'energy_signed_error_ev_per_atom': shift if has_energy else None,
        'force_rmse_ev_per_angstrom': 0.1 * scale,
        'force_mae_ev_per_angstrom': 0.07 * scale,
        'reference_force_rms_ev_per_angstrom': 1.2,
        'n_frames': 4 if state == 'all' else 2,
        'n_force_components': 90,
    }
    for field in dataclasses.fields(ErrorRow):
        if field.name not in values:
            values[field.name] = 0.01 * scale if 'force' in field.name else (0.0002 if has_energy else None)
    return values


def error_rows(architecture: str, training_set: str, seed: int) -> list[dict[str, Any]]:
    """Return errors of one model: large on charge states it has not seen."""
    scale = (2.0 if architecture == 'deep_potential' else 1.0) + 0.1 * seed
    rows = [_row('all', 'all', 'all', scale, 0.0)]
    for state, n_ions in IONS.items():
        is_seen = training_set in ('mixed', f'single_{n_ions}')
        shift = 0.0 if is_seen else 0.01
        rows.append(_row('charge_state', state, state, scale if is_seen else 3 * scale, shift))
    return [*rows, _row('region', 'mobile', 'all', scale, 0.0)]


def spread_answer(profiles: dict[str, ArrayData], tags: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the answer of the benchmark."""
    models = []
    for key, node in profiles.items():
        parts = stored_result(InterfaceProfiles, node)
        models.append(ModelProfile(ModelTag.from_dict(tags[key]), parts))
    spread = model_spread(models)
    return {
        'verdict': verdict(spread),
        'comparisons': comparison_rows(spread),
        'groups': group_rows(spread),
        'models': deviation_rows(spread),
        'bins': bin_rows(spread),
        'excluded': excluded_rows(spread),
    }


def penalty_answer(errors: dict[str, Any], tags: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what mixed training costs."""
    models = [ModelErrors(ErrorTag.from_dict(tags[key]), node.get_dict()['rows']) for key, node in errors.items()]
    penalty = training_penalty(models)
    return {
        'verdict': penalty_verdict(penalty),
        'ratios': ratio_rows(penalty),
        'shifts': shift_rows(penalty),
        'shift_contrasts': contrast_rows(penalty),
    }


def ranking_answer(penalty: Any, spread: Any, reach: dict[str, tuple[float, int]]) -> dict[str, Any]:
    """Return what mixed training costs by receptive field."""
    fields = {name: cutoff * layers for name, (cutoff, layers) in reach.items()}
    ratios, comparisons = penalty.get_dict()['ratios'], spread.get_dict()['comparisons']
    found = [rank_correlation(*series) for series in penalties_by_architecture(ratios, comparisons, fields)]
    return {
        'verdict': ' '.join(item.sentence for item in found),
        'correlations': [correlation_row(item) for item in found],
        'points': [row for item in found for row in point_rows(item)],
    }
