"""Everything a benchmark has found, read from the graph once, as plain values for tables, figures and text."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida.common.links import LinkType
from aiida.orm import ArrayData, CalcFunctionNode, CalcJobNode, Dict, ProcessNode, QueryBuilder

from aiida_edl.architectures.base import LearningCurve
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance import queries
from aiida_edl.provenance.analysed_runs import PROFILES, AnalysedRun, collect_analyses, of_profiles
from aiida_edl.provenance.composition import Composition, composition
from aiida_edl.provenance.graph import CalledProcess, batches, called_processes
from aiida_edl.provenance.group_results import GroupResult, collect_groups
from aiida_edl.provenance.locality_queries import LocalityResult
from aiida_edl.provenance.progress import settings_of
from aiida_edl.provenance.rows import Cost, Failure, Rejected, TrainedPotential
from aiida_edl.provenance.study_findings import (
    GivenPotential,
    given_potentials,
    locality_of_study,
    remedies_in_study,
)
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.training_sets import training_kind

WATER_EDGE_DENSITY = 0.5
"""Density at which a film of water ends: half of that of liquid water [g/cm³]."""


@dataclass(frozen=True)
class Study:
    """The process itself."""

    uuid: str
    label: str
    state: str
    exit_status: int | None
    exit_message: str
    begin: datetime.datetime
    end: datetime.datetime

    @property
    def elapsed_seconds(self) -> float:
        """From creation to end [s]."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True)
class BenchmarkResults:
    """What a benchmark has found; parts that failed are absent."""

    study: Study
    settings: Mapping[str, Any]
    """The whole matrix."""
    charge_states: tuple[Mapping[str, Any], ...]
    """Label, ions, metal charge [e], area [Å²], surface charge [e/Å²] and [µC/cm²] of each charge state."""
    level_of_theory: str
    """What made the labels; empty if nothing was labelled."""
    n_frames: int
    """Labelled frames."""
    potentials: tuple[TrainedPotential, ...]
    profiles: tuple[ModelProfile, ...]
    """Profiles of models and reference."""
    learning_curves: tuple[tuple[TrainedPotential, LearningCurve], ...]
    errors: tuple[Mapping[str, Any], ...]
    """Rows of :func:`~aiida_edl.provenance.queries.all_errors`."""
    answer: Mapping[str, Any]
    """Result of ``model_spread``; empty if there is none."""
    cost: tuple[Cost, ...]
    rejected: tuple[Rejected, ...]
    n_labelled: int
    """Frames that were labelled, rejected ones included."""
    failures: tuple[Failure, ...]
    versions: Mapping[str, tuple[str, ...]]
    """Versions of the engines by distribution."""
    penalty: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Result of ``training_penalty``; empty if there is none."""
    ranking: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Result of ``receptive_field_ranking``; empty if there is none."""
    structures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Result of ``compare_structures``; empty if there is none."""
    capacitance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Result of ``capacitance``; empty if there is none."""
    solvent_dipoles: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Result of ``compare_solvent_dipoles``; empty if there is none."""
    charge_table: tuple[Mapping[str, Any], ...] = ()
    """Rows of ``charge_states``; empty if there are none."""
    compositions: Mapping[str, Composition] = dataclasses.field(default_factory=dict)
    """What the structure of each charge state is made of, by its label."""
    survivals: tuple[GroupResult, ...] = ()
    """How long runs stay physical, by architecture and training set."""
    errors_over_size: tuple[GroupResult, ...] = ()
    """Errors against the size of the training set, by architecture and training set."""
    locality: tuple[LocalityResult, ...] = ()
    """What locality tests found that belong to the study."""
    given: tuple[GivenPotential, ...] = ()
    """Potentials from elsewhere that were tested on the frames of the study."""
    remedies: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What remedies do to the cost of mixed training; empty if the study holds none."""
    analyses: tuple[AnalysedRun, ...] = ()
    """What further analyses found in each run."""
    trainings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Hyperparameters by architecture; where trainings differ, all values that occur."""

    def runs_of(self, analysis: str) -> tuple[AnalysedRun, ...]:
        """Return what an analysis found in each run.

        :param analysis: its name, e.g. ``interface_profiles``.
        """
        if analysis == PROFILES:
            return of_profiles(self.profiles)
        return tuple(run for run in self.analyses if run.analysis == analysis)

    @property
    def excluded_tags(self) -> frozenset[ModelTag]:
        """Runs that left physics and do not count."""
        known = [field.name for field in dataclasses.fields(ModelTag)]
        rows = self.answer.get('excluded', [])
        return frozenset(ModelTag.from_dict({name: row[name] for name in known}) for row in rows)

    @property
    def charge_labels(self) -> tuple[str, ...]:
        """Labels of the charge states in the order of the settings."""
        return tuple(str(state['label']) for state in self.charge_states)

    @property
    def ion(self) -> str:
        """Chemical symbol of the ion."""
        return str(self.settings.get('ion', 'ion'))

    @property
    def metal(self) -> str:
        """Chemical symbol of the metal."""
        return str(self.settings.get('structure', {}).get('metal', 'metal'))

    def of_state(self, charge_label: str, is_reference: bool) -> list[ModelProfile]:
        """Return the profiles at one charge state, of the reference or of the models."""
        return [
            item
            for item in self.profiles
            if item.tag.charge_state == charge_label and item.tag.is_reference == is_reference
        ]

    def water_thickness(self, charge_label: str) -> float | None:
        """Return the height at which the water film of the reference ends [Å]; None without a reference."""
        references = self.of_state(charge_label, is_reference=True)
        if not references:
            return None
        density = np.mean([item.profiles.water_mass_density for item in references], axis=0)
        wet = references[0].profiles.z[density > WATER_EDGE_DENSITY]
        return float(wet.max()) if wet.size else None


def model_name(tag: ModelTag | TrainedPotential | Mapping[str, Any]) -> str:
    """Return the name of a model for people, e.g. ``mace, mixed, seed 1``."""
    values = tag if isinstance(tag, Mapping) else vars(tag)
    parts = [values['architecture'], values['training_set'], f'seed {values["seed"]}']
    return ', '.join(str(part) for part in parts if part)


def collect(study: ProcessNode) -> BenchmarkResults:
    """Return what a benchmark has found so far.

    :param study: process node of the benchmark, finished or not.
    """
    processes = called_processes(study)
    names = _names(processes)
    potentials = tuple(_renamed(item, names) for item in queries.trained_potentials(study))
    answer, profiles = _answer_and_profiles(processes)
    dataset = _dataset(processes)
    states = dataset.base.attributes.get(DatasetData.KEY_CHARGE_STATES) if dataset else _states_of_structures(processes)
    labels = [str(state['label']) for state in states]
    versions: dict[str, set[str]] = {}
    for summary in queries.summaries(processes).values():
        for name, number in (summary.get('versions') or {}).items():
            versions.setdefault(name, set()).add(str(number))
    return BenchmarkResults(
        study=_study(study),
        settings=settings_of(study),
        charge_states=tuple(sorted(states, key=lambda state: sum(state['ions'].values()))),
        level_of_theory=dataset.level_of_theory if dataset else '',
        n_frames=dataset.n_frames if dataset else 0,
        potentials=potentials,
        profiles=profiles,
        learning_curves=_learning_curves(potentials),
        errors=tuple({**row, **names.get(row['potential'], {})} for row in queries.all_errors(study)),
        answer=answer,
        cost=tuple(queries.cost_per_stage(study)),
        rejected=tuple(queries.rejected_frames(study)),
        n_labelled=_n_labelled(processes),
        failures=tuple(queries.failed_processes(study)),
        versions={name: tuple(sorted(numbers)) for name, numbers in sorted(versions.items())},
        penalty=_result(processes, 'training_penalty'),
        ranking=_result(processes, 'receptive_field_ranking'),
        structures=_result(processes, 'compare_structures'),
        capacitance=_result(processes, 'capacitance'),
        solvent_dipoles=_result(processes, 'compare_solvent_dipoles'),
        charge_table=tuple(_result(processes, 'charge_states').get('rows', [])),
        compositions=_compositions(processes),
        survivals=collect_groups(study, 'survivals', potentials),
        errors_over_size=collect_groups(study, 'errors_over_size', potentials),
        locality=locality_of_study(study, potentials),
        given=given_potentials(study, dataset),
        remedies=remedies_in_study(study),
        analyses=collect_analyses(study, potentials, labels),
        trainings=queries.hyperparameters(potentials),
    )


def _names(processes: list[CalledProcess]) -> dict[str, dict[str, Any]]:
    """Return architecture and training set of each potential as the comparison calls them, by its UUID.

    A matrix may hold one architecture under two keys, and one training set in two sizes; the nodes know neither.
    """
    found = _of_function(processes, 'receptive_field_ranking')
    if not found:
        return {}
    function = QueryBuilder().append(CalcFunctionNode, filters={'id': found[-1]}).first(flat=True)
    inputs = {entry.link_label: entry.node for entry in function.base.links.get_incoming(link_type=LinkType.INPUT_CALC)}
    tags = inputs['tags'].get_dict() if 'tags' in inputs else {}
    return {
        inputs[key].uuid: {name: values[name] for name in ('architecture', 'training_set') if name in values}
        for key, values in tags.items()
        if key in inputs
    }


def _renamed(item: TrainedPotential, names: Mapping[str, Mapping[str, Any]]) -> TrainedPotential:
    """Return a potential under the names of the comparison."""
    return dataclasses.replace(item, **names.get(item.potential, {}))


def _study(node: ProcessNode) -> Study:
    return Study(
        uuid=node.uuid,
        label=node.label or node.process_label,
        state=node.process_state.value if node.process_state else 'created',
        exit_status=node.exit_status,
        exit_message=node.exit_message or '',
        begin=node.ctime,
        end=node.mtime,
    )


def _of_function(processes: list[CalledProcess], name: str) -> list[int]:
    """Return the identifiers of the successful calls of a calcfunction."""
    return [process.pk for process in processes if process.process_label == name and process.exit_status == 0]


def _outputs(processes: list[int], kind: type, label: str | None = None) -> list[Any]:
    """Return what calculations made."""
    edges: dict[str, Any] = {'type': LinkType.CREATE.value}
    edges |= {'label': label} if label else {}
    found: list[Any] = []
    for identifiers in batches(processes):
        query = QueryBuilder().append(CalcFunctionNode, filters={'id': {'in': identifiers}}, tag='function')
        found += query.append(kind, with_incoming='function', edge_filters=edges).all(flat=True)
    return found


def _result(processes: list[CalledProcess], name: str) -> dict[str, Any]:
    """Return the dictionary that the last call of a calcfunction made; empty if there was none."""
    found = _outputs(_of_function(processes, name)[-1:], Dict)
    return dict(found[-1].get_dict()) if found else {}


def joined_labels(processes: list[CalledProcess]) -> list[int]:
    """Return the identifiers of the calls that joined the labels, which the study itself calls.

    Runs of one model and parts of an interrupted run are joined by the same function, further down.

    :param processes: processes of a study.
    """
    direct = [process for process in processes if len(process.path) == 1]
    return _of_function(direct, 'join_datasets')


def _dataset(processes: list[CalledProcess]) -> DatasetData | None:
    """Return the data set with all labels."""
    found = _outputs(joined_labels(processes), DatasetData)
    return found[-1] if found else None


def _states_of_structures(processes: list[CalledProcess]) -> list[dict[str, Any]]:
    """Return the charge states of the structures that were built."""
    structures = _outputs(_of_function(processes, 'build_interface'), DatasetData)
    return [state for node in structures for state in node.base.attributes.get(DatasetData.KEY_CHARGE_STATES)]


def _compositions(processes: list[CalledProcess]) -> dict[str, Composition]:
    """Return what the structures that were built are made of, by charge label."""
    structures = _outputs(_of_function(processes, 'build_interface'), DatasetData)
    return {
        str(state['label']): composition(node.frame(0))
        for node in structures
        for state in node.base.attributes.get(DatasetData.KEY_CHARGE_STATES)
    }


def _n_labelled(processes: list[CalledProcess]) -> int:
    """Return how many frames were labelled, rejected ones included."""
    reports = _outputs(_of_function(processes, 'assemble_labels'), Dict, 'rejected')
    return sum(int(node.base.attributes.get('n_frames', 0)) for node in reports)


def _answer_and_profiles(processes: list[CalledProcess]) -> tuple[dict[str, Any], tuple[ModelProfile, ...]]:
    """Return the answer, and the profiles it compares with what they were made with."""
    comparisons = _of_function(processes, 'model_spread')
    if not comparisons:
        return {}, ()
    function = QueryBuilder().append(CalcFunctionNode, filters={'id': comparisons[-1]}).first(flat=True)
    inputs = {entry.link_label: entry.node for entry in function.base.links.get_incoming(link_type=LinkType.INPUT_CALC)}
    tags = inputs.pop('tags').get_dict()
    profiles = [
        ModelProfile(ModelTag.from_dict(tags[key]), stored_result(InterfaceProfiles, inputs[key]))
        for key in sorted(tags)
        if key in inputs
    ]
    return function.outputs.result.get_dict(), tuple(profiles)


def _learning_curves(potentials: tuple[TrainedPotential, ...]) -> tuple[tuple[TrainedPotential, LearningCurve], ...]:
    """Return the learning curve of each potential."""
    by_training = {potential.training: potential for potential in potentials}
    query = QueryBuilder().append(
        CalcJobNode, filters={'uuid': {'in': list(by_training) or ['']}}, project='uuid', tag='training'
    )
    query.append(ArrayData, with_incoming='training', edge_filters={'label': 'learning_curve'}, project='*')
    found = {
        uuid: LearningCurve(**{name: node.get_array(name) for name in LearningCurve.__dataclass_fields__})
        for uuid, node in query.all()
    }
    return tuple((by_training[uuid], found[uuid]) for uuid in by_training if uuid in found)


def kind_of(training_set: str) -> str:
    """Return the kind of a training set, e.g. ``'mixed'``; see :class:`TrainingKind`."""
    return training_kind(training_set).value
