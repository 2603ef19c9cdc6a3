"""The frames that a potential finds by itself: run it, choose among them, and measure it where it went."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext
from aiida.orm import Dict

from aiida_edl.calculations.functions.select_own_frames import select_own_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.workflows.iterative_fine_tuning_settings import STRATA
from aiida_edl.workflows.learning_bookkeeping import planned_frames, trajectory_label
from aiida_edl.workflows.learning_settings import Run
from aiida_edl.workflows.round_dynamics import RoundDynamicsMixin

MAXIMUM_REASONS = 3
"""Exclusions that a message lists; the report has all."""


class OwnFramesMixin(RoundDynamicsMixin):
    """To be placed first in the bases of a work chain that explores with one potential.

    Its outline is that of :class:`~aiida_edl.workflows.iterative_fine_tuning.IterativeFineTuningWorkChain`.
    """

    out: Any
    submit_evaluation: Any
    take_errors: Any
    _take_labels: Any
    _add_labels: Any

    def _explorers(self) -> dict[str, PotentialData]:
        """Return the potential of the round before."""
        return {f'round_{self.ctx.round - 1:02d}': self.ctx.potential}

    def _temperature(self, run: Run) -> float:
        """Return the temperature of a run [K]."""
        return MDSettings.from_dict({**self.inputs.md.settings.get_dict(), **run.md}).temperature

    def run_dynamics(self) -> ToContext:
        """Begin a round: run the potential of the round before from the structures."""
        self.ctx.round += 1
        self.ctx.explored, self.ctx.selected = {}, None
        self.ctx.is_fine_tuned, self.ctx.has_new_labels = False, False
        return super().run_dynamics()

    def select_frames(self) -> None:
        """Collect the frames of all runs, leave out unphysical ones, and choose which to label."""
        runs = self._runs()
        further = {
            trajectory_label(run): dict(zip(STRATA, (run.structure, self._temperature(run)), strict=True))
            for run in runs
        }
        frames = self._collect_frames(further)
        self.ctx.explored['temperatures'] = sorted({self._temperature(run) for run in runs})
        if frames is None:
            return
        planned = sum(planned_frames(runs, self.inputs.structures, self.inputs.md).values())
        found = self.call_once(
            select_own_frames,
            self._label('select_own_frames'),
            dataset=frames,
            settings=Dict(self.settings.choice(self.ctx.round, planned)),
            known=self.ctx.dataset,
            split=self.ctx.split,
        )
        self.ctx.selected, self.ctx.explored['selection'] = found.get('dataset'), found['selection']
        counts = found['selection'].get_dict()
        self.report(
            f'{counts["n_frames"]} of {planned} planned frames, {counts["n_unphysical"]} unphysical, '
            f'{counts["n_selected"]} chosen'
        )
        if self.ctx.selected is None:
            named = '; '.join(counts['exclusions'][:MAXIMUM_REASONS])
            reason = f'{counts["n_unphysical"]} of {counts["n_frames"]} are left out: {named}'
            self._end('ERROR_NO_PHYSICAL_FRAME', f'{reason}; lower the temperature or shorten the runs')

    def measure_own_error(self) -> ToContext | None:
        """Compare the new labels with what the potential that found the frames says of them; it knows none of them."""
        new: DatasetData | None = self._take_labels()
        self.ctx.labelled = new
        if new is None:
            return None
        return ToContext(**self.submit_evaluation('evaluation_own', self.ctx.potential, new))

    def extend_data(self) -> None:
        """Take the error on its own frames, and add the labels to the data."""
        if self.ctx.labelled is None:
            return
        errors = self.take_errors('evaluation_own')
        if errors is not None:
            self.out(f'own_errors.round_{self.ctx.round:02d}', errors)
            self.ctx.explored['own'] = errors
        self._add_labels(self.ctx.labelled)
