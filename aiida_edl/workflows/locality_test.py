"""How far do potentials see, what do they miss of a far ion, and do they tell charges of one geometry apart?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiida.engine import ToContext, WorkChain, if_
from aiida.orm import AbstractCode, ArrayData, Bool, Dict, Int, Str

from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations.base import validate_device
from aiida_edl.calculations.evaluation import BINDING
from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.locality_pairs import locality_pairs, removal_pairs
from aiida_edl.calculations.functions.locality_report import locality_report
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.analysis.charge_blindness import geometries
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.locality_pairs import LocalityError, LocalitySettings
from aiida_edl.science.locality_pairs import locality_pairs as make_pairs
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.partial_failures import PartialFailuresMixin

PAIRS, CHARGES, EQUILIBRATED = 'pairs', 'charges', 'equilibrated'
"""What a potential is evaluated on; first parts of the labels of the calls."""
LABELLING = 'labelling'
"""Label of the call that labels pairs with and without an ion."""


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist, is of a wrong type or out of range."""
    try:
        LocalitySettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None


def validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if a potential has no code, or frames and settings do not fit together."""
    potentials, codes = inputs.get('potentials') or {}, inputs.get('codes') or {}
    if not potentials:
        return 'no potential is given; name at least one'
    for name, potential in sorted(potentials.items()):
        if potential.architecture not in codes:
            return (
                f"potential '{name}' is of architecture '{potential.architecture}', codes are given for "
                f'{", ".join(sorted(codes)) or "none"}; add the Python interpreter of its environment'
            )
    if 'settings' not in inputs or 'structure' not in inputs or validate_settings(inputs['settings'], None):
        return None  # their ports say so
    settings = LocalitySettings.from_dict(inputs['settings'].get_dict())
    n_frames = inputs['structure'].n_frames
    if absent := [index for index in settings.frame_indices if not -n_frames <= index < n_frames]:
        return f'frame_indices holds {absent[0]}, the structure has {n_frames} frames'
    return _validate_pairs(inputs['structure'], settings) or _validate_charge_frames(
        inputs.get('charge_frames'), settings
    )


def _validate_pairs(structure: DatasetData, settings: LocalitySettings) -> str | None:
    """Return one sentence if no pairs can be made: no one kind of ion, a cell that is not open along one vector."""
    chosen = [structure.frame(index) for index in settings.frame_indices]
    tried = replace(settings, frame_indices=tuple(range(len(chosen))))
    try:
        make_pairs(FrameSet.from_frames(chosen), tried)
    except ValueError as error:
        return f'no pairs can be made of the structure: {error}'
    return None


def _validate_charge_frames(node: DatasetData | None, settings: LocalitySettings) -> str | None:
    """Return one sentence if frames at several charges lack labels, columns, or charges."""
    if node is None:
        return None
    if not settings.charge_column:
        return 'charge_frames are given, but the setting charge_column is empty; name the column of their charge'
    if missing := {'energies', 'forces'} - set(node.base.attributes.get(node.KEY_LABELS)):
        return f'charge_frames lack {" and ".join(sorted(missing))}; label them first'
    try:
        geometries(node.frames(), settings.charge_column)
    except LocalityError as error:
        return str(error)
    return None


class LocalityTestWorkChain(PartialFailuresMixin, WorkChain):
    """Show potentials cells that are the same around most atoms and differ far away.

    Atoms are moved, ions removed and added far from the others: what changes, and how far away, is how far a potential
    sees. With a reference engine the pairs with and without an ion are labelled, and the forces that a potential
    misses are compared with its errors on frames equilibrated at each charge state, if those are given. Labelled
    frames of geometries at several charges show whether a potential tells charges apart.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input_namespace('potentials', valid_type=PotentialData, dynamic=True, help='Potentials by name.')
        spec.input_namespace(
            'codes',
            valid_type=AbstractCode,
            dynamic=True,
            help='Python interpreter of the environment of each architecture, by its entry-point name.',
        )
        spec.input('structure', valid_type=DatasetData, help='Frames of which pairs are made.')
        spec.input(
            'settings',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_settings,
            help='Fields of ``LocalitySettings`` that differ from the defaults.',
        )
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options of the evaluations.')
        spec.input(
            'device', valid_type=Str, default=lambda: Str('cpu'), validator=validate_device, help='`cpu` or `cuda`.'
        )
        spec.input('max_iterations', valid_type=Int, default=lambda: Int(5), help='How often a job is started at most.')
        spec.expose_inputs(
            LabellingWorkChain,
            namespace='reference',
            exclude=('dataset',),
            namespace_options={
                'required': False,
                'populate_defaults': False,
                'help': 'Labels the pairs with and without an ion; they are not compared without it.',
            },
        )
        spec.input(
            'equilibrated',
            valid_type=DatasetData,
            required=False,
            help='Labelled frames equilibrated at each charge state, which no potential was trained on.',
        )
        spec.input(
            'equilibrated_split',
            valid_type=ArrayData,
            required=False,
            help='Split of the equilibrated frames, of which the subset `test` is used; all frames without it.',
        )
        spec.input(
            'charge_frames',
            valid_type=DatasetData,
            required=False,
            help='Labelled frames of geometries (column `group`) at several charges (setting `charge_column`).',
        )
        spec.inputs.validator = validate_inputs
        spec.output('pairs', valid_type=DatasetData, help='Base frames, each followed by its variants.')
        spec.output('report', valid_type=Dict, help='What was found, in rows and in words.')
        spec.output('profiles', valid_type=ArrayData, help='Largest changes against distance, by potential.')
        spec.output('reference', valid_type=DatasetData, required=False, help='Labels of the pairs without an ion.')
        spec.outline(
            cls.make_pairs,
            if_(cls.has_reference)(cls.label_pairs),
            cls.evaluate,
            cls.inspect_labels,
            cls.judge,
        )
        spec.exit_code(511, 'ERROR_NO_POTENTIAL', message='No potential could be evaluated; failures: {failures}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The test lacks parts that failed: {failures}')

    def make_pairs(self) -> None:
        """Make the pairs."""
        self.ctx.pairs = self.call_once(
            locality_pairs, 'locality_pairs', structure=self.inputs.structure, settings=self.inputs.settings
        )
        self.out('pairs', self.ctx.pairs)
        self.report(f'{self.ctx.pairs.n_frames} frames for {len(self.inputs.potentials)} potentials')

    def has_reference(self) -> bool:
        """Return whether the pairs without an ion are to be labelled."""
        return 'engine' in self.inputs.get('reference', {})

    def label_pairs(self) -> ToContext:
        """Label frames with and without an ion by the reference."""
        frames = self.call_once(removal_pairs, 'removal_pairs', pairs=self.ctx.pairs)
        inputs = {**self.exposed_inputs(LabellingWorkChain, 'reference'), 'dataset': frames}
        metadata = {'metadata': {'call_link_label': LABELLING}}
        child = self.try_submit(LabellingWorkChain, LABELLING, **{**inputs, **metadata})
        return ToContext(**({} if child is None else {LABELLING: child}))

    def evaluate(self) -> ToContext:
        """Ask each potential about all sets of frames; what one refuses is remembered."""
        children = {}
        sets: dict[str, dict[str, Any]] = {PAIRS: {'dataset': self.ctx.pairs, 'atomic_energies': Bool(True)}}
        if 'charge_frames' in self.inputs:
            sets[CHARGES] = {'dataset': self.inputs.charge_frames}
        if 'equilibrated' in self.inputs:
            sets[EQUILIBRATED] = {'dataset': self.inputs.equilibrated}
            if 'equilibrated_split' in self.inputs:
                sets[EQUILIBRATED] |= {'split': self.inputs.equilibrated_split, 'subset': Str('test')}
        for name, potential in sorted(self.inputs.potentials.items()):
            for part, frames in sets.items():
                key = f'{part}_{name}'
                child = self.try_submit(
                    EvaluationWorkChain,
                    f'evaluation of {name} on {part}',
                    evaluation={**frames, **self._common(potential)},
                    max_iterations=self.inputs.max_iterations,
                    metadata={'call_link_label': key},
                )
                if child is not None:
                    children[key] = child
        return ToContext(**children)

    def _common(self, potential: PotentialData) -> dict[str, Any]:
        """Return inputs of every evaluation of a potential; in double precision where it can be run so."""
        options = self.inputs.options.get_dict() if 'options' in self.inputs else {}
        binding = load_member(ARCHITECTURES, potential.architecture).bindings.get(BINDING)
        is_free = binding is not None and binding.can_change_precision
        return {
            'potential': potential,
            'code': self.inputs.codes[potential.architecture],
            'device': self.inputs.device,
            'metadata': {'options': options},
            **({'precision': Str(Precision.DOUBLE.value)} if is_free else {}),
        }

    def inspect_labels(self) -> None:
        """Take the labels of the reference."""
        child = self.ctx.get(LABELLING)
        if child is None:
            return
        if not child.is_finished_ok:
            self.note_failed_child(child, LABELLING)
        if has_results(child.exit_status) and 'dataset' in child.outputs:
            self.ctx.reference = child.outputs.dataset
            self.out('reference', self.ctx.reference)

    def _of_potential(self, name: str) -> dict[str, Any]:
        """Return the inputs of the report for one potential; none if it was not evaluated on the pairs."""
        found = {}
        outputs = {PAIRS: ('predictions', 'predictions'), CHARGES: ('predictions', 'charge_predictions')}
        outputs[EQUILIBRATED] = ('errors', 'errors')
        for part, (output, key) in outputs.items():
            child = self.ctx.get(f'{part}_{name}')
            if child is None:
                continue
            if not child.is_finished_ok:
                self.note_failed_child(child, f'evaluation of {name} on {part}')
            if has_results(child.exit_status) and output in child.outputs:
                found[f'{key}_{name}'] = child.outputs[output]
        if f'predictions_{name}' not in found:
            return {}
        return {**found, f'potential_{name}': self.inputs.potentials[name]}

    def judge(self) -> Any:
        """Say what was found."""
        models: dict[str, Any] = {}
        for name in sorted(self.inputs.potentials):
            models |= self._of_potential(name)
        if not models:
            return self.exit_codes.ERROR_NO_POTENTIAL.format(failures='; '.join(self.failures))
        optional = {'reference': self.ctx.get('reference'), 'charge_frames': self.inputs.get('charge_frames')}
        found = self.call_once(
            locality_report,
            'locality_report',
            pairs=self.ctx.pairs,
            settings=self.inputs.settings,
            **{name: node for name, node in optional.items() if node is not None},
            **models,
        )
        self.out('report', found['report'])
        self.out('profiles', found['profiles'])
        report = found['report'].get_dict()
        for sentence in report['words']:
            self.report(sentence)
        for row in report['failed']:
            self.note_failure(f'{row["what"]} ({row["reason"]})')
        if not report['rows']:
            return self.exit_codes.ERROR_NO_POTENTIAL.format(failures='; '.join(self.failures))
        if self.failures:
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures='; '.join(self.failures))
        return None
