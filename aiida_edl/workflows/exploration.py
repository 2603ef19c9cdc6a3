"""The exploration of a round of active learning: run the committee, and see on which frames its members disagree."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext
from aiida.orm import Dict

from aiida_edl.calculations.functions.committee_deviation import committee_deviation
from aiida_edl.calculations.functions.select_candidates import select_candidates
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.learning_rounds import is_accurate_enough
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.learning_bookkeeping import counts_in_words, planned_frames, why_no_candidate
from aiida_edl.workflows.learning_steps import CONVERGED
from aiida_edl.workflows.round_dynamics import RoundDynamicsMixin


class ExplorationMixin(RoundDynamicsMixin):
    """To be placed first in the bases of a work chain that explores with a committee.

    Its outline is that of :class:`~aiida_edl.workflows.active_learning.ActiveLearningWorkChain`.
    """

    def _explorers(self) -> dict[str, PotentialData]:
        """Return the members by name."""
        committee: dict[str, PotentialData] = self.ctx.committee
        return committee

    def predict_forces(self) -> ToContext | None:
        """Collect the frames of all runs, those before an explosion too, and ask every member about them."""
        self.ctx.frames = self._collect_frames()
        if self.ctx.frames is None:
            return None
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
