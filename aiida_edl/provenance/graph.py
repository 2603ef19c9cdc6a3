"""How a study looks in the provenance graph: which processes it called, and to which stage each belongs."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aiida.common.links import LinkType
from aiida.orm import ProcessNode, QueryBuilder

from aiida_edl.calculations.exit_codes import has_results

BENCHMARK = 'ChargedInterfaceBenchmarkWorkChain'
"""Process label of a benchmark."""
SINGLE_POINT_PREFIX = 'aiida.calculations:edl.single_point.'
"""How the process type of every labelling calculation begins."""
SPLIT_LABEL_PREFIX = 'split_'
"""How the call links of splits begin; the name of the training set follows."""
IDENTIFIERS_PER_QUERY = 500
"""Nodes named in one query; databases limit the number of parameters."""

STAGES = (
    'structures',
    'reference dynamics',
    'labelling',
    'data sets',
    'training',
    'evaluation',
    'production dynamics',
    'analysis',
    'comparison',
)
"""Stages of a benchmark in their order."""
STAGE_OF_PROCESS = {
    'build_interface': 'structures',
    'build_interphase': 'structures',
    'build_lithium_fluoride': 'structures',
    'build_silica': 'structures',
    'learning_curve_over_size': 'comparison',
    'nested_training_sets': 'data sets',
    'training_frames': 'data sets',
    'held_out_frames': 'data sets',
    'begin_without_labels': 'data sets',
    'frames_of_elements': 'data sets',
    'complete_atomic_energies': 'data sets',
    'select_training_frames': 'data sets',
    'select_own_frames': 'data sets',
    'select_frames': 'data sets',
    'committee_deviation': 'evaluation',
    'collect_frames': 'data sets',
    'compare_labels': 'labelling',
    'select_candidates': 'data sets',
    'extend_dataset': 'data sets',
    'assemble_labels': 'labelling',
    'join_datasets': 'data sets',
    'split_dataset': 'data sets',
    'check_split': 'data sets',
    'deduplicate_dataset': 'data sets',
    'isolated_atom_energies': 'data sets',
    'fit_atomic_energies': 'data sets',
    'TrainingCalculation': 'training',
    'EvaluationCalculation': 'evaluation',
    'error_metrics': 'evaluation',
    'interface_profiles': 'analysis',
    'interface_structure': 'analysis',
    'interface_dynamics': 'analysis',
    'diffusion': 'analysis',
    'van_hove': 'analysis',
    'arrhenius': 'analysis',
    'activation_energy_difference': 'comparison',
    'defect_formation': 'analysis',
    'diffusion_report': 'analysis',
    'fine_tuning_comparison': 'comparison',
    'hopping': 'analysis',
    'lattice_order': 'analysis',
    'potential_profile': 'analysis',
    'run_quality': 'analysis',
    'convergence': 'analysis',
    'angular_distributions': 'analysis',
    'charge_response': 'analysis',
    'compare_remedies': 'comparison',
    'compare_solvent_dipoles': 'comparison',
    'locality_pairs': 'data sets',
    'removal_pairs': 'data sets',
    'locality_report': 'comparison',
    'survival_of_runs': 'comparison',
    'model_spread': 'comparison',
    'compare_structures': 'comparison',
    'training_penalty': 'comparison',
    'capacitance': 'comparison',
    'receptive_field_ranking': 'comparison',
    'fine_tuning_round': 'comparison',
    'learning_round': 'comparison',
    'learning_report': 'comparison',
}
"""Stage of each calculation by its process label; dynamics and single points are told apart by where they run."""


@dataclass(frozen=True)
class CalledProcess:
    """One process that a study called, directly or not."""

    pk: int
    """Identifier in this profile."""
    uuid: str
    """Identifier everywhere."""
    process_label: str
    """Class or function."""
    process_type: str
    """Entry point."""
    is_calculation: bool
    """Whether it creates data; work chains only call and return."""
    path: tuple[str, ...]
    """Labels of the call links from the study to the process."""
    state: str
    """``'created'``, ``'running'``, ``'waiting'``, ``'finished'``, ``'excepted'`` or ``'killed'``."""
    exit_status: int | None
    """0 for success; None while it runs."""
    exit_message: str
    """Why it failed."""
    begin: datetime.datetime
    """When it was created."""
    end: datetime.datetime
    """When it was last changed; the end, once it has ended."""

    @property
    def stage(self) -> str:
        """Stage of the benchmark, one of :data:`STAGES`."""
        if self.process_label.startswith('MolecularDynamics'):
            return 'reference dynamics' if self.path[0].startswith('reference_md') else 'production dynamics'
        if self.process_type.startswith(SINGLE_POINT_PREFIX):
            return 'labelling'
        if self.path[0].startswith('labelling'):
            return 'labelling'
        if self.path[-1] == f'analysis_{self.process_label}':  # one of those that are registered
            return 'analysis'
        return STAGE_OF_PROCESS.get(self.process_label, 'data sets')

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ('finished', 'excepted', 'killed')

    @property
    def has_failed(self) -> bool:
        """Whether it ended without success; a warning (status 700 and above) is none."""
        return self.has_ended and not has_results(self.exit_status)

    @property
    def name(self) -> str:
        """Call labels from the study down, e.g. ``mace_mixed_seed_01/training``."""
        return '/'.join(self.path)


def batches(identifiers: Iterable[int]) -> Iterator[list[int]]:
    """Yield identifiers in lists short enough for one query."""
    ordered = sorted(identifiers)
    for start in range(0, len(ordered), IDENTIFIERS_PER_QUERY):
        yield ordered[start : start + IDENTIFIERS_PER_QUERY]


def called_processes(study: ProcessNode) -> list[CalledProcess]:
    """Return all processes below a study, in the order of their creation.

    :param study: e.g. a benchmark.
    """
    found: dict[int, CalledProcess] = {}
    level: dict[int, tuple[str, ...]] = {study.pk: ()}
    while level:
        below: dict[int, tuple[str, ...]] = {}
        for process in _called_by(level):
            if process.pk not in found:
                found[process.pk] = process
                below[process.pk] = process.path
        level = below
    # An import gives processes other identifiers, in another order, but keeps when they were created.
    return sorted(found.values(), key=lambda process: (process.begin, process.pk))


def _called_by(level: dict[int, tuple[str, ...]]) -> Iterator[CalledProcess]:
    """Yield the processes called by the given ones; ``level`` holds the path to each."""
    projections = [
        'id',
        'uuid',
        'process_type',
        'attributes.process_label',
        'attributes.process_state',
        'attributes.exit_status',
        'attributes.exit_message',
        'ctime',
        'mtime',
        'node_type',
    ]
    calls = {'type': {'in': [LinkType.CALL_CALC.value, LinkType.CALL_WORK.value]}}
    for identifiers in batches(level):
        query = QueryBuilder().append(ProcessNode, filters={'id': {'in': identifiers}}, project='id', tag='caller')
        query.append(ProcessNode, with_incoming='caller', edge_filters=calls, edge_project='label', project=projections)
        for caller, pk, uuid, kind, label, state, status, message, begin, end, node_type, link in query.iterall():
            yield CalledProcess(
                pk=pk,
                uuid=uuid,
                process_label=label or '',
                process_type=kind or '',
                is_calculation=node_type.startswith('process.calculation'),
                path=(*level[caller], link),
                state=state or 'created',
                exit_status=status,
                exit_message=message or '',
                begin=begin,
                end=end,
            )


def calculations_of(study: ProcessNode | None) -> set[int] | None:
    """Return the identifiers of the calculations of a study; None, which means all, without a study."""
    if study is None:
        return None
    return {process.pk for process in called_processes(study) if process.is_calculation}
