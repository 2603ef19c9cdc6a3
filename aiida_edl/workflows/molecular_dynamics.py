"""Run molecular dynamics to a target number of steps, whatever interrupts it."""

from __future__ import annotations

from typing import Any

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ExitCode, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.workflows.restart import restart_from_checkpoint
from aiida_edl.workflows.submission import SubmitOnceMixin


class MolecularDynamicsWorkChain(SubmitOnceMixin, BaseRestartWorkChain):
    """Run one trajectory with any engine; an interrupted run continues to the same target.

    An explosion is no reason to try again: it says something about the potential, and is reported as it is.
    """

    _process_class = MolecularDynamicsCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline."""
        super().define(spec)
        spec.expose_inputs(MolecularDynamicsCalculation, namespace='md')
        spec.expose_outputs(MolecularDynamicsCalculation)
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def setup(self) -> None:
        """Take the inputs of the first run from the namespace."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(MolecularDynamicsCalculation, 'md'))

    def results(self) -> ExitCode | None:
        """Attach the outputs; the trajectory and its series are those of all restarts together."""
        exit_code = super().results()
        parts = [child for child in self.ctx.children if 'trajectory' in child.outputs]
        if exit_code is None and len(parts) > 1:
            for name, join in (('trajectory', join_datasets), ('series', join_series)):
                pieces = {f'part_{number:02d}': child.outputs[name] for number, child in enumerate(parts, start=1)}
                self.out(name, self.call_once(join, join.__name__, **pieces))
        return exit_code

    @process_handler(
        priority=600,
        exit_codes=[
            MolecularDynamicsCalculation.exit_codes.ERROR_OUT_OF_WALLTIME,
            MolecularDynamicsCalculation.exit_codes.ERROR_SCHEDULER_OUT_OF_WALLTIME,
            MolecularDynamicsCalculation.exit_codes.ERROR_SCHEDULER_NODE_FAILURE,
        ],
    )
    def handle_out_of_walltime(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Go on from the checkpoint to the same target."""
        self.report(restart_from_checkpoint(self.ctx.inputs, calculation))
        return ProcessHandlerReport(True)
