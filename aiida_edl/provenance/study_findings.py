"""What was found beside a benchmark and belongs to it: tests of locality, given potentials, and remedies.

Such a process belongs to a study if the study called it, if it shares the inputs that matter (a potential that the
study trained, the data set that the study labelled), or if it lies in one of the groups of the study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiida.common.links import LinkType
from aiida.orm import Dict, Group, ProcessNode, QueryBuilder, WorkChainNode

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.graph import called_processes
from aiida_edl.provenance.locality_queries import LocalityResult, locality_results
from aiida_edl.provenance.remedy_queries import remedies_of_study
from aiida_edl.provenance.rows import TrainedPotential
from aiida_edl.provenance.study_groups import ROOT, study_name

REPORT_FUNCTION = 'locality_report'
"""Process label of what makes the report of a locality test."""
GIVEN = 'GivenPotentialAssessmentWorkChain'
"""Process label of the assessment of a potential that was trained elsewhere."""


@dataclass(frozen=True)
class GivenPotential:
    """A potential that was trained elsewhere, on the test frames of the study; empty where there is no value."""

    architecture: str
    """Entry-point name of its architecture."""
    origin: str
    """Where it comes from, as its node says."""
    force_rmse_ev_per_angstrom: float | None
    """RMSE of the force components on all test frames [eV/Å]."""
    force_rmse_error_ev_per_angstrom: float | None
    """Its standard error [eV/Å]."""
    energy_rmse_ev_per_atom: float | None
    """RMSE of the energy per atom [eV/atom]."""
    n_frames: int | None
    """Test frames."""
    exit_status: int | None
    """How its assessment ended."""
    potential: str
    """UUID."""
    assessment: str
    """UUID of the process."""


def _grouped(study: ProcessNode, label: str) -> set[str]:
    """Return the UUIDs of the processes of a label that lie in a group of the study."""
    query = QueryBuilder().append(Group, filters={'label': {'like': f'{ROOT}/{study_name(study)}/%'}}, tag='group')
    filters = {'attributes.process_label': label}
    return set(query.append(ProcessNode, with_group='group', filters=filters, project='uuid').all(flat=True))


def _with_input(label: str, kind: type, uuids: Iterable[str]) -> set[str]:
    """Return the UUIDs of the processes of a label that take one of some nodes."""
    query = QueryBuilder().append(kind, filters={'uuid': {'in': sorted(uuids) or ['']}}, tag='input')
    filters = {'attributes.process_label': label}
    return set(query.append(ProcessNode, with_incoming='input', filters=filters, project='uuid').all(flat=True))


def locality_of_study(study: ProcessNode, potentials: Iterable[TrainedPotential]) -> tuple[LocalityResult, ...]:
    """Return what locality tests found that belong to a study.

    :param study: the benchmark.
    :param potentials: the potentials that it trained.
    """
    functions = _with_input(REPORT_FUNCTION, PotentialData, {item.potential for item in potentials})
    functions |= {process.uuid for process in called_processes(study) if process.process_label == REPORT_FUNCTION}
    for test in _grouped(study, 'LocalityTestWorkChain'):
        query = QueryBuilder().append(WorkChainNode, filters={'uuid': test}, tag='test')
        filters = {'attributes.process_label': REPORT_FUNCTION}
        functions |= set(
            query.append(ProcessNode, with_incoming='test', filters=filters, project='uuid').all(flat=True)
        )
    query = QueryBuilder().append(ProcessNode, filters={'uuid': {'in': sorted(functions) or ['']}}, tag='function')
    edge = {'type': LinkType.CREATE.value, 'label': 'report'}
    reports = set(query.append(Dict, with_incoming='function', edge_filters=edge, project='uuid').all(flat=True))
    return tuple(result for result in locality_results() if result.report in reports) if reports else ()


def given_potentials(study: ProcessNode, dataset: DatasetData | None) -> tuple[GivenPotential, ...]:
    """Return the potentials from elsewhere that were tested on the frames of a study.

    :param study: the benchmark.
    :param dataset: its labelled frames; None if there are none.
    """
    chains = set() if dataset is None else _with_input(GIVEN, DatasetData, {dataset.uuid})
    chains |= _grouped(study, GIVEN) | {item.uuid for item in called_processes(study) if item.process_label == GIVEN}
    query = QueryBuilder().append(WorkChainNode, filters={'uuid': {'in': sorted(chains) or ['']}})
    found = [_given(chain) for chain in query.all(flat=True) if 'potential' in chain.outputs]
    return tuple(sorted(found, key=lambda item: (item.architecture, item.origin, item.assessment)))


def _given(chain: WorkChainNode) -> GivenPotential:
    """Return what an assessment of a given potential found."""
    potential, rows = chain.outputs.potential, []
    if 'errors' in chain.outputs:
        rows = chain.outputs.errors.get_dict()['rows']
    of_all: Mapping[str, Any] = next((row for row in rows if row['scope'] == 'all'), {})
    names = ('force_rmse_ev_per_angstrom', 'force_rmse_error_ev_per_angstrom', 'energy_rmse_ev_per_atom', 'n_frames')
    return GivenPotential(
        architecture=potential.architecture,
        origin=str(potential.base.attributes.get(potential.KEY_ORIGIN, '') or ''),
        **{name: of_all.get(name) for name in names},
        exit_status=chain.exit_status,
        potential=potential.uuid,
        assessment=chain.uuid,
    )


def remedies_in_study(study: ProcessNode) -> Mapping[str, Any]:
    """Return what remedies do to the cost of mixed training, as tables; empty if a study holds no remedied model.

    :param study: the benchmark.
    """
    try:
        found = remedies_of_study(study)
    except ValueError as error:  # one kind of model that holds a seed twice
        return {'verdict': f'Remedies were not compared: {error}.'}
    return found.tables() if found is not None and found.verdicts else {}
