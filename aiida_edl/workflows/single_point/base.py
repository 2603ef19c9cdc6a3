"""The one interface to whatever labels frames: energies and forces of many frames in one process."""

from __future__ import annotations

from typing import Any

from aiida.engine import ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode

from aiida_edl.calculations.evaluation import FRAMES_DONE
from aiida_edl.calculations.exit_codes import LOG_INCOMPLETE, NO_FRAME_CONVERGED, OUT_OF_MEMORY
from aiida_edl.workflows.restart import SCHEDULER_OUT_OF_WALLTIME, InterruptibleWorkChain

SCHEDULER_OUT_OF_MEMORY = 110
"""Exit status of AiiDA for a job that the scheduler stopped for its use of memory."""
STOPPED_EARLY = (LOG_INCOMPLETE.status, OUT_OF_MEMORY.status, SCHEDULER_OUT_OF_MEMORY)
"""Exit statuses after which the same calculation would stop again; labels that it gave before are kept."""


class SinglePointWorkChain(InterruptibleWorkChain):
    """Label frames with one engine.

    A subclass names the calculation of its engine in ``_process_class``. The calculation takes ``dataset``,
    ``model_parameters`` and ``code``, and gives ``labels`` (energies [eV], forces [eV/Å], offsets, converged; where the
    engine has them charges [e], stresses [eV/Å³, positive in tension], metal_potential [V]) and ``label_summary``
    (level of theory, failed frames with reasons, versions, cost).

    A calculation that gave labels of some frames only, or found that none can be computed, is not repeated: its labels
    become those of the chain, which ends with the warning 700. This holds at the walltime too if there is no
    checkpoint: an engine that cannot go on would label the same first frames again, up to the same walltime. Whoever
    wants the remaining frames raises the walltime or puts fewer frames in a job.
    """

    _input_namespace = 'single_point'
    _progress = FRAMES_DONE

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs and the warning; the same for every engine."""
        super().define(spec)
        spec.expose_outputs(cls._process_class, include=('labels', 'label_summary'))
        spec.exit_code(
            700,
            'WARNING_FRAMES_WITHOUT_LABELS',
            message='{n_missing} of {n_frames} frames have no labels, because the calculation ended with exit status '
            '{status}: {detail}',
        )

    @process_handler(priority=700)
    def handle_walltime_without_checkpoint(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Keep the labels of a calculation that cannot go on; it would reach the same walltime again."""
        is_out_of_walltime = calculation.exit_status == SCHEDULER_OUT_OF_WALLTIME
        if not is_out_of_walltime or 'checkpoint' in calculation.outputs or 'labels' not in calculation.outputs:
            return None
        if count_labelled(calculation):
            return self._finish_with_labels(calculation)
        return ProcessHandlerReport(True, calculation.exit_code)

    @process_handler(priority=500)
    def handle_frames_without_labels(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Keep the labels of a calculation that stopped early, and the reasons of one in which no frame converged."""
        if 'labels' not in calculation.outputs:
            return None
        has_stopped = calculation.exit_status in STOPPED_EARLY and count_labelled(calculation) > 0
        if has_stopped or calculation.exit_status == NO_FRAME_CONVERGED.status:
            return self._finish_with_labels(calculation)
        return None

    def _finish_with_labels(self, calculation: CalcJobNode) -> ProcessHandlerReport:
        """End with the warning, and with the labels that are there."""
        n_frames = calculation.outputs.label_summary['n_frames']
        self.ctx.is_finished = True
        warning = self.exit_codes.WARNING_FRAMES_WITHOUT_LABELS.format(
            n_missing=n_frames - count_labelled(calculation),
            n_frames=n_frames,
            status=calculation.exit_status,
            detail=calculation.exit_message,
        )
        self.report(warning.message)
        return ProcessHandlerReport(True, warning)


def count_labelled(calculation: CalcJobNode) -> int:
    """Return how many frames a calculation with outputs ``labels`` and ``label_summary`` has labelled."""
    return int(calculation.outputs.label_summary['n_labelled'])
