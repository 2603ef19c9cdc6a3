"""Read what molecular dynamics of any engine left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import ExitCode
from aiida.orm import ArrayData, Dict
from numpy.typing import NDArray

from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.dynamics_checkpoint import STEPS_DONE
from aiida_edl.calculations.models import level_of_theory_of_potential
from aiida_edl.calculations.molecular_dynamics import run_identity
from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines.base import MDEngine, MDOutcome, MDResult, MDSettings
from aiida_edl.parsers.base import EdlParser, cost_and_versions, folder_of_files
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science.frames import FrameSet

EXIT_CODE_OF_OUTCOME = {
    MDOutcome.OUT_OF_WALLTIME: exit_codes.OUT_OF_WALLTIME,
    MDOutcome.DEVICE_MISSING: exit_codes.DEVICE_MISSING,
    MDOutcome.OUT_OF_MEMORY: exit_codes.OUT_OF_MEMORY,
    MDOutcome.DEVICE_LOST: exit_codes.DEVICE_LOST,
    MDOutcome.EXPLODED: exit_codes.MD_EXPLODED,
    MDOutcome.OUTPUT_INCOMPLETE: exit_codes.LOG_INCOMPLETE,
}
"""Exit code of each outcome but the good one."""


class MolecularDynamicsParser(EdlParser):
    """Turn files of a run into a trajectory, series, a checkpoint and a summary."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what there is, then say how the run ended.

        :param kwargs: ``retrieved_temporary_folder`` with the trajectory.
        """
        engine: MDEngine = load_member(MD_ENGINES, self.node.inputs.engine.value)
        settings = MDSettings.from_dict(self.node.inputs.settings.get_dict())
        frame = self.node.inputs.structure.frame(self.node.inputs.frame_index.value)
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            seen = self.seen_without_output(folder)
            result = engine.read(folder, frame, settings)
            if missing := self.missing_device(folder):
                result = replace(result, outcome=MDOutcome.DEVICE_MISSING, message=missing)
            if result.checkpoint_files:
                identity = {STEPS_DONE: result.checkpoint_steps, **run_identity(self.node.inputs)}
                self.out('checkpoint', folder_of_files(folder, result.checkpoint_files, identity))
            self.out('md_summary', Dict(self._summary(result, settings, folder)))
        if result.series is not None:
            self.out('series', series_node(result.series))
        inputs = self.node.inputs
        stored = replace(settings, sampling_interval=settings.sampling_interval * inputs.stored_every.value)
        frames = None if result.trajectory is None else every(result.trajectory, stored.sampling_interval)
        if frames is not None:
            self.out('trajectory', trajectory_node(inputs, frames, stored, inputs.structure))
        if seen is not None:
            return self.fail(exit_codes.OUTPUT_MISSING, f'no file of the engine came back, and {seen}')
        if result.outcome is not MDOutcome.FINISHED:
            return self.fail(EXIT_CODE_OF_OUTCOME[result.outcome], result.message)
        return None

    def _summary(self, result: MDResult, settings: MDSettings, folder: Path) -> dict[str, Any]:
        """Return how the run ended and what it cost."""
        return {
            'outcome': result.outcome.value,
            'message': result.message,
            'steps_done': result.steps_done,
            'steps': settings.steps,
            'is_restart': 'checkpoint' in self.node.inputs,
            'n_frames': 0 if result.trajectory is None else len(result.trajectory),
            'settings': settings.to_dict(),
            **cost_and_versions(folder),
            **result.cost,
        }


def every(frames: FrameSet, interval: int) -> FrameSet | None:
    """Return the frames of every so many steps, None if there is none.

    Steps count from the very first start, so that restarts do not shift which frames these are.

    :param frames: frames with the column ``step``.
    :param interval: steps.
    """
    chosen = np.flatnonzero(frames.columns['step'] % interval == 0)
    return frames.select(chosen) if len(chosen) else None


def series_node(series: Mapping[str, NDArray[Any]]) -> ArrayData:
    """Return thermodynamic series as a node."""
    node = ArrayData()
    for name, values in series.items():
        node.set_array(name, values)
    return node


def trajectory_node(inputs: Any, frames: FrameSet, settings: MDSettings, structure: DatasetData) -> DatasetData:
    """Return frames in single precision, with what a reader of the trajectory asks for first.

    :param inputs: inputs of the calculation: ``engine``, and ``potential`` or ``model_parameters``.
    :param frames: stored frames.
    :param settings: what was run.
    :param structure: the data set that the run began from.
    """
    if 'potential' in inputs:
        level_of_theory = level_of_theory_of_potential(inputs.potential)
    else:
        engine: MDEngine = load_member(MD_ENGINES, inputs.engine.value)
        level_of_theory = engine.level_of_theory(inputs.model_parameters.get_dict())
    attributes = {
        'engine': inputs.engine.value,
        'ensemble': settings.ensemble,
        'thermostat': settings.thermostat if settings.ensemble == 'nvt' else None,
        'temperature': settings.temperature,
        'time_step': settings.time_step,
        'sampling_interval': settings.sampling_interval,
        'seed': settings.seed,
    }
    return DatasetData.from_frames(
        frames,
        level_of_theory=level_of_theory,
        origin=f'molecular dynamics with engine {inputs.engine.value}',
        n_wet_sides=structure.n_wet_sides,
        attributes=attributes,
        in_single_precision=True,
    )
