"""Molecular dynamics with ASE calculators: any architecture that has an :class:`AseBinding` runs here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import MDEngine, MDJob, MDResult, MDSettings, MDSettingsError, lost_charge
from aiida_edl.md_engines.driver_output import CHECKPOINT, CHUNKS, STDOUT, SUMMARY, read_npz, read_run, read_run_end
from aiida_edl.science import units
from aiida_edl.science.frames import Frame, FrameSet

DRIVER = 'run_ase_md.py'
INPUT = 'md.json'
INITIAL = 'initial.npz'
FLUSH_INTERVAL_SECONDS = 60.0
"""Time between two checkpoints [s]; a killed run loses no more than this."""


class AseEngine(MDEngine):
    """Runs ``drivers/run_ase_md.py`` in the environment of the architecture."""

    name = 'ase'
    packages = ('ase', 'numpy')
    install_command = 'pip install ase'
    binding_kind = 'ase'
    code_kind = 'python'

    def refuse(self, settings: MDSettings) -> str | None:
        """Refuse what the driver cannot do, and a wall without fixed atoms: its height counts from the topmost one."""
        if settings.ensemble == 'npt':
            return "engine ase cannot run the ensemble 'npt'; use 'nvt' or another engine"
        if settings.ensemble == 'nvt' and settings.thermostat == 'nose_hoover':
            return "engine ase has no thermostat 'nose_hoover'; use 'csvr' or 'langevin'"
        if settings.wall_height > 0 and not settings.fixed_elements and not settings.fixed_atoms:
            return (
                f'engine ase counts wall_height {settings.wall_height} Å from the topmost fixed atom, but '
                'fixed_elements is empty; name the elements that do not move or set wall_height to 0'
            )
        return None

    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the driver, its input and the initial frame.

        :raises MDSettingsError: for a model that takes a total charge, if its recipe has no place for it.
        """
        if job.total_charge is not None and (lost := lost_charge(self.name, job.model_recipe)):
            raise MDSettingsError(lost)
        columns = {} if job.total_charge is None else {'total_charge': job.total_charge}
        job.settings.fixed_mask(job.frame.numbers)
        initial = replace(job.frame, energy=None, forces=None, stress=None, charges=None, columns=columns)
        document = {
            'recipe': dict(job.model_recipe),
            'initial': INITIAL,
            'settings': job.settings.to_dict(),
            'units': {'boltzmann': units.BOLTZMANN, 'atomic_mass': units.ATOMIC_MASS},
            'energy_shifts': dict(job.atomic_energies),
            'walltime_seconds': job.walltime_seconds,
            'flush_interval_seconds': FLUSH_INTERVAL_SECONDS,
            'is_restart': job.is_restart,
        }
        return {
            DRIVER: package_files('aiida_edl.drivers').joinpath(DRIVER).read_bytes(),
            INPUT: (json.dumps(document, indent=2, sort_keys=True) + '\n').encode(),
            INITIAL: FrameSet.from_frames([initial]).to_npz_bytes(),
        }

    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the one command: the driver."""
        return (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)

    def retrieve(self, job: MDJob) -> Retrieval:
        """Keep checkpoint, summary and output; the trajectory becomes a node of its own."""
        return Retrieval(keep=(CHECKPOINT, SUMMARY, STDOUT), parse_only=(CHUNKS,))

    def level_of_theory(self, model_recipe: Mapping[str, Any]) -> str:
        """Return what the calculator is, in the words of whoever gave its recipe.

        :param model_recipe: a recipe that is not that of a potential, with ``level_of_theory``.
        """
        return str(model_recipe['level_of_theory'])

    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read trajectory files, checkpoint and summary.

        A run that was killed is read up to its checkpoint: the restart computes what lies beyond it again.
        """
        checkpoint = read_npz(folder / CHECKPOINT)
        step = None if checkpoint is None else int(checkpoint['step'])
        end = read_run_end(folder, step)
        chunks = [chunk for path in sorted(folder.glob(CHUNKS)) if (chunk := read_npz(path)) is not None]
        return read_run(frame, chunks, end, settings.sampling_interval, checkpoint_step=step)
