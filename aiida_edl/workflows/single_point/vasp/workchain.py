"""Labels by density-functional theory with VASP, through aiida-vasp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import CalcJob, ExitCode, ToContext, WorkChain, while_
from aiida.orm import AbstractCode, ArrayData, CalcJobNode, Dict, List, ProcessNode, Str
from aiida.plugins import WorkflowFactory
from ase.data import chemical_symbols

from aiida_edl.calculations.functions.collect_vasp_labels import collect_vasp_labels
from aiida_edl.calculations.functions.prepare_vasp_inputs import SITE_ORDER, frame_key, mesh_key, prepare_vasp_inputs
from aiida_edl.data.dataset import DatasetData
from aiida_edl.dft.vasp_input import k_point_mesh
from aiida_edl.dft.vasp_settings import VaspSettings, VaspSettingsError, check_frame
from aiida_edl.workflows.single_point.vasp.potentials import CHILD, configured_potentials, missing_plugin
from aiida_edl.workflows.submission import SubmitOnceMixin

PARSER = 'edl.single_point.vasp'
"""Entry point of the parser, which reads files that are not kept."""
CHILD_SETTINGS: Mapping[str, Any] = {
    'ALWAYS_STORE': False,
    'no_default_monitors': True,
    'parser_settings': {
        'energy_type': ['energy_free'],
        'exclude_quantity': ['band_properties'],
        'check_completeness': False,
    },
}
"""Nothing but numbers is kept; the energy is the free energy of the electrons, whose gradient the forces are. The
monitors of aiida-vasp serve relaxations, and would poll every job. With the check for completeness its parser raises an
exception for a crash that leaves no CONTCAR; without it, it says what is wrong with the files that are there."""
DEFAULT_OPTIONS: Mapping[str, Any] = {'resources': {'num_machines': 1}}
"""Scheduler options of each job, where none are given."""


def elements_of(dataset: DatasetData) -> set[str]:
    """Return the symbols of all elements that occur in the frames."""
    return {chemical_symbols[number] for number in set(dataset.frames().numbers.tolist())}


def validate_model_parameters(value: Dict | None, _: Any) -> str | None:
    """Return one sentence if a setting is unknown or out of range."""
    if value is None:
        return None
    try:
        VaspSettings.from_dict(value.get_dict())
    except VaspSettingsError as error:
        return str(error)
    return None


def validate_options(value: Mapping[str, Any] | None, _: Any) -> str | None:
    """Return one sentence if the scheduler knows no such option, or it is of a wrong type."""
    if not value:
        return None
    error = CalcJob.spec().inputs['metadata']['options'].validate({**DEFAULT_OPTIONS, **value})
    return None if error is None else f'the options of the jobs are not valid: {error.message}'


def validate_single_point(value: Mapping[str, Any] | None, _: Any) -> str | None:
    """Return one sentence if aiida-vasp, a POTCAR or a column is missing: all that can be known before a job runs."""
    if message := missing_plugin():
        return message
    if not value or not {'dataset', 'model_parameters'} <= set(value):
        return None  # the ports say what is missing
    dataset = value['dataset']
    try:
        settings = VaspSettings.from_dict(value['model_parameters'].get_dict())
        configured_potentials(settings, elements_of(dataset))
    except VaspSettingsError as error:
        return str(error)
    column, columns = settings.total_charge_column, dataset.frames().columns
    if column is not None and column not in columns:
        there = ', '.join(sorted(columns)) or 'none'
        return f"total_charge_column is '{column}', but the frames have the columns: {there}"
    return None


class VaspSinglePointWorkChain(SubmitOnceMixin, WorkChain):
    """Label frames with VASP: a work chain of aiida-vasp for each frame, some of them side by side.

    Sites are grouped by element, and the forces are brought back to the order of the frame. A frame that fails costs
    no other its label; its reason is what aiida-vasp says.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and the warning."""
        super().define(spec)
        spec.input_namespace('single_point', validator=validate_single_point, help='What is labelled, and how.')
        spec.input('single_point.dataset', valid_type=DatasetData, help='Frames to label.')
        spec.input('single_point.code', valid_type=AbstractCode, help='VASP.')
        spec.input(
            'single_point.model_parameters',
            valid_type=Dict,
            validator=validate_model_parameters,
            help='Settings that differ from the defaults of `VaspSettings`; `potential_family` and `potential_mapping` '
            'are needed.',
        )
        spec.input_namespace('single_point.metadata', help='What is not part of the provenance of a label.')
        spec.input(
            'single_point.metadata.options',
            valid_type=dict,
            non_db=True,
            default=dict,
            validator=validate_options,
            help='Scheduler options of each job.',
        )
        spec.output(
            'labels',
            valid_type=ArrayData,
            help='energies [eV, free energy of the electrons], forces [eV/Å], stresses [eV/Å³, positive in tension], '
            'fermi_level [eV], n_electrons, expected_electrons, n_scf_steps, maximum_scf_steps, offsets, converged; '
            'where VASP gives them dispersion_energies [eV], vacuum_levels [eV, below and above a film], work_function '
            '[eV, above it]; NaN in the rows of a frame that failed.',
        )
        spec.output('label_summary', valid_type=Dict, help='Level of theory, failures, versions, cost.')
        spec.outline(
            cls.setup,
            while_(cls.has_frames_left)(cls.prepare_batch, cls.run_batch, cls.inspect_batch),
            cls.collect,
        )
        spec.exit_code(
            700,
            'WARNING_FRAMES_WITHOUT_LABELS',
            message='none of {n_frames} frames has a label; the first: {reason}',
        )

    def setup(self) -> None:
        """Sort out the frames that VASP could not compute."""
        given = self.inputs.single_point
        settings = VaspSettings.from_dict(given.model_parameters.get_dict())
        self.ctx.waiting, self.ctx.failures, self.ctx.remedies = [], {}, {}
        for index, frame in enumerate(given.dataset.frames()):
            try:
                check_frame(frame, settings)
            except VaspSettingsError as error:
                self.ctx.failures[str(index)] = str(error)
            else:
                self.ctx.waiting.append(index)
        self.ctx.n_batches, self.ctx.batch, self.ctx.orders, self.ctx.done = 0, [], {}, {}
        # one node for all frames, not one for each
        self.ctx.potentials = Dict(configured_potentials(settings, elements_of(given.dataset))).store()
        self.ctx.shared = {
            'potential_family': Str(settings.potential_family).store(),
            'potential_mapping': Dict(dict(settings.potential_mapping)).store(),
            'settings': Dict(dict(CHILD_SETTINGS)).store(),
        }
        self.report(f'{len(self.ctx.waiting)} frames are to be run, {len(self.ctx.failures)} could not be computed')

    def has_frames_left(self) -> bool:
        """Return whether there are frames that have not been run."""
        return bool(self.ctx.waiting)

    def prepare_batch(self) -> None:
        """Make structures, tags and meshes of as many frames as may run side by side."""
        given = self.inputs.single_point
        settings = VaspSettings.from_dict(given.model_parameters.get_dict())
        batch = self.ctx.waiting[: settings.maximum_active_jobs]
        number = f'{self.ctx.n_batches + 1:03d}'
        prepared = self.call_once(
            prepare_vasp_inputs,
            f'inputs_{number}',
            dataset=given.dataset,
            model_parameters=given.model_parameters,
            potentials=self.ctx.potentials,
            indices=List(batch),
        )
        self.ctx.prepared = prepared
        self.ctx.orders[f'{SITE_ORDER}_{number}'] = prepared[SITE_ORDER]
        self.ctx.batch, self.ctx.waiting = batch, self.ctx.waiting[len(batch) :]
        self.ctx.n_batches += 1

    def run_batch(self) -> ToContext:
        """Submit a work chain of aiida-vasp for each frame of the batch."""
        process = WorkflowFactory(CHILD)
        return ToContext(
            **{frame_key(index): self.submit(process, self.child_inputs(index)) for index in self.ctx.batch}
        )

    def child_inputs(self, index: int) -> dict[str, Any]:
        """Return what the work chain of aiida-vasp is given for a frame of the batch.

        :param index: position of the frame in the data set.
        """
        given, key = self.inputs.single_point, frame_key(index)
        settings = VaspSettings.from_dict(given.model_parameters.get_dict())
        return {
            'code': given.code,
            'structure': self.ctx.prepared[f'structure_{key}'],
            'parameters': self.ctx.prepared[f'parameters_{key}'],
            'kpoints': self.ctx.prepared[mesh_key(k_point_mesh(given.dataset.frames().frame(index), settings))],
            'calc': {'metadata': {'options': {**DEFAULT_OPTIONS, **given.metadata.options, 'parser_name': PARSER}}},
            'metadata': {'call_link_label': key},
            **self.ctx.shared,
        }

    def inspect_batch(self) -> None:
        """Note the frames that failed, and what handlers changed for the others."""
        for index in self.ctx.batch:
            child = self.ctx[frame_key(index)]
            if child.is_finished_ok:
                self.ctx.done[f'misc_{frame_key(index)}'] = child.outputs.misc
                if changed := what_was_changed(child):
                    self.ctx.remedies[str(index)] = changed
            else:
                self.ctx.failures[str(index)] = why_it_failed(child)
                self.report(f'frame {index} has no label: {self.ctx.failures[str(index)]}')

    def collect(self) -> ExitCode | None:
        """Put the labels together, in the order of the frames and of their atoms."""
        given = self.inputs.single_point
        collected = self.call_once(
            collect_vasp_labels,
            'collect_labels',
            dataset=given.dataset,
            model_parameters=given.model_parameters,
            potentials=self.ctx.potentials,
            record=Dict({'failures': self.ctx.failures, 'remedies': self.ctx.remedies}),
            **self.ctx.orders,
            **self.ctx.done,
        )
        for name, node in collected.items():
            self.out(name, node)
        summary = collected['label_summary'].get_dict()
        self.report(f'{summary["n_labelled"]} of {summary["n_frames"]} frames are labelled')
        if summary['n_labelled']:
            return None
        failures = summary['failures']
        return self.exit_codes.WARNING_FRAMES_WITHOUT_LABELS.format(
            n_frames=summary['n_frames'], reason=failures[min(failures, key=int)]
        )


def _calculations(child: ProcessNode) -> list[CalcJobNode]:
    """Return the calculations of a work chain in the order in which they were run."""
    return sorted((node for node in child.called if isinstance(node, CalcJobNode)), key=lambda node: node.pk)


def why_it_failed(child: ProcessNode) -> str:
    """Return how a work chain of aiida-vasp failed, and how its last calculation did."""
    if child.exit_status is None:
        return f'the work chain of aiida-vasp was {child.process_state.value}'
    chain = f'the work chain of aiida-vasp ended with exit status {child.exit_status}'
    calculations = _calculations(child)
    if not calculations or calculations[-1].exit_status in (0, None):
        return f'{chain} ({child.exit_message})'
    last = calculations[-1]
    line = last.outputs.misc.get('last_line') if 'misc' in last.outputs else ''
    end = f", its output ends with '{line}'" if line else ''
    times = 'once' if len(calculations) == 1 else f'{len(calculations)} times'
    return f'VASP was run {times}, at last it failed with {last.exit_status} ({last.exit_message}){end}; {chain}'


def what_was_changed(child: ProcessNode) -> str:
    """Return which tags handlers have changed until a calculation ended well, nothing if it was the first.

    :param child: a work chain of aiida-vasp that ended well.
    """
    calculations = _calculations(child)
    first, last = (node.inputs.parameters.get_dict() for node in (calculations[0], calculations[-1]))
    return ', '.join(
        f'{tag.upper()} {first.get(tag, "unset")} -> {value}'
        for tag, value in sorted(last.items())
        if value != first.get(tag)
    )
