"""What is done with a training before a trainer may see it: checks, atomic energies, neighbour counts, evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from aiida_edl.architectures.base import Architecture, HyperparameterError, TrainingJob, TrainingJobError
from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.metal_charge import METAL_CHARGE, ToldChargeError, told_charges
from aiida_edl.science.vacuum import thin_vacuum

MAXIMUM_FRAMES_COUNTED = 32
"""Frames, evenly spaced in the set, in which neighbours are counted."""
MAXIMUM_LISTED = 12
"""Elements of a parent that are listed in a message; of a foundation model there may be 89."""


def check_training_job(job: TrainingJob, batch_size: int) -> None:
    """Check that a job can be done: labels are there, elements are known, the target and the batch make sense.

    :param job: the training.
    :param batch_size: frames per gradient update.
    :raises TrainingJobError: with the thing, the value and the remedy.
    """
    for name, frames in (('training', job.training_set), ('validation', job.validation_set)):
        if frames.energies is None or frames.forces is None:
            raise TrainingJobError(f'the {name} set lacks energies or forces; label its {len(frames)} frames first')
        if missing := [element for element in frames.elements if element not in job.elements]:
            raise TrainingJobError(f'the {name} set holds {missing}, the model knows {list(job.elements)}; add them')
    if job.training_set.forces is None or not job.training_set.forces.any():
        raise TrainingJobError(
            'all forces of the training set are zero, from which nothing is learnt; '
            f'label its {len(job.training_set)} frames again, or import them under the name their forces have'
        )
    if missing := [element for element in job.elements if element not in job.atomic_energies]:
        raise TrainingJobError(f'no atomic energy is given for {missing}, given are {sorted(job.atomic_energies)}')
    if job.gradient_updates < 1:
        raise TrainingJobError(f'gradient_updates is {job.gradient_updates}, it must be at least 1')
    if not 1 <= batch_size <= len(job.training_set):
        raise TrainingJobError(
            f'batch_size is {batch_size}, it must lie between 1 and the {len(job.training_set)} training frames'
        )


def check_fine_tuning(architecture: Architecture, job: TrainingJob) -> None:
    """Check that an architecture can start from the parent of a job in the way that is asked for.

    :param architecture: the architecture.
    :param job: the training; without a parent there is nothing to check.
    :raises TrainingJobError: with the thing, the value and the remedy.
    """
    if job.precision not in architecture.precisions:
        known = ' and '.join(member.value for member in architecture.precisions)
        raise TrainingJobError(f'precision is {job.precision.value}, {architecture.name} trains in {known} only')
    parent, settings = job.parent, job.fine_tuning
    if parent is None or settings is None:
        return
    if parent.architecture != architecture.name:
        raise TrainingJobError(
            f'the parent is a potential of {parent.architecture}, {architecture.name} is to be trained; '
            'give a parent of the same architecture'
        )
    if settings.mode not in architecture.fine_tuning_modes:
        known = ', '.join(mode.value for mode in architecture.fine_tuning_modes) or 'none'
        raise TrainingJobError(f"{architecture.name} has no fine-tuning mode '{settings.mode.value}'; it has: {known}")
    if missing := [element for element in job.elements if element not in parent.elements]:
        is_short = len(parent.elements) <= MAXIMUM_LISTED
        known = str(list(parent.elements)) if is_short else f'{len(parent.elements)} elements'
        raise TrainingJobError(f'the parent knows {known} and not {missing}; use one that does')
    if parent.precision is not job.precision:
        raise TrainingJobError(
            f'precision is {job.precision.value}, the parent was saved in {parent.precision.value}; use the same'
        )
    column = architecture.total_charge_column(job.hyperparameters)
    if parent.total_charge_column != column:
        raise TrainingJobError(
            f'the parent takes the column {parent.total_charge_column} as total charge, the training {column}; '
            'use the same'
        )
    is_replay = settings.mode is FineTuningMode.MULTIHEAD_REPLAY
    if is_replay and job.replay_set is None:
        raise TrainingJobError('multihead_replay needs frames to be learnt again; give a replay_dataset')
    if not is_replay and job.replay_set is not None:
        raise TrainingJobError(
            f"a replay_dataset is given, but the mode is '{settings.mode.value}'; use multihead_replay or leave it out"
        )


def check_no_isolated_atoms(frames: FrameSet, name: str, cutoff_radius: float) -> None:
    """Check that no frame is one atom that sees nothing: trainers may take its energy for the atomic energy.

    :param frames: the frames.
    :param name: what they are, for the message.
    :param cutoff_radius: cutoff radius of the model [Å].
    :raises TrainingJobError: with their number and the elements.
    """
    singles = np.flatnonzero(np.diff(frames.offsets) == 1).tolist()
    isolated = [index for index in singles if _is_isolated(frames.frame(index), cutoff_radius)]
    if isolated:
        elements = sorted({chemical_symbols[int(frames.frame(index).numbers[0])] for index in isolated})
        raise TrainingJobError(
            f'the {name} set holds {len(isolated)} frames of one isolated atom of {elements}, which would compete with '
            'the stated atomic energies; take them out, and state their energies as atomic_energies if they are meant'
        )


def _is_isolated(frame: Frame, cutoff_radius: float) -> bool:
    """Return whether the only atom of a frame is farther than the cutoff radius from its periodic images."""
    return all(np.linalg.norm(vector) > cutoff_radius for vector in frame.cell[np.asarray(frame.pbc, dtype=bool)])


def check_charge_column(charge_column: str, architecture: str) -> None:
    """Check that the total charge is that of all atoms.

    :param charge_column: the hyperparameter.
    :param architecture: its name, for the message.
    :raises HyperparameterError: with the value and the remedy.
    """
    if charge_column == METAL_CHARGE:
        raise HyperparameterError(
            f"hyperparameter 'charge_column' of {architecture} is '{METAL_CHARGE}', but its atomic charges add up to "
            'that of the whole cell, ions included; leave it out for neutral cells, or name a column with the '
            'charge of the cell'
        )


def total_charges(frames: FrameSet, column: str) -> NDArray[np.float64]:
    """Return the column that the model takes as total charge [e], shape ``(n_frames,)``.

    :param frames: the frames.
    :param column: name of the column; ``metal_charge`` follows from the atoms if there is no such column.
    :raises TrainingJobError: if the frames lack it.
    """
    try:
        return told_charges(frames, column)
    except ToldChargeError as error:
        raise TrainingJobError(str(error)) from error


def steps_with_evaluations(at_least: int, n_evaluations: int) -> tuple[int, int]:
    """Return the smallest number of steps that ends with an evaluation, and the steps between two evaluations.

    The interval is within a factor of two of what gives the wished number of evaluations.

    :param at_least: steps that must be done.
    :param n_evaluations: wished number of evaluations.

    >>> steps_with_evaluations(1000, 20)
    (1000, 50)
    >>> steps_with_evaluations(997, 20)
    (999, 37)
    """
    steps = at_least
    while True:
        wished = max(1, round(steps / n_evaluations))
        candidates = [k for k in range((wished + 1) // 2, 2 * wished + 1) if steps % k == 0]
        if candidates:
            return steps, min(candidates, key=lambda k: abs(k - wished))
        steps += 1


def energies_and_forces_only(frames: FrameSet) -> FrameSet:
    """Return the frames without stresses, charges, velocities and columns, so that these cannot change a training.

    :param frames: labelled frames.
    """
    return replace(frames, stresses=None, charges=None, velocities=None, columns={})


def subtract_atomic_energies(frames: FrameSet, atomic_energies: Mapping[str, float]) -> FrameSet:
    """Return the frames with the sum of the atomic energies taken off each energy.

    :param frames: frames with energies.
    :param atomic_energies: reference energy of each element [eV].
    :raises TrainingJobError: if there are no energies.
    """
    if frames.energies is None:
        raise TrainingJobError(f'the {len(frames)} frames have no energies from which atomic energies could be taken')
    by_number = np.zeros(256)
    for symbol, energy in atomic_energies.items():
        by_number[atomic_numbers[symbol]] = energy
    sums = np.add.reduceat(by_number[frames.numbers], frames.offsets[:-1])
    return replace(frames, energies=frames.energies - sums)


def periodic_across_vacuum(frames: FrameSet, cutoff_radius: float) -> FrameSet:
    """Return the frames as fully periodic ones, which changes nothing if the vacuum is wider than the cutoff radius.

    For trainers that know only full periodicity or none. Frames without any periodicity stay as they are.

    :param frames: frames, e.g. films that are open along z.
    :param cutoff_radius: cutoff radius of the model [Å].
    :raises TrainingJobError: if atoms would see each other across an open boundary.
    """
    if thin := thin_vacuum(frames, cutoff_radius):
        raise TrainingJobError(f'frame {thin.frame} has {thin}')
    return replace(frames, pbc=np.repeat(frames.pbc.any(axis=1, keepdims=True), 3, axis=1))


def maximum_neighbours(frames: FrameSet, cutoff_radius: float, elements: Sequence[str]) -> dict[str, int]:
    """Return the largest number of neighbours of each element that any atom has within the cutoff radius.

    Counted in at most :data:`MAXIMUM_FRAMES_COUNTED` frames, evenly spaced: the same frames give the same numbers.

    :param frames: the frames, with the periodicity the model will see.
    :param cutoff_radius: cutoff radius [Å].
    :param elements: chemical symbols; those that do not occur have 0 neighbours.
    """
    most = dict.fromkeys(elements, 0)
    for index in _frames_counted(frames):
        frame = frames.frame(index)
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
        centres, neighbours = neighbor_list('ij', atoms, cutoff_radius)
        for element in elements:
            counts: NDArray[np.int64] = np.bincount(
                centres[frame.numbers[neighbours] == atomic_numbers[element]], minlength=1
            )
            most[element] = max(most[element], int(counts.max()))
    return most


def mean_neighbours(frames: FrameSet, cutoff_radius: float) -> float:
    """Return how many neighbours an atom has within the cutoff radius on the average, at least 1.

    Counted in at most :data:`MAXIMUM_FRAMES_COUNTED` frames, evenly spaced: the same frames give the same number.

    :param frames: the frames, with the periodicity the model will see.
    :param cutoff_radius: cutoff radius [Å].
    """
    n_atoms = n_neighbours = 0
    for index in _frames_counted(frames):
        frame = frames.frame(index)
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
        n_neighbours += len(neighbor_list('i', atoms, cutoff_radius))
        n_atoms += len(atoms)
    return max(1.0, n_neighbours / n_atoms)


def _frames_counted(frames: FrameSet) -> list[int]:
    """Return the indices of frames in which neighbours are counted."""
    count = min(len(frames), MAXIMUM_FRAMES_COUNTED)
    return [int(index) for index in np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))]
