"""What validations of summation methods found: the accuracy asked for against the accuracy got."""

from __future__ import annotations

from dataclasses import dataclass

from aiida.common.links import LinkType
from aiida.orm import Dict, ProcessNode, QueryBuilder

from aiida_edl.provenance.graph import calculations_of


@dataclass(frozen=True)
class SummationResult:
    """One method of one program in one precision, over all cases and targets; empty where there is no value."""

    method: str
    implementation: str
    precision: str
    n_rows: int
    """Results."""
    n_within: int
    """Results whose force error lies between a third of the target and the target."""
    n_refused: int
    """Targets that were refused."""
    least_ratio: float
    """Smallest measured force error over the one that was asked for."""
    largest_ratio: float
    """Largest one."""
    worst_case: str
    """Case and target of the largest one."""
    largest_gradient_error: float | None
    """Largest difference of a force from the difference of energies [eV/Å]."""
    largest_lattice_error: float | None
    """Largest relative error of the energy of a lattice at the smallest target that was met."""
    n_wrong_gradients: int | None
    """Results whose forces are not the gradient of the energy."""
    perfect_lattice_error: float | None
    """Largest relative error of the energy of a perfect lattice with tight numbers."""
    report: str
    """UUID of the report."""


def summation_results(study: ProcessNode | None = None) -> list[SummationResult]:
    """Return what every validation of summation methods found, in the order of their reports.

    :param study: limits the answer to one validation, or to a process that called some.
    """
    calculations = calculations_of(study)
    query = QueryBuilder().append(
        ProcessNode, filters={'attributes.process_label': 'long_range_report'}, project='id', tag='function'
    )
    edge = {'type': LinkType.CREATE.value, 'label': 'result'}
    query.append(Dict, with_incoming='function', edge_filters=edge, project=['id', 'uuid', 'attributes.methods'])
    names = [name for name in SummationResult.__dataclass_fields__ if name != 'report']
    return [
        SummationResult(**{name: row.get(name) for name in names}, report=uuid)
        for pk, _, uuid, methods in sorted(query.all(), key=lambda entry: entry[1])
        if calculations is None or pk in calculations
        for row in methods
    ]
