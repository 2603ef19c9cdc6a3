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
from aiida_edl.dft.cp2k_input import POTENTIAL_FILE, axes_of, shift_of
from aiida_edl.dft.cp2k_settings import Cp2kSettings, is_film
from aiida_edl.parsers.base import EdlParser
from aiida_edl.science.formats.cp2k_output import NO_CONVERGENCE, Cp2kOutput, read_cp2k_output
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.gaussian_cube import planar_average
from aiida_edl.science.frames import Floats, Frame, FrameSet
from aiida_edl.science.units import HARTREE
from aiida_edl.science.vacuum_potential import vacuum_potential

PER_ATOM = {'forces': (3,), 'charges': ()}
"""Labels with a row for each atom, and the shape of a row."""
PER_FRAME = {
    'energies': (),
    'stresses': (3, 3),
    'fermi_level': (),
    'dispersion_energies': (),
    'n_electrons': (),
    'expected_electrons': (),
    'n_scf_steps': (),
    'maximum_scf_steps': (),
    'vacuum_levels': (2,),
    'vacuum_fields': (2,),
}
"""Labels with a row for each frame, and the shape of a row."""
PROFILES = ('potential_heights', 'potential_profiles')
"""Labels with a row for each frame, as long as the longest profile; NaN beyond the others."""
NO_STRESS = 'there are no stresses, as CP2K gives none of an isolated film'


@dataclass
class _Labels:
    """Labels of all frames while they are collected."""

    frames: FrameSet
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    profiles: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)
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
        there = set(checkpoint.get_arraynames())
        for name in set(self.arrays) & there:
            self.arrays[name] = checkpoint.get_array(name).copy()
        for index in np.flatnonzero(self.arrays['converged']).tolist() if there.issuperset(PROFILES) else []:
            heights, profile = (checkpoint.get_array(name)[index] for name in PROFILES)
            self.profiles[index] = heights[np.isfinite(heights)], profile[np.isfinite(profile)]

    def take(self, index: int, output: Cp2kOutput, settings: Cp2kSettings) -> None:
        """Take the labels of one frame."""
        atoms = slice(int(self.frames.offsets[index]), int(self.frames.offsets[index + 1]))
        frame = self.frames.frame(index)
        self.arrays['forces'][atoms] = output.forces[:, np.argsort(axes_of(frame, settings))]  # type: ignore[index]
        self.arrays['charges'][atoms] = output.charges
        values = {
            'energies': output.energy,
            'stresses': output.stress,
            'fermi_level': output.fermi_level,
            'dispersion_energies': output.dispersion_energy,
            'n_electrons': output.n_electrons,
            'expected_electrons': settings.n_electrons(frame),
            'n_scf_steps': output.n_scf_steps,
            'maximum_scf_steps': settings.maximum_scf_steps,
        }
        for name, value in values.items():
            self.arrays[name][index] = np.nan if value is None else value
        self.arrays['converged'][index] = True

    def take_potential(self, index: int, path: Path, settings: Cp2kSettings) -> None:
        """Take the potential of a film.

        :raises FormatError: if the file is truncated.
        """
        frame = self.frames.frame(index)
        heights, profile = planar_average(path, axes_of(frame, settings).index(2))
        heights, profile = heights - shift_of(frame), profile * HARTREE
        found = vacuum_potential(heights, profile, frame.positions[:, 2].min(), frame.positions[:, 2].max())
        self.profiles[index] = heights, profile
        self.arrays['vacuum_levels'][index], self.arrays['vacuum_fields'][index] = found.levels, found.fields

    @property
    def lacks_stress(self) -> bool:
        """Whether there is a label without a stress."""
        return bool(np.isnan(self.arrays['stresses'][self.arrays['converged']]).any())

    @property
    def largest_net_force(self) -> float | None:
        """Largest norm of the sum of all forces of a frame [eV/Å], zero but for the grid; None without a label."""
        sums = np.add.reduceat(self.arrays['forces'], self.frames.offsets[:-1])[self.arrays['converged']]
        return float(np.linalg.norm(sums, axis=1).max()) if len(sums) else None

    def node(self) -> ArrayData:
        """Return a node with all arrays."""
        arrays = {**self.arrays, 'offsets': self.frames.offsets, **self._padded_profiles()}
        if self.lacks_stress:
            del arrays['stresses']
        if not self.profiles:
            del arrays['vacuum_levels'], arrays['vacuum_fields']
        return ArrayData(arrays)

    def _padded_profiles(self) -> dict[str, NDArray[Any]]:
        """Return the profiles in arrays with a row for each frame, none if there is no film."""
        if not self.profiles:
            return {}
        longest = max(len(heights) for heights, _ in self.profiles.values())
        padded = {name: np.full((len(self.frames), longest), np.nan) for name in PROFILES}
        for index, profile in self.profiles.items():
            for name, values in zip(PROFILES, profile):
                padded[name][index, : len(values)] = values
        return padded

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
        has_started = bool(labels.versions) or bool(labels.arrays['converged'].any())
        if indices and len(labels.not_run) == len(indices) and not has_started:
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
        frame = labels.frames.frame(index)
        reason = refusal(output, frame, settings)
        if reason is None and is_film(frame):
            reason = self._read_potential(folder, index, settings, labels)
        if reason is None:
            labels.take(index, output, settings)
        else:
            labels.failures[index] = reason
            if output.ends_early:
                labels.not_run.append(index)

    @staticmethod
    def _read_potential(folder: Path, index: int, settings: Cp2kSettings, labels: _Labels) -> str | None:
        """Take the potential of a film, or return why there is none."""
        path = folder / POTENTIAL_FILE.format(frame_name(index))
        if not path.is_file():
            return f'CP2K left no potential of the film, the file {path.name} is missing'
        try:
            labels.take_potential(index, path, settings)
        except FormatError as error:
            return str(error)
        return None

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
            'notes': [NO_STRESS] if labels.lacks_stress else [],
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
    names = ('energy', 'forces', 'charges') + (() if settings.is_isolated_film(frame) else ('stress',))
    if any(getattr(output, name) is None for name in names):
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
