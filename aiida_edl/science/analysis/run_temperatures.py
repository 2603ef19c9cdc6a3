"""Temperature and conserved energy of a run: from its thermodynamic series, or from velocities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_masses, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science import units
from aiida_edl.science.analysis.energy_drift import energy_drift
from aiida_edl.science.analysis.run_judgement import Criterion, Judgement
from aiida_edl.science.analysis.temperature_distribution import (
    DistributionTest,
    degrees_of_freedom,
    element_velocity_test,
    momentum_is_held,
    temperature_test,
)
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES

Series = Mapping[str, NDArray[Any]]

NAN = float('nan')
UNKNOWN = DistributionTest(NAN, NAN, NAN, NAN, NAN, NAN, 0)


@dataclass(frozen=True)
class Heat:
    """Series of a run; empty where nothing is known."""

    times: Floats
    """Times [fs], shape ``(n_samples,)``."""
    temperatures: Floats
    """Temperatures [K], shape ``(n_samples,)``."""
    freedom: int
    """Degrees of freedom; 0 if not known."""
    energies: Floats
    """Energy that should be conserved [eV], shape ``(n_samples,)``, or empty."""

    def within(self, window: tuple[float, float]) -> NDArray[np.bool_]:
        """Return which samples lie within two times [fs] and are finite, shape ``(n_samples,)``."""
        is_inside = (self.times >= window[0]) & (self.times <= window[1])
        return np.asarray(is_inside & np.isfinite(self.temperatures))


def heat_of_run(frames: FrameSet, series: Series | None, judgement: Judgement) -> Heat:
    """Return what is known of temperature and energy.

    :param frames: the finite frames.
    :param series: the thermodynamic series, or None.
    :param judgement: is told what is missing.
    """
    if series is None:
        return _heat_of_velocities(frames, judgement)
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    temperatures, kinetic = arrays['temperature'], arrays.get('kinetic_energy')
    is_finite = np.isfinite(temperatures)
    freedom = 0 if kinetic is None else degrees_of_freedom(temperatures[is_finite], kinetic[is_finite])
    energies = np.zeros(0)
    if 'conserved_energy' in arrays and not np.isnan(arrays['conserved_energy']).all():
        energies = arrays['conserved_energy']
    elif judgement.settings.ensemble == 'nve' and kinetic is not None and 'potential_energy' in arrays:
        energies = kinetic + arrays['potential_energy']
    else:
        judgement.not_judged.append('energy_drift: the series hold no conserved energy')
    return Heat(arrays['time'], temperatures, freedom, energies)


def _heat_of_velocities(frames: FrameSet, judgement: Judgement) -> Heat:
    """Return temperatures from stored velocities, or nothing."""
    judgement.not_judged.append('energy_drift: no thermodynamic series was given')
    if frames.velocities is None or not len(frames):
        judgement.not_judged.append('hot, temperature: neither a thermodynamic series nor velocities were given')
        return Heat(np.zeros(0), np.zeros(0), 0, np.zeros(0))
    velocities, masses, is_mobile, held = _moving(frames, np.arange(len(frames)))
    kinetic = 0.5 * units.ATOMIC_MASS * np.einsum('fax,a->f', velocities**2, masses)
    freedom = 3 * int(is_mobile.sum()) - (3 if held else 0)
    temperatures = 2.0 * kinetic / (max(freedom, 1) * units.BOLTZMANN)
    return Heat(np.asarray(frames.columns['time'], dtype=np.float64), temperatures, freedom, np.zeros(0))


def _moving(frames: FrameSet, chosen: NDArray[np.int64]) -> tuple[Floats, Floats, NDArray[np.bool_], bool]:
    """Return velocities of all atoms, their masses, which ever move, and whether their total momentum is held at zero.

    Velocities have shape ``(n_chosen, n_atoms, 3)`` [Å/fs], masses ``(n_atoms,)`` [u].
    """
    velocities = np.asarray(frames.velocities).reshape(len(frames), -1, 3)[chosen].astype(np.float64)
    masses = np.asarray(atomic_masses[frames.frame(0).numbers], dtype=np.float64)
    is_mobile = np.any(velocities != 0.0, axis=(0, 2))
    held = bool(is_mobile.any()) and momentum_is_held(velocities[:, is_mobile], masses[is_mobile])
    return velocities, masses, is_mobile, held


def judge_temperature(heat: Heat, window: tuple[float, float], judgement: Judgement) -> dict[str, Any]:
    """Return mean and distribution of the temperature by field name, and add a mean that deviates.

    :param heat: series of the run.
    :param window: first and last time that counts [fs].
    :param judgement: is told of what deviates or cannot be judged.
    """
    settings = judgement.settings
    samples = heat.temperatures[heat.within(window)]
    has_target = settings.ensemble != 'nve'
    if not has_target:
        judgement.not_judged.append('temperature: a run without a thermostat has none that it should keep')
    test = UNKNOWN
    if samples.size >= MINIMUM_SAMPLES and samples.mean() > 0.0:
        test = temperature_test(samples, settings.temperature, heat.freedom if has_target else 0)
        criterion = judgement.hot_or_cold('temperature', 'the mean temperature', test.mean, test.error)
        if has_target and criterion is not None:
            judgement.add(criterion, test.mean)
    elif heat.times.size:
        judgement.not_judged.append(f'temperature: {samples.size} samples, at least {MINIMUM_SAMPLES} are needed')
    return {
        'temperature': test.mean,
        'temperature_error': test.error,
        'temperature_variance_ratio': test.variance_ratio,
        'temperature_variance_ratio_error': test.variance_ratio_error,
        'temperature_statistic': test.statistic,
        'temperature_p_value': test.p_value,
        'degrees_of_freedom': heat.freedom,
    }


def judge_elements(frames: FrameSet, chosen: NDArray[np.int64], judgement: Judgement) -> dict[str, Any]:
    """Return temperature and distribution of the velocities of each element by field name, and remark on what deviates.

    :param frames: the finite frames.
    :param chosen: those that count, shape ``(n_chosen,)``.
    :param judgement: is told of what deviates or cannot be judged.
    """
    names = ('numbers', 'temperature', 'temperature_error', 'kurtosis', 'kurtosis_error', 'p_value')
    rows: list[tuple[float, ...]] = []
    if frames.velocities is None or chosen.size < MINIMUM_SAMPLES:
        seen = 0 if frames.velocities is None else chosen.size
        judgement.not_judged.append(
            f'temperature of elements: {seen} frames with velocities, at least {MINIMUM_SAMPLES} are needed'
        )
    elif judgement.settings.ensemble != 'nve':
        velocities, masses, is_mobile, held = _moving(frames, chosen)
        total = float(masses[is_mobile].sum()) if held else np.inf
        numbers = frames.frame(0).numbers
        for number in np.unique(numbers[is_mobile]):
            mass, members = float(atomic_masses[number]), is_mobile & (numbers == number)
            test = element_velocity_test(velocities[:, members], mass, judgement.settings.temperature, total)
            rows.append((number, test.mean, test.error, test.variance_ratio, test.variance_ratio_error, test.p_value))
            what = f'the mean temperature of {chemical_symbols[number]}'
            if (criterion := judgement.hot_or_cold('temperature_of_element', what, test.mean, test.error)) is not None:
                judgement.remarks.append(criterion.sentence(test.mean))
    columns = np.array(rows, dtype=np.float64).reshape(-1, len(names)).T
    values: dict[str, Any] = {f'element_{name}': column for name, column in zip(names, columns)}
    return values | {'element_numbers': columns[0].astype(np.int64)}


def judge_energy(heat: Heat, window: tuple[float, float], n_mobile: int, judgement: Judgement) -> dict[str, Any]:
    """Return the drift of the conserved energy by field name, and add one that is too large.

    :param heat: series of the run.
    :param window: first and last time that counts [fs].
    :param n_mobile: atoms that move.
    :param judgement: is told of what drifts or cannot be judged.
    """
    values = dict.fromkeys(('energy_drift', 'energy_drift_error', 'energy_fluctuation'), float('nan'))
    if not heat.energies.size:
        return values
    inside = heat.within(window) & np.isfinite(heat.energies)
    if inside.sum() < MINIMUM_SAMPLES or not n_mobile:
        judgement.not_judged.append(f'energy_drift: {int(inside.sum())} samples of {n_mobile} atoms that move')
        return values
    drift, settings = energy_drift(heat.times[inside], heat.energies[inside], n_mobile), judgement.settings
    if abs(drift.drift) > max(settings.maximum_energy_drift, settings.significance * drift.error):
        what, unit = 'the drift of the conserved energy', 'meV/(atom ps)'
        judgement.add(Criterion('energy_drift', what, settings.maximum_energy_drift, unit), drift.drift)
    return dict(zip(values, (drift.drift, drift.error, drift.fluctuation)))
