"""Train a potential, with restarts and remedies for what commonly goes wrong."""

from __future__ import annotations

from typing import Any

from aiida.engine import ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, Dict

from aiida_edl.architectures.protocols import hyperparameter_protocol
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.workflows.restart import InterruptibleWorkChain

LEARNING_RATE_FACTOR = 0.3
"""By which the learning rate is multiplied after a divergence; dimensionless, chosen here."""


class TrainingWorkChain(InterruptibleWorkChain):
    """Train one potential of any architecture to its target number of gradient updates."""

    _process_class = TrainingCalculation
    _input_namespace = 'training'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs."""
        super().define(spec)
        spec.expose_outputs(TrainingCalculation)

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

    def _change_hyperparameter(self, name: str, value: float) -> None:
        """Give the next training a hyperparameter of its own, starting from the beginning."""
        self.ctx.inputs.hyperparameters = Dict({**self.ctx.inputs.hyperparameters.get_dict(), name: value})
        self.ctx.inputs.pop('checkpoint', None)

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
        """Halve the batch and start again; give up at a batch of one frame."""
        batch_size = self._hyperparameter('batch_size')
        if not batch_size or batch_size <= 1:
            self.report(f'{calculation.process_label}<{calculation.pk}> ran out of memory with batch size {batch_size}')
            return ProcessHandlerReport(True, calculation.exit_code)
        self._change_hyperparameter('batch_size', batch_size // 2)
        self.report(
            f'{calculation.process_label}<{calculation.pk}> ran out of memory: '
            f'batch size lowered from {batch_size} to {batch_size // 2}, training from the beginning'
        )
        return ProcessHandlerReport(True)

    @process_handler(priority=400, exit_codes=[TrainingCalculation.exit_codes.ERROR_LOSS_DIVERGED])
    def handle_loss_diverged(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Lower the learning rate and start again."""
        rate = self._hyperparameter('learning_rate')
        if rate is None:
            return ProcessHandlerReport(True, calculation.exit_code)
        self._change_hyperparameter('learning_rate', rate * LEARNING_RATE_FACTOR)
        self.report(
            f'{calculation.process_label}<{calculation.pk}> diverged: learning rate lowered from {rate:g} '
            f'to {rate * LEARNING_RATE_FACTOR:g}, training from the beginning'
        )
        return ProcessHandlerReport(True)
