"""Let potentials find the frames that they have to learn: explore, see where a committee disagrees, label, retrain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.orm import AbstractCode, ArrayData, Dict, Int, List

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.learning_round import learning_round
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.learning_rounds import MeanError, is_stagnant
from aiida_edl.workflows.active_learning_checks import validate_active_learning
from aiida_edl.workflows.active_learning_settings import (
    ActiveLearningSettings,
    StartFrom,
    validate_committee,
    validate_settings,
)
from aiida_edl.workflows.ensemble_training import EnsembleTrainingWorkChain
from aiida_edl.workflows.exploration import ExplorationMixin
from aiida_edl.workflows.label_check import LabelCheckMixin
from aiida_edl.workflows.labelled_rounds import LabelledRoundsMixin
from aiida_edl.workflows.learning_bookkeeping import mean_force_error, members_of, why_not_converged
from aiida_edl.workflows.learning_protocol import fill_learning_builder
from aiida_edl.workflows.learning_steps import CONVERGED
from aiida_edl.workflows.protocols.mixin import ProtocolMixin
from aiida_edl.workflows.training import TrainingWorkChain

FROM_ROUND = ('dataset', 'split', 'seed', 'elements', 'atomic_energies')
"""Inputs of a training that follow from the round."""
NOT_REPEATED = ('checkpoint', 'parent_potential', 'fine_tuning', 'replay_dataset', 'remedies')
"""Inputs of a training that no round takes from outside."""


class ActiveLearningWorkChain(LabelCheckMixin, LabelledRoundsMixin, ExplorationMixin, ProtocolMixin, WorkChain):
    """Train a committee, explore with it, label frames on which it disagrees, add them to the data, and so on.

    First some known frames are labelled again: an engine that gives other labels than the data set has ends it. Every
    round ends with labels for the frames whose largest force deviation lies in the uncertainty window. It is over
    when the stop rule holds, or after ``maximum_rounds`` explorations and a training on all that was labelled, which is
    the warning 701. The test frames are those of the initial split: no new frame near them is used.

    The runs skip the parity gate, which is recorded: deviations are computed with the trainer's own calculator, and
    every frame that is learnt has a label. An engine that runs another potential than was trained proposes worse
    frames, and puts nothing wrong into the data. Before production the potentials have to pass the gate.

    A run that explodes, a member that cannot be trained and a label that is rejected are reported; the rest goes on as
    long as there are two members, a frame and a label.
    """

    protocol_file = 'active_learning.yaml'
    settings_class = ActiveLearningSettings

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input('dataset', valid_type=DatasetData, help='Labelled frames of the beginning.')
        spec.input(
            'split', valid_type=ArrayData, help='Its `training`, `validation` and `test`; the test stays as it is.'
        )
        spec.input_namespace(
            'structures', valid_type=DatasetData, dynamic=True, help='Frames from which the dynamics begins, by label.'
        )
        spec.input('seeds', valid_type=List, validator=validate_committee, help='Seeds of the members, at least two.')
        spec.input(
            'settings',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_settings,
            help='Fields of `ActiveLearningSettings`; the rest is default.',
        )
        spec.input(
            'atomic_energies',
            valid_type=Dict,
            required=False,
            help='Reference energy of each element [eV], for all rounds; fitted to the initial training without it.',
        )
        cls.define_jobs(spec, (*FROM_ROUND, *NOT_REPEATED))
        spec.inputs.validator = validate_active_learning
        cls.define_data(spec)
        spec.output_namespace('potentials', valid_type=PotentialData, dynamic=True, help='Last committee, by seed.')
        spec.output_namespace('errors', valid_type=Dict, dynamic=True, help='Its errors on the test frames, by seed.')
        spec.outline(
            cls.start,
            if_(cls.should_check_labels)(cls.label_known_frames, cls.compare_with_known),
            while_(cls.should_continue)(
                cls.train_committee,
                cls.inspect_committee,
                if_(cls.should_continue)(cls.run_dynamics, cls.predict_forces, cls.select_frames),
                if_(cls.should_label)(cls.label_frames, cls.extend_data),
                cls.close_round,
            ),
            cls.conclude,
        )
        spec.exit_code(456, 'ERROR_NO_CANDIDATE', message='There is nothing left to learn from: {reason}')
        spec.exit_code(511, 'ERROR_COMMITTEE_TOO_SMALL', message='Fewer than two members are left: {reason}')
        spec.exit_code(
            700, 'WARNING_PARTS_FAILED', message='Active learning has converged, but parts failed: {failures}'
        )
        spec.exit_code(701, 'WARNING_NOT_CONVERGED', message='Active learning has not converged: {reason}')

    @classmethod
    def get_builder_from_protocol(
        cls,
        codes: Mapping[str, AbstractCode],
        *,
        dataset: DatasetData,
        split: ArrayData,
        structures: Mapping[str, DatasetData],
        architecture: str,
        engine: str,
        model_parameters: Mapping[str, Any] | None = None,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Any:
        """Return a builder with the values of a protocol.

        :param codes: code of the ``training``, which evaluates too, of the ``labelling``, and of the ``md`` (that of
            the training without one).
        :param dataset: labelled frames of the beginning.
        :param split: their split, with test frames.
        :param structures: frames from which the dynamics begins, by label.
        :param architecture: entry-point name.
        :param engine: single-point engine of the labels.
        :param model_parameters: its parameters, the very ones of the labels in ``dataset``.
        :param protocol: its name; None for the default.
        :param overrides: nested values that replace those of the protocol.
        :param options: scheduler options by name of the code.
        :raises aiida_edl.registry.UnknownNameError: for an unknown architecture, or protocol of it.
        :raises aiida_edl.workflows.protocols.mixin.ProtocolError: for an unknown protocol or key.
        """
        values = cls.get_protocol_inputs(protocol, overrides)
        builder = cls.get_builder()
        builder.dataset, builder.split, builder.structures = dataset, split, dict(structures)
        builder.seeds, builder.settings = List(values['seeds']), Dict(values['settings'])
        builder.max_iterations = Int(values['max_iterations'])
        fill_learning_builder(
            builder,
            codes,
            architecture=architecture,
            engine=engine,
            values=values,
            options=options or {},
            model_parameters=model_parameters,
        )
        return builder

    def start(self) -> None:
        """Mark the initial frames as those of round 0, and fix the atomic energies."""
        self.ctx.round, self.ctx.ending, self.ctx.has_new_labels = 0, None, True
        self.ctx.rows, self.ctx.shares, self.ctx.mean_errors = {}, [], []
        self.ctx.committee, self.ctx.errors = {}, {}
        self._extend(self.inputs.dataset, self.inputs.split)
        self.ctx.atomic_energies = self._atomic_energies('fit_atomic_energies', 'subtract_electrostatics')

    def train_committee(self) -> ToContext | None:
        """Train the members on all labels there are; keep them if none has come."""
        self.ctx.round += 1
        self.ctx.explored, self.ctx.selected = {}, None
        self.ctx.is_retrained, self.ctx.has_new_labels = self.ctx.has_new_labels, False
        if not self.ctx.is_retrained:
            self.report('no label has come since the last training: its committee stays')
            return None
        retraining, self.ctx.split_of_committee = self.settings.retraining, self.ctx.split
        training = {
            **self.exposed_inputs(TrainingCalculation, 'training'),
            'dataset': self.ctx.dataset,
            'split': self.ctx.split,
            'elements': List(list(self.ctx.dataset.elements)),
            'atomic_energies': self.ctx.atomic_energies,
        }
        further: dict[str, Any] = {}
        if self.ctx.committee and retraining.gradient_updates:
            training['gradient_updates'] = Int(retraining.gradient_updates)
        if self.ctx.committee and retraining.start_from == StartFrom.PREVIOUS.value:
            further['parent_potentials'] = dict(self.ctx.committee)
        label = self._label('committee')
        child = self.submit(
            EnsembleTrainingWorkChain,
            **self.exposed_inputs(TrainingWorkChain),
            training=training,
            seeds=self.inputs.seeds,
            max_iterations=self.inputs.max_iterations,
            **further,
            metadata={'call_link_label': label},
        )
        self.report(f'training {len(self.inputs.seeds)} members on {len(self.ctx.split.get_array("training"))} frames')
        return ToContext(**{label: child})

    def inspect_committee(self) -> None:
        """Take the members and their errors; end if they are too few, learn no more, or it was the last training."""
        if self.ctx.is_retrained:
            self._take_committee(self.ctx[self._label('committee')])
        if len(self.ctx.committee) < 2:
            self._end('ERROR_COMMITTEE_TOO_SMALL', '; '.join(self.failures))
        elif reason := is_stagnant([MeanError(*pair) for pair in self.ctx.mean_errors], self.settings.stop):
            self._end(CONVERGED, reason)
        elif self.ctx.round > self.settings.maximum_rounds:
            settings = self.settings
            reason = why_not_converged(settings.maximum_rounds, self.ctx.shares, settings.stop)
            self._end('WARNING_NOT_CONVERGED', reason)

    def _take_committee(self, child: Any) -> None:
        """Take the members that were trained and tested."""
        if has_results(child.exit_status) and not child.is_finished_ok:
            self.note_failure(f'part of the committee of round {self.ctx.round} ({child.exit_message})')
        elif not child.is_finished_ok:
            self.note_failed_child(child, f'committee of round {self.ctx.round}')
        self.ctx.committee, self.ctx.errors = members_of(child)
        if error := mean_force_error(self.ctx.errors):
            self.ctx.mean_errors.append((error.mean, error.standard_error))
            self.report(f'force error on the test frames: {error.mean:.4f} ± {error.standard_error:.4f} eV/Å')

    def close_round(self) -> None:
        """Draw up the round."""
        explored, name = dict(self.ctx.explored), f'round_{self.ctx.round:02d}'
        facts = {key: explored.pop(key) for key in ('runs', 'failed_runs') if key in explored}
        facts |= {'round': self.ctx.round, 'is_retrained': self.ctx.is_retrained}
        facts['wall_seconds'] = self._wall_seconds()
        self.ctx.rows[name] = self.call_once(
            learning_round,
            self._label('report'),
            split=self.ctx.split_of_committee,
            facts=Dict(facts),
            **explored,
            **self.ctx.errors,
        )

    def conclude(self) -> Any:
        """Attach the last committee and what there is besides, and say how it ended."""
        for name, potential in self.ctx.committee.items():
            self.out(f'potentials.{name}', potential)
            self.out(f'errors.{name}', self.ctx.errors[name])
        return super().conclude()
