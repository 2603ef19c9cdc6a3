"""Train one architecture with many seeds on training sets of several sizes, and say what more data would bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain
from aiida.orm import ArrayData, Dict, Int, List, Str

from aiida_edl.calculations.functions.committee_deviation import committee_deviation
from aiida_edl.calculations.functions.learning_curve_over_size import learning_curve_over_size
from aiida_edl.calculations.functions.nested_training_sets import nested_training_sets, size_label
from aiida_edl.calculations.replay_checks import validate_replay
from aiida_edl.calculations.training import SUBSETS, TrainingCalculation, validate_split
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.partial_failures import PartialFailuresMixin
from aiida_edl.workflows.training import TrainingWorkChain, validate_parts


def seed_label(seed: int) -> str:
    """Return the label of a seed.

    >>> seed_label(1)
    'seed_01'
    """
    return f'seed_{seed:02d}'


def validate_seeds(value: List | None, _: Any) -> str | None:
    """Return one sentence if there is no seed, one is given twice, or one is negative."""
    seeds = value.get_list() if value is not None else [0]
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        return f'seeds is {seeds}; give at least one, none twice and none negative'
    return None


def validate_ensemble(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if a member could not be trained or tested."""
    training, parents = inputs.get('training') or {}, inputs.get('parent_potentials') or {}
    if 'seeds' not in inputs or not {'dataset', 'split', 'architecture', 'code'} <= set(training):
        return None
    split = training['split']
    if message := validate_split(split, training['dataset'].n_frames):
        return message
    if not len(split.get_array('test')):
        return "the array 'test' of the split is empty; keep some frames apart to test all members on"
    largest = len(split.get_array('training'))
    sizes = inputs['training_set_sizes'].get_list() if 'training_set_sizes' in inputs else [largest]
    if not sizes or len(set(sizes)) < len(sizes) or not all(0 < size <= largest for size in sizes):
        return f'training_set_sizes is {sizes}; give numbers from 1 to {largest}, the frames of the training set'
    # What an architecture refuses, too large a batch for example, it refuses for the smallest set.
    smallest = ArrayData({name: split.get_array(name) for name in SUBSETS})
    smallest.set_array('training', split.get_array('training')[: min(sizes)])
    seed = Int(max(inputs['seeds'].get_list()))
    parent = {'parent_potential': next(iter(parents.values()))} if parents else {}
    if message := TrainingCalculation.validate({**training, **parent, 'split': smallest, 'seed': seed}):
        return f'a training set of {min(sizes)} frames is refused: {message}'
    return validate_parts(inputs) or _validate_parents(training, parents, inputs['seeds'].get_list())


def _validate_parents(
    training: Mapping[str, Any], parents: Mapping[str, PotentialData], seeds: list[int]
) -> str | None:
    """Return one sentence if a parent is given for no member, or replayed frames are not what each of them knows."""
    for label, node in parents.items():
        if message := validate_replay({**training, 'parent_potential': node}):
            return f'the parent of {label} is refused: {message}'
    unused = sorted(set(parents) - {seed_label(seed) for seed in seeds})
    return f'parent_potentials holds {", ".join(unused)}, but the seeds are {seeds}' if unused else None


class EnsembleTrainingWorkChain(PartialFailuresMixin, WorkChain):
    """Train an ensemble: seeds times sizes of the training set, all to the same number of gradient updates.

    The sets are nested. All potentials are tested on the same frames. A member that fails is reported, the others make
    the result.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.expose_inputs(TrainingCalculation, namespace='training', exclude=('checkpoint', 'seed'))
        TrainingWorkChain.expose_long_range(spec)
        spec.input('seeds', valid_type=List, validator=validate_seeds, help='Seeds of the members, for every size.')
        spec.input(
            'training_set_sizes',
            valid_type=List,
            required=False,
            help='Frames of the training sets; the whole training set of the split without it.',
        )
        spec.input(
            'subset_seed', valid_type=Int, default=lambda: Int(0), help='Seed of the order in which frames are taken.'
        )
        spec.input('max_iterations', valid_type=Int, default=lambda: Int(5), help='How often a job is started at most.')
        spec.input_namespace(
            'parent_potentials',
            valid_type=PotentialData,
            dynamic=True,
            required=False,
            help='Potential from whose weights a member starts, by its seed as in `seed_01`; instead of one for all.',
        )
        spec.inputs.validator = validate_ensemble
        spec.output_namespace('potentials', valid_type=PotentialData, dynamic=True, help='Potential by member.')
        spec.output_namespace('errors', valid_type=Dict, dynamic=True, help='Errors on the test frames by member.')
        spec.output_namespace(
            'deviations', valid_type=ArrayData, dynamic=True, help='Deviation of the members by size, if two or more.'
        )
        spec.output('learning_curve_over_size', valid_type=ArrayData, help='Errors against size, with error bars.')
        spec.outline(cls.cut_training_sets, cls.train, cls.inspect_training, cls.inspect_evaluations, cls.analyse)
        spec.exit_code(511, 'ERROR_NO_POTENTIAL', message='No member could be trained and tested; failures: {failures}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The ensemble lacks members that failed: {failures}')

    def cut_training_sets(self) -> None:
        """Cut the training sets of all sizes out of the split."""
        training = self.inputs.training
        if 'training_set_sizes' not in self.inputs:
            self.ctx.sizes = [len(training.split.get_array('training'))]
            self.ctx.splits = {size_label(self.ctx.sizes[0]): training.split}
            return
        self.ctx.sizes = sorted(self.inputs.training_set_sizes.get_list())
        self.ctx.splits = self.call_once(
            nested_training_sets,
            'nested_training_sets',
            dataset=training.dataset,
            split=training.split,
            sizes=self.inputs.training_set_sizes,
            seed=self.inputs.subset_seed,
        )

    def _members(self) -> dict[str, tuple[int, int]]:
        """Return size and seed of each member by its label."""
        seeds = self.inputs.seeds.get_list()
        return {f'{size_label(size)}_{seed_label(seed)}': (size, seed) for size in self.ctx.sizes for seed in seeds}

    def _parent(self, seed: int) -> dict[str, PotentialData]:
        """Return the parent of the members with a seed, if it has one of its own."""
        parent = self.inputs.get('parent_potentials', {}).get(seed_label(seed))
        return {} if parent is None else {'parent_potential': parent}

    def train(self) -> ToContext:
        """Train every member to the same number of gradient updates."""
        children = {}
        for label, (size, seed) in self._members().items():
            training = {
                **self.exposed_inputs(TrainingCalculation, 'training'),
                'split': self.ctx.splits[size_label(size)],
                'seed': Int(seed),
                **self._parent(seed),
            }
            children[f'training_{label}'] = self.submit(
                TrainingWorkChain,
                **self.exposed_inputs(TrainingWorkChain),
                training=training,
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': f'training_{label}'},
            )
        self.report(f'training {len(children)} potentials')
        return ToContext(**children)

    def inspect_training(self) -> ToContext:
        """Test every potential on the same frames; remember what failed."""
        training = self.inputs.training
        options = {key: value for key, value in training.metadata.options.items() if key != 'parser_name'}
        children = {}
        for label in self._members():
            child = self.ctx[f'training_{label}']
            if not child.is_finished_ok:
                self.note_failed_child(child, f'training of {label}')
                continue
            self.out(f'potentials.{label}', child.outputs.potential)
            device = {'device': training.device} if 'device' in training else {}
            children[f'evaluation_{label}'] = self.submit(
                EvaluationWorkChain,
                evaluation={
                    **device,
                    'potential': child.outputs.potential,
                    'code': training.code,
                    'dataset': training.dataset,
                    'split': training.split,
                    'subset': Str('test'),
                    'metadata': {'options': options},
                },
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': f'evaluation_{label}'},
            )
        return ToContext(**children)

    def inspect_evaluations(self) -> Any:
        """Take the errors of all members; stop if there are none."""
        self.ctx.errors, self.ctx.predictions = {}, {}
        for label in self._members():
            child = self.ctx.get(f'evaluation_{label}')
            if child is None:
                continue
            if not child.is_finished_ok:
                self.note_failed_child(child, f'evaluation of {label}')
            if 'errors' in child.outputs:
                self.ctx.errors[label] = child.outputs.errors
                self.ctx.predictions[label] = child.outputs.predictions
                self.out(f'errors.{label}', child.outputs.errors)
        if not self.ctx.errors:
            return self.exit_codes.ERROR_NO_POTENTIAL.format(failures='; '.join(self.failures))
        return None

    def analyse(self) -> Any:
        """Draw up errors against size, and how far the members of each size differ."""
        members = self._members()
        sizes = {label: members[label][0] for label in self.ctx.errors}
        curve = self.call_once(
            learning_curve_over_size, 'learning_curve_over_size', sizes=Dict(sizes), **self.ctx.errors
        )
        self.out('learning_curve_over_size', curve)
        for size in self.ctx.sizes:
            committee = {key: node for key, node in self.ctx.predictions.items() if members[key][0] == size}
            if len(committee) > 1:
                name = size_label(size)
                deviation = self.call_once(committee_deviation, f'committee_deviation_{name}', **committee)
                self.out(f'deviations.{name}', deviation)
        if self.failures:
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures='; '.join(self.failures))
        return None
