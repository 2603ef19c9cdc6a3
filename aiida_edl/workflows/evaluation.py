"""Ask a potential about labelled frames and say how wrong it is, by one driver and one definition of every error."""

from __future__ import annotations

from typing import Any

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode, Dict

from aiida_edl.calculations.evaluation import EvaluationCalculation
from aiida_edl.calculations.functions.error_metrics import error_metrics
from aiida_edl.workflows.submission import SubmitOnceMixin


class EvaluationWorkChain(SubmitOnceMixin, BaseRestartWorkChain):
    """Evaluate one potential on frames of a data set."""

    _process_class = EvaluationCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline."""
        super().define(spec)
        spec.expose_inputs(EvaluationCalculation, namespace='evaluation')
        spec.expose_outputs(EvaluationCalculation)
        spec.output(
            'errors',
            valid_type=Dict,
            required=False,  # attached after the outputs of the calculation, which the base class wants complete
            help='Errors of energies [eV/atom] and forces [eV/Å] with error bars.',
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
            cls.compare,
        )

    def setup(self) -> None:
        """Take the inputs of the evaluation from the namespace."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(EvaluationCalculation, 'evaluation'))

    def compare(self) -> None:
        """Compare the predictions with the labels."""
        errors = self.call_once(
            error_metrics, 'error_metrics', dataset=self.ctx.inputs.dataset, predictions=self.outputs['predictions']
        )
        self.out('errors', errors)

    @process_handler(
        priority=600,
        exit_codes=[
            EvaluationCalculation.exit_codes.ERROR_SCHEDULER_NODE_FAILURE,
        ],
    )
    def handle_node_failure(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Start again: an evaluation is short."""
        self.report(f'{calculation.process_label}<{calculation.pk}> lost its node: evaluating again')
        return ProcessHandlerReport(True)
