"""Run a calcfunction from a command: its result has a provenance, and its errors are one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from aiida.engine import run_get_node
from aiida.orm import Node
from aiida.orm.utils.log import DBLogHandler


def run(function: Callable[..., Any], **inputs: Any) -> Any:
    """Run a calcfunction and return what it gives.

    :param function: the calcfunction.
    :param inputs: its inputs; those that are None are left out.
    :raises click.ClickException: if it ends with an exit code.
    """
    with _no_traceback_on_screen():
        result, process = run_get_node(function, **{name: node for name, node in inputs.items() if node is not None})
    if not process.is_finished_ok:
        raise click.ClickException(f'{process.process_label}<{process.pk}> failed: {process.exit_message}')
    return result


def named(node: Node) -> str:
    """Return type, PK and UUID of a node."""
    return f'{type(node).__name__}<{node.pk}> {node.uuid}'


@contextmanager
def _no_traceback_on_screen() -> Iterator[None]:
    """Keep the traceback of a function that raises for ``verdi process report`` and ``--verbosity debug``."""
    logger = logging.getLogger('aiida')
    handlers = [handler for handler in logger.handlers if not isinstance(handler, DBLogHandler)]
    if logger.isEnabledFor(logging.DEBUG):
        handlers = []
    for handler in handlers:
        handler.addFilter(_is_no_exception)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_no_exception)


def _is_no_exception(record: logging.LogRecord) -> bool:
    """Return whether a record does not tell of an exception of a process, which the command tells itself."""
    return '|on_except]' not in record.getMessage()
