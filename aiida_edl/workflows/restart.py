"""What work chains around one calculation share: an interrupted calculation goes on from what it left."""

from __future__ import annotations

from typing import Any, ClassVar

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, CalcJob, ExitCode, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode

from aiida_edl.calculations.exit_codes import OUT_OF_WALLTIME
from aiida_edl.calculations.monitors import has_stalled
from aiida_edl.workflows.submission import SubmitOnceMixin

SCHEDULER_OUT_OF_WALLTIME = 120
"""Exit status of AiiDA for a job that the scheduler stopped at its walltime."""
NODE_FAILURE = 140
"""Exit status of AiiDA for a job whose node failed, or that was preempted."""
INTERRUPTIONS = (OUT_OF_WALLTIME.status, SCHEDULER_OUT_OF_WALLTIME, NODE_FAILURE)
"""Exit statuses after which the same calculation is worth going on with."""


class InterruptibleWorkChain(SubmitOnceMixin, BaseRestartWorkChain):
    """Run one calculation until it is finished, whatever interrupts it.

    A subclass names the calculation and the namespace of its inputs. How often it is started at most is the input
    ``max_iterations``. A chain that fails ends with the status and the message of its last calculation, and has all
    outputs that there are.
    """

    _process_class: ClassVar[type[CalcJob]]
    _input_namespace: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outline; a subclass exposes outputs."""
        super().define(spec)
        spec.expose_inputs(cls._process_class, namespace=cls._input_namespace)
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def setup(self) -> None:
        """Take the inputs of the first calculation from the namespace."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(self._process_class, self._input_namespace))

    def inspect_process(self) -> ExitCode | None:
        """Look at the calculation that has ended; attach what there is if the chain ends here without success."""
        exit_code: ExitCode | None = super().inspect_process()
        if exit_code is not None and exit_code.status != 0:
            self.results()
        return exit_code

    @process_handler(priority=600)
    def handle_interruption(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Go on from the checkpoint to the same target; without one, start again."""
        if calculation.exit_status not in INTERRUPTIONS and not has_stalled(calculation):
            return None
        self.report(continue_from_checkpoint(self.ctx.inputs, calculation))
        return ProcessHandlerReport(True)

    @process_handler(priority=0)
    def handle_failure(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """End as the calculation did, unless the input ``on_unhandled_failure`` asks for something else."""
        wished = self.inputs.get('on_unhandled_failure')
        if not calculation.is_failed or (wished is not None and wished.value != 'abort'):
            return None
        self.ctx.is_finished = True  # else the status in the last iteration would be that there are no more of them
        return ProcessHandlerReport(True, calculation.exit_code)


def continue_from_checkpoint(inputs: AttributeDict, calculation: CalcJobNode) -> str:
    """Let the next calculation continue from the checkpoint of an interrupted one; return what was done.

    :param inputs: inputs of the next calculation; ``checkpoint`` is set if there is one, else left as it is.
    :param calculation: the interrupted calculation.
    """
    name = f'{calculation.process_label}<{calculation.pk}>'
    status = f'exit status {calculation.exit_status}'
    if 'checkpoint' in calculation.outputs:
        inputs.checkpoint = calculation.outputs.checkpoint
        return f'{name} was interrupted ({status}): continuing from its checkpoint to the same target'
    if 'checkpoint' in inputs:
        return f'{name} was interrupted ({status}) and left no checkpoint: repeating from the earlier one'
    return f'{name} was interrupted ({status}) and left no checkpoint: starting again'
