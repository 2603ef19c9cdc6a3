"""Exit codes shared by all calculations: one table, from which each calculation registers those it can end with.

========== ========================================================== ========
range      meaning                                                    cache
========== ========================================================== ========
200 to 299 the inputs ask for what is not there                       invalid
300 to 399 output missing, unreadable or truncated                    invalid
400 to 449 stopped early, the checkpoint can be continued             invalid
450 to 499 physics or numerics failed: the same inputs fail again     valid
700 to 799 finished, with a warning that the caller should see        valid
========== ========================================================== ========

Below 200 AiiDA speaks: 110, 120 and 140 come from the scheduler and are kept by every parser of this package. Numbers
301, 302, 401 and 402 belong to the restart work chain of AiiDA. Numbers are never reused.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_STATUS_KEPT_IN_CACHE = 450
"""From this status on the failure follows from the inputs, so that a cached failure is as good as a repeated one."""

FIRST_WARNING = 700
"""From this status on a process has finished, and something should be seen."""


def has_results(exit_status: int | None) -> bool:
    """Return whether a process of this exit status has its results, with or without a warning.

    :param exit_status: None if it has not ended, or was killed.
    """
    return exit_status is not None and (exit_status == 0 or exit_status >= FIRST_WARNING)


@dataclass(frozen=True)
class ExitCodeDefinition:
    """One way in which a calculation can fail."""

    status: int
    """Exit status, never reused."""
    label: str
    """Name by which parsers and handlers refer to it."""
    message: str
    """What the user reads; ``{detail}`` holds the values of the run."""
    when: str
    """When a parser sets it, for the manual."""

    @property
    def invalidates_cache(self) -> bool:
        """Whether a calculation that ended so is never taken from the cache."""
        return self.status < FIRST_STATUS_KEPT_IN_CACHE


DEVICE_MISSING = ExitCodeDefinition(
    210,
    'ERROR_DEVICE_MISSING',
    'There is no accelerator: {detail}',
    "The device is 'cuda', and the environment of the code, or the node if the code is an executable, shows no GPU; "
    'nothing was run.',
)
VERSION_DIFFERS = ExitCodeDefinition(
    212,
    'ERROR_VERSION_DIFFERS',
    'The checkpoint is of another version of the trainer: {detail}',
    'The environment of the code holds another version of the trainer than left the checkpoint; nothing was run.',
)
OUTPUT_MISSING = ExitCodeDefinition(
    310,
    'ERROR_OUTPUT_MISSING',
    'An output file is missing: {detail}',
    'The program left no output file at all, for example because the code could not be started.',
)
OUTPUT_UNREADABLE = ExitCodeDefinition(
    311,
    'ERROR_OUTPUT_UNREADABLE',
    'An output file cannot be read: {detail}',
    'An output file is there, but is not of the expected form.',
)
LOG_INCOMPLETE = ExitCodeDefinition(
    312,
    'ERROR_LOG_INCOMPLETE',
    'The program stopped before its end: {detail}',
    'The program stopped or was killed without a reason that its files reveal.',
)
EXPORT_FAILED = ExitCodeDefinition(
    313,
    'ERROR_EXPORT_FAILED',
    'The training finished, but the model could not be exported: {detail}',
    'The export command of an architecture failed after its training had succeeded.',
)
CONVERSION_FAILED = ExitCodeDefinition(
    314,
    'ERROR_CONVERSION_FAILED',
    'The model could not be converted: {detail}',
    'A command of a conversion failed or left no model.',
)
OUT_OF_WALLTIME = ExitCodeDefinition(
    400,
    'ERROR_OUT_OF_WALLTIME',
    'The program stopped at its walltime and left a checkpoint: {detail}',
    'The program stopped by itself shortly before the walltime of the job.',
)
OUT_OF_MEMORY = ExitCodeDefinition(
    410,
    'ERROR_OUT_OF_MEMORY',
    'The program ran out of memory: {detail}',
    'The output says that memory of the host or of the accelerator was exhausted.',
)
DEVICE_LOST = ExitCodeDefinition(
    411,
    'ERROR_DEVICE_LOST',
    'The accelerator was lost: {detail}',
    'The output says that an accelerator failed or went away under the program.',
)
LOSS_DIVERGED = ExitCodeDefinition(
    450,
    'ERROR_LOSS_DIVERGED',
    'The training diverged: {detail}',
    'The loss, its gradient or an error of the learning curve is not a finite number.',
)
MD_EXPLODED = ExitCodeDefinition(
    451,
    'ERROR_MD_EXPLODED',
    'The molecular dynamics exploded: {detail}',
    'The temperature passed the maximum, atoms were lost, or an energy is not a finite number.',
)
NO_FRAME_CONVERGED = ExitCodeDefinition(
    452,
    'ERROR_NO_FRAME_CONVERGED',
    'Not one frame could be computed: {detail}',
    'Every frame of a set failed; a part of them failing is a success that lists the failures.',
)

EXIT_CODES = (
    DEVICE_MISSING,
    VERSION_DIFFERS,
    OUTPUT_MISSING,
    OUTPUT_UNREADABLE,
    LOG_INCOMPLETE,
    EXPORT_FAILED,
    CONVERSION_FAILED,
    OUT_OF_WALLTIME,
    OUT_OF_MEMORY,
    DEVICE_LOST,
    LOSS_DIVERGED,
    MD_EXPLODED,
    NO_FRAME_CONVERGED,
)
"""The whole table, by status."""
