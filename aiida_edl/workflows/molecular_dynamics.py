"""Run molecular dynamics to a target number of steps, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiida.engine import ExitCode

from aiida_edl.calculations.dynamics_checkpoint import STEPS_DONE
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.molecular_dynamics import LAST_FRAME, MolecularDynamicsCalculation
from aiida_edl.science.frames import Frame
from aiida_edl.workflows.joined_parts import JoinPartsMixin
from aiida_edl.workflows.parity_gate import ParityGateMixin
from aiida_edl.workflows.restart import InterruptibleWorkChain

JOINS: dict[str, Callable[..., Any]] = {'trajectory': join_datasets, 'series': join_series}
"""How the parts of each output are joined. One may lack parts that another has: a job may end before its first stored
frame, and has a series all the same."""


class MolecularDynamicsWorkChain(ParityGateMixin, JoinPartsMixin, InterruptibleWorkChain):
    """Run one trajectory with any engine; an interrupted run continues to the same target.

    A trained potential has to pass the parity gate, see :class:`~aiida_edl.workflows.parity_gate.ParityGateMixin`. An
    explosion is no reason to try again: it says something about the potential, and is reported as it is.
    """

    _process_class = MolecularDynamicsCalculation
    _input_namespace = 'md'
    _progress = STEPS_DONE
    _counts_from_equilibration = True

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs."""
        super().define(spec)
        spec.expose_outputs(MolecularDynamicsCalculation)

    @classmethod
    def initial_frames(cls, run: Mapping[str, Any]) -> Iterable[Frame]:
        """Return the initial frame."""
        if 'structure' not in run:
            return ()  # the port says so itself
        index = run.get('frame_index')
        return (run['structure'].frame(LAST_FRAME if index is None else index.value),)

    def results(self) -> ExitCode | None:
        """Attach the outputs; trajectory and series are those of all restarts together."""
        exit_code = super().results()
        for port, join in JOINS.items():
            self.join_parts(port, join)
        return exit_code
