"""Molecular dynamics of many replicas of one potential in one job: seeds, charge states, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import ArrayData, Dict, FolderData, Str

from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_device, validate_precision
from aiida_edl.calculations.dynamics_checkpoint import (
    checksum_of_start,
    dynamics_identity,
    validate_dynamics_checkpoint,
)
from aiida_edl.calculations.jobs import JobFiles, folder_files, large_files
from aiida_edl.calculations.models import validate_engine
from aiida_edl.calculations.molecular_dynamics import (
    LAST_FRAME,
    loadable_model,
    validate_engine_code,
    validate_film,
    validate_frame,
    validate_model,
    validate_settings,
)
from aiida_edl.calculations.monitors import validate_monitors
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import BatchedMDEngine, MDEngine, MDJob, MDSettings
from aiida_edl.registry import MD_ENGINES, load_member, registered_names, unknown_name_message
from aiida_edl.science.frames import Frame
from aiida_edl.science.metal_charge import told_charge

REPLICA_KEYS = ('structure', 'frame_index', 'seed')
"""What the entry of a replica may say; it must say ``structure`` and ``seed``."""


def validate_replicas(value: Dict, _: Any) -> str | None:
    """Return one sentence if the replicas are not described as they must be."""
    if value is None:
        return None
    replicas = value.get_dict()
    if not replicas:
        return 'replicas is empty; name at least one, e.g. {"seed_1": {"structure": "uncharged", "seed": 1}}'
    for label, replica in replicas.items():
        if message := _validate_replica(label, replica):
            return message
    return None


def _validate_replica(label: str, replica: Any) -> str | None:
    """Return one sentence if an entry of ``replicas`` is wrong."""
    if not label.isidentifier() or '__' in label:
        return f"replica '{label}' becomes the label of an output: use letters, digits and single underscores"
    if not isinstance(replica, Mapping):
        return f"replica '{label}' is {replica!r}, it must be a mapping with {', '.join(REPLICA_KEYS)}"
    for key in replica:
        if key not in REPLICA_KEYS:
            return unknown_name_message(f"key of replica '{label}'", key, REPLICA_KEYS)
    if missing := [key for key in ('structure', 'seed') if key not in replica]:
        return f"replica '{label}' lacks {', '.join(missing)}"
    for key, least in (('seed', 0), ('frame_index', None)):
        number = replica.get(key, LAST_FRAME)
        if not isinstance(number, int) or isinstance(number, bool) or (least is not None and number < least):
            return (
                f"{key} of replica '{label}' is {number!r}, it must be a whole number{' from 0' if least == 0 else ''}"
            )
    return None


class ReplicaDynamicsCalculation(EdlCalculation):
    """Run molecular dynamics of many replicas at once to a target number of steps.

    The replicas share potential and settings; each has an initial frame and a seed of its own, and they may differ in
    number and kind of atoms. One that explodes leaves the others alone: it is listed in ``md_summary``, and what it
    stored before is kept.
    """

    PARSER_NAME = 'edl.replica_dynamics'
    EXIT_CODES = (
        exit_codes.DEVICE_MISSING,
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.OUT_OF_WALLTIME,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.DEVICE_LOST,
        exit_codes.MD_EXPLODED,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.input_namespace(
            'structures', valid_type=DatasetData, dynamic=True, help='Frames by label, among them the initial ones.'
        )
        spec.input(
            'replicas',
            valid_type=Dict,
            validator=validate_replicas,
            help='By label: `structure` (a label of `structures`), `seed`, and `frame_index` (the last by default).',
        )
        spec.input(
            'engine',
            valid_type=Str,
            validator=lambda value, _: validate_engine(value.value) if value is not None else None,
            help='Entry-point name of an MD engine that runs batches.',
        )
        spec.input(
            'settings',
            valid_type=Dict,
            validator=validate_settings,
            help='Fields of `MDSettings` but `seed`, which each replica has for itself; the rest is default.',
        )
        spec.input('potential', valid_type=PotentialData, required=False, help='The potential, if it is a trained one.')
        spec.input('model_parameters', valid_type=Dict, required=False, help='Else, the recipe of a model.')
        spec.input(
            'checkpoint',
            valid_type=FolderData,
            required=False,
            help='Checkpoint of an interrupted run with the same inputs, which goes on to the target.',
        )
        spec.input(
            'device', valid_type=Str, default=lambda: Str('cpu'), validator=validate_device, help='`cpu` or `cuda`.'
        )
        spec.input(
            'precision',
            valid_type=Str,
            required=False,
            validator=validate_precision,
            help='`float32` or `float64`; that of the training without it.',
        )
        spec.output_namespace(
            'trajectories',
            valid_type=DatasetData,
            dynamic=True,
            required=False,
            help='Frames of each replica with energies [eV], `step` and `time` [fs]; absent if it stored none.',
        )
        spec.output_namespace(
            'series',
            valid_type=ArrayData,
            dynamic=True,
            required=False,
            help='step, time [fs], temperature [K], potential_energy, kinetic_energy, conserved_energy [eV] of each.',
        )
        spec.output(
            'md_summary', valid_type=Dict, help='How each replica ended, what exploded and why, cost, versions.'
        )
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Files from which all can go on.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if structures, replicas, engine, settings, model or code do not fit together."""
        engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
        if not isinstance(engine, BatchedMDEngine):
            batched = [name for name in registered_names(MD_ENGINES) if load_member(MD_ENGINES, name).is_batched]
            return f'engine {engine.name} runs one replica at a time; engines that run batches: {", ".join(batched)}'
        if 'seed' in inputs['settings'].get_dict():
            return 'settings holds a seed, but each replica has a seed of its own; leave it out'
        settings = MDSettings.from_dict(inputs['settings'].get_dict())
        message = engine.refuse(settings) or _validate_structures(inputs, engine, settings)
        message = message or validate_engine_code(inputs, engine) or validate_monitors(inputs)
        message = message or validate_dynamics_checkpoint(inputs, replica_identity)
        if message is not None:
            return message
        try:
            engine.replica_files(replica_jobs(inputs, None))
        except ValueError as error:  # what the engine says of these very frames
            return str(error)
        return None

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write what the engine asks for."""
        engine: BatchedMDEngine = load_member(MD_ENGINES, self.inputs.engine.value)
        jobs = replica_jobs(self.inputs, self.program_walltime_seconds)
        first = next(iter(jobs.values()))
        model = loadable_model(self.inputs, engine)
        files = {**model.files, **engine.replica_files(jobs)}
        checkpoint = folder_files(self.inputs.checkpoint) if first.is_restart else ()
        staged = JobFiles(
            files=files,
            node_files=(*model.node_files, *checkpoint),
            derived=large_files(files),
            retrieval=engine.retrieve(first),
        )
        packages = tuple(dict.fromkeys((*model.packages, *engine.packages)))
        return self.stage_python(folder, staged, engine.commands(first), packages)


def _validate_structures(inputs: Mapping[str, Any], engine: MDEngine, settings: MDSettings) -> str | None:
    """Return one sentence if a replica names no structure, one is not used, or a frame does not suit the run."""
    structures, replicas = inputs['structures'], inputs['replicas'].get_dict()
    for label, replica in replicas.items():
        if replica['structure'] not in structures:
            known = ', '.join(sorted(structures))
            return f"replica '{label}' begins from the structure '{replica['structure']}'; structures given: {known}"
        structure, index = structures[replica['structure']], replica.get('frame_index', LAST_FRAME)
        name = f"structure '{replica['structure']}' of replica '{label}'"
        message = validate_frame(structure, index, settings, name) or validate_model(inputs, engine, structure)
        message = message or validate_film(inputs, engine, structure, index, name)
        if message is not None:
            return message
    used = {replica['structure'] for replica in replicas.values()}
    if unused := sorted(set(structures) - used):
        return f'no replica begins from the structure {", ".join(unused)}; leave it out or add a replica'
    return None


def initial_frames(structures: Mapping[str, DatasetData], replicas: Dict) -> dict[str, Frame]:
    """Return the initial frame of each replica by label, in the order in which the engine gets them.

    :param structures: input ``structures``.
    :param replicas: input ``replicas``.
    """
    return {
        label: structures[replica['structure']].frame(replica.get('frame_index', LAST_FRAME))
        for label, replica in sorted(replicas.get_dict().items())
    }


def replica_identity(inputs: Any) -> dict[str, Any]:
    """Return what a checkpoint and the run that goes on from it have in common.

    :param inputs: inputs of :class:`ReplicaDynamicsCalculation`, or those of its node.
    """
    identity, replicas = dynamics_identity(inputs), inputs['replicas'].get_dict()
    del identity['settings']['seed']  # each replica has its own
    starts = initial_frames(inputs['structures'], inputs['replicas'])
    own = {
        label: {'structure': checksum_of_start(frame, inputs), 'seed': replicas[label]['seed']}
        for label, frame in starts.items()
    }
    return {**identity, 'replicas': own}


def replica_jobs(inputs: Any, walltime_seconds: float | None) -> dict[str, MDJob]:
    """Return the job of each replica by label, in the order of labels.

    :param inputs: inputs of :class:`ReplicaDynamicsCalculation`.
    :param walltime_seconds: time after which the run should stop by itself [s].
    """
    engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
    model = loadable_model(inputs, engine)
    settings = MDSettings.from_dict(inputs['settings'].get_dict())
    column = model.total_charge_column
    jobs = {}
    for label, frame in initial_frames(inputs['structures'], inputs['replicas']).items():
        jobs[label] = MDJob(
            frame=frame,
            settings=replace(settings, seed=inputs['replicas'][label]['seed']),
            model_recipe=model.recipe,
            atomic_energies=model.energy_shifts,
            walltime_seconds=walltime_seconds,
            is_restart=inputs.get('checkpoint') is not None,
            total_charge=None if column is None else told_charge(frame, column),
            device=inputs['device'].value,
        )
    return jobs
