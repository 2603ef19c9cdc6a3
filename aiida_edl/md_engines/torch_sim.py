"""Molecular dynamics of many replicas at once with models of torch-sim, on one device."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import (
    BatchedMDEngine,
    MDJob,
    MDOutcome,
    MDResult,
    MDSettings,
    MDSettingsError,
    ReplicaResults,
    lost_charge,
)
from aiida_edl.md_engines.driver_output import (
    CHECKPOINT,
    CHUNKS,
    STDOUT,
    SUMMARY,
    Chunk,
    RunEnd,
    killed_run_end,
    read_npz,
    read_run,
    read_summary,
    summarised_run_end,
)
from aiida_edl.md_engines.torch_sim_single_points import TorchSimSinglePoints
from aiida_edl.science import units
from aiida_edl.science.frames import Frame, FrameSet

DRIVER = 'run_torch_sim_md.py'
DRIVER_FILES = (DRIVER, 'torch_sim_batch.py')
INPUT = 'md.json'
INITIAL = 'initial_{:04d}.npz'
FLUSH_INTERVAL_SECONDS = 60.0
"""Time between two checkpoints [s]; a killed run loses no more than this."""
ONLY = 'run'
"""Label of the one replica of a single run."""


class TorchSimEngine(TorchSimSinglePoints, BatchedMDEngine):
    """Runs ``drivers/run_torch_sim_md.py`` in the environment of the architecture."""

    name = 'torch_sim'
    packages = ('torch-sim-atomistic', 'torch', 'vesin-torch', 'ase', 'numpy')
    install_command = 'aiida-edl environment create mace'
    binding_kind = 'torch_sim'
    code_kind = 'python'

    def refuse(self, settings: MDSettings) -> str | None:
        """Refuse what the driver cannot do, and a wall without fixed atoms: its height counts from the topmost one."""
        if settings.ensemble == 'npt':
            return "engine torch_sim cannot run the ensemble 'npt'; use 'nvt' or another engine"
        if settings.ensemble == 'nvt' and settings.thermostat == 'nose_hoover':
            return "engine torch_sim has no thermostat 'nose_hoover'; use 'csvr' or 'langevin'"
        if settings.wall_height > 0 and not settings.fixed_elements and not settings.fixed_atoms:
            return (
                f'engine torch_sim counts wall_height {settings.wall_height} Å from the topmost fixed atom, but '
                'fixed_elements is empty; name the elements that do not move or set wall_height to 0'
            )
        return None

    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the files of a batch of one."""
        return self.replica_files({ONLY: job})

    def replica_files(self, jobs: Mapping[str, MDJob]) -> Mapping[str, bytes]:
        """Return the driver, its input and the initial frames.

        :param jobs: job of each replica by label; they differ in frame and seed alone.
        :raises MDSettingsError: if the jobs differ in more, or need what the engine cannot do.
        """
        first = next(iter(jobs.values()))
        for label, job in jobs.items():
            _check_job(label, job, first)
        initial = {
            INITIAL.format(number): _initial_frame(job.frame).to_npz_bytes() for number, job in enumerate(jobs.values())
        }
        document = {
            'recipe': dict(first.model_recipe),
            'initial': list(initial),
            'seeds': [job.settings.seed for job in jobs.values()],
            'settings': {name: value for name, value in first.settings.to_dict().items() if name != 'seed'},
            'units': {'boltzmann': units.BOLTZMANN, 'atomic_mass': units.ATOMIC_MASS},
            'energy_shifts': dict(first.atomic_energies),
            'walltime_seconds': first.walltime_seconds,
            'flush_interval_seconds': FLUSH_INTERVAL_SECONDS,
            'is_restart': first.is_restart,
        }
        folder = package_files('aiida_edl.drivers')
        drivers = {name: folder.joinpath(name).read_bytes() for name in DRIVER_FILES}
        return {**drivers, **initial, INPUT: (json.dumps(document, indent=2, sort_keys=True) + '\n').encode()}

    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the one command: the driver."""
        return (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)

    def retrieve(self, job: MDJob) -> Retrieval:
        """Keep checkpoint, summary and output; the trajectories become nodes of their own."""
        return Retrieval(keep=(CHECKPOINT, SUMMARY, STDOUT), parse_only=(CHUNKS,))

    def level_of_theory(self, model_recipe: Mapping[str, Any]) -> str:
        """Return what the model is, in the words of whoever gave its recipe.

        :param model_recipe: a recipe that is not that of a potential, with ``level_of_theory``.
        """
        return str(model_recipe['level_of_theory'])

    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read a batch of one."""
        replicas = self.read_replicas(folder, {ONLY: frame}, settings)
        return replicas.results[ONLY]

    def read_replicas(self, folder: Path, frames: Mapping[str, Frame], settings: MDSettings) -> ReplicaResults:
        """Read trajectory files, checkpoint and summary.

        A run that was killed is read up to its checkpoint: the restart computes what lies beyond it again.

        :param folder: folder of the run.
        :param frames: initial frame of each replica by label, in the order of ``replica_files``.
        :param settings: what all replicas share.
        """
        chunks = [chunk for path in sorted(folder.glob(CHUNKS)) if (chunk := read_npz(path)) is not None]
        checkpoint = read_npz(folder / CHECKPOINT)
        step = None if checkpoint is None else int(checkpoint['step'])
        endings = _endings(folder, len(frames), step)
        results = {
            label: read_run(frame, _of_replica(chunks, number), endings[number], settings.sampling_interval, step)
            for number, (label, frame) in enumerate(frames.items())
        }
        outcome, message = _outcome(results)
        if not all(result.checkpoint_files for result in results.values()):
            return ReplicaResults(outcome, results, message=message)
        steps = max(result.checkpoint_steps for result in results.values())
        return ReplicaResults(outcome, results, (CHECKPOINT,), steps, message)


def _initial_frame(frame: Frame) -> FrameSet:
    """Return a frame without labels, which the driver does not need."""
    return FrameSet.from_frames([replace(frame, energy=None, forces=None, stress=None, charges=None, columns={})])


def _check_job(label: str, job: MDJob, first: MDJob) -> None:
    """Check that a job can be a replica of the same run as another one.

    :param label: label of the job, for the message.
    :param job: the job.
    :param first: the other one.
    :raises MDSettingsError: if not.
    """
    job.settings.fixed_mask(job.frame.numbers)
    if job.total_charge is not None and (lost := lost_charge('torch_sim', {})):  # whatever its recipe says
        raise MDSettingsError(lost)
    if replace(job, frame=first.frame, settings=replace(job.settings, seed=first.settings.seed)) != first:
        raise MDSettingsError(f"replica '{label}' differs from the first one in more than frame and seed")


def _of_replica(chunks: Sequence[Chunk], number: int) -> list[Chunk]:
    """Return the part of trajectory files that belongs to one replica; files in which it has none are left out."""
    prefix = f'{number:04d}_'
    parts = [
        {name.removeprefix(prefix): values for name, values in chunk.items() if name.startswith(prefix)}
        for chunk in chunks
    ]
    return [part for part in parts if part]


def _endings(folder: Path, n_replicas: int, checkpoint_step: int | None) -> list[RunEnd]:
    """Return how each replica ended, from the summary or, if the run was killed, from what else is there.

    :param folder: folder of the run.
    :param n_replicas: number of replicas.
    :param checkpoint_step: step of the checkpoint, None without a readable one.
    """
    summary = read_summary(folder)
    if summary is not None:
        return [summarised_run_end(ending) for ending in summary['replicas']]
    killed = killed_run_end(folder, checkpoint_step)
    return [_ending_in_checkpoint(folder, number, killed) for number in range(n_replicas)]


def _ending_in_checkpoint(folder: Path, number: int, killed: RunEnd) -> RunEnd:
    """Return how a replica of a killed run ended: it may have exploded before.

    :param folder: folder of the run.
    :param number: number of the replica.
    :param killed: how a replica ended that was running.
    """
    try:
        with np.load(folder / CHECKPOINT) as archive:
            ending = json.loads(str(archive[f'{number:04d}_ending']))
    except (FileNotFoundError, zipfile.BadZipFile, EOFError, KeyError):
        return killed
    if not ending['outcome']:
        return killed
    return replace(summarised_run_end({**ending, 'first_step': 0}), first_step=None)


def _outcome(results: Mapping[str, MDResult]) -> tuple[MDOutcome, str]:
    """Return how a run as a whole ended, and one sentence.

    What can be continued comes first, then what is lost; a run is finished when each replica has finished or exploded,
    and exploded only if all have.

    :param results: result of each replica by label.
    """
    order = (
        MDOutcome.DEVICE_MISSING,
        MDOutcome.OUT_OF_MEMORY,
        MDOutcome.DEVICE_LOST,
        MDOutcome.OUTPUT_INCOMPLETE,
        MDOutcome.OUT_OF_WALLTIME,
        MDOutcome.FINISHED,
        MDOutcome.EXPLODED,
    )
    outcome = min((result.outcome for result in results.values()), key=order.index)
    of_it = {label: result for label, result in results.items() if result.outcome is outcome}
    exploded = sum(result.outcome is MDOutcome.EXPLODED for result in results.values())
    label, first = next(iter(of_it.items()))
    if len(results) == 1:
        return outcome, first.message
    message = f'{len(of_it)} of {len(results)} replicas: {first.message} (replica {label})'
    return outcome, f'{message}; {exploded} exploded' if exploded and outcome is not MDOutcome.EXPLODED else message
