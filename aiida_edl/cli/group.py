"""The click group of all commands: what is wrong is told in one sentence, not in a traceback."""

from __future__ import annotations

import logging
from typing import Any

import click
from aiida.cmdline.groups import VerdiCommandGroup
from aiida.common.exceptions import AiidaException

BUILDER_PREFIX = 'invalid attribute value '
"""What AiiDA puts before the sentence of a validator when an input of a builder is set."""


class EdlCommandGroup(VerdiCommandGroup):
    """Group with the options of ``verdi``; errors of input become one sentence and exit status 1.

    With ``--verbosity debug`` the traceback is shown.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the command that was asked for.

        :raises click.ClickException: with the message of the error.
        """
        try:
            return super().invoke(ctx)
        except (ValueError, RuntimeError, OSError, AiidaException) as error:
            if isinstance(error, click.exceptions.Exit) or logging.getLogger('aiida').isEnabledFor(logging.DEBUG):
                raise
            message = str(error).removeprefix(BUILDER_PREFIX)
            raise click.ClickException(message or type(error).__name__) from error
