"""For work chains of which a part may fail while the rest is worth having: each failure is kept with its reason."""

from __future__ import annotations

from typing import Any

from aiida.orm import ProcessNode

from aiida_edl.workflows.submission import SubmitOnceMixin


class PartialFailuresMixin(SubmitOnceMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain."""

    ctx: Any

    @property
    def failures(self) -> list[str]:
        """What failed so far, one phrase each."""
        known: list[str] = self.ctx.setdefault('failures', [])
        return known

    def note_failure(self, failure: str) -> None:
        """Remember and report a failure.

        :param failure: what failed and why.
        """
        self.failures.append(failure)
        self.report(f'failed: {failure}')  # type: ignore[attr-defined]

    def note_failed_child(self, child: ProcessNode, what: str) -> None:
        """Remember and report a child that failed.

        :param child: the child, terminated.
        :param what: what it was to do.
        """
        status = f'exit status {child.exit_status}: {child.exit_message}'
        self.note_failure(f'{what} ({child.process_label}<{child.pk}>, {status})')

    def try_submit(self, process: Any, what: str, **inputs: Any) -> ProcessNode | None:
        """Submit a child, or remember why its inputs are refused and return None.

        :param process: process class.
        :param what: what it is to do.
        :param inputs: its inputs.
        """
        try:
            child: ProcessNode = self.submit(process, **inputs)
        except ValueError as error:
            self.note_failure(f'{what}, which was refused: {error}')
            return None
        return child
