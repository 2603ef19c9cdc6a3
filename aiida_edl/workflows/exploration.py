"""The exploration of a round of active learning: run the committee, and see on which frames its members disagree."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext
from aiida.orm import Bool, Dict, Int

from aiida_edl.calculations.functions.collect_frames import collect_frames
from aiida_edl.calculations.functions.committee_deviation import committee_deviation
from aiida_edl.calculations.functions.select_candidates import select_candidates
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.science.learning_rounds import is_accurate_enough
from aiida_edl.workflows.active_learning_settings import Run
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.learning_bookkeeping import (
    counts_in_words,
    frames_of_runs,
    planned_frames,
    total_charge_columns,
    trajectory_label,
    why_no_candidate,
)
from aiida_edl.workflows.learning_steps import CONVERGED, LearningSteps
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain


class ExplorationMixin(LearningSteps):
    """To be placed first in the bases of a work chain that explores with a committee.

    Its outline is that of :class:`~aiida_edl.workflows.active_learning.ActiveLearningWorkChain`.
    """

    def _runs(self) -> list[Run]:
        """Return the runs of this round."""
        n_frames = {label: structure.n_frames for label, structure in self.inputs.structures.items()}
        return list(self.settings.runs(self.ctx.round, n_frames, len(self.ctx.committee)))

    def run_dynamics(self) -> ToContext:
        """Run the members from the structures."""
        exposed = self.exposed_inputs(MolecularDynamicsCalculation, 'md')
        members = list(self.ctx.committee.values())
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

    def predict_forces(self) -> ToContext | None:
        """Collect the frames of all runs, those before an explosion too, and ask every member about them."""
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
        columns = total_charge_columns(self._runs(), self.inputs.structures, self.ctx.committee)
        self.ctx.frames = self.call_once(
            collect_frames,
            self._label('collect_frames'),
            settings=Dict({'prefix': self._label(''), 'columns': columns}),
            **trajectories,
        )
        training, children = self.exposed_inputs(TrainingCalculation, 'training'), {}
        options = {key: value for key, value in training['metadata']['options'].items() if key != 'parser_name'}
        for name, potential in self.ctx.committee.items():
            label = self._label(f'prediction_{name}')
            children[label] = self.submit(
                EvaluationWorkChain,
                evaluation={
                    'potential': potential,
                    'code': training['code'],
                    'device': training['device'],
                    'dataset': self.ctx.frames,
                    'metadata': {'options': options},
                },
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': label},
            )
        return ToContext(**children)

    def select_frames(self) -> None:
        """Sort the frames by the deviation of the committee, and choose among the candidates."""
        if self.ctx.ending is not None:
            return
        predictions = {}
        for name in self.ctx.committee:
            child = self.ctx[self._label(f'prediction_{name}')]
            if not child.is_finished_ok:
                self.note_failed_child(child, self._label(f'prediction_{name}'))
            if 'predictions' in child.outputs:
                predictions[name] = child.outputs.predictions
        if len(predictions) < 2:
            self._end('ERROR_COMMITTEE_TOO_SMALL', '; '.join(self.failures))
            return
        deviation = self.call_once(committee_deviation, self._label('committee_deviation'), **predictions)
        planned = planned_frames(self._runs(), self.inputs.structures, self.inputs.md)
        settings = Dict(self.settings.choice(self.ctx.round, planned))
        found = self.call_once(
            select_candidates,
            self._label('select_candidates'),
            dataset=self.ctx.frames,
            deviation=deviation,
            settings=settings,
        )
        self.ctx.selected, self.ctx.explored['selection'] = found.get('dataset'), found['selection']
        self._judge(found['selection'].get_dict())

    def _judge(self, counts: dict[str, Any]) -> None:
        """End if enough frames are accurate, or if there is nothing to label and yet too few are."""
        rule = self.settings.stop
        self.report(counts_in_words(counts))
        self.ctx.shares.append(counts['accurate_share'])
        if reason := is_accurate_enough(self.ctx.shares, rule):
            self._end(CONVERGED, reason)
        elif not counts['candidate'] and counts['accurate_share'] < rule.accurate_share:
            self._end('ERROR_NO_CANDIDATE', why_no_candidate(counts, self.settings.window))
