"""What the steps of active learning share: settings, labels of calls, and how it ends."""

from __future__ import annotations

from typing import Any

from aiida_edl.workflows.active_learning_settings import ActiveLearningSettings
from aiida_edl.workflows.partial_failures import PartialFailuresMixin

CONVERGED = 'converged'
"""Ending of active learning that is no exit code."""


class LearningSteps(PartialFailuresMixin):
    """Base of the mixins that hold steps of active learning."""

    inputs: Any
    report: Any
    exposed_inputs: Any

    @property
    def settings(self) -> ActiveLearningSettings:
        """The settings as typed values."""
        return ActiveLearningSettings.from_dict(self.inputs.settings.get_dict())

    def _label(self, name: str) -> str:
        """Return the label of a call of this round."""
        return f'round_{self.ctx.round:02d}_{name}'

    def _end(self, status: str, reason: str) -> None:
        """Let this round be the last one.

        :param status: label of the exit code, or :data:`CONVERGED`.
        :param reason: why, in words.
        """
        self.ctx.ending = {'status': status, 'reason': f'{reason} (round {self.ctx.round})'}
        self.report(f'{status}: {reason}')
