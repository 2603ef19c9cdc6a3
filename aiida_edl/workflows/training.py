"""Train a potential, with restarts and remedies for what commonly goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from aiida.engine import ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, Dict, List

from aiida_edl.architectures.base import Architecture, TrainingOutcome, architectures_with_electrostatics
from aiida_edl.architectures.protocols import hyperparameter_protocol
from aiida_edl.calculations.functions.add_long_range import add_long_range
from aiida_edl.calculations.functions.subtract_electrostatics import LESS_ELECTROSTATICS, subtract_electrostatics
from aiida_edl.calculations.long_range_checks import missing_package, validate_charges
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.calculations.training_checkpoint import UPDATES_DONE
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.workflows.restart import WALLTIMES, InterruptibleWorkChain

DATASETS = ('dataset', 'replay_dataset')
"""Inputs of a training whose labels it learns."""
JOINT = 'joint'
"""Mode in which an architecture learns its electrostatics together with the rest."""
LEARNING_RATE_FACTOR = 0.3
"""By which the learning rate is multiplied after a divergence; dimensionless, chosen here."""


def is_subtracted(long_range: Dict | None) -> TypeGuard[Dict]:
    """Return whether electrostatics is taken off the labels, and added to the potential.

    :param long_range: input of that name.
    """
    return long_range is not None and long_range.get_dict().get('mode') != JOINT


def validate_long_range(long_range: Dict | None, _: Any) -> str | None:
    """Return one sentence if the electrostatics that is to be taken off the labels has no energy."""
    if long_range is None:
        return None
    values = long_range.get_dict()
    if values.get('mode') == JOINT:
        others = sorted(set(values) - {'mode'})
        return f"mode '{JOINT}' of long_range takes nothing beside it, not {', '.join(others)}" if others else None
    try:
        LongRangeModel.from_dict(values)
    except ValueError as error:
        return str(error)
    return missing_package()


def validate_parts(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the electrostatics does not go with architecture, labels or parent.

    :param inputs: inputs of :class:`TrainingWorkChain`.
    """
    training = inputs.get('training') or {}
    long_range = inputs.get('long_range')
    if long_range is not None and not is_subtracted(long_range) and (message := _validate_joint(training)):
        return message
    model = LongRangeModel.from_dict(long_range.get_dict()) if is_subtracted(long_range) else None
    for name in DATASETS:
        dataset = training.get(name)
        if long_range is None or dataset is None:
            continue
        if dataset.level_of_theory.endswith(LESS_ELECTROSTATICS):
            return f"the labels of {name} are '{dataset.level_of_theory}' already; give the whole ones"
        if model is not None and (message := validate_charges(model, dataset)):
            return f'{name}: {message}'
    parents = [training.get('parent_potential'), *(inputs.get('parent_potentials') or {}).values()]
    return next((message for parent in parents if (message := _validate_parent(parent, model))), None)


def _validate_joint(training: Mapping[str, Any]) -> str | None:
    """Return one sentence if an architecture has no electrostatics of its own, or it is switched off."""
    if 'architecture' not in training:
        return None
    architecture: Architecture = load_member(ARCHITECTURES, training['architecture'].value)
    given = training.get('hyperparameters')
    hyperparameters = architecture.make_hyperparameters({} if given is None else given.get_dict())
    if architecture.has_electrostatics(hyperparameters):
        return None
    if architecture.electrostatics_option:
        return f'{architecture.name} has electrostatics only with {architecture.electrostatics_option}; set it'
    able = ', '.join(architectures_with_electrostatics())
    return (
        f"{architecture.name} has no electrostatics of its own: give long_range with mode 'subtracted', or take one of "
        f'{able}'
    )


def _validate_parent(parent: PotentialData | None, model: LongRangeModel | None) -> str | None:
    """Return one sentence if a parent has another long-range part than the training."""
    wanted = None if model is None else model.to_dict()
    if parent is None or parent.long_range == wanted:
        return None
    has = 'no' if parent.long_range is None else 'another'
    return (
        f'the parent potential has {has if wanted is not None else "a"} long-range part, the training is to have '
        f'{"none" if wanted is None else "the one in long_range"}; give that of the parent as long_range'
    )


def _chained(inherited: Any) -> Any:
    """Return a validator that asks the one of the base class first, then :func:`validate_parts`."""

    def validate(inputs: Mapping[str, Any], namespace: Any) -> str | None:
        message = None if inherited is None else inherited(inputs, namespace)
        return message or validate_parts(inputs)

    return validate


class TrainingWorkChain(InterruptibleWorkChain):
    """Train one potential of any architecture to its target number of gradient updates."""

    _process_class = TrainingCalculation
    _input_namespace = 'training'
    _progress = UPDATES_DONE
    _remedy = 'give it a longer walltime, or more checkpoints by a larger hyperparameter n_evaluations'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs."""
        super().define(spec)
        spec.input(
            'long_range',
            valid_type=Dict,
            required=False,
            validator=validate_long_range,
            help='Fields of ``LongRangeModel``: the electrostatics of fixed charges is taken off the labels, and added '
            'to what the potential gives wherever it is used. `edl.tune_long_range` makes it. Or `mode: joint` for an '
            'architecture that learns its own.',
        )
        spec.inputs.validator = _chained(spec.inputs.validator)
        spec.expose_outputs(TrainingCalculation)

    def setup(self) -> None:
        """Take the electrostatics off the labels, if it is to be added later."""
        super().setup()
        if is_subtracted(self.inputs.get('long_range')):
            for name in DATASETS:
                if name in self.ctx.inputs:
                    self.ctx.inputs[name] = self.call_once(
                        subtract_electrostatics,
                        f'subtract_electrostatics_from_{name}',
                        dataset=self.ctx.inputs[name],
                        long_range=self.inputs.long_range,
                    )

    def out(self, output_port: str, value: Any = None) -> None:
        """Attach an output; the potential of a training on a part of the labels only with the rest added."""
        if output_port == 'potential' and is_subtracted(self.inputs.get('long_range')):
            value = self.call_once(add_long_range, 'add_long_range', potential=value, long_range=self.inputs.long_range)
        super().out(output_port, value)

    @classmethod
    def expose_long_range(cls, spec: Any) -> None:
        """Let another chain take the electrostatics of its trainings.

        :param spec: specification of that chain.
        """
        spec.expose_inputs(cls, include=('long_range',))

    @classmethod
    def get_protocol_hyperparameters(
        cls, architecture: str, protocol: str, overrides: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the checked hyperparameters of a protocol, those of ``overrides`` replacing its own.

        :param architecture: entry-point name.
        :param protocol: name of the protocol of that architecture.
        :param overrides: hyperparameters that differ from the protocol.
        :raises aiida_edl.registry.UnknownNameError: for an unknown architecture or protocol.
        :raises aiida_edl.architectures.base.HyperparameterError: for an unknown key or a wrong type.
        """
        member = load_member(ARCHITECTURES, architecture)
        values = {**hyperparameter_protocol(architecture, protocol), **overrides}
        member.make_hyperparameters(values)
        return values

    def _change_hyperparameter(self, calculation: CalcJobNode, name: str, old: float, new: float) -> None:
        """Give the next training a hyperparameter of its own, starting from the beginning, and take note of it."""
        self.ctx.inputs.hyperparameters = Dict({**self.ctx.inputs.hyperparameters.get_dict(), name: new})
        self.ctx.inputs.pop('checkpoint', None)
        self._note_remedy(calculation, {'changed': name, 'from': old, 'to': new})

    def _note_remedy(self, calculation: CalcJobNode, remedy: dict[str, Any]) -> None:
        """Tell the next training what was done about a failure; its summary lists it."""
        noted = self.ctx.inputs.remedies.get_list() if 'remedies' in self.ctx.inputs else []
        failure = {'exit_status': calculation.exit_status, 'exit_message': calculation.exit_message}
        self.ctx.inputs.remedies = List([*noted, {**failure, **remedy}])

    def _repeat_once(self, calculation: CalcJobNode, action: str) -> ProcessHandlerReport:
        """Go on from the checkpoint, or from the beginning without one; give up if the last attempt ended alike."""
        earlier = self.ctx.children[:-1]
        if earlier and earlier[-1].exit_status == calculation.exit_status:
            self.report(f'{calculation.process_label}<{calculation.pk}> failed twice alike: giving up')
            return ProcessHandlerReport(True, calculation.exit_code)
        self.report(action)
        return self.repeat(calculation)

    def repeat(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Go on from the checkpoint, or from the beginning without one; but for a walltime, take note of it."""
        if calculation.exit_status not in WALLTIMES:
            continued = 'checkpoint' in calculation.outputs
            self._note_remedy(calculation, {'repeated': 'from its checkpoint' if continued else 'as it was'})
        return super().repeat(calculation)

    def _hyperparameter(self, name: str) -> Any:
        """Return the value of a hyperparameter as it was used, default or not; None if there is no such one."""
        member = load_member(ARCHITECTURES, self.ctx.inputs.architecture.value)
        return getattr(member.make_hyperparameters(self.ctx.inputs.hyperparameters.get_dict()), name, None)

    @process_handler(
        priority=500,
        exit_codes=[
            TrainingCalculation.exit_codes.ERROR_OUT_OF_MEMORY,
            TrainingCalculation.exit_codes.ERROR_SCHEDULER_OUT_OF_MEMORY,
        ],
    )
    def handle_out_of_memory(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Halve the batch and start again; give up at a batch of one frame. What is trained is only exported again."""
        if is_trained(calculation):
            return self._repeat_once(calculation, 'the memory did not suffice for the export')
        batch_size = self._hyperparameter('batch_size')
        if not batch_size or batch_size <= 1:
            self.report(f'{calculation.process_label}<{calculation.pk}> ran out of memory with batch size {batch_size}')
            return ProcessHandlerReport(True, calculation.exit_code)
        self._change_hyperparameter(calculation, 'batch_size', batch_size, batch_size // 2)
        self.report(
            f'{calculation.process_label}<{calculation.pk}> ran out of memory: '
            f'batch size lowered from {batch_size} to {batch_size // 2}, training from the beginning'
        )
        return ProcessHandlerReport(True)

    @process_handler(priority=400, exit_codes=[TrainingCalculation.exit_codes.ERROR_LOSS_DIVERGED])
    def handle_loss_diverged(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Lower the learning rate and start again: a checkpoint may be spoilt long before the errors show it."""
        rate = self._hyperparameter('learning_rate')
        if rate is None:
            return ProcessHandlerReport(True, calculation.exit_code)
        self._change_hyperparameter(calculation, 'learning_rate', rate, rate * LEARNING_RATE_FACTOR)
        self.report(
            f'{calculation.process_label}<{calculation.pk}> diverged: learning rate lowered from {rate:g} '
            f'to {rate * LEARNING_RATE_FACTOR:g}, training from the beginning'
        )
        return ProcessHandlerReport(True)

    @process_handler(priority=290, exit_codes=[TrainingCalculation.exit_codes.ERROR_LOG_INCOMPLETE])
    def handle_log_incomplete(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Go on once from a checkpoint that stands for no progress; without one the training never began."""
        if 'checkpoint' not in calculation.outputs:
            return None
        return self._repeat_once(calculation, 'the log is incomplete')

    @process_handler(priority=280, exit_codes=[TrainingCalculation.exit_codes.ERROR_EXPORT_FAILED])
    def handle_export_failed(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Export once more: the training goes on from a checkpoint at its target, so there is nothing else to do."""
        if 'checkpoint' not in calculation.outputs:
            return None
        return self._repeat_once(calculation, 'the model could not be exported')


def is_trained(calculation: CalcJobNode) -> bool:
    """Return whether a training that failed had reached its target, so that the export alone is left to do.

    :param calculation: a training that has ended.
    """
    outputs = calculation.outputs
    if 'checkpoint' not in outputs or 'training_summary' not in outputs:
        return False
    return bool(outputs.training_summary['outcome'] == TrainingOutcome.EXPORT_FAILED.value)
