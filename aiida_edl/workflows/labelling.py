"""Label frames with any engine, many a job, and lose none of them without saying why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain
from aiida.orm import AbstractCode, Dict, Float, Int, ProcessNode, Str
from aiida.plugins import WorkflowFactory

from aiida_edl.calculations.functions.assemble_labels import assemble_labels
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import registered_names, unknown_name_message
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


def validate_frames_per_job(number: Int, _: Any) -> str | None:
    """Return one sentence if a job would hold no frame."""
    return None if number.value > 0 else f'frames_per_job is {number.value}, it must be positive'


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
    job, and labels that it gave before it failed are used.
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
            'frames_per_job',
            valid_type=Int,
            default=lambda: Int(500),
            validator=validate_frames_per_job,
            help='Frames in one job.',
        )
        spec.input(
            'max_failed_fraction',
            valid_type=Float,
            default=lambda: Float(0.1),
            validator=validate_max_failed_fraction,
            help='Largest tolerated share of rejected frames, 0 to 1; frames of jobs that failed are among them.',
        )
        spec.output('dataset', valid_type=DatasetData, required=False, help='Labelled frames that passed the gate.')
        spec.output('rejected', valid_type=Dict, help='Frames that did not pass, each with its reason.')
        spec.outline(cls.label, cls.inspect_labels, cls.assemble)
        spec.exit_code(
            520,
            'ERROR_TOO_MANY_REJECTED',
            message='{rejected} of {total} frames were rejected, at most a share of {limit} is tolerated; '
            'the first reason is: {reason}',
        )

    def label(self) -> ToContext:
        """Submit one job for every pack of frames."""
        engine = WorkflowFactory(single_point_engines()[self.inputs.engine.value])
        size, total = self.inputs.frames_per_job.value, self.inputs.dataset.n_frames
        starts = list(range(0, total, size))
        digits = max(len(str(len(starts))), 3)
        self.ctx.sizes = {f'{n:0{digits}d}': min(size, total - start) for n, start in enumerate(starts, start=1)}
        children = {}
        for number, start in zip(self.ctx.sizes, starts):
            frames = self.inputs.dataset
            if len(starts) > 1:
                pack = Dict({'start': start, 'stop': start + size})
                frames = self.call_once(select_frames, f'pack_{number}', dataset=frames, settings=pack)
            inputs: dict[str, Any] = {'dataset': frames, 'code': self.inputs.code}
            inputs |= {name: self.inputs[name] for name in ENGINE_INPUTS if name in self.inputs}
            if 'options' in self.inputs:
                inputs['metadata'] = {'options': self.inputs.options.get_dict()}
            key = f'single_point_{number}'
            children[key] = self.submit(engine, single_point=inputs, metadata={'call_link_label': key})
        self.report(f'labelling {total} frames with {self.inputs.engine.value} in {len(starts)} jobs')
        return ToContext(**children)

    def inspect_labels(self) -> None:
        """Report the jobs that failed, and how many of their frames are lost with them."""
        for number, size in self.ctx.sizes.items():
            child = self.ctx[f'single_point_{number}']
            if not child.is_finished_ok:
                kept = 'its labels are used' if has_labels(child) else f'its {size} frames count as rejected'
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
        for name, node in assembled.items():
            self.out(name, node)
        rejected = assembled['rejected'].get_dict()
        self.report(f'{rejected["n_rejected"]} of {rejected["n_frames"]} labels were rejected')
        if rejected['n_rejected'] > self.inputs.max_failed_fraction.value * rejected['n_frames']:
            return self.exit_codes.ERROR_TOO_MANY_REJECTED.format(
                rejected=rejected['n_rejected'],
                total=rejected['n_frames'],
                limit=self.inputs.max_failed_fraction.value,
                reason=rejected['frames'][0]['reason'],
            )
        return None


def has_labels(single_point: ProcessNode) -> bool:
    """Return whether a single-point work chain gave labels, whether or not it succeeded."""
    return {'labels', 'label_summary'} <= set(single_point.outputs)


def how_it_ended(single_point: ProcessNode) -> str:
    """Return in words how a single-point work chain failed."""
    if single_point.exit_status is None:
        return f'was {single_point.process_state.value}'
    return f'ended with exit status {single_point.exit_status} ({single_point.exit_message})'
