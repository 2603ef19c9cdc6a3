"""The gate before all long runs of a trained potential: a verdict that its programs agree, or a recorded override."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from aiida.orm import Bool, Dict

from aiida_edl.calculations.parity import route_of, validate_parity
from aiida_edl.science.analysis.parity import charge_ranges
from aiida_edl.science.frames import Frame


class ParityGateMixin:
    """To be placed first in the bases of a work chain that runs a potential.

    A trained potential runs only with a verdict of the parity gate for this very engine, format and precision, and for
    the charge state of each frame from which it runs, or with ``skip_parity_check``, which is recorded.
    """

    _input_namespace: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the inputs of the gate."""
        super().define(spec)  # type: ignore[misc]
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
        spec.inputs.validator = cls.validate_gate

    @classmethod
    def initial_frames(cls, run: Mapping[str, Any]) -> Iterable[Frame]:
        """Return the frames from which a run begins.

        :param run: inputs of the calculation.
        """
        raise NotImplementedError

    @classmethod
    def validate_gate(cls, inputs: Mapping[str, Any], _: Any) -> str | None:
        """Return one sentence if a potential shall be run in a way that has not passed the parity gate.

        :param inputs: inputs of the work chain.
        """
        run = inputs.get(cls._input_namespace) or {}
        potential, engine = run.get('potential'), run.get('engine')
        if potential is None or engine is None or inputs.get('skip_parity_check'):
            return None
        route = route_of(potential, engine.value, run.get('precision'))
        states = charge_ranges(cls.initial_frames(run), potential.total_charge_column)
        return validate_parity(inputs.get('parity'), route, states)
