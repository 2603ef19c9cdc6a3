"""Energies and forces of given frames by the models of torch-sim."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import MDSettingsError, lost_charge
from aiida_edl.md_engines.single_points import SinglePointEngine, SinglePointJob, SinglePoints, SinglePointsError
from aiida_edl.science.frames import FrameSet

DRIVER = 'evaluate_torch_sim.py'
DRIVER_FILES = (DRIVER, 'run_torch_sim_md.py', 'torch_sim_batch.py')
INPUT = 'evaluate.json'
FRAMES = 'frames.npz'
PREDICTIONS = 'predictions.npz'
STDOUT = 'evaluate.out'


class TorchSimSinglePoints(SinglePointEngine):
    """What the engine ``torch_sim`` does to compute given frames."""

    def single_point_files(self, job: SinglePointJob) -> Mapping[str, bytes]:
        """Return the driver, its input and the frames.

        :raises MDSettingsError: for a model that takes a total charge.
        """
        if job.total_charges is not None and (lost := lost_charge('torch_sim', {})):
            raise MDSettingsError(lost)
        document = {
            'recipe': dict(job.model_recipe),
            'frames': FRAMES,
            'predictions': PREDICTIONS,
            'energy_shifts': dict(job.energy_shifts),
        }
        folder = package_files('aiida_edl.drivers')
        drivers = {name: folder.joinpath(name).read_bytes() for name in DRIVER_FILES}
        frames = job.frames.replaced_columns({}).to_npz_bytes()
        return {**drivers, FRAMES: frames, INPUT: (json.dumps(document, indent=2, sort_keys=True) + '\n').encode()}

    def single_point_commands(self, job: SinglePointJob) -> Sequence[Command]:
        """Return the one command: the driver."""
        return (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)

    def single_point_retrieve(self, job: SinglePointJob) -> Retrieval:
        """Keep the output; energies and forces become a node."""
        return Retrieval(keep=(STDOUT,), parse_only=(PREDICTIONS,))

    def read_single_points(
        self, folder: Path, frames: FrameSet, energy_shifts: Mapping[str, float]
    ) -> SinglePoints | None:
        """Read what the driver wrote; it has added the shifts."""
        path = folder / PREDICTIONS
        if not path.is_file():
            return None
        try:
            with np.load(path) as archive:
                energies, forces = archive['energies'], archive['forces']
        except (zipfile.BadZipFile, EOFError, KeyError) as error:
            raise SinglePointsError(f'{PREDICTIONS} is truncated or lacks an array ({error})') from error
        failures = {int(index): 'the energy is not finite' for index in np.flatnonzero(~np.isfinite(energies))}
        return SinglePoints(energies, forces, failures)
