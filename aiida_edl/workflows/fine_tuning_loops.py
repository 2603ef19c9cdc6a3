"""The models of a fine-tuning study that find their own frames: one loop for each seed, a model from each round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiida.orm import ProcessNode

from aiida_edl.calculations.functions.begin_without_labels import begin_without_labels
from aiida_edl.workflows.cost_ledger import costs_of
from aiida_edl.workflows.fine_tuning_loop_inputs import Beginning, loop_inputs
from aiida_edl.workflows.fine_tuning_parts import FamilyPart, Strategy, StudyModel
from aiida_edl.workflows.fine_tuning_trainings import FineTuningTrainingsMixin, facts_of
from aiida_edl.workflows.iterative_fine_tuning import IterativeFineTuningWorkChain
from aiida_edl.workflows.iterative_fine_tuning_checks import learnt_elements


class FineTuningLoopsMixin(FineTuningTrainingsMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a study."""

    def _loops(self) -> Iterator[tuple[str, FamilyPart, int, str]]:
        """Yield name and part of each family that finds its own frames, with each seed, and the label of its loop."""
        for name, family in sorted(self.settings.families.items()):
            if family.strategy == Strategy.OWN_FRAMES.value:
                for seed in family.seeds:
                    yield name, family, int(seed), f'rounds_{name}_seed_{seed:02d}'

    def submit_loops(self) -> dict[str, ProcessNode]:
        """Submit the loops that were not yet submitted; a loop that is refused is remembered."""
        children = {}
        for name, family, seed, label in self._loops():
            inputs = self.try_build(self._loop_inputs, label, name, family, seed)
            if inputs is None:
                continue
            child = self.try_submit(
                IterativeFineTuningWorkChain,
                label,
                **inputs,
                metadata={'call_link_label': label},
            )
            if child is not None:
                children[label] = child
        return children

    def _loop_inputs(self, name: str, family: FamilyPart, seed: int) -> dict[str, Any]:
        """Return the inputs of a loop: it begins with the test frames of the study alone."""
        begin = self.call_once(
            begin_without_labels, f'begin_{name}_{seed:02d}', dataset=self.inputs.dataset, split=self.inputs.split
        )
        replay = self.ctx.replay.get(family.n_replay[0])
        energies = self._atomic_energies(learnt_elements(begin['dataset'], replay), self._parent(family))
        return loop_inputs(self.inputs, self.settings, name, seed, Beginning(**begin, replay=replay, energies=energies))

    def collect_loops(self) -> list[StudyModel]:
        """Take the potential of each round, with what it cost up to then; remember what failed."""
        potentials, facts, models = dict(self.ctx.potentials), dict(self.ctx.facts), []
        for name, family, seed, label in self._loops():
            child = self.ctx.get(label)
            if child is None:
                continue
            if not child.is_finished_ok:
                self.note_failed_child(child, f'rounds of {name} with seed {seed}')
            if 'potentials' not in child.outputs or 'report' not in child.outputs:
                continue  # what a loop has found counts however it ended
            rows = {f'round_{row["round"]:02d}': row for row in child.outputs.report['rounds']}
            for round_label, potential in sorted(child.outputs.potentials.items()):
                row = rows[round_label]
                if not row['round']:
                    continue  # the foundation model itself
                model = StudyModel(name, row['n_training'], family.n_replay[0], seed, row['round'])
                parts = [node for node, number in _calls_by_round(child) if number <= row['round']]
                potentials[model.key] = potential
                known = facts_of(model, family, self._architecture(family))
                facts[model.key] = {**known, 'n_validation': row['n_validation'], 'costs': costs_of(*parts)}
                models.append(model)
                self.out(f'potentials.{model.key}', potential)
        self.ctx.potentials, self.ctx.facts = potentials, facts
        return models


def _calls_by_round(loop: ProcessNode) -> Iterator[tuple[ProcessNode, int]]:
    """Yield what a loop called with the number of the round; what belongs to none is of the round 0."""
    for entry in loop.base.links.get_outgoing().all():
        if isinstance(entry.node, ProcessNode):
            words = entry.link_label.split('_')
            number = int(words[1]) if words[0] == 'round' and len(words) > 1 and words[1].isdecimal() else 0
            yield entry.node, number
