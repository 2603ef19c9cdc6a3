"""What all timed programs have in common: settings from a tuning, the check of their error, repeated evaluations."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from parts.charge_cases import ChargeCase

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings, root_mean_square
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Floats

REFERENCE_MARGIN = 1e-3
"""Error of the reference over the target."""
STEP = 1e-9
"""Displacement over the force between two evaluations [Å per eV/Å]: each needs the result of the one before."""
LEAST_EVALUATIONS, LEAST_SECONDS = 10, 0.2
"""A repeat has at least so many evaluations, and takes at least so long [s]."""
MOST_REPEATS = 2
"""Repeats of a round at most; there is one at least."""
MOST_TRIALS = 6
"""Settings after which a search for one number ends."""
AIM = 0.95
"""Share of the target that a tuning aims at."""
MOST_TUNED_ATOMS = 6000
"""Atoms up to which a program is tuned on a system itself, if its numbers can be scaled with the system."""
LEAST_FORCE = 1e-9
"""Root mean square force below which no error of it can be measured [eV/Å]."""

Settings = dict[str, Any]
"""Numbers of a program as JSON types."""


class NotMeasuredError(Exception):
    """Why a point is not measured."""


@dataclass(frozen=True)
class TimePlan:
    """How long a point is measured."""

    seconds: float
    """Time that the repeats of a round may take together, unless a single one takes longer [s]."""

    def repeats_of(self, seconds: float) -> tuple[int, int]:
        """Return the number of repeats and of evaluations of each.

        :param seconds: time of one evaluation [s].

        >>> TimePlan(15.0).repeats_of(1.0)
        (1, 10)
        """
        evaluations = max(LEAST_EVALUATIONS, math.ceil(LEAST_SECONDS / seconds))
        repeats = int(self.seconds / (evaluations * seconds))
        return min(max(repeats, 1), MOST_REPEATS), evaluations


class TimedProgram(Protocol):
    """A program whose sums are timed."""

    @property
    def most_tuned_atoms(self) -> int:
        """Atoms up to which it is tuned on a system itself, larger ones on one of half the length or less."""

    def tune(self, case: ChargeCase, target: float, reference: Floats) -> Settings:
        """Return the fastest settings that meet a force error [eV/Å], by forces of a converged sum."""

    def scaled(self, settings: Settings, factor: int) -> Settings:
        """Return settings for a system that is longer along each cell vector by a factor."""

    def tighter(self, settings: Settings, ratio: float) -> Settings:
        """Return settings whose error is less by a ratio."""

    def forces(self, case: ChargeCase, settings: Settings) -> Floats:
        """Return forces [eV/Å], shape ``(n_atoms, 3)``."""

    def needed_megabytes(self, case: ChargeCase, settings: Settings) -> float:
        """Return the memory that an evaluation needs, about."""

    def measure(self, case: ChargeCase, settings: Settings, plan: TimePlan) -> dict[str, Any]:
        """Return times and peak of memory."""


def reference_forces(case: ChargeCase, target: float, folder: Path) -> Floats:
    """Return the forces of a converged sum, which are kept in a file.

    :param case: the system.
    :param target: the force error for which they are needed [eV/Å].
    :param folder: where they are kept.
    :raises NotMeasuredError: if all of them vanish.
    """
    path = folder / f'reference_{case.name}_{target:g}.npy'
    if not path.is_file():
        system = case.system()
        forces = CompiledSummation(converged_settings(system, REFERENCE_MARGIN * target))(system).forces
        unfinished = path.with_suffix('.unfinished.npy')
        np.save(unfinished, forces)
        unfinished.rename(path)
    forces = np.load(path)
    if root_mean_square(forces) < LEAST_FORCE:
        raise NotMeasuredError('one charge alone: its force vanishes by symmetry, and no error of it can be measured')
    return forces


def met(
    program: TimedProgram, case: ChargeCase, settings: Settings, target: float, reference: Floats
) -> tuple[Settings, float]:
    """Return settings that meet the target on a system, made tighter until they do, and their error [eV/Å].

    :raises NotMeasuredError: if they never do.
    """
    error = math.inf
    for _ in range(MOST_TRIALS):
        error = root_mean_square(program.forces(case, settings) - reference)
        if error <= target:
            return settings, error
        settings = program.tighter(settings, min(AIM * target / error, 0.97))
    raise NotMeasuredError(f'no settings met the target: the last force error was {error:.1e} eV/Å')


def largest_that_meets(
    judge: Callable[[float], float], start: float, target: float, slope: float
) -> tuple[float, float] | None:
    """Return the largest number whose error meets a target, about, and that error, or None.

    The error is taken to grow as a power of the number, at first with a given exponent.

    :param judge: returns the error of a number.
    :param start: the number that is tried first.
    :param target: the largest error.
    :param slope: exponent with which the error grows.
    """
    tried: list[tuple[float, float]] = []
    number = start
    for _ in range(MOST_TRIALS):
        tried.append((number, judge(number)))
        if 0.85 * target <= tried[-1][1] <= target:
            break
        too_large = [each for each, error in tried if error > target]
        enough = [each for each, error in tried if error <= target]
        if too_large and enough and min(too_large) / max(enough) < 1.02:
            break
        if len(tried) > 1:
            (before, error_before), (last, error) = tried[-2:]
            found = math.log(max(error, 1e-300) / max(error_before, 1e-300)) / math.log(last / before)
            slope = min(max(found, 0.5), 12.0)
        number *= (AIM * target / max(tried[-1][1], 1e-9 * target)) ** (1.0 / slope)
        if too_large and enough and not max(enough) < number < min(too_large):
            number = math.sqrt(max(enough) * min(too_large))
    good = [pair for pair in tried if pair[1] <= target]
    return max(good) if good else None


def neglect_ratio(system: ChargedSystem, cutoff: float, allowed: float) -> float:
    """Return cutoff over smearing at which the pairs beyond the cutoff neglect a given force, measured.

    :param system: the charges.
    :param cutoff: the cutoff [Å].
    :param allowed: root mean square force [eV/Å].
    """
    wide = neighbour_pairs(system, 1.4 * cutoff)

    def neglected(ratio: float) -> float:
        near, far = (
            CompiledSummation(SummationSettings('ewald', radius, cutoff / ratio, k_cutoff=1e-9, has_background=True))
            for radius in (cutoff, wide.cutoff_radius)
        )
        return root_mean_square(far(system, wide).forces - near(system, wide).forces)

    ratio = 4.0
    for _ in range(MOST_TRIALS):
        error = neglected(ratio)
        if error == 0.0 or 0.9 * allowed <= error <= allowed:
            break
        ratio = math.sqrt(max(ratio**2 + 2.0 * math.log(error / (0.95 * allowed)), 1.0))
    return ratio


def time_evaluations(
    evaluate: Callable[[Floats], Floats], positions: Floats, plan: TimePlan
) -> dict[str, int | list[float]]:
    """Return the times of one evaluation in each repeat, after one for warming up and one that tells how many.

    :param evaluate: returns forces [eV/Å] at positions [Å].
    :param positions: where to begin; they move a little along the forces.
    :param plan: how long to measure.
    """
    positions = positions + STEP * evaluate(positions)
    start = time.perf_counter()
    positions = positions + STEP * evaluate(positions)
    repeats, evaluations = plan.repeats_of(time.perf_counter() - start)
    processor, wall = [], []
    for _ in range(repeats):
        start_processor, start = time.process_time(), time.perf_counter()
        for _ in range(evaluations):
            positions = positions + STEP * evaluate(positions)
        wall.append((time.perf_counter() - start) / evaluations)
        processor.append((time.process_time() - start_processor) / evaluations)
    return {'evaluations': evaluations, 'processor_seconds': processor, 'wall_seconds': wall}


def peak_megabytes() -> float:
    """Return the largest memory that this process had so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def available_megabytes() -> float:
    """Return the memory that new processes can have [MB]."""
    lines = Path('/proc/meminfo').read_text().splitlines()
    values: Mapping[str, str] = dict(line.split(':', 1) for line in lines)
    return float(values['MemAvailable'].split()[0]) / 1024


def pairs_within(case: ChargeCase, volume: float, cutoff: float) -> float:
    """Return the number of pairs within a cutoff at even density.

    :param case: the system.
    :param volume: its volume [Å³].
    :param cutoff: the cutoff [Å].
    """
    return 0.5 * case.n_atoms**2 / volume * 4.0 / 3.0 * math.pi * cutoff**3
