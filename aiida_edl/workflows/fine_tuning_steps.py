"""The end of a round of fine-tuning: learn what is labelled, test the potential, and see whether it is over."""

from __future__ import annotations

import math
from typing import Any

from aiida.engine import ToContext
from aiida.orm import Dict, Int, List, ProcessNode

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.fine_tuning_round import fine_tuning_round
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.learning_rounds import MeanError, is_no_longer_falling, is_small_enough
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.iterative_fine_tuning_checks import learnt_elements
from aiida_edl.workflows.iterative_fine_tuning_settings import FineTuningStart
from aiida_edl.workflows.learning_steps import CONVERGED, LearningSteps
from aiida_edl.workflows.training import TrainingWorkChain

FACTS = ('runs', 'failed_runs', 'temperatures')
"""What a round has found that is no node."""


class FineTuningStepsMixin(LearningSteps):
    """To be placed first in the bases of a work chain that fine-tunes one potential in rounds.

    Its outline is that of :class:`~aiida_edl.workflows.iterative_fine_tuning.IterativeFineTuningWorkChain`.
    """

    out: Any
    _atomic_energies: Any
    _why_not_converged: Any

    @property
    def _name(self) -> str:
        """Name of the round in the outputs."""
        return f'round_{self.ctx.round:02d}'

    def fine_tune(self) -> ToContext | None:
        """Fine-tune the parent, or the potential of the round before, on all labels there are, if new ones came."""
        if not self.ctx.has_new_labels:
            self.report('there is no new label to train on: the potential stays')
            return None
        label = self._label('training')
        child = self.try_submit(
            TrainingWorkChain,
            label,
            **self.exposed_inputs(TrainingWorkChain),
            training=self._training(),
            max_iterations=self.inputs.max_iterations,
            metadata={'call_link_label': label},
        )
        if child is None:
            self._end('ERROR_NO_POTENTIAL', self.failures[-1])
            return None
        self.report(f'fine-tuning on {len(self.ctx.split.get_array("training"))} frames')
        return ToContext(**{label: child})

    def _training(self) -> dict[str, Any]:
        """Return the inputs of the training of this round."""
        given = self.exposed_inputs(TrainingCalculation, 'training')
        retraining, parent = self.settings.retraining, self.inputs.parent_potential
        is_first = self.ctx.potential.uuid == parent.uuid
        if retraining.start_from == FineTuningStart.PREVIOUS.value:
            parent = self.ctx.potential
        elements = learnt_elements(self.ctx.dataset, given.get('replay_dataset'))
        energies = self._atomic_energies(self._label('fit_atomic_energies'), self._label('subtract_electrostatics'))
        further = (
            {}
            if is_first or not retraining.gradient_updates
            else {'gradient_updates': Int(retraining.gradient_updates)}
        )
        return {
            **given,
            **further,
            'dataset': self.ctx.dataset,
            'split': self.ctx.split,
            'elements': List(elements),
            'atomic_energies': energies,
            'parent_potential': parent,
        }

    def test_potential(self) -> ToContext | None:
        """Take the potential that was trained and measure it on the test frames; end if there is none."""
        if self.ctx.ending is not None:
            return None
        if self.ctx.has_new_labels:
            child = self.ctx[self._label('training')]
            if not child.is_finished_ok:
                self.note_failed_child(child, self._label('training'))
            if not has_results(child.exit_status) or 'potential' not in child.outputs:
                self._end('ERROR_NO_POTENTIAL', self.failures[-1])
                return None
            self.ctx.potential, self.ctx.split_of_potential = child.outputs.potential, self.ctx.split
            self.ctx.is_fine_tuned, self.ctx.tested = True, None
        elif self.ctx.round:
            return None  # it has been tested
        self.out(f'potentials.{self._name}', self.ctx.potential)
        return ToContext(**self.submit_evaluation('evaluation_test', self.ctx.potential, self.ctx.test_frames))

    def submit_evaluation(self, name: str, potential: PotentialData, frames: DatasetData) -> dict[str, ProcessNode]:
        """Measure a potential on labelled frames; nothing is submitted if the inputs are refused.

        :param name: what the label of the call says after the round.
        :param potential: the potential.
        :param frames: labelled frames.
        :return: the child by its label.
        """
        training = self.exposed_inputs(TrainingCalculation, 'training')
        options = {key: value for key, value in training['metadata']['options'].items() if key != 'parser_name'}
        label = self._label(name)
        child = self.try_submit(
            EvaluationWorkChain,
            label,
            evaluation={
                'potential': potential,
                'code': training['code'],
                'device': training['device'],
                'dataset': frames,
                'metadata': {'options': options},
            },
            max_iterations=self.inputs.max_iterations,
            metadata={'call_link_label': label},
        )
        return {} if child is None else {label: child}

    def take_errors(self, name: str) -> Dict | None:
        """Return the errors that were measured in this round; remember why there are none, or not of all frames.

        :param name: what the label of the call says after the round.
        """
        child = self.ctx.get(self._label(name))
        if child is None:
            return None
        if not child.is_finished_ok:
            self.note_failed_child(child, self._label(name))
        errors: Dict | None = child.outputs.errors if 'errors' in child.outputs else None
        return errors

    def close_round(self) -> None:
        """Draw up the round, and see whether it is over."""
        explored = dict(self.ctx.explored)
        if (tested := self.take_errors('evaluation_test')) is not None:
            self.ctx.tested = tested
            self.out(f'errors.{self._name}', tested)
        facts = {key: explored.pop(key) for key in FACTS if key in explored}
        facts |= {'round': self.ctx.round, 'is_retrained': self.ctx.is_fine_tuned}
        facts['wall_seconds'] = self._wall_seconds()
        if self.ctx.tested is not None:
            explored['test'] = self.ctx.tested
        self.ctx.rows[self._name] = self.call_once(
            fine_tuning_round,
            self._label('report'),
            split=self.ctx.split_of_potential,
            facts=Dict(facts),
            **explored,
        )
        if self.ctx.round and self.ctx.ending is None:
            self._judge(explored.get('own'))

    def _judge(self, errors: Dict | None) -> None:
        """End if the error on its own frames is small enough or falls no more, or this was the last round."""
        self.ctx.own_errors.append(_force_error(errors))
        known, rule = [MeanError(*pair) for pair in self.ctx.own_errors], self.settings.stop
        self.report(f'force error on its own frames, before it learnt them: {known[-1]} eV/Å')
        if reason := is_small_enough(known, rule) or is_no_longer_falling(known, rule):
            self._end(CONVERGED, reason)
        elif self.ctx.round >= self.settings.maximum_rounds:
            self._end('WARNING_NOT_CONVERGED', self._why_not_converged())


def _force_error(errors: Dict | None) -> tuple[float, float]:
    """Return the force RMSE and its error bar [eV/Å]; NaN where either is not known."""
    summary = {} if errors is None else errors['summary']
    values = [summary.get(name) for name in ('force_rmse_ev_per_angstrom', 'force_rmse_error_ev_per_angstrom')]
    error, bar = (math.nan if value is None else float(value) for value in values)
    return error, bar
