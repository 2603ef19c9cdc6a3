"""Run molecular dynamics to a target number of steps, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import CalcJobNode

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.molecular_dynamics import LAST_FRAME, MolecularDynamicsCalculation
from aiida_edl.science.frames import Frame
from aiida_edl.workflows.parity_gate import ParityGateMixin
from aiida_edl.workflows.restart import InterruptibleWorkChain


class MolecularDynamicsWorkChain(ParityGateMixin, InterruptibleWorkChain):
    """Run one trajectory with any engine; an interrupted run continues to the same target.

    A trained potential has to pass the parity gate, see :class:`~aiida_edl.workflows.parity_gate.ParityGateMixin`. An
    explosion is no reason to try again: it says something about the potential, and is reported as it is.
    """

    _process_class = MolecularDynamicsCalculation
    _input_namespace = 'md'
    _progress = 'steps_done'
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
        """Attach the outputs; the trajectory and its series are those of all restarts together."""
        exit_code = super().results()
        parts = [child for child in continued_children(self.ctx.children) if 'trajectory' in child.outputs]
        if exit_code is not None or not parts or parts == self.ctx.children[-1:]:
            return exit_code
        for name, join in (('trajectory', join_datasets), ('series', join_series)):
            pieces = {f'part_{number:04d}': child.outputs[name] for number, child in enumerate(parts, start=1)}
            (piece, *others) = pieces.values()
            self.out(name, self.call_once(join, join.__name__, **pieces) if others else piece)
        return None


def continued_children(children: Sequence[CalcJobNode]) -> list[CalcJobNode]:
    """Return the calculations that form one run: the last one, and each from whose checkpoint the next went on.

    One that left no checkpoint was repeated: its frames are left out, or they would be there twice.

    :param children: calculations of a work chain in the order of their submission.
    """
    run = [children[-1]]
    for child in reversed(children[:-1]):
        checkpoint = run[0].inputs.checkpoint if 'checkpoint' in run[0].inputs else None
        if checkpoint is not None and 'checkpoint' in child.outputs and child.outputs.checkpoint == checkpoint:
            run.insert(0, child)
    return run
