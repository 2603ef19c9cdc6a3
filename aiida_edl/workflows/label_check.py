"""Before anything is learnt: does the engine give the labels that the data set has?"""

from __future__ import annotations

from aiida.engine import ToContext
from aiida.orm import Dict, Int

from aiida_edl.calculations.functions.compare_labels import compare_labels
from aiida_edl.calculations.functions.select_parity_frames import select_parity_frames
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.learning_steps import LearningSteps

LABEL = 'check_labelling'
"""Label of the call that labels known frames again."""


class LabelCheckMixin(LearningSteps):
    """To be placed first in the bases of a work chain that adds labels to those of a data set.

    Another functional, cutoff or version of the engine is seen in frames whose labels are known, and not only when a
    round of work is done.
    """

    def should_check_labels(self) -> bool:
        """Return whether known frames are to be labelled again."""
        return self.settings.check.n_frames > 0

    def label_known_frames(self) -> ToContext | None:
        """Label some frames of each charge state again."""
        frames = self.call_once(
            select_parity_frames,
            'check_frames',
            dataset=self.inputs.dataset,
            n_frames=Int(self.settings.check.n_frames),
        )
        inputs = {**self.exposed_inputs(LabellingWorkChain, 'labelling'), 'metadata': {'call_link_label': LABEL}}
        child = self.try_submit(LabellingWorkChain, LABEL, **{**inputs, 'dataset': frames})
        return None if child is None else ToContext(**{LABEL: child})

    def compare_with_known(self) -> None:
        """End if the engine gives no label, or others than the data set has."""
        child, known = self.ctx.get(LABEL), self.inputs.dataset
        if child is not None and not child.is_finished_ok:
            self.note_failed_child(child, LABEL)
        if child is None or 'dataset' not in child.outputs:
            self._end('ERROR_NO_LABELS', self.failures[-1])
            return
        new = child.outputs.dataset
        if new.level_of_theory != known.level_of_theory:
            self._end('ERROR_LEVEL_OF_THEORY', f"'{new.level_of_theory}' is not '{known.level_of_theory}'")
            return
        check = self.settings.check
        tolerances = Dict({'energy': check.energy_tolerance, 'force': check.force_tolerance})
        found = self.call_once(
            compare_labels, 'compare_labels', dataset=known, labelled=new, tolerances=tolerances
        ).get_dict()
        if not found['passed']:
            self._end('ERROR_LABELS_DIFFER', '; '.join(found['reasons']))
            return
        self.report(
            f'the engine gives the labels of {found["n_frames"]} known frames to '
            f'{found["max_force_difference"]:.2g} eV/Å and {found["max_energy_difference"]:.2g} eV/atom'
        )
