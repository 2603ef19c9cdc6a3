"""What locality tests found, for each potential that went through one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiida.common.links import LinkType
from aiida.orm import Dict, ProcessNode, QueryBuilder

from aiida_edl.provenance.graph import calculations_of


@dataclass(frozen=True)
class LocalityResult:
    """How far one potential sees; empty where there is no value."""

    potential: str
    """Name of the potential in the test."""
    architecture: str
    """Entry-point name of its architecture."""
    verdict: str
    """``'local'``, ``'not_local'`` or ``'undecided'``."""
    stated_field_angstrom: float
    """Layers times cutoff radius [Å]."""
    energy_range_angstrom: float | None
    """Largest distance to a moved atom at which a local energy changes [Å]."""
    practical_energy_range_angstrom: float | None
    """The same for changes that matter [Å]."""
    force_range_angstrom: float | None
    """Largest distance to a moved atom at which a force changes [Å]."""
    ion_energy_range_angstrom: float | None
    """Largest distance at which local energies tell whether an ion is there [Å]."""
    removal_reference_ev_per_angstrom: float | None
    """Root mean square of the components of the true change of far forces when an ion is taken away [eV/Å]."""
    removal_error_ev_per_angstrom: float | None
    """Error of the predicted change [eV/Å]."""
    removal_slope: float | None
    removal_slope_error: float | None
    """Predicted against true change: 1 is right, 0 is blind; dimensionless."""
    equilibrated_force_rmse_ev_per_angstrom: float | None
    """Error of force components on frames equilibrated at each charge state [eV/Å]."""
    is_charge_blind: bool | None
    """Whether it gives the same for all charges of a geometry."""
    report: str
    """UUID of the report."""
    takes_total_charge: bool = False
    """Whether it is told the charge, so that it may tell charges apart although it is local."""


def locality_results(study: ProcessNode | None = None) -> list[LocalityResult]:
    """Return what every locality test found, in the order of their reports.

    :param study: limits the answer to one locality test, or to a process that called some.
    """
    calculations = calculations_of(study)
    query = QueryBuilder().append(
        ProcessNode, filters={'attributes.process_label': 'locality_report'}, project='id', tag='function'
    )
    edge = {'type': LinkType.CREATE.value, 'label': 'report'}
    query.append(Dict, with_incoming='function', edge_filters=edge, project=['ctime', 'uuid', 'attributes'])
    rows = []
    for pk, _, uuid, report in sorted(query.all(), key=lambda entry: entry[1]):
        if calculations is None or pk in calculations:
            rows += [_result(row, report, uuid) for row in report['rows']]
    return rows


def _of(potential: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row of a potential, an empty one if there is none."""
    return next((row for row in rows if row['potential'] == potential), {})


def _result(row: dict[str, Any], report: dict[str, Any], uuid: str) -> LocalityResult:
    """Return the result of one potential in one report."""
    name = row['potential']
    both, charges = _of(name, report['side_by_side']), _of(name, report['charge_rows'])
    removal = both.get('removal') or {}
    kept = (
        'architecture',
        'verdict',
        'stated_field_angstrom',
        'energy_range_angstrom',
        'practical_energy_range_angstrom',
        'force_range_angstrom',
        'ion_energy_range_angstrom',
    )
    return LocalityResult(
        potential=name,
        **{key: row[key] for key in kept},
        removal_reference_ev_per_angstrom=removal.get('reference_rms_ev_per_angstrom'),
        removal_error_ev_per_angstrom=removal.get('error_rms_ev_per_angstrom'),
        removal_slope=removal.get('slope'),
        removal_slope_error=removal.get('slope_error'),
        equilibrated_force_rmse_ev_per_angstrom=both.get('equilibrated_force_rmse_ev_per_angstrom'),
        is_charge_blind=charges.get('is_blind'),
        report=uuid,
        takes_total_charge=bool(row.get('takes_total_charge')),
    )
