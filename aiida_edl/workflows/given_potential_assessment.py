"""A potential that was trained elsewhere: measure its errors, run it at each charge state, analyse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiida_edl.workflows.assessment_checks import validate_given_assessment
from aiida_edl.workflows.potential_assessment import PotentialAssessmentWorkChain
from aiida_edl.workflows.tested_potential import GivenPotentialMixin


class GivenPotentialAssessmentWorkChain(GivenPotentialMixin, PotentialAssessmentWorkChain):
    """Find out what a potential is worth that was not trained here, e.g. a foundation model.

    It goes through the same steps as one that was trained: errors on the same frames, the parity gate, runs at each
    charge state, the same analyses. Without labels in the frames there are no errors.
    """

    warning_message = 'The potential was tested, but parts failed: {failures}'

    @classmethod
    def define_source(cls, spec: Any) -> None:
        """Define the ports of the potential, and on what it is tested.

        :param spec: specification of the work chain.
        """
        cls.define_given(spec)
        spec.inputs.validator = validate_given_assessment

    @classmethod
    def source_steps(cls) -> Sequence[Callable[..., Any]]:
        """Return the first step of the outline."""
        return (cls.take_potential,)

    def take_potential(self) -> None:
        """Take the potential as it is, and say what it is."""
        super().take_potential()
        attributes = self.ctx.potential.base.attributes
        origin = attributes.get(self.ctx.potential.KEY_ORIGIN) or 'trained here'
        self.report(f'testing {origin}, sha256 {attributes.get(self.ctx.potential.KEY_SHA256)}')
