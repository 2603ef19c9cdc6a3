"""What the steps of learning in rounds share: settings, labels of calls, and how it ends."""

from __future__ import annotations

from typing import Any, ClassVar

from aiida.orm import Dict

from aiida_edl.calculations.functions.learning_report import learning_report
from aiida_edl.workflows.learning_bookkeeping import wall_seconds
from aiida_edl.workflows.partial_failures import PartialFailuresMixin

CONVERGED = 'converged'
"""Ending that is no exit code."""


class LearningSteps(PartialFailuresMixin):
    """Base of the mixins that hold steps of learning in rounds."""

    settings_class: ClassVar[Any]
    """Class of the settings."""
    inputs: Any
    out: Any
    report: Any
    exit_codes: Any
    exposed_inputs: Any

    @property
    def settings(self) -> Any:
        """The settings as typed values."""
        return self.settings_class.from_dict(self.inputs.settings.get_dict())

    def _label(self, name: str) -> str:
        """Return the label of a call of this round."""
        return f'round_{self.ctx.round:02d}_{name}'

    def _wall_seconds(self) -> dict[str, float]:
        """Return the time that the programs of this round state for themselves, by stage [s]."""
        prefix = self._label('')
        return wall_seconds({key[len(prefix) :]: child for key, child in self.ctx.items() if key.startswith(prefix)})

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

    def conclude(self) -> Any:
        """Attach what there is, and say how it ended."""
        status, reason = self.ctx.ending['status'], self.ctx.ending['reason']
        ending = {'has_converged': status == CONVERGED, 'reason': reason, 'failures': list(self.failures)}
        self.out('report', self.call_once(learning_report, 'report', ending=Dict(ending), **self.ctx.rows))
        self.out('dataset', self.ctx.dataset)
        self.out('split', self.ctx.split)
        if status == CONVERGED:
            failures = '; '.join(self.failures)
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures=failures) if failures else None
        if status.startswith('WARNING') and self.failures:
            reason += f'; parts failed: {"; ".join(self.failures)}'
        return self.exit_codes[status].format(reason=reason)
