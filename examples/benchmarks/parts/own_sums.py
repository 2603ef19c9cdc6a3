"""The compiled sums of this package, timed."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from typing import Any

import scipy.fft
from parts.charge_cases import ChargeCase
from parts.timed_sums import MOST_TUNED_ATOMS, Settings, TimePlan, pairs_within, peak_megabytes, time_evaluations

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.tuning import tune
from aiida_edl.science.frames import Floats

BYTES_OF_PAIR, BYTES_OF_POINT, BYTES_OF_ATOM = 90.0, 60.0, 500.0
"""Peak of memory for a pair with its search, a mesh point and an atom."""
LEAST_MEGABYTES = 150.0
"""Memory of the process alone."""
SEARCHES = 3
"""Searches for pairs that are timed."""


class OwnP3M:
    """P3M by compiled loops, in double precision; each evaluation has energy, forces, stress and potentials."""

    most_tuned_atoms = MOST_TUNED_ATOMS

    def tune(self, case: ChargeCase, target: float, reference: Floats) -> Settings:
        """Return the settings that :func:`aiida_edl.science.electrostatics.tuning.tune` chooses."""
        return tune(case.system(), target).settings.to_dict()

    def scaled(self, settings: Settings, factor: int) -> Settings:
        """Return settings with a mesh that is larger by a factor along each cell vector."""
        return {**settings, 'mesh': [factor * count for count in settings['mesh']]}

    def tighter(self, settings: Settings, ratio: float) -> Settings:
        """Return settings with a longer cutoff and the next larger fast mesh."""
        longer = 1.0 - 0.1 * math.log(ratio)
        mesh = [scipy.fft.next_fast_len(count + 1) for count in settings['mesh']]
        return {**settings, 'mesh': mesh, 'cutoff_radius': longer * settings['cutoff_radius']}

    def forces(self, case: ChargeCase, settings: Settings) -> Floats:
        """Return forces [eV/Å]."""
        return CompiledSummation(SummationSettings.from_dict(_typed(settings)))(case.system()).forces

    def needed_megabytes(self, case: ChargeCase, settings: Settings) -> float:
        """Return the memory that an evaluation needs, about."""
        n_pairs = pairs_within(case, case.system().volume, settings['cutoff_radius'])
        needed = BYTES_OF_PAIR * n_pairs + BYTES_OF_POINT * math.prod(settings['mesh']) + BYTES_OF_ATOM * case.n_atoms
        return LEAST_MEGABYTES + needed / 1e6

    def measure(self, case: ChargeCase, settings: Settings, plan: TimePlan) -> dict[str, Any]:
        """Return times and peak of memory."""
        system = case.system()
        summation = CompiledSummation(SummationSettings.from_dict(_typed(settings)))
        found = neighbour_pairs(system, settings['cutoff_radius'])

        def evaluate(positions: Floats) -> Floats:
            return summation(dataclasses.replace(system, positions=positions), found).forces

        times = time_evaluations(evaluate, system.positions, plan)
        return {**times, **search_times(system, settings['cutoff_radius']), 'peak_megabytes': peak_megabytes()}


def search_times(system: ChargedSystem, cutoff: float) -> dict[str, float]:
    """Return the median times of a search for pairs [s].

    :param system: the charges.
    :param cutoff: distance up to which pairs are listed [Å].
    """
    processor, wall = [], []
    for _ in range(SEARCHES):
        start_processor, start = time.process_time(), time.perf_counter()
        neighbour_pairs(system, cutoff)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    return {
        'search_processor_seconds': statistics.median(processor),
        'search_wall_seconds': statistics.median(wall),
    }


def _typed(settings: Settings) -> dict[str, Any]:
    """Return settings with the types that they have in Python."""
    return {**settings, 'mesh': tuple(settings['mesh'])}
