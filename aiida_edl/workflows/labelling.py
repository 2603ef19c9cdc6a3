"""Label frames with any engine, many a job, and lose none of them without saying why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.orm import AbstractCode, Bool, Dict, Float, Int, ProcessNode, Str
from aiida.plugins import WorkflowFactory

from aiida_edl.calculations.functions.assemble_labels import assemble_labels
from aiida_edl.calculations.functions.gradient_check import gradient_probes, gradient_verdict
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import registered_names, unknown_name_message
from aiida_edl.science.gradient_check import GradientSettings, Verdict
from aiida_edl.science.label_gate import GateSettings
from aiida_edl.workflows.submission import SubmitOnceMixin

ENGINE_PREFIX = 'edl.single_point.'
ENGINE_INPUTS = ('model_parameters', 'potential')
"""Inputs that are passed to the engine if they are given; not every engine takes each of them."""


def single_point_engines() -> dict[str, str]:
    """Return the entry point of every registered single-point engine by its short name."""
    names = [name for name in registered_names('aiida.workflows') if name.startswith(ENGINE_PREFIX)]
    return {name.removeprefix(ENGINE_PREFIX): name for name in names}


def validate_engine(engine: Str, _: Any) -> str | None:
    """Return one sentence if the engine is not registered."""
    known = single_point_engines()
    return None if engine.value in known else unknown_name_message('single-point engine', engine.value, list(known))


def validate_gate(gate: Dict, _: Any) -> str | None:
    """Return one sentence if a setting of the gate does not exist, is of a wrong type or out of range."""
    try:
        GateSettings.from_dict(gate.get_dict())
    except ValueError as error:
        return str(error)
    return None


def validate_gradient_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting of the gradient check does not exist, is of a wrong type or out of range."""
    try:
        GradientSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None


def validate_positive(number: Int, port: Any) -> str | None:
    """Return one sentence if a number of frames or jobs is none."""
    return None if number.value > 0 else f'{port.name} is {number.value}, it must be positive'


def validate_max_failed_fraction(fraction: Float, _: Any) -> str | None:
    """Return one sentence if the value is no fraction."""
    is_fraction = 0.0 <= fraction.value <= 1.0
    return None if is_fraction else f'max_failed_fraction is {fraction.value}, it must lie between 0 and 1'


def validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if the engine takes no input of a name that is given, or refuses what it is given."""
    if 'engine' not in inputs or validate_engine(inputs['engine'], None):
        return None  # its port says so, or a work chain that exposes only a part of the ports provides the others later
    engine = inputs['engine'].value
    for name in ENGINE_INPUTS:
        if name in inputs and name not in _ports(engine):
            able = ', '.join(other for other in single_point_engines() if name in _ports(other))
            return f"engine '{engine}' takes no {name}, but one was given; leave it out or use one of: {able}"
    return _refusal(engine, inputs)


def _refusal(engine: str, inputs: Mapping[str, Any]) -> str | None:
    """Return what the engine says of its inputs if it refuses them; said by a job, it would end the work chain."""
    port = _ports(engine)
    given = {name: inputs[name] for name in ('dataset', 'code', *ENGINE_INPUTS) if name in inputs}
    if not {'dataset', 'code'} <= set(given):
        return None  # as above
    error = port.validate(port.pre_process(given))
    return None if error is None else f"engine '{engine}' refuses its inputs: {error.message}"


def _ports(engine: str) -> Any:
    """Return the ports of the calculation of an engine by name."""
    return WorkflowFactory(single_point_engines()[engine]).spec().inputs['single_point']


class LabellingWorkChain(SubmitOnceMixin, WorkChain):
    """Label frames: pack them into jobs, pass every label through the gate, assemble the data set.

    A job that fails costs its own frames only: they are listed as rejected, with the exit status and message of the
    job, and labels that it gave before it failed are used. Frames that are rejected are a warning as long as they are
    few; the data set holds the others.

    Last, the frame with the largest force is deformed a little, and labelled again: if its energy does not change by
    the work of its forces and stress, all labels of this engine are wrong, and there is no data set.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.inputs.validator = validate_inputs
        spec.input('dataset', valid_type=DatasetData, help='Frames to label.')
        spec.input('engine', valid_type=Str, validator=validate_engine, help='Short name of the single-point engine.')
        spec.input('code', valid_type=AbstractCode, help='Code of the engine.')
        spec.input('model_parameters', valid_type=Dict, required=False, help='Parameters of the engine.')
        spec.input('potential', valid_type=PotentialData, required=False, help='A potential as teacher.')
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options of each job.')
        spec.input(
            'gate', valid_type=Dict, default=lambda: Dict({}), validator=validate_gate, help='Limits of the gate.'
        )
        spec.input(
            'check_gradients',
            valid_type=Bool,
            default=lambda: Bool(True),
            help='Whether forces and stress of one frame are checked against energies, by up to five single points.',
        )
        spec.input(
            'gradient_settings',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_gradient_settings,
            help='Fields of ``GradientSettings`` that differ from the defaults.',
        )
        spec.input(
            'frames_per_job',
            valid_type=Int,
            default=lambda: Int(500),
            validator=validate_positive,
            help='Frames in one job.',
        )
        spec.input(
            'max_active_jobs',
            valid_type=Int,
            default=lambda: Int(50),
            validator=validate_positive,
            help='Jobs that wait or run at a time; the next ones are submitted when all of these have ended.',
        )
        spec.input(
            'max_failed_fraction',
            valid_type=Float,
            default=lambda: Float(0.1),
            validator=validate_max_failed_fraction,
            help='Largest tolerated share of rejected frames, 0 to 1; frames of jobs that failed are among them.',
        )
        spec.output('dataset', valid_type=DatasetData, required=False, help='Labelled frames that passed the gate.')
        spec.output(
            'rejected', valid_type=Dict, help='Frames that did not pass, each with its reasons and their limits.'
        )
        spec.output(
            'gradient_check', valid_type=Dict, required=False, help='Verdict on forces and stress of one frame.'
        )
        spec.outline(
            cls.setup,
            while_(cls.has_packs_left)(cls.label, cls.inspect_labels),
            cls.assemble,
            if_(cls.should_check_gradients)(cls.label_probes, cls.inspect_gradients),
            cls.results,
        )
        spec.exit_code(
            460,
            'ERROR_LABELS_CONTRADICT_EACH_OTHER',
            message='The labels contradict each other, none of them can be used: {reason}',
        )
        spec.exit_code(
            520,
            'ERROR_TOO_MANY_REJECTED',
            message='{rejected} of {total} frames were rejected, at most a share of {limit} is tolerated; '
            'the first reason is: {reason}',
        )
        spec.exit_code(
            700,
            'WARNING_FRAMES_REJECTED',
            message='{rejected} of {total} frames were rejected, the first because: {reason}{doubt}',
        )
        spec.exit_code(701, 'WARNING_LABELS_UNCERTAIN', message='All frames have labels, but {doubt}')

    def setup(self) -> None:
        """Divide the frames into packs."""
        size, total = self.inputs.frames_per_job.value, self.inputs.dataset.n_frames
        n_packs = -(-total // size)
        digits = max(len(str(n_packs)), 3)
        self.ctx.sizes = {f'{n + 1:0{digits}d}': min(size, total - n * size) for n in range(n_packs)}
        self.ctx.n_submitted = 0
        self.report(f'labelling {total} frames with {self.inputs.engine.value} in {n_packs} jobs')

    def has_packs_left(self) -> bool:
        """Return whether there are frames that were not given to a job."""
        return self.ctx.n_submitted < len(self.ctx.sizes)

    def label(self) -> ToContext:
        """Submit one job for each of the next packs."""
        size = self.inputs.frames_per_job.value
        first = self.ctx.n_submitted
        self.ctx.active = list(self.ctx.sizes)[first : first + self.inputs.max_active_jobs.value]
        self.ctx.n_submitted = first + len(self.ctx.active)
        children = {}
        for position, number in enumerate(self.ctx.active, start=first):
            frames = self.inputs.dataset
            if len(self.ctx.sizes) > 1:
                pack = Dict({'start': position * size, 'stop': (position + 1) * size})
                frames = self.call_once(select_frames, f'pack_{number}', dataset=frames, settings=pack)
            key = f'single_point_{number}'
            children[key] = self._submit_single_point(frames, key)
        return ToContext(**children)

    def _submit_single_point(self, frames: DatasetData, key: str) -> ProcessNode:
        """Submit a job that labels these frames."""
        inputs: dict[str, Any] = {'dataset': frames, 'code': self.inputs.code}
        inputs |= {name: self.inputs[name] for name in ENGINE_INPUTS if name in self.inputs}
        if 'options' in self.inputs:
            inputs['metadata'] = {'options': self.inputs.options.get_dict()}
        engine = WorkflowFactory(single_point_engines()[self.inputs.engine.value])
        return self.submit(engine, single_point=inputs, metadata={'call_link_label': key})

    def inspect_labels(self) -> None:
        """Report the jobs that failed, and how many of their frames are lost with them."""
        for number in self.ctx.active:
            child = self.ctx[f'single_point_{number}']
            if not child.is_finished_ok:
                n_lost = self.ctx.sizes[number]
                kept = 'its labels are used' if has_labels(child) else f'its {n_lost} frames count as rejected'
                self.report(f'{child.process_label}<{child.pk}> {how_it_ended(child)}: {kept}')

    def assemble(self) -> Any:
        """Put the labels together and count what was rejected."""
        parts = {}
        for number, size in self.ctx.sizes.items():
            child = self.ctx[f'single_point_{number}']
            if has_labels(child):
                parts[f'labels_{number}'] = child.outputs.labels
                parts[f'summary_{number}'] = child.outputs.label_summary
            else:
                reason = f'the job of this frame gave no labels: it {how_it_ended(child)}'
                parts[f'missing_{number}'] = Dict({'n_frames': size, 'reason': reason})
        assembled = self.call_once(
            assemble_labels, 'assemble_labels', dataset=self.inputs.dataset, gate=self.inputs.gate, **parts
        )
        self.ctx.dataset = assembled.get('dataset')
        self.ctx.rejected = assembled['rejected'].get_dict()
        self.out('rejected', assembled['rejected'])
        self.report(f'{self.ctx.rejected["n_rejected"]} of {self.ctx.rejected["n_frames"]} labels were rejected')

    def should_check_gradients(self) -> bool:
        """Return whether there is a labelled frame to be checked."""
        return self.inputs.check_gradients.value and self.ctx.dataset is not None

    def label_probes(self) -> ToContext:
        """Label the first frame that passed, deformed."""
        self.ctx.probes = self.call_once(
            gradient_probes, 'gradient_probes', dataset=self.ctx.dataset, settings=self.inputs.gradient_settings
        )
        return ToContext(single_point_probes=self._submit_single_point(self.ctx.probes, 'single_point_probes'))

    def inspect_gradients(self) -> Any:
        """Refuse all labels if the energies contradict the forces or the stress; remember what is not certain."""
        child = self.ctx.single_point_probes
        if not has_labels(child):
            self.ctx.doubt = f'forces were not checked, as the job of the deformed frames {how_it_ended(child)}'
            return None
        verdict = self.call_once(
            gradient_verdict,
            'gradient_verdict',
            dataset=self.ctx.dataset,
            probes=self.ctx.probes,
            labels=child.outputs.labels,
            settings=self.inputs.gradient_settings,
        )
        self.out('gradient_check', verdict)
        self.report(f'check of forces and stress: {verdict["verdict"]} {verdict["reason"]}'.rstrip())
        if verdict['verdict'] == Verdict.FAILED.value:
            return self.exit_codes.ERROR_LABELS_CONTRADICT_EACH_OTHER.format(reason=verdict['reason'])
        if verdict['verdict'] != Verdict.PASSED.value:
            self.ctx.doubt = f'the check of forces and stress is {verdict["verdict"]}: {verdict["reason"]}'
        return None

    def results(self) -> Any:
        """Attach the data set, and say how much of it is missing or uncertain."""
        if self.ctx.dataset is not None:
            self.out('dataset', self.ctx.dataset)
        n_rejected, n_frames = self.ctx.rejected['n_rejected'], self.ctx.rejected['n_frames']
        doubt = self.ctx.get('doubt', '')
        if doubt:
            self.report(doubt)
        if not n_rejected:
            return self.exit_codes.WARNING_LABELS_UNCERTAIN.format(doubt=doubt) if doubt else None
        values = {'rejected': n_rejected, 'total': n_frames, 'reason': self.ctx.rejected['frames'][0]['reason']}
        limit = self.inputs.max_failed_fraction.value
        if n_rejected > limit * n_frames:
            return self.exit_codes.ERROR_TOO_MANY_REJECTED.format(limit=limit, **values)
        return self.exit_codes.WARNING_FRAMES_REJECTED.format(doubt=f'; {doubt}' if doubt else '', **values)


def has_labels(single_point: ProcessNode) -> bool:
    """Return whether a single-point work chain gave labels, whether or not it succeeded."""
    return {'labels', 'label_summary'} <= set(single_point.outputs)


def how_it_ended(single_point: ProcessNode) -> str:
    """Return in words how a single-point work chain failed."""
    if single_point.exit_status is None:
        return f'was {single_point.process_state.value}'
    return f'ended with exit status {single_point.exit_status} ({single_point.exit_message})'
