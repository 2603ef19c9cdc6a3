"""The questions a referee asks, one function each; every row names its nodes by UUID, which holds in every profile.

``study`` limits a question to what one process, e.g. a benchmark, called; without it the whole profile answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from aiida.common.links import LinkType
from aiida.orm import ArrayData, CalcJobNode, Data, Dict, ProcessNode, QueryBuilder, WorkChainNode
from numpy.typing import NDArray

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.graph import (
    SINGLE_POINT_PREFIX,
    STAGES,
    CalledProcess,
    batches,
    calculations_of,
    called_processes,
)
from aiida_edl.provenance.lineage import CREATE, training_of, training_set_names, with_long_range_part
from aiida_edl.provenance.rows import (
    Cost,
    DependentFigure,
    Failure,
    ProtocolRun,
    Rejected,
    TrainedPotential,
    TrainingLabels,
)
from aiida_edl.science.analysis.remedies import remedy_name
from aiida_edl.science.charge_state import ions_per_frame

SUMMARY_LABELS = ('training_summary', 'evaluation_summary', 'md_summary', 'label_summary')
"""Outputs in which engines state times and versions."""
FIGURE_SOURCES = {
    'interface_profiles': 'orientation, ions, densities, angles',
    'model_spread': 'spread',
    'error_metrics': 'errors, energy shifts',
    'training_penalty': 'force ratios',
    'angular_distributions': 'angles in layers',
    'potential_profile': 'potential, electric field',
    'interface_structure': 'radial distributions',
    'interface_dynamics': 'survival, reorientation',
    'convergence': 'convergence',
    'capacitance': 'capacitance',
    'compare_solvent_dipoles': 'solvent dipoles',
    'survival_of_runs': 'survival of runs',
    'learning_curve_over_size': 'errors over size',
    'receptive_field_ranking': 'receptive fields',
    'TrainingCalculation': 'learning curves',
}
"""Figures of the report by the calculation that makes their numbers."""


def trained_potentials(study: ProcessNode | None = None) -> list[TrainedPotential]:
    """Return every potential with what it was trained on, by architecture, training set and seed.

    :param study: limits the answer to one study.
    """
    return _trained(calculations_of(study), {})


def potentials_trained_only_on(charge_label: str, study: ProcessNode | None = None) -> list[TrainedPotential]:
    """Return the potentials that saw one charge state only.

    :param charge_label: e.g. ``'2Na'``.
    :param study: limits the answer to one study.
    """
    key = f'attributes.{PotentialData.KEY_TRAINING_CHARGE_LABELS}'
    return _trained(calculations_of(study), {key: {'and': [{'contains': [charge_label]}, {'of_length': 1}]}})


def _trained(calculations: set[int] | None, filters: Mapping[str, Any]) -> list[TrainedPotential]:
    """Return potentials that pass the filters and were made by the given calculations."""
    query = QueryBuilder().append(CalcJobNode, tag='training', project=['id', 'uuid'])
    keys: tuple[str, ...] = ('architecture', 'seed', 'training_charge_labels', 'gradient_updates', 'receptive_field')
    keys += (PotentialData.KEY_LEVEL_OF_THEORY, PotentialData.KEY_TOTAL_CHARGE_COLUMN)
    projections = ['uuid', *(f'attributes.{key}' for key in keys)]
    query.append(
        PotentialData, with_incoming='training', edge_filters=CREATE, filters=dict(filters), project=projections
    )
    query.append(DatasetData, with_outgoing='training', edge_filters={'label': 'dataset'}, project='uuid')
    query.append(ArrayData, with_outgoing='training', edge_filters={'label': 'split'}, project=['id', 'uuid'])
    found = [row for row in query.all() if calculations is None or row[0] in calculations]
    names = training_set_names({row[-2] for row in found})
    wholes = with_long_range_part((row[2] for row in found), calculations)
    potentials = []
    for _, training, part, *known, dataset, split_pk, split in found:
        architecture, seed, labels, updates, receptive_field, level, charge_column = known
        uuid, level = wholes.get(part, (part, level))
        potentials.append(
            TrainedPotential(
                potential=uuid,
                architecture=architecture,
                training_set=names.get(split_pk, ''),
                seed=seed,
                training_charge_labels=tuple(labels),
                gradient_updates=updates,
                receptive_field=receptive_field,
                level_of_theory=level,
                dataset=dataset,
                split=split,
                training=training,
                remedy=remedy_name(charge_column is not None, part in wholes),
            )
        )
    return sorted(potentials, key=lambda row: (row.architecture, row.training_set, row.seed, row.potential))


def labels_behind_potential(potential: PotentialData) -> list[TrainingLabels]:
    """Return which labels trained a potential, one row for each charge state.

    :param potential: the potential.
    :raises ValueError: if no training calculation made it, e.g. because it was imported.
    """
    training = training_of(potential)
    dataset, split = training.inputs.dataset, training.inputs.split
    offsets, numbers = dataset.get_array('offsets'), dataset.get_array('numbers')
    ions = ions_per_frame(numbers, offsets)
    labels = {sum(state['ions'].values()): state['label'] for state in dataset.base.attributes.get('charge_states')}
    calculations = labelling_calculations(dataset)
    rows = []
    for n_ions, label in sorted(labels.items()):
        counts = {name: _count(ions, split.get_array(name), n_ions) for name in ('training', 'validation')}
        if counts['training'] or counts['validation']:
            rows.append(
                TrainingLabels(
                    potential=potential.uuid,
                    charge_state=label,
                    level_of_theory=dataset.level_of_theory,
                    n_training=counts['training'],
                    n_validation=counts['validation'],
                    dataset=dataset.uuid,
                    split=split.uuid,
                    labelling=tuple(sorted(uuid for uuid, states in calculations.items() if label in states)),
                )
            )
    return rows


def _count(ions: NDArray[np.int64], frames: NDArray[np.int64], n_ions: int) -> int:
    return int(np.count_nonzero(ions[frames] == n_ions))


def labelling_calculations(dataset: DatasetData) -> dict[str, tuple[str, ...]]:
    """Return the calculations that made the labels of a data set, each with the charge labels of its frames.

    :param dataset: labelled frames.
    """
    query = QueryBuilder().append(DatasetData, filters={'id': dataset.pk}, tag='dataset')
    filters = {'process_type': {'like': f'{SINGLE_POINT_PREFIX}%'}}
    query.append(CalcJobNode, with_descendants='dataset', filters=filters, project='uuid', tag='calculation')
    query.append(
        DatasetData,
        with_outgoing='calculation',
        edge_filters={'label': 'dataset'},
        project=f'attributes.{DatasetData.KEY_CHARGE_LABELS}',
    )
    return {uuid: tuple(labels) for uuid, labels in query.distinct().all()}


def all_errors(study: ProcessNode | None = None) -> list[dict[str, Any]]:
    """Return all errors on test frames: for each potential the rows of ``error_metrics``.

    Columns ``architecture``, ``training_set``, ``seed``, ``potential``, then those of
    :class:`~aiida_edl.science.analysis.error_metrics.ErrorRow`. Errors after a fit of energies of the elements are not
    among them: they do not compare with the others.

    :param study: limits the answer to one study.
    """
    calculations = calculations_of(study)
    potentials = {row.potential: row for row in _trained(calculations, {})}
    query = QueryBuilder().append(PotentialData, project='uuid', tag='potential')
    query.append(CalcJobNode, with_incoming='potential', edge_filters={'label': 'potential'}, tag='evaluation')
    query.append(ArrayData, with_incoming='evaluation', edge_filters=CREATE, tag='predictions')
    metrics = {'attributes.process_label': 'error_metrics'}
    query.append(ProcessNode, with_incoming='predictions', filters=metrics, project='id', tag='metrics')
    projections = ['attributes.rows', 'attributes.summary.energy_zero']
    query.append(Dict, with_incoming='metrics', edge_filters=CREATE, project=projections)
    rows = []
    for uuid, metrics_pk, table, energy_zero in query.all():
        if calculations is not None and metrics_pk not in calculations:
            continue
        potential = potentials.get(uuid)
        if potential is None or not table or energy_zero:
            continue
        model = {key: getattr(potential, key) for key in ('architecture', 'training_set', 'seed', 'potential')}
        rows += [{**model, **row} for row in table]
    order: tuple[str, ...] = ('architecture', 'training_set', 'seed', 'scope', 'charge_state', 'name', 'potential')
    return sorted(rows, key=lambda row: tuple(str(row[key]) for key in order))


def best_force_rmse_per_architecture(study: ProcessNode | None = None) -> list[dict[str, Any]]:
    """Return for each architecture, remedy and training set the model with the smallest force RMSE per charge state.

    :param study: limits the answer to one study.
    """
    remedies = {row.potential: row.remedy for row in trained_potentials(study)}
    best: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for row in all_errors(study):
        if row['scope'] not in ('all', 'charge_state') or row['force_rmse_ev_per_angstrom'] is None:
            continue
        remedy = remedies[row['potential']]
        key = (row['architecture'], remedy, row['training_set'], row['charge_state'])
        if key not in best or row['force_rmse_ev_per_angstrom'] < best[key]['force_rmse_ev_per_angstrom']:
            best[key] = {**row, 'remedy': remedy}
    columns: tuple[str, ...] = (
        'architecture',
        'remedy',
        'training_set',
        'charge_state',
        'seed',
        'force_rmse_ev_per_angstrom',
    )
    columns += ('force_rmse_error_ev_per_angstrom', 'energy_rmse_ev_per_atom', 'n_frames', 'potential')
    return [{column: row[column] for column in columns} for _, row in sorted(best.items())]


def hyperparameters(potentials: Iterable[TrainedPotential]) -> dict[str, dict[str, Any]]:
    """Return the hyperparameters of each architecture; where its trainings differ, the list of values that occur.

    :param potentials: potentials of a study.
    """
    architectures = {row.training: row.architecture for row in potentials}
    query = QueryBuilder().append(CalcJobNode, filters={'uuid': {'in': list(architectures) or ['']}}, project='uuid')
    edges = {'label': 'hyperparameters'}
    query.append(Dict, with_outgoing=CalcJobNode, edge_filters=edges, project='attributes')
    found: dict[str, dict[str, list[Any]]] = {}
    for training, values in query.all():
        known = found.setdefault(architectures[training], {})
        for name, value in values.items():
            if value not in known.setdefault(name, []):
                known[name].append(value)
    return {
        architecture: {name: kept[0] if len(kept) == 1 else kept for name, kept in sorted(values.items())}
        for architecture, values in sorted(found.items())
    }


def summaries(processes: list[CalledProcess]) -> dict[int, dict[str, Any]]:
    """Return what engines state of times and versions, by the identifier of their calculation.

    :param processes: processes of a study.
    """
    found: dict[int, dict[str, Any]] = {}
    for identifiers in batches(process.pk for process in processes if process.is_calculation):
        query = QueryBuilder().append(CalcJobNode, filters={'id': {'in': identifiers}}, project='id', tag='job')
        edges = {**CREATE, 'label': {'in': list(SUMMARY_LABELS)}}
        query.append(Dict, with_incoming='job', edge_filters=edges, project='attributes')
        found |= dict(query.all())
    return found


def cost_per_stage(study: ProcessNode) -> list[Cost]:
    """Return what each stage of a study did cost, calculations reused from the cache at their original cost.

    :param study: e.g. a benchmark.
    """
    processes = [process for process in called_processes(study) if process.is_calculation]
    stated = summaries(processes)
    rows = []
    for stage in STAGES:
        members = [process for process in processes if process.stage == stage]
        if not members:
            continue
        times = [stated.get(process.pk, {}) for process in members]
        rows.append(
            Cost(
                stage=stage,
                calculations=len(members),
                failed=sum(process.has_failed for process in members),
                wall_seconds=round(sum(entry.get('wall_seconds') or 0.0 for entry in times), 1),
                cpu_seconds=round(sum(entry.get('cpu_seconds') or 0.0 for entry in times), 1),
                elapsed_seconds=round(sum((p.end - p.begin).total_seconds() for p in members), 1),
            )
        )
    return rows


def runs_with_protocol(protocol: str) -> list[ProtocolRun]:
    """Return the runs that took their settings from a protocol, the oldest first.

    :param protocol: its name.
    """
    query = QueryBuilder().append(Dict, filters={'attributes.protocol': protocol}, tag='settings')
    keys = ('process_label', 'process_state', 'exit_status')
    projections = ['uuid', 'label', *(f'attributes.{key}' for key in keys)]
    query.append(
        WorkChainNode,
        with_incoming='settings',
        edge_filters={'type': LinkType.INPUT_WORK.value},
        project=projections,
        tag='run',
    )
    query.order_by({'run': 'ctime'})
    return [
        ProtocolRun(process=uuid, process_label=name, label=label, state=state, exit_status=status)
        for uuid, label, name, state, status in query.all()
    ]


def figures_depending_on(node: Data, study: ProcessNode | None = None) -> list[DependentFigure]:
    """Return the numbers behind figures that follow from a node, e.g. a data set.

    :param node: any data node.
    :param study: limits the answer to one study.
    """
    calculations = calculations_of(study)
    query = QueryBuilder().append(Data, filters={'id': node.pk}, tag='origin')
    filters = {'attributes.process_label': {'in': list(FIGURE_SOURCES)}}
    projections = ['id', 'attributes.process_label']
    query.append(ProcessNode, with_ancestors='origin', filters=filters, project=projections, tag='calculation')
    query.append(Data, with_incoming='calculation', edge_filters=CREATE, edge_project='label', project='uuid')
    rows = [
        DependentFigure(FIGURE_SOURCES[name], name, uuid, output)
        for pk, name, uuid, output in query.distinct().all()
        if (calculations is None or pk in calculations)
        and (name != 'TrainingCalculation' or output == 'learning_curve')
    ]
    return sorted(rows, key=lambda row: (row.figure, row.node))


def rejected_frames(study: ProcessNode | None = None) -> list[Rejected]:
    """Return every frame whose label did not pass the gate, with the reason.

    :param study: limits the answer to one study.
    """
    calculations = calculations_of(study)
    query = QueryBuilder().append(
        ProcessNode, filters={'attributes.process_label': 'assemble_labels'}, project=['id', 'uuid'], tag='gate'
    )
    query.append(Dict, with_incoming='gate', edge_filters={**CREATE, 'label': 'rejected'}, project='attributes.frames')
    query.append(
        DatasetData,
        with_outgoing='gate',
        edge_filters={'label': 'dataset'},
        project=f'attributes.{DatasetData.KEY_CHARGE_LABELS}',
    )
    rows = [
        Rejected('+'.join(labels), int(frame['frame']), frame['reason'], uuid)
        for pk, uuid, frames, labels in query.all()
        if calculations is None or pk in calculations
        for frame in frames or []
    ]
    return sorted(rows, key=lambda row: (row.charge_state, row.labelling, row.frame))


def failed_processes(study: ProcessNode) -> list[Failure]:
    """Return every process of a study that ended without success, in the order of the calls.

    :param study: e.g. a benchmark.
    """
    return [
        Failure(process.name, process.process_label, process.exit_status, process.exit_message, process.uuid)
        for process in called_processes(study)
        if process.has_failed
    ]
