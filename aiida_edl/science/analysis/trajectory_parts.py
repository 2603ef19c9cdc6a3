"""How a trajectory falls into replicas, and which atoms and surfaces are analysed in each."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aiida_edl.science.analysis.atom_groups import AtomGroups, Integers, atom_groups, equal_compositions
from aiida_edl.science.analysis.ion_distribution import ion_indices, ion_symbol
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.planar_bins import FrameBlocks
from aiida_edl.science.analysis.surface_planes import Surface, surfaces_of_frame
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES

INTERVAL_TOLERANCE = 1e-3
"""Relative deviation of the time between frames that is taken for rounding."""


class ReplicaSettings(Protocol):
    """What the settings of an analysis say about the frames that are taken."""

    @property
    def equilibration_frames(self) -> int:
        """Frames left out at the beginning of each replica."""

    @property
    def replica_column(self) -> str:
        """Column that tells replicas apart."""


class PartSettings(ReplicaSettings, Protocol):
    """What the settings of an analysis say about the frames and surfaces that are taken."""

    @property
    def surfaces(self) -> str:
        """``'average'``, ``'lower'`` or ``'upper'``."""


@dataclass(frozen=True)
class TrajectoryPart:
    """A range of frames of one replica with the same atoms, analysed with the same surfaces."""

    start: int
    """First frame."""
    stop: int
    """Frame after the last."""
    first_row: int
    """Row of the first frame among all analysed frames."""
    groups: AtomGroups
    """Water, metal and ions."""
    ions: Integers
    """Indices of the ions that are profiled, shape ``(n_ions,)``."""
    surfaces: tuple[Surface, ...]
    """Wet surfaces that are analysed, one or two."""


@dataclass(frozen=True)
class AnalysedTrajectory:
    """A trajectory, and what of it is analysed."""

    frames: FrameSet
    """All frames."""
    replicas: list[tuple[int, int]]
    """Result of :func:`replica_ranges`."""
    blocks: FrameBlocks
    """Blocks of the analysed frames."""
    parts: list[TrajectoryPart]
    """Ranges of frames with the same atoms."""
    symbol: str
    """Chemical symbol of the ion; ``''`` if there is none."""

    @classmethod
    def of(cls, frames: FrameSet, settings: PartSettings, ion: str | None) -> AnalysedTrajectory:
        """Return what is analysed of a trajectory.

        :param frames: the trajectory.
        :param settings: frames and surfaces to take.
        :param ion: as in :func:`trajectory_parts`.
        :raises NotAnalysableError: if there is nothing to analyse, see the functions of this module.
        """
        replicas = replica_ranges(frames, settings)
        blocks = analysed_blocks(replicas)
        parts, symbol = trajectory_parts(frames, replicas, settings, ion)
        return cls(frames, replicas, blocks, parts, symbol)

    def restricted(self, surfaces: str) -> AnalysedTrajectory:
        """Return the same with the chosen surfaces alone.

        :param surfaces: ``'average'``, ``'lower'`` or ``'upper'``.
        :raises NotAnalysableError: if that surface is not wet.
        """
        parts = [
            dataclasses.replace(part, surfaces=_chosen_surfaces(part.surfaces, surfaces, part.start))
            for part in self.parts
        ]
        return dataclasses.replace(self, parts=parts)

    @property
    def n_surfaces(self) -> int:
        """Number of surfaces."""
        return len(self.parts[0].surfaces)

    @property
    def replica_of_frame(self) -> Integers:
        """Replica of each analysed frame, shape ``(n_frames,)``."""
        return np.repeat(np.arange(len(self.replicas)), [stop - start for start, stop in self.replicas])

    @property
    def frame_interval(self) -> float:
        """Time between frames [fs], NaN if unknown."""
        return frame_interval(self.frames, self.replicas)


def replica_ranges(frames: FrameSet, settings: ReplicaSettings) -> list[tuple[int, int]]:
    """Return the range ``(start, stop)`` of each replica, without its equilibration.

    :param frames: the trajectory.
    :param settings: ``replica_column`` and ``equilibration_frames`` are used.
    :raises NotAnalysableError: if frames of a replica are not contiguous, or equilibration leaves none.
    """
    if (column := frames.columns.get(settings.replica_column)) is not None:
        changes = np.flatnonzero(column[1:] != column[:-1]) + 1
        if len(changes) + 1 != len(np.unique(column)):
            raise NotAnalysableError(
                f"frames of one '{settings.replica_column}' are not contiguous; sort them by that column"
            )
    elif 'time' in frames.columns:
        changes = np.flatnonzero(np.diff(frames.columns['time']) < 0) + 1
    else:
        changes = np.zeros(0, dtype=np.int64)
    edges = [0, *(int(change) for change in changes), len(frames)]
    skip = settings.equilibration_frames
    for start, stop in itertools.pairwise(edges):
        if stop - start <= skip:
            raise NotAnalysableError(f'equilibration_frames is {skip}, but a replica has only {stop - start} frames')
    return [(start + skip, stop) for start, stop in itertools.pairwise(edges)]


def analysed_blocks(replicas: list[tuple[int, int]]) -> FrameBlocks:
    """Return the blocks of the analysed frames.

    :param replicas: result of :func:`replica_ranges`.
    :raises NotAnalysableError: if a replica is too short for an error.
    """
    lengths = [stop - start for start, stop in replicas]
    blocks = FrameBlocks.of_lengths(lengths)
    if (n_samples := int(np.bincount(blocks.replica_of_block).min())) < MINIMUM_SAMPLES:
        raise NotAnalysableError(
            f'a replica of {min(lengths)} frames gives {n_samples} samples, too few '
            f'for an error; an error needs at least {MINIMUM_SAMPLES} in each replica'
        )
    return blocks


def frame_interval(frames: FrameSet, replicas: list[tuple[int, int]]) -> float:
    """Return the time between frames [fs], NaN if unknown."""
    if 'time' not in frames.columns or len(frames) == 1:
        return float('nan')
    return float(np.median(np.concatenate([np.diff(frames.columns['time'][start:stop]) for start, stop in replicas])))


def checked_interval(frames: FrameSet, replicas: list[tuple[int, int]]) -> float:
    """Return the time between frames [fs], the same throughout.

    :param frames: the trajectory.
    :param replicas: result of :func:`replica_ranges`.
    :raises NotAnalysableError: if it is not known or not the same throughout, or a replica is too short.
    """
    if (shortest := min(stop - start for start, stop in replicas)) < MINIMUM_SAMPLES:
        raise NotAnalysableError(
            f'a replica has {shortest} frames; correlation in time needs at least {MINIMUM_SAMPLES} in each'
        )
    interval = frame_interval(frames, replicas)
    if np.isnan(interval):
        raise NotAnalysableError("the frames carry no column 'time' [fs], without which they have no dynamics")
    times = np.asarray(frames.columns['time'], dtype=np.float64)
    steps = np.concatenate([np.diff(times[start:stop]) for start, stop in replicas])
    if interval <= 0.0 or np.any(np.abs(steps - interval) > INTERVAL_TOLERANCE * interval):
        raise NotAnalysableError(
            f'the time between frames varies from {steps.min():g} to {steps.max():g} fs; give frames at equal intervals'
        )
    return interval


def trajectory_parts(
    frames: FrameSet, replicas: list[tuple[int, int]], settings: PartSettings, ion: str | None
) -> tuple[list[TrajectoryPart], str]:
    """Return the ranges to analyse and the symbol of the ion.

    :param frames: the trajectory.
    :param replicas: result of :func:`replica_ranges`.
    :param settings: ``surfaces`` is used.
    :param ion: chemical symbol of the ion, ``''`` for the only kind that occurs, None if none is asked for.
    :raises NotAnalysableError: if compositions or wet surfaces differ, or there is no wet surface.
    """
    parts: list[TrajectoryPart] = []
    symbol, composition, row = '', None, 0
    compositions = list(equal_compositions(frames))
    for replica_start, replica_stop in replicas:
        for run_start, run_stop in compositions:
            start, stop = max(run_start, replica_start), min(run_stop, replica_stop)
            if start >= stop:
                continue
            numbers = frames.frame(start).numbers
            if composition is not None and not np.array_equal(np.sort(numbers), composition):
                raise NotAnalysableError(
                    f'frame {start} has other atoms than frame {parts[0].start}: profile them apart'
                )
            composition = np.sort(numbers)
            groups = atom_groups(numbers)
            symbol = '' if ion is None else ion_symbol(numbers, groups, ion)
            surfaces = _surfaces(frames, start, groups, settings)
            if parts and len(parts[0].surfaces) != len(surfaces):
                raise NotAnalysableError(
                    f'frame {start} has {len(surfaces)} wet surfaces, frame {parts[0].start} has '
                    f"{len(parts[0].surfaces)}: choose one by the setting 'surfaces'"
                )
            parts.append(TrajectoryPart(start, stop, row, groups, ion_indices(numbers, symbol), surfaces))
            row += stop - start
    return parts, symbol


def _surfaces(frames: FrameSet, index: int, groups: AtomGroups, settings: PartSettings) -> tuple[Surface, ...]:
    """Return the surfaces to analyse, from one frame."""
    found = surfaces_of_frame(frames.frame(index), groups)
    if not found:
        raise NotAnalysableError(
            f'frame {index} has no metal surface that touches water: an interface cannot be profiled'
        )
    return _chosen_surfaces(found, settings.surfaces, index)


def _chosen_surfaces(found: tuple[Surface, ...], name: str, index: int) -> tuple[Surface, ...]:
    """Return the surface of a name among the wet ones of a frame, or all for ``'average'``."""
    if name == 'average':
        return found
    chosen = tuple(surface for surface in found if surface.name == name)
    if not chosen:
        raise NotAnalysableError(
            f"the setting 'surfaces' asks for the {name} surface, but in frame {index} only the "
            f'{found[0].name} one is wet'
        )
    return chosen
