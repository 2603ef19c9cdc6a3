"""The runs of a round: from the structures, with the potentials of the round, and the frames that they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext
from aiida.orm import Bool, Dict, Int

from aiida_edl.calculations.functions.collect_frames import collect_frames
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.learning_bookkeeping import frames_of_runs, total_charge_columns, trajectory_label
from aiida_edl.workflows.learning_settings import Run
from aiida_edl.workflows.learning_steps import LearningSteps
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain


class RoundDynamicsMixin(LearningSteps):
    """Base of the mixins that explore, with one potential or with several that take turns."""

    def _explorers(self) -> dict[str, PotentialData]:
        """Return the potentials that are run in this round, by name."""
        raise NotImplementedError

    def _runs(self) -> list[Run]:
        """Return the runs of this round."""
        n_frames = {label: structure.n_frames for label, structure in self.inputs.structures.items()}
        return list(self.settings.runs(self.ctx.round, n_frames, len(self._explorers())))

    def run_dynamics(self) -> ToContext:
        """Run the potentials from the structures."""
        exposed = self.exposed_inputs(MolecularDynamicsCalculation, 'md')
        members = list(self._explorers().values())
        children = {}
        for run in self._runs():
            label = self._label(trajectory_label(run))
            child = self.try_submit(
                MolecularDynamicsWorkChain,
                label,
                md={
                    **exposed,
                    'potential': members[run.member],
                    'structure': self.inputs.structures[run.structure],
                    'frame_index': Int(run.frame_index),
                    'settings': Dict({**exposed['settings'].get_dict(), **run.md}),
                },
                skip_parity_check=Bool(True),
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': label},
            )
            if child is not None:
                children[label] = child
        self.report(f'exploring with {len(children)} runs')
        return ToContext(**children)

    def _collect_frames(self, further: Mapping[str, Mapping[str, Any]] | None = None) -> DatasetData | None:
        """Return the frames of all runs, those before an explosion too; end if there is none.

        :param further: scalars that are set on each frame of a trajectory, by its label.
        """
        runs = [(run, self.ctx.get(self._label(trajectory_label(run)))) for run in self._runs()]
        failed = [(run, child) for run, child in runs if child is None or not child.is_finished_ok]
        for run, child in failed:
            if child is not None:
                self.note_failed_child(child, self._label(trajectory_label(run)))
        self.ctx.explored = {'runs': len(runs), 'failed_runs': len(failed)}
        trajectories = frames_of_runs(runs)
        if not trajectories:
            self._end('ERROR_NO_FRAMES', '; '.join(self.failures[-len(failed) :]))
            return None
        columns: dict[str, Any] = {**total_charge_columns(self._runs(), self.inputs.structures, self._explorers())}
        for label, scalars in (further or {}).items():
            columns[label] = {**columns.get(label, {}), **scalars}
        frames: DatasetData = self.call_once(
            collect_frames,
            self._label('collect_frames'),
            settings=Dict({'prefix': self._label(''), 'columns': columns}),
            **trajectories,
        )
        return frames
