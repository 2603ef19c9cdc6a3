"""What the steps of learning in rounds share: settings, labels of calls, and how it ends."""

from __future__ import annotations

from typing import Any, ClassVar

from aiida_edl.workflows.partial_failures import PartialFailuresMixin

CONVERGED = 'converged'
"""Ending that is no exit code."""


class LearningSteps(PartialFailuresMixin):
    """Base of the mixins that hold steps of learning in rounds."""

    settings_class: ClassVar[Any]
    """Class of the settings."""
    inputs: Any
    report: Any
    exposed_inputs: Any

    @property
    def settings(self) -> Any:
        """The settings as typed values."""
        return self.settings_class.from_dict(self.inputs.settings.get_dict())

    def _label(self, name: str) -> str:
        """Return the label of a call of this round."""
        return f'round_{self.ctx.round:02d}_{name}'

    def should_continue(self) -> bool:
        """Return whether nothing has ended it."""
        return self.ctx.ending is None

    def _end(self, status: str, reason: str) -> None:
        """Let this round be the last one.

        :param status: label of the exit code, or :data:`CONVERGED`.
        :param reason: why, in words.
        """
        self.ctx.ending = {'status': status, 'reason': f'{reason} (round {self.ctx.round})'}
        self.report(f'{status}: {reason}')
