"""Is the accuracy that is asked of a summation method the accuracy that is got, on this computer?"""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, while_
from aiida.orm import Dict

from aiida_edl.calculations.functions.long_range_report import long_range_report
from aiida_edl.calculations.long_range_validation import CASES_DONE, LongRangeValidationCalculation
from aiida_edl.workflows.restart import InterruptibleWorkChain


class LongRangeValidationWorkChain(InterruptibleWorkChain):
    """Validate summation methods on lattices, water, sheared and charged cells and films; one table is the result."""

    _process_class = LongRangeValidationCalculation
    _input_namespace = 'validation'
    _progress = CASES_DONE

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs, and the report after the validation."""
        super().define(spec)
        spec.expose_outputs(LongRangeValidationCalculation)
        spec.output(
            'report',
            valid_type=Dict,
            required=False,  # attached after the outputs of the calculation, which the base class wants complete
            help='All rows, a summary of each method, and what was found in words.',
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
            cls.judge,
        )
        spec.exit_code(
            700,
            'WARNING_ACCURACY_MISSED',
            message='Not every result is as right as was asked for, see the words of the report: {methods}',
        )

    def judge(self) -> ExitCode | None:
        """Summarise the rows, and say which methods do not keep their word."""
        report = self.call_once(long_range_report, 'long_range_report', validation=self.outputs['validation'])
        self.out('report', report)
        values = report.get_dict()
        for sentence in values['words']:
            self.report(sentence)
        missed = [each for each in values['methods'] if not each['keeps_its_word']]
        if missed:
            names = ', '.join(f'{each["method"]} ({each["implementation"]}, {each["precision"]})' for each in missed)
            exit_code: ExitCode = self.exit_codes.WARNING_ACCURACY_MISSED
            return exit_code.format(methods=names)
        return None
