"""Let a foundation model find the frames that it has to learn: run it, label what it visits, fine-tune it on that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import WorkChain, if_, while_
from aiida.orm import AbstractCode, ArrayData, Dict, Int

from aiida_edl.calculations.functions.held_out_frames import held_out_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.learning_rounds import MeanError
from aiida_edl.workflows.fine_tuning_steps import FineTuningStepsMixin
from aiida_edl.workflows.iterative_fine_tuning_checks import validate_iterative_fine_tuning
from aiida_edl.workflows.iterative_fine_tuning_settings import IterativeFineTuningSettings, validate_settings
from aiida_edl.workflows.label_check import LabelCheckMixin
from aiida_edl.workflows.labelled_rounds import LabelledRoundsMixin
from aiida_edl.workflows.learning_bookkeeping import why_own_error_too_large
from aiida_edl.workflows.learning_protocol import fill_learning_builder
from aiida_edl.workflows.own_frames import OwnFramesMixin
from aiida_edl.workflows.protocols.mixin import ProtocolMixin

FROM_ROUND = ('dataset', 'split', 'elements', 'atomic_energies', 'parent_potential', 'checkpoint', 'remedies')
"""Inputs of a training that follow from the round, or that no round takes from outside."""


class IterativeFineTuningWorkChain(
    LabelCheckMixin, OwnFramesMixin, LabelledRoundsMixin, FineTuningStepsMixin, ProtocolMixin, WorkChain
):
    """Run a potential, label frames that it visits, see how wrong it was there, fine-tune it on them, and so on.

    First some known frames are labelled again: an engine that gives other labels than the data set has ends it. The
    potential of round 0 is the parent itself, or the parent fine-tuned on the training frames of the beginning if there
    are any. The potential of each round is measured on the labels of the frames that the next round finds with it,
    before any potential has learnt them: that error decides when it is over. Every round ends with a training on all
    that was labelled, the last one too. After ``maximum_rounds`` that is the warning 701. The test frames are those of
    the initial split: no new frame near them is used.

    The runs skip the parity gate, which is recorded: every frame that is learnt has a label, and the error is computed
    with the trainer's own calculator. An engine that runs another potential than was trained visits other frames, and
    puts nothing wrong into the data. Before production the potentials have to pass the gate.

    A run that explodes and a label that is rejected are reported; the rest goes on as long as there are a frame, a
    label and a potential.
    """

    protocol_file = 'iterative_fine_tuning.yaml'
    settings_class = IterativeFineTuningSettings

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input('parent_potential', valid_type=PotentialData, help='The potential that is fine-tuned.')
        spec.input(
            'dataset', valid_type=DatasetData, help='Labelled frames of the beginning, the test frames at least.'
        )
        spec.input(
            'split',
            valid_type=ArrayData,
            help='Its `training` and `validation`, which may be empty, and `test`, which stays as it is.',
        )
        spec.input_namespace(
            'structures', valid_type=DatasetData, dynamic=True, help='Frames from which the dynamics begins, by label.'
        )
        spec.input(
            'settings',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_settings,
            help='Fields of `IterativeFineTuningSettings`; the rest is default.',
        )
        spec.input(
            'atomic_energies',
            valid_type=Dict,
            required=False,
            help='Reference energy of each element [eV], for all rounds; fitted to the training frames of each round '
            'without it.',
        )
        cls.define_jobs(spec, FROM_ROUND)
        spec.inputs.validator = validate_iterative_fine_tuning
        cls.define_results(spec)
        spec.outline(
            cls.start,
            if_(cls.should_check_labels)(cls.label_known_frames, cls.compare_with_known),
            if_(cls.should_continue)(cls.fine_tune, cls.test_potential, cls.close_round),
            while_(cls.should_continue)(
                cls.run_dynamics,
                cls.select_frames,
                if_(cls.should_label)(cls.label_frames, cls.measure_own_error, cls.extend_data),
                if_(cls.should_continue)(cls.fine_tune, cls.test_potential),
                cls.close_round,
            ),
            cls.conclude,
        )

    @classmethod
    def define_results(cls, spec: Any) -> None:
        """Define outputs and exit codes.

        :param spec: specification of the work chain.
        """
        cls.define_data(spec)
        spec.output_namespace(
            'potentials',
            valid_type=PotentialData,
            dynamic=True,
            help='Potential at the end of each round, as `round_01`; that of `round_00` has seen no frame of its own.',
        )
        spec.output_namespace('errors', valid_type=Dict, dynamic=True, help='Their errors on the test frames.')
        spec.output_namespace(
            'own_errors',
            valid_type=Dict,
            dynamic=True,
            help='Errors on the frames of each round, of the potential that found them and has not learnt them.',
        )
        spec.exit_code(457, 'ERROR_NO_PHYSICAL_FRAME', message='Not one frame of the dynamics is physical: {reason}')
        spec.exit_code(511, 'ERROR_NO_POTENTIAL', message='The potential could not be trained: {reason}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='Fine-tuning has converged, but parts failed: {failures}')
        spec.exit_code(701, 'WARNING_NOT_CONVERGED', message='Fine-tuning has not converged: {reason}')

    @classmethod
    def get_builder_from_protocol(
        cls,
        codes: Mapping[str, AbstractCode],
        *,
        parent_potential: PotentialData,
        dataset: DatasetData,
        split: ArrayData,
        structures: Mapping[str, DatasetData],
        engine: str,
        model_parameters: Mapping[str, Any] | None = None,
        replay_dataset: DatasetData | None = None,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Any:
        """Return a builder with the values of a protocol; architecture and precision are those of the parent.

        :param codes: code of the ``training``, which evaluates too, of the ``labelling``, and of the ``md`` (that of
            the training without one).
        :param parent_potential: the potential that is fine-tuned.
        :param dataset: labelled frames of the beginning, the test frames at least.
        :param split: their split, with test frames.
        :param structures: frames from which the dynamics begins, by label.
        :param engine: single-point engine of the labels.
        :param model_parameters: its parameters, the very ones of the labels in ``dataset``.
        :param replay_dataset: frames of the training of the parent, for the mode ``multihead_replay``.
        :param protocol: its name; None for the default.
        :param overrides: nested values that replace those of the protocol.
        :param options: scheduler options by name of the code.
        :raises aiida_edl.registry.UnknownNameError: for an unknown protocol of the architecture.
        :raises aiida_edl.workflows.protocols.mixin.ProtocolError: for an unknown protocol or key.
        """
        values = cls.get_protocol_inputs(protocol, overrides)
        builder = cls.get_builder()
        builder.parent_potential = parent_potential
        builder.dataset, builder.split, builder.structures = dataset, split, dict(structures)
        builder.settings, builder.max_iterations = Dict(values['settings']), Int(values['max_iterations'])
        of_training = dict(values['training'])
        further: dict[str, Any] = {'seed': Int(of_training.pop('seed'))}
        further['fine_tuning'] = Dict(of_training.pop('fine_tuning'))
        if replay_dataset is not None:
            further['replay_dataset'] = replay_dataset
        fill_learning_builder(
            builder,
            codes,
            architecture=parent_potential.architecture,
            engine=engine,
            values={**values, 'training': {'precision': parent_potential.precision, **of_training}},
            options=options or {},
            model_parameters=model_parameters,
            further=further,
        )
        return builder

    def start(self) -> None:
        """Mark the initial frames as those of round 0, and take the parent as the first potential."""
        self.ctx.round, self.ctx.ending = 0, None
        self.ctx.rows, self.ctx.own_errors = {}, []
        self.ctx.explored, self.ctx.selected, self.ctx.tested = {}, None, None
        self.ctx.potential, self.ctx.is_fine_tuned = self.inputs.parent_potential, False
        self._extend(self.inputs.dataset, self.inputs.split)
        self.ctx.split_of_potential = self.ctx.split
        self.ctx.has_new_labels = bool(len(self.ctx.split.get_array('training')))
        self.ctx.test_frames = self.call_once(
            held_out_frames, 'held_out_frames', dataset=self.ctx.dataset, split=self.ctx.split
        )

    def _why_not_converged(self) -> str:
        """Return why the rounds that are allowed were not enough."""
        errors = [MeanError(*pair) for pair in self.ctx.own_errors]
        return why_own_error_too_large(self.settings.maximum_rounds, errors, self.settings.stop)
