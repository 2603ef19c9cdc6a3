"""What work chains around one calculation share: an interrupted calculation goes on from what it left."""

from __future__ import annotations

from typing import Any, ClassVar

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, CalcJob, ExitCode, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode, FolderData

from aiida_edl.calculations.exit_codes import DEVICE_LOST, LOG_INCOMPLETE, OUT_OF_WALLTIME, OUTPUT_MISSING
from aiida_edl.calculations.monitors import has_stalled
from aiida_edl.workflows.submission import SubmitOnceMixin

SCHEDULER_OUT_OF_WALLTIME = 120
"""Exit status of AiiDA for a job that the scheduler stopped at its walltime."""
NODE_FAILURE = 140
"""Exit status of AiiDA for a job in the state ``NODE_FAIL`` of Slurm. There is none for ``PREEMPTED``: such a job ends
as its files tell, with 400 if the program was told in time and stopped by itself, else with 312."""
WALLTIMES = (OUT_OF_WALLTIME.status, SCHEDULER_OUT_OF_WALLTIME)
"""Exit statuses at the walltime: without progress the same would happen again."""
ACCIDENTS = (DEVICE_LOST.status, NODE_FAILURE)
"""Exit statuses of what may come before the first checkpoint, and need not come again."""


class InterruptibleWorkChain(SubmitOnceMixin, BaseRestartWorkChain):
    """Run one calculation until it is finished, whatever interrupts it.

    A subclass names the calculation, the namespace of its inputs, and what progress is. An interrupted calculation is
    repeated if it made progress, that is if its checkpoint stands for more than the one it was given; without, only
    once, and only after an accident such as a lost node. A job that was lost before it began has cost nothing and is
    always repeated. How often it is started at most is the input ``max_iterations``. A chain that fails ends with the
    status and the message of its last calculation, and has all outputs that there are.
    """

    _process_class: ClassVar[type[CalcJob]]
    _input_namespace: ClassVar[str]
    _progress: ClassVar[str]
    """Attribute of a checkpoint that says for how much it stands, e.g. ``'steps_done'``."""
    _counts_from_equilibration: ClassVar[bool] = False
    """Whether checkpoints may differ that stand for nothing yet: they are of an equilibration that is not counted."""
    _remedy: ClassVar[str] = 'give it a longer walltime'
    """What helps a calculation that makes no progress."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outline; a subclass exposes outputs."""
        super().define(spec)
        spec.expose_inputs(cls._process_class, namespace=cls._input_namespace)
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def setup(self) -> None:
        """Take the inputs of the first calculation from the namespace."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(self._process_class, self._input_namespace))

    def inspect_process(self) -> ExitCode | None:
        """Look at the calculation that has ended; attach what there is if the chain ends here without success."""
        exit_code: ExitCode | None = super().inspect_process()
        if exit_code is not None and exit_code.status != 0:
            self.results()
        return exit_code

    @process_handler(priority=600)
    def handle_interruption(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Go on from the checkpoint to the same target after progress; without, repeat what never began or, once, an
        accident.
        """
        if not is_interrupted(calculation):
            return None
        if self.has_progressed(calculation):
            return self.repeat(calculation)
        if never_began(calculation):
            return self.repeat(calculation)
        if calculation.exit_status == LOG_INCOMPLETE.status:
            return None  # nothing says that it would end otherwise
        earlier = [child for child in self.ctx.get('children', [])[:-1] if not never_began(child)]
        if is_accident(calculation) and not (
            earlier and is_accident(earlier[-1]) and not self.has_progressed(earlier[-1])
        ):
            return self.repeat(calculation)
        self.report(self._no_progress(calculation))
        return None

    def repeat(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """Let the next calculation do what is left of one that failed, and report it."""
        self.report(continue_from_checkpoint(self.ctx.inputs, calculation))
        return ProcessHandlerReport(True)

    def has_progressed(self, calculation: CalcJobNode) -> bool:
        """Return whether the checkpoint of a calculation stands for more than the one that it was given.

        :param calculation: a calculation that has ended.
        """
        if 'checkpoint' not in calculation.outputs:
            return False
        left, given = calculation.outputs.checkpoint, checkpoint_given(calculation)
        done, before = self._amount(left), self._amount(given)
        if done == before == 0 and self._counts_from_equilibration:
            return given is None or left.base.repository.hash() != given.base.repository.hash()
        return done > before

    def _amount(self, checkpoint: FolderData | None) -> int:
        """Return for how much a checkpoint stands, 0 without one."""
        return 0 if checkpoint is None else int(checkpoint.base.attributes.get(self._progress, 0))

    def _no_progress(self, calculation: CalcJobNode) -> str:
        """Return one sentence on a calculation that would end alike if it were repeated."""
        walltime = calculation.get_option('max_wallclock_seconds')
        unit = self._progress.removesuffix('_done').replace('_', ' ')
        limit = 'the walltime of its computer' if walltime is None else f'its walltime of {walltime} s'
        return (
            f'{name_of(calculation)} was interrupted (exit status {calculation.exit_status}) without a checkpoint '
            f'beyond {self._amount(checkpoint_given(calculation))} {unit} in {limit}: {self._remedy}'
        )

    @process_handler(priority=0)
    def handle_failure(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """End as the calculation did, unless the input ``on_unhandled_failure`` asks for something else."""
        wished = self.inputs.get('on_unhandled_failure')
        if not calculation.is_failed or (wished is not None and wished.value != 'abort'):
            return None
        self.ctx.is_finished = True  # else the status in the last iteration would be that there are no more of them
        return ProcessHandlerReport(True, calculation.exit_code)


def is_accident(calculation: CalcJobNode) -> bool:
    """Return whether a calculation ended by what need not happen again.

    That is a lost device or node, a program that hung, a job that was lost before it began.
    """
    return calculation.exit_status in ACCIDENTS or has_stalled(calculation) or never_began(calculation)


def never_began(calculation: CalcJobNode) -> bool:
    """Return whether not a byte came back from a job: the machine went down while the job waited for its turn.

    A shell that cannot start the program says so in a file that comes back.

    :param calculation: a calculation that has ended.
    """
    if calculation.exit_status != OUTPUT_MISSING.status or 'retrieved' not in calculation.outputs:
        return False
    repository = calculation.outputs.retrieved.base.repository
    files = [root / name for root, _, names in repository.walk() for name in names]
    return not any(repository.get_object_content(path, mode='rb') for path in files)


def is_interrupted(calculation: CalcJobNode) -> bool:
    """Return whether a calculation ended before its target by no fault of its own."""
    return calculation.exit_status in (*WALLTIMES, LOG_INCOMPLETE.status) or is_accident(calculation)


def checkpoint_given(calculation: CalcJobNode) -> FolderData | None:
    """Return the checkpoint from which a calculation went on, None if it began at the beginning."""
    return calculation.inputs.checkpoint if 'checkpoint' in calculation.inputs else None


def name_of(calculation: CalcJobNode) -> str:
    """Return a calculation as reports name it."""
    return f'{calculation.process_label}<{calculation.pk}>'


def continue_from_checkpoint(inputs: AttributeDict, calculation: CalcJobNode) -> str:
    """Let the next calculation continue from the checkpoint of an interrupted one; return what was done.

    :param inputs: inputs of the next calculation; ``checkpoint`` is set if there is one, else left as it is.
    :param calculation: the interrupted calculation.
    """
    name = name_of(calculation)
    status = f'exit status {calculation.exit_status}'
    if 'checkpoint' in calculation.outputs:
        inputs.checkpoint = calculation.outputs.checkpoint
        return f'{name} was interrupted ({status}): continuing from its checkpoint to the same target'
    if 'checkpoint' in inputs:
        return f'{name} was interrupted ({status}) and left no checkpoint: repeating from the earlier one'
    return f'{name} was interrupted ({status}) and left no checkpoint: starting again'
