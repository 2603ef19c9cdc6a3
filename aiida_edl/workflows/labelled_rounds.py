"""What is done with the frames of a round that are worth a label: label them, and add them to the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida.engine import ToContext
from aiida.orm import ArrayData, Bool, Dict, Int

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.extend_dataset import extend_dataset
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.subtract_electrostatics import subtract_electrostatics
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.learning_steps import LearningSteps
from aiida_edl.workflows.training import TrainingWorkChain, is_subtracted

FROM_RUN = ('structure', 'frame_index', 'potential', 'model_parameters', 'checkpoint')
"""Inputs of a run that follow from the round."""


class LabelledRoundsMixin(LearningSteps):
    """To be placed first in the bases of a work chain whose data grows by the labels of each round."""

    should_check_labels: Any

    @classmethod
    def define_jobs(cls, spec: Any, from_round: Sequence[str]) -> None:
        """Define the ports of the jobs of all rounds: trainings, runs and labels.

        :param spec: specification of the work chain.
        :param from_round: inputs of a training that follow from the round, or that no round takes from outside.
        """
        spec.input('max_iterations', valid_type=Int, default=lambda: Int(5), help='How often a job is started at most.')
        spec.expose_inputs(TrainingCalculation, namespace='training', exclude=from_round)
        TrainingWorkChain.expose_long_range(spec)
        spec.expose_inputs(MolecularDynamicsCalculation, namespace='md', exclude=FROM_RUN)
        spec.expose_inputs(LabellingWorkChain, namespace='labelling', exclude=('dataset',))

    @classmethod
    def define_data(cls, spec: Any) -> None:
        """Define the outputs of the data and of what became of each round, and how labels that do not come end it.

        :param spec: specification of the work chain.
        """
        spec.output('dataset', valid_type=DatasetData, help='All labelled frames; `round` says when each was added.')
        spec.output('split', valid_type=ArrayData, help='Its parts; the test frames are those of the beginning.')
        spec.output('report', valid_type=Dict, help='What each round did and cost, and why it ended.')
        spec.output_namespace('rejected', valid_type=Dict, dynamic=True, help='Rejected labels, by round.')
        spec.exit_code(212, 'ERROR_LEVEL_OF_THEORY', message='The labels do not belong to the data set: {reason}')
        spec.exit_code(
            213, 'ERROR_LABELS_DIFFER', message='The engine gives other labels than the data set has: {reason}'
        )
        spec.exit_code(512, 'ERROR_NO_FRAMES', message='The dynamics gave no frame: {reason}')
        spec.exit_code(513, 'ERROR_NO_LABELS', message='No frame was labelled: {reason}')

    def _atomic_energies(self, label: str, label_of_subtraction: str) -> Dict:
        """Return the atomic energies that were given, or those that fit the training frames.

        :param label: label of the call that fits them.
        :param label_of_subtraction: label of the call that takes the electrostatics off the labels.
        """
        if 'atomic_energies' in self.inputs:
            given: Dict = self.inputs.atomic_energies
            return given
        learnt = self.ctx.dataset
        if is_subtracted(long_range := self.inputs.get('long_range')):
            learnt = self.call_once(
                subtract_electrostatics, label_of_subtraction, dataset=learnt, long_range=long_range
            )
        fitted: Dict = self.call_once(fit_atomic_energies, label, dataset=learnt, split=self.ctx.split)
        return fitted

    def _extend(self, dataset: DatasetData, split: ArrayData, **labelled: DatasetData) -> ArrayData:
        """Extend the data by the labels of this round, or mark those of the beginning."""
        settings = Dict(self.settings.extension(self.ctx.round))
        label = self._label('extend_dataset')
        extended = self.call_once(extend_dataset, label, dataset=dataset, split=split, settings=settings, **labelled)
        self.ctx.dataset, self.ctx.split = extended['dataset'], extended['split']
        return extended['split']

    def should_label(self) -> bool:
        """Return whether there are frames to label."""
        return self.ctx.ending is None and self.ctx.selected is not None

    def label_frames(self) -> ToContext | None:
        """Label the chosen frames; forces are checked against energies once, with the labels of known frames."""
        label = self._label('labelling')
        inputs = {**self.exposed_inputs(LabellingWorkChain, 'labelling'), 'metadata': {'call_link_label': label}}
        if self.should_check_labels():
            inputs['check_gradients'] = Bool(False)
        child = self.try_submit(LabellingWorkChain, label, **{**inputs, 'dataset': self.ctx.selected})
        return None if child is None else ToContext(**{label: child})

    def extend_data(self) -> None:
        """Add the new labels to the data, unless there are none or they are of another level of theory."""
        new = self._take_labels()
        if new is not None:
            self._add_labels(new)

    def _take_labels(self) -> DatasetData | None:
        """Return the labels of this round; end if there are none, or they do not belong to the data."""
        child = self.ctx.get(self._label('labelling'))
        if child is not None and not has_results(child.exit_status):
            self.note_failed_child(child, self._label('labelling'))
        if child is not None and 'rejected' in child.outputs:
            self.out(f'rejected.round_{self.ctx.round:02d}', child.outputs.rejected)
            self.ctx.explored['rejected'] = child.outputs.rejected
        if child is None or 'dataset' not in child.outputs:
            self._end('ERROR_NO_LABELS', self.failures[-1])
            return None
        new: DatasetData = child.outputs.dataset
        known = self.ctx.dataset
        if new.level_of_theory != known.level_of_theory:
            self._end('ERROR_LEVEL_OF_THEORY', f"'{new.level_of_theory}' is not '{known.level_of_theory}'")
            return None
        return new

    def _add_labels(self, new: DatasetData) -> None:
        """Extend the data, and see whether there is anything new to train on."""
        used = self.ctx.split
        self.ctx.explored['extended'] = self._extend(self.ctx.dataset, used, labelled=new)
        n_used = [
            sum(len(split.get_array(part)) for part in ('training', 'validation')) for split in (used, self.ctx.split)
        ]
        self.ctx.has_new_labels = n_used[1] > n_used[0]
