"""Run molecular dynamics to a target number of steps, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Bool, CalcJobNode, Dict

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.calculations.parity import route_of, validate_parity
from aiida_edl.workflows.restart import InterruptibleWorkChain


def validate_gate(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if a potential shall be run in a way that has not passed the parity gate.

    :param inputs: inputs of :class:`MolecularDynamicsWorkChain`.
    """
    run = inputs.get('md') or {}
    potential, engine = run.get('potential'), run.get('engine')
    if potential is None or engine is None or inputs.get('skip_parity_check'):
        return None
    return validate_parity(inputs.get('parity'), route_of(potential, engine.value, run.get('precision')))


class MolecularDynamicsWorkChain(InterruptibleWorkChain):
    """Run one trajectory with any engine; an interrupted run continues to the same target.

    A trained potential runs only with a verdict of the parity gate for this very engine, format and precision, or with
    ``skip_parity_check``, which is recorded. An explosion is no reason to try again: it says something about the
    potential, and is reported as it is.
    """

    _process_class = MolecularDynamicsCalculation
    _input_namespace = 'md'
    _progress = 'steps_done'
    _counts_from_equilibration = True

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the gate and outputs."""
        super().define(spec)
        spec.input(
            'parity',
            valid_type=Dict,
            required=False,
            help='Verdict of `edl.parity_verdict` for the potential; needed for one that was trained.',
        )
        spec.input(
            'skip_parity_check',
            valid_type=Bool,
            required=False,
            help='Whether to run a potential without such a verdict, or against it.',
        )
        spec.inputs.validator = validate_gate
        spec.expose_outputs(MolecularDynamicsCalculation)

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
