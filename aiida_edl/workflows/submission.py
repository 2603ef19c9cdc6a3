"""Submit each child once, even if the step that submits it runs twice.

The engine recovers a work chain from its last finished step. A worker that is killed in the middle of a step makes the
step run again, and its children would be submitted again. The children of our work chains carry a call-link label that
is unique within the chain; a label that is already there names a child of the first attempt.

Chains of many children may be told how many of them are active at once at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiida.engine import ProcessState
from aiida.orm import CalcFunctionNode, Int, ProcessNode, QueryBuilder

GRACE_SECONDS = 5.0
"""How long a child may stay unstarted before its task counts as lost with the killed worker [s]."""
POLL_SECONDS = 0.5
"""How often this is looked up [s]."""


def validate_max_active(value: Int | None, _: Any) -> str | None:
    """Return one sentence if no model could ever be submitted."""
    if value is not None and value.value < 1:
        return f'max_active is {value.value}, at least 1'
    return None


def _has_started(child: ProcessNode, grace_seconds: float) -> bool:
    """Return whether a child leaves the state ``created``, in which one without a task would stay for ever.

    :param child: a stored child.
    :param grace_seconds: how long to wait for another worker to take its task [s].
    """
    query = QueryBuilder().append(ProcessNode, filters={'id': child.pk}, project='attributes.process_state')
    deadline = time.monotonic() + grace_seconds
    while query.first(flat=True) == ProcessState.CREATED.value:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class SubmitOnceMixin:
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain."""

    node: ProcessNode

    def called_child(self, call_link_label: str) -> ProcessNode | None:
        """Return the child with this label, None if there is none that lives or has ended.

        :param call_link_label: label given in ``metadata.call_link_label``.
        """
        for entry in self.node.base.links.get_outgoing(node_class=ProcessNode, link_label_filter=call_link_label).all():
            if entry.link_label == call_link_label and self._is_usable(entry.node):
                return entry.node
        return None

    @staticmethod
    def _is_usable(child: ProcessNode) -> bool:
        """Return whether a child of an earlier attempt will end, or has ended, by itself.

        A child without a checkpoint was killed before it could ever start, and a function dies with its worker.
        """
        if isinstance(child, CalcFunctionNode):
            return child.is_finished_ok
        return child.is_terminated or child.checkpoint is not None

    def submit(self, process: Any, inputs: dict[str, Any] | None = None, **kwargs: Any) -> ProcessNode:
        """Submit a child, or return the one that an interrupted attempt at this step submitted before.

        :param process: process class or builder.
        :param inputs: inputs of a class; may also be given as keywords.
        """
        metadata = (process if inputs is None and not kwargs else {**(inputs or {}), **kwargs}).get('metadata', {})
        label = metadata.get('call_link_label')
        child = self.called_child(label) if label else None
        if child is None or child.pk in {known.pk for known in self.ctx.get('children', ())}:  # type: ignore[attr-defined]
            return super().submit(process, inputs, **kwargs)  # type: ignore[misc]
        self.report(f'found <{child.pk}> already submitted as {label}')  # type: ignore[attr-defined]
        if not _has_started(child, GRACE_SECONDS):
            self.runner.controller.continue_process(child.pk, nowait=False, no_reply=True)  # type: ignore[attr-defined]
        return child

    def call_once(self, function: Callable[..., Any], call_link_label: str, **inputs: Any) -> Any:
        """Run a calcfunction, or return what an interrupted attempt at this step got from it.

        :param function: calcfunction.
        :param call_link_label: label of the link, unique within this work chain.
        :param inputs: its inputs.
        :return: its output, or its outputs by label if there are several.
        """
        child = self.called_child(call_link_label)
        if child is not None:
            outputs = {label: child.outputs[label] for label in child.outputs}
            return outputs.get('result', outputs)
        return function(**inputs, metadata={'call_link_label': call_link_label})
