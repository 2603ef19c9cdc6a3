"""Ask a potential about labelled frames and say how wrong it is, by one driver and one definition of every error."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, if_, while_
from aiida.orm import Dict

from aiida_edl.calculations.evaluation import FRAMES_DONE, EvaluationCalculation
from aiida_edl.calculations.functions.error_metrics import error_metrics
from aiida_edl.workflows.restart import InterruptibleWorkChain


class EvaluationWorkChain(InterruptibleWorkChain):
    """Evaluate one potential on frames of a data set; without labels to compare with, it gives predictions alone."""

    _process_class = EvaluationCalculation
    _input_namespace = 'evaluation'
    _progress = FRAMES_DONE

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs, and the comparison after the evaluation."""
        super().define(spec)
        spec.expose_outputs(EvaluationCalculation)
        spec.output(
            'errors',
            valid_type=Dict,
            required=False,  # attached after the outputs of the calculation, which the base class wants complete
            help='Errors of energies [eV/atom] and forces [eV/Å] with error bars; absent if the frames lack either.',
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
            if_(cls.has_labels)(cls.compare),
        )
        spec.exit_code(
            700,
            'WARNING_FRAMES_FAILED',
            message='{n_failed} of {n_frames} frames have no finite prediction; the errors are those of the others',
        )

    def has_labels(self) -> bool:
        """Return whether the frames have energies and forces to compare with."""
        dataset = self.ctx.inputs.dataset
        return {'energies', 'forces'} <= set(dataset.base.attributes.get(dataset.KEY_LABELS))

    def compare(self) -> ExitCode | None:
        """Compare the predictions with the labels; say so if frames failed."""
        errors = self.call_once(
            error_metrics, 'error_metrics', dataset=self.ctx.inputs.dataset, predictions=self.outputs['predictions']
        )
        self.out('errors', errors)
        summary = errors.get_dict()['summary']
        if n_failed := len(summary['failed_frames']):
            exit_code: ExitCode = self.exit_codes.WARNING_FRAMES_FAILED
            return exit_code.format(n_failed=n_failed, n_frames=n_failed + summary['n_frames'])
        return None
