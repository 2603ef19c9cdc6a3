"""Run molecular dynamics of many replicas in one job to a target number of steps, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiida.engine import ExitCode

from aiida_edl.calculations.dynamics_checkpoint import STEPS_DONE
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.replica_dynamics import ReplicaDynamicsCalculation, initial_frames
from aiida_edl.science.frames import Frame
from aiida_edl.workflows.joined_parts import JoinPartsMixin
from aiida_edl.workflows.parity_gate import ParityGateMixin
from aiida_edl.workflows.restart import InterruptibleWorkChain

JOINS: dict[str, Callable[..., Any]] = {'trajectories': join_datasets, 'series': join_series}
"""How the parts of each namespace of outputs are joined."""


class ReplicaDynamicsWorkChain(ParityGateMixin, JoinPartsMixin, InterruptibleWorkChain):
    """Run many replicas of one potential at once; an interrupted run continues all of them to the same target.

    A trained potential has to pass the parity gate, for the charge states of all replicas, see
    :class:`~aiida_edl.workflows.parity_gate.ParityGateMixin`. A replica that explodes does not keep the others from
    finishing: the chain then ends with a warning that names it.
    """

    _process_class = ReplicaDynamicsCalculation
    _input_namespace = 'md'
    _progress = STEPS_DONE
    _counts_from_equilibration = True

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs."""
        super().define(spec)
        spec.expose_outputs(ReplicaDynamicsCalculation)
        spec.exit_code(
            700,
            'WARNING_REPLICAS_EXPLODED',
            message='{n_exploded} of {n_replicas} replicas exploded, their frames before that are kept: {reasons}',
        )

    @classmethod
    def initial_frames(cls, run: Mapping[str, Any]) -> Iterable[Frame]:
        """Return the initial frame of each replica."""
        if not {'structures', 'replicas'} <= set(run):
            return ()  # the ports say so themselves
        return initial_frames(run['structures'], run['replicas']).values()

    def results(self) -> ExitCode | None:
        """Attach the outputs, those of all restarts together; say so if replicas exploded."""
        exit_code = super().results()
        if exit_code is not None:
            return exit_code
        last = self.ctx.children[-1]
        for namespace, join in JOINS.items():
            for label in last.inputs.replicas.get_dict():
                self.join_parts(f'{namespace}.{label}', join)
        summary = last.outputs.md_summary.get_dict() if 'md_summary' in last.outputs else {'exploded': {}}
        if not last.is_finished_ok or not summary['exploded']:
            return None
        reasons = '; '.join(f'{label}: {message}' for label, message in summary['exploded'].items())
        warning: ExitCode = self.exit_codes.WARNING_REPLICAS_EXPLODED
        n_exploded, n_replicas = len(summary['exploded']), len(summary['replicas'])
        return warning.format(n_exploded=n_exploded, n_replicas=n_replicas, reasons=reasons)
