"""Label frames with any engine, many a job, and lose none of them without saying why."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext, WorkChain
from aiida.orm import AbstractCode, Dict, Float, Int, Str
from aiida.plugins import WorkflowFactory

from aiida_edl.calculations.functions.assemble_labels import assemble_labels
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import registered_names, unknown_name_message
from aiida_edl.science.label_gate import GateSettings
from aiida_edl.workflows.submission import SubmitOnceMixin

ENGINE_PREFIX = 'edl.single_point.'


def single_point_engines() -> dict[str, str]:
    """Return the entry point of every registered single-point engine by its short name."""
    names = [name for name in registered_names('aiida.workflows') if name.startswith(ENGINE_PREFIX)]
    return {name.removeprefix(ENGINE_PREFIX): name for name in names}


def validate_engine(engine: Str, _: Any) -> str | None:
    """Return one sentence if the engine is not registered."""
    known = single_point_engines()
    return None if engine.value in known else unknown_name_message('single-point engine', engine.value, list(known))


def validate_gate(gate: Dict, _: Any) -> str | None:
    """Return one sentence if a setting of the gate does not exist or is out of range."""
    known = list(GateSettings.__dataclass_fields__)
    for key in gate.get_dict():
        if key not in known:
            return unknown_name_message('gate setting', key, known)
    try:
        GateSettings(**gate.get_dict())
    except ValueError as error:
        return str(error)
    return None


class LabellingWorkChain(SubmitOnceMixin, WorkChain):
    """Label frames: pack them into jobs, pass every label through the gate, assemble the data set."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input('dataset', valid_type=DatasetData, help='Frames to label.')
        spec.input('engine', valid_type=Str, validator=validate_engine, help='Short name of the single-point engine.')
        spec.input('code', valid_type=AbstractCode, help='Code of the engine.')
        spec.input('model_parameters', valid_type=Dict, required=False, help='Parameters of the engine.')
        spec.input('potential', valid_type=PotentialData, required=False, help='A potential as teacher.')
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options of each job.')
        spec.input(
            'gate', valid_type=Dict, default=lambda: Dict({}), validator=validate_gate, help='Limits of the gate.'
        )
        spec.input('frames_per_job', valid_type=Int, default=lambda: Int(500), help='Frames in one job.')
        spec.input(
            'max_failed_fraction', valid_type=Float, default=lambda: Float(0.1), help='Largest tolerated share, 0 to 1.'
        )
        spec.output('dataset', valid_type=DatasetData, required=False, help='Labelled frames that passed the gate.')
        spec.output('rejected', valid_type=Dict, help='Frames that did not pass, each with its reason.')
        spec.outline(cls.label, cls.inspect_labels, cls.assemble)
        spec.exit_code(510, 'ERROR_SUB_PROCESS_FAILED', message='{process} failed with exit status {status}: {detail}')
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
        self.ctx.n_jobs = len(starts)
        children = {}
        for number, start in enumerate(starts, start=1):
            frames = self.inputs.dataset
            if len(starts) > 1:
                pack = Dict({'start': start, 'stop': start + size})
                frames = self.call_once(select_frames, f'pack_{number:03d}', dataset=frames, settings=pack)
            inputs: dict[str, Any] = {'dataset': frames, 'code': self.inputs.code}
            inputs |= {name: self.inputs[name] for name in ('model_parameters', 'potential') if name in self.inputs}
            if 'options' in self.inputs:
                inputs['metadata'] = {'options': self.inputs.options.get_dict()}
            key = f'single_point_{number:03d}'
            children[key] = self.submit(engine, single_point=inputs, metadata={'call_link_label': key})
        self.report(f'labelling {total} frames with {self.inputs.engine.value} in {len(starts)} jobs')
        return ToContext(**children)

    def inspect_labels(self) -> Any:
        """Stop if a job failed as a whole."""
        for number in range(1, self.ctx.n_jobs + 1):
            child = self.ctx[f'single_point_{number:03d}']
            if not child.is_finished_ok:
                return self.exit_codes.ERROR_SUB_PROCESS_FAILED.format(
                    process=f'{child.process_label}<{child.pk}>', status=child.exit_status, detail=child.exit_message
                )
        return None

    def assemble(self) -> Any:
        """Put the labels together and count what was rejected."""
        parts = {}
        for number in range(1, self.ctx.n_jobs + 1):
            child = self.ctx[f'single_point_{number:03d}']
            parts[f'labels_{number:03d}'] = child.outputs.labels
            parts[f'summary_{number:03d}'] = child.outputs.label_summary
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
