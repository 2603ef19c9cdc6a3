"""Run molecular dynamics to a target number of steps, whatever interrupts it."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.workflows.restart import InterruptibleWorkChain


class MolecularDynamicsWorkChain(InterruptibleWorkChain):
    """Run one trajectory with any engine; an interrupted run continues to the same target.

    An explosion is no reason to try again: it says something about the potential, and is reported as it is.
    """

    _process_class = MolecularDynamicsCalculation
    _input_namespace = 'md'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs."""
        super().define(spec)
        spec.expose_outputs(MolecularDynamicsCalculation)

    def results(self) -> ExitCode | None:
        """Attach the outputs; the trajectory and its series are those of all restarts together."""
        exit_code = super().results()
        parts = [child for child in self.ctx.children if 'trajectory' in child.outputs]
        if exit_code is None and len(parts) > 1:
            for name, join in (('trajectory', join_datasets), ('series', join_series)):
                pieces = {f'part_{number:02d}': child.outputs[name] for number, child in enumerate(parts, start=1)}
                self.out(name, self.call_once(join, join.__name__, **pieces))
        return exit_code
