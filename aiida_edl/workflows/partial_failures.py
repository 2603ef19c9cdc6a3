"""For work chains of which a part may fail while the rest is worth having: each failure is kept with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida.orm import ProcessNode

from aiida_edl.workflows.submission import SubmitOnceMixin

REFUSALS = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, ImportError)
"""What a function of nodes raises if these do not hold what it needs or do not go together, or a package is missing."""


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

    def try_build(self, make: Callable[..., dict[str, Any]], what: str, *arguments: Any) -> dict[str, Any] | None:
        """Return the inputs of a child, or remember why they cannot be made and return None.

        :param make: makes them.
        :param what: what the child is to do.
        :param arguments: what ``make`` takes.
        """
        try:
            return make(*arguments)
        except REFUSALS as error:
            self.note_failure(f'{what} ({reason_of(error)})')
            return None

    def try_call(self, function: Callable[..., Any], what: str, call_link_label: str, **inputs: Any) -> Any:
        """Run a calcfunction, or remember why it gave nothing and return None; its traceback stays with its node.

        :param function: calcfunction.
        :param what: what it is to find.
        :param call_link_label: label of the link, unique within this work chain.
        :param inputs: its inputs.
        :return: what :meth:`~aiida_edl.workflows.submission.SubmitOnceMixin.call_once` returns.
        """
        try:
            return self.call_once(function, call_link_label, **inputs)
        except REFUSALS as error:
            self.note_failure(f'{what} ({reason_of(error)})')
            return None


def reason_of(error: Exception) -> str:
    """Return what an exception says: its message, with its kind where that is no sentence.

    >>> reason_of(ValueError('the grids differ')), reason_of(KeyError('z'))
    ('the grids differ', "KeyError: 'z'")

    :param error: the exception.
    """
    return str(error) if isinstance(error, ValueError) and str(error) else f'{type(error).__name__}: {error}'
