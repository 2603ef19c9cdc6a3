"""What the runs of one potential say of diffusion, in one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.science.analysis.physical_time import physical_time
from aiida_edl.science.units import FEMTOSECONDS_PER_PICOSECOND

DIFFUSION_COLUMNS: Mapping[str, str] = {
    'tracer_diffusion': 'tracer_diffusion_angstrom2_per_fs',
    'tracer_diffusion_error': 'tracer_diffusion_error_angstrom2_per_fs',
    'charge_diffusion': 'charge_diffusion_angstrom2_per_fs',
    'charge_diffusion_error': 'charge_diffusion_error_angstrom2_per_fs',
    'haven_ratio': 'haven_ratio',
    'haven_ratio_error': 'haven_ratio_error',
    'effective_hops': 'effective_hops',
    'n_frames': 'n_trajectory_frames',
    'carrier_diffusion': 'carrier_diffusion_angstrom2_per_fs',
    'carrier_diffusion_error': 'carrier_diffusion_error_angstrom2_per_fs',
    'is_determined': 'is_determined',
    'reasons': 'reasons',
}
"""Columns of the table by attribute of a result of ``edl.diffusion``."""
HOPPING_COLUMNS: Mapping[str, str] = {
    'knock_off_ratio': 'knock_off_share',
    'knock_off_ratio_error': 'knock_off_share_error',
    'n_returns': 'n_returns',
    'n_jumps': 'n_jumps',
}
"""Columns of the table by attribute of a result of ``edl.hopping``; those of each kind of event come on top."""
EVENT_COLUMNS: Mapping[str, str] = {
    'event_count': 'n_{name}',
    'event_rate': 'rate_{name}_per_ps',
    'event_rate_error': 'rate_{name}_error_per_ps',
    'event_rate_upper': 'rate_{name}_upper_per_ps',
}
"""Columns of the table by array of a result of ``edl.hopping``, for each kind of event."""
ARRHENIUS_COLUMNS = (
    'activation_energy',
    'activation_energy_error',
    'activation_energy_low',
    'activation_energy_high',
    'prefactor',
    'is_determined',
    'reasons',
)
"""Attributes of a result of ``edl.arrhenius`` that the report has."""


@calcfunction
def diffusion_report(facts: Dict, arrhenius: ArrayData | None = None, **results: ArrayData) -> Dict:
    """Draw up what the runs of one potential say: a row for each temperature, the activation energy, the cost.

    :param facts: ``runs``, each with its ``label`` and ``temperature`` [K], ``excluded`` with the reasons by label of
        the run, ``exploded_at_once`` with the labels of those that stored no frame before, ``settings`` and
        ``costs``.
    :param arrhenius: result of ``edl.arrhenius``; none if there is no activation energy.
    :param results: results of ``edl.diffusion`` and ``edl.hopping`` for all runs at a temperature, under
        ``diffusion_T0700``, ``hopping_T0700`` and so on; and those that judge a run, as
        ``run_quality_T0700_replica_01``, which stand behind the reasons and say how long it was physical.
    :return: ``temperatures`` (rows with units in the names of the columns), ``arrhenius``, ``excluded``, ``costs``.
    """
    values = facts.get_dict()
    rows = []
    temperatures: dict[str, float] = {}
    for run in values['runs']:
        temperatures[run['label'].partition('_replica')[0]] = run['temperature']
    for label, temperature in temperatures.items():
        runs = [run['label'] for run in values['runs'] if run['temperature'] == temperature]
        excluded = [run for run in runs if run in values['excluded']]
        row: dict[str, Any] = {'temperature_kelvin': temperature, 'n_runs': len(runs), 'n_excluded': len(excluded)}
        row['exclusions'] = [f'{run}: {reason}' for run in excluded for reason in values['excluded'][run]]
        row |= _physical_time(runs, values.get('exploded_at_once', []), results)
        row |= _columns(results.get(f'diffusion_{label}'), DIFFUSION_COLUMNS)
        row |= _columns(results.get(f'hopping_{label}'), HOPPING_COLUMNS)
        row |= _events(results.get(f'hopping_{label}'))
        rows.append(row)
    return Dict(
        {
            'temperatures': rows,
            'arrhenius': _columns(arrhenius, {name: name for name in ARRHENIUS_COLUMNS}),
            'excluded': values['excluded'],
            'costs': values['costs'],
            'settings': values['settings'],
        }
    )


def _columns(node: ArrayData | None, names: Mapping[str, str]) -> dict[str, Any]:
    """Return attributes of a result by column; none if there is no result."""
    if node is None:
        return {}
    attributes = node.base.attributes.all
    return {column: attributes[name] for name, column in names.items() if name in attributes}


def _physical_time(runs: Sequence[str], at_once: Sequence[str], results: Mapping[str, ArrayData]) -> dict[str, Any]:
    """Return how long runs stayed physical; none if no run was judged.

    A run that exploded at once was physical for no time; of one that a lost node cut off nothing is known.
    """
    judged = [results[name].base.attributes for run in runs if (name := f'run_quality_{run}') in results]
    ended = [run for run in runs if run in at_once]
    times = [*(float(known.get('survival_time')) for known in judged), *(0.0 for _ in ended)]
    is_censored = [*(bool(known.get('is_censored')) for known in judged), *(False for _ in ended)]
    found = physical_time(times, is_censored)
    if found is None:
        return {}
    return {
        'n_judged': found.n_runs,
        'n_left_physics': found.n_left,
        'physical_time_ps': found.mean / FEMTOSECONDS_PER_PICOSECOND,
        'physical_time_error_ps': None if found.error is None else found.error / FEMTOSECONDS_PER_PICOSECOND,
    }


def _events(node: ArrayData | None) -> dict[str, Any]:
    """Return number and rate of each kind of event; none if there is no result."""
    if node is None:
        return {}
    found: dict[str, Any] = {}
    names = node.base.attributes.get('event_names')
    for array, column in EVENT_COLUMNS.items():
        for name, value in zip(names, node.get_array(array).tolist()):
            found[column.format(name=name)] = None if math.isnan(value) else value
    return found
