"""Join what the calculations of an interrupted run have stored, one output at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiida.orm import CalcJobNode, Node


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


def outputs_of(parts: Sequence[CalcJobNode], port: str) -> list[Node]:
    """Return an output of those calculations that have it.

    :param parts: calculations that form one run.
    :param port: name of the output, e.g. ``'series'``, or ``'series.film'`` in a namespace.
    """
    namespace, _, label = port.partition('.')
    found = [part.outputs[namespace] for part in parts if namespace in part.outputs]
    return [nodes[label] for nodes in found if label in nodes] if label else found


class JoinPartsMixin:
    """To be placed before :class:`~aiida_edl.workflows.restart.InterruptibleWorkChain` in the bases of a work chain."""

    def join_parts(self, port: str, join: Callable[..., Any]) -> None:
        """Attach an output, joined from all calculations of the run that have it; they need not have the others.

        :param port: name of the output, see :func:`outputs_of`.
        :param join: calcfunction that joins several.
        """
        stored = outputs_of(continued_children(self.ctx.children), port)  # type: ignore[attr-defined]
        if not stored:
            return
        label = '_'.join([join.__name__, *port.split('.')[1:]])
        pieces = {f'part_{number:04d}': piece for number, piece in enumerate(stored, start=1)}
        joined = self.call_once(join, label, **pieces) if len(pieces) > 1 else stored[0]  # type: ignore[attr-defined]
        self.out(port, joined)  # type: ignore[attr-defined]
