"""Read the labels of CP2K: one output file for each frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import ExitCode
from aiida.orm import ArrayData, Dict
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.evaluation import FRAMES_DONE
from aiida_edl.calculations.single_point_cp2k import (
    FAILURES,
    frame_name,
    frames_to_run,
    known_failures,
)
from aiida_edl.dft.cp2k_settings import Cp2kSettings
from aiida_edl.parsers.base import EdlParser
from aiida_edl.science.formats.cp2k_output import NO_CONVERGENCE, Cp2kOutput, read_cp2k_output
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Frame, FrameSet

PER_ATOM = {'forces': (3,), 'charges': ()}
"""Labels with a row for each atom, and the shape of a row."""
PER_FRAME = {
    'energies': (),
    'stresses': (3, 3),
    'fermi_level': (),
    'dispersion_energies': (),
    'n_electrons': (),
    'n_scf_steps': (),
}
"""Labels with a row for each frame, and the shape of a row."""


@dataclass
class _Labels:
    """Labels of all frames while they are collected."""

    frames: FrameSet
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    not_run: list[int] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    wall_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Begin with NaN everywhere."""
        n_frames, n_atoms = len(self.frames), int(self.frames.offsets[-1])
        for shapes, length in ((PER_ATOM, n_atoms), (PER_FRAME, n_frames)):
            self.arrays |= {name: np.full((length, *shape), np.nan) for name, shape in shapes.items()}
        self.arrays['converged'] = np.zeros(n_frames, dtype=bool)

    def take_checkpoint(self, checkpoint: ArrayData) -> None:
        """Begin with the labels of an earlier job."""
        for name in self.arrays:
            self.arrays[name] = checkpoint.get_array(name).copy()

    def take(self, index: int, output: Cp2kOutput) -> None:
        """Take the labels of one frame."""
        atoms = slice(int(self.frames.offsets[index]), int(self.frames.offsets[index + 1]))
        self.arrays['forces'][atoms], self.arrays['charges'][atoms] = output.forces, output.charges
        values = {
            'energies': output.energy,
            'stresses': output.stress,
            'fermi_level': output.fermi_level,
            'dispersion_energies': output.dispersion_energy,
            'n_electrons': output.n_electrons,
            'n_scf_steps': output.n_scf_steps,
        }
        for name, value in values.items():
            self.arrays[name][index] = np.nan if value is None else value
        self.arrays['converged'][index] = True

    @property
    def largest_net_force(self) -> float | None:
        """Largest norm of the sum of all forces of a frame [eV/Å], zero but for the grid; None without a label."""
        sums = np.add.reduceat(self.arrays['forces'], self.frames.offsets[:-1])[self.arrays['converged']]
        return float(np.linalg.norm(sums, axis=1).max()) if len(sums) else None

    def node(self) -> ArrayData:
        """Return a node with all arrays."""
        node = ArrayData()
        for name, array in {**self.arrays, 'offsets': self.frames.offsets}.items():
            node.set_array(name, array)
        return node

    def checkpoint(self) -> ArrayData:
        """Return a node from which a job goes on with the frames that were not run."""
        node = self.node()
        failures = {str(index): reason for index, reason in self.failures.items() if index not in self.not_run}
        n_done = int(self.arrays['converged'].sum()) + len(failures)
        node.base.attributes.set_many({FAILURES: failures, FRAMES_DONE: n_done})
        return node


class Cp2kParser(EdlParser):
    """Turn the outputs of all frames into labels in the order of the frames that were given."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach the labels that are there; say what is wrong with the rest.

        :param kwargs: ``retrieved_temporary_folder`` with the outputs.
        """
        inputs = self.node.inputs
        settings = Cp2kSettings.from_dict(inputs.model_parameters.get_dict())
        labels = _Labels(inputs.dataset.frames(), failures=known_failures(inputs))
        if 'checkpoint' in inputs:
            labels.take_checkpoint(inputs.checkpoint)
        indices = frames_to_run(inputs, labels.failures)
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            for index in indices:
                self._read(folder, index, settings, labels)
        if indices and len(labels.not_run) == len(indices):
            detail = f'none of the {len(indices)} frames has an output; is the code CP2K?'
            return self.fail(exit_codes.OUTPUT_MISSING, detail)
        self.out('labels', labels.node())
        self.out('label_summary', Dict(self._summary(settings, labels)))
        return self._exit_code(labels)

    def _read(self, folder: Path, index: int, settings: Cp2kSettings, labels: _Labels) -> None:
        """Take the labels of one frame, or note why it has none."""
        path = folder / f'{frame_name(index)}.out'
        if not path.is_file():
            labels.not_run.append(index)
            labels.failures[index] = 'the job ended before this frame was run'
            return
        try:
            output = read_cp2k_output(path.read_text(encoding='utf-8', errors='replace'))
        except FormatError as error:
            labels.failures[index] = str(error)
            return
        labels.versions |= {output.version} - {''}
        labels.wall_seconds += output.wall_seconds or 0.0
        reason = refusal(output, labels.frames.frame(index), settings)
        if reason is None:
            labels.take(index, output)
        else:
            labels.failures[index] = reason
            if output.ends_early:
                labels.not_run.append(index)

    def _summary(self, settings: Cp2kSettings, labels: _Labels) -> dict[str, Any]:
        """Return what is known of the labels beside their values."""
        return {
            'level_of_theory': settings.level_of_theory,
            'failures': {str(index): reason for index, reason in sorted(labels.failures.items())},
            'n_frames': len(labels.frames),
            'n_labelled': int(labels.arrays['converged'].sum()),
            'remedies': self.node.inputs.remedies.get_list() if 'remedies' in self.node.inputs else [],
            'versions': {'cp2k': ', '.join(sorted(labels.versions))},
            'wall_seconds': labels.wall_seconds,
            'largest_net_force': labels.largest_net_force,
        }

    def _exit_code(self, labels: _Labels) -> ExitCode | None:
        """Return how the calculation ended, None if all frames were run and one of them has a label."""
        n_labelled, n_frames = int(labels.arrays['converged'].sum()), len(labels.frames)
        if labels.not_run:
            self.out('checkpoint', labels.checkpoint())
            detail = f'{n_labelled} of {n_frames} frames are labelled, {len(labels.not_run)} were not run to their end'
            return self.fail(exit_codes.LOG_INCOMPLETE, detail)
        if not n_labelled:
            first = labels.failures[min(labels.failures)]
            return self.fail(exit_codes.NO_FRAME_CONVERGED, f'the first of {n_frames} frames: {first}')
        return None


def refusal(output: Cp2kOutput, frame: Frame, settings: Cp2kSettings) -> str | None:
    """Return why an output gives no label, None if it gives one.

    :param output: what CP2K left.
    :param frame: the frame that was given.
    :param settings: how it was to be computed.
    """
    if output.stop_reason:
        return output.stop_reason
    if not output.is_converged:
        return f'{NO_CONVERGENCE} in {output.n_scf_steps} steps'
    if output.energy is None or output.forces is None or output.stress is None or output.charges is None:
        names = ('energy', 'forces', 'stress', 'charges')
        return f'the output lacks {", ".join(name for name in names if getattr(output, name) is None)}'
    symbols = tuple(chemical_symbols[number] for number in frame.numbers)
    if output.symbols != symbols:
        return f'the output is of {len(output.symbols)} atoms in another order than the {len(symbols)} of the frame'
    if output.n_electrons != settings.n_electrons(frame):
        return (
            f'CP2K counted {output.n_electrons} valence electrons, the frame has {settings.n_electrons(frame):g}; '
            'check the total charge'
        )
    return None
