r"""Capacitance of an interface from the potential drops at several charges of the metal.

.. math::
    C_{12} = \frac{\sigma_2 - \sigma_1}{\Delta\phi_2 - \Delta\phi_1}, \qquad
    \Delta\phi = \Delta\phi_0 + \frac{\sigma}{C}

The first is the integral capacitance between two charge states. The second is a line through all of them, fitted to the
potential drops, which carry the errors; its slope gives the differential capacitance, where the series is straight, and
:math:`\Delta\phi_0` the drop at zero charge. If the scatter about the line is larger than the errors, they are enlarged
by :math:`\sqrt{\chi^2 / \nu}` (S. Navas et al., Review of Particle Physics, Phys. Rev. D 110, 030001 (2024), section
5.2.2). Constants that do not depend on the charge, which potentials of point charges lack, cancel.

The slope has a symmetric error and is always given; for the limits of its reciprocal see
:mod:`~aiida_edl.science.analysis.capacitance_limits`. They hold the truth in 96 to 97 of 100 series of three states
whose drops have errors of 0.1 to 0.7 V at a true rise of 0.67 V a state (3000 series each, errors taken as known), more
than their 95 % because errors are enlarged but never shrunk. They inherit every fault of the errors of the drops, which
are too small for runs not much longer than their correlation time.

Runs that left physics are counted and named, and enter no number. Runs of one series and charge state are replicas, and
pooled. Series that differ by the seed of a model alone form a group, over which the slopes are averaged, with the
scatter between them as their error (Student's t): what another seed would give lies in it, as does the noise of the
runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import chi2

from aiida_edl.science.analysis.capacitance_limits import InverseCapacitance, from_slope, unknown
from aiida_edl.science.analysis.potential_profile import PotentialProfile
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, combine_replicas
from aiida_edl.typed_fields import checked_fields

STEP_RESOLUTION = 5.0
"""Standard errors by which two charges must differ for a slope between them to be defined."""
SAME_CHARGE = 1e-6
"""Surface charge that is taken for equal [µC/cm²]."""
SMALL_PROBABILITY = 0.01
"""Probability of the scatter about the line below which the series is called curved."""


@dataclass(frozen=True)
class RunTag:
    """Where a run belongs."""

    charge_state: str
    """Charge label, e.g. ``'2Na'``; runs of a series that share it are replicas."""
    series: str = 'all'
    """Runs that are compared with each other, e.g. those of one model."""
    group: str = ''
    """Series over which slopes are averaged, e.g. those of the seeds of one architecture; empty for none."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunTag:
        """Return the tag.

        :raises ValueError: for an unknown or missing key, or a value of a wrong type.
        """
        if 'charge_state' not in values:
            raise ValueError(f"the tag 'charge_state' is missing, given were {sorted(values)}")
        return cls(**checked_fields(cls, values, 'tag', ValueError))


@dataclass(frozen=True)
class ChargedRun:
    """The potential profile of one run, and where it belongs."""

    tag: RunTag
    profile: PotentialProfile
    why_excluded: str = ''
    """By which rule the run left physics and does not count; empty for a run that counts."""


@dataclass(frozen=True)
class CapacitancePoint:
    """One charge state of a series."""

    charge_state: str
    surface_charge: float
    """Charge of one analysed metal surface [µC/cm²]."""
    surface_charge_error: float
    """Its standard error [µC/cm²]; 0 where the charge never changes."""
    potential_drop: float
    """Potential of the metal less that of the liquid [V]."""
    potential_drop_error: float
    """Its standard error [V]; NaN where the runs hold no information on it."""
    n_runs: int


@dataclass(frozen=True)
class CapacitanceInterval:
    """Integral capacitance between two neighbouring charge states."""

    lower: str
    """Charge state with the smaller charge."""
    upper: str
    line: InverseCapacitance
    """Difference of drops over that of charges; NaN where the charges do not differ."""


@dataclass(frozen=True)
class SeriesCapacitance:
    """Capacitance of one series; NaN where it does not follow from the runs, which the statement says."""

    series: str
    group: str
    """Series that differ from this one by the seed of the model alone; empty for none."""
    points: tuple[CapacitancePoint, ...]
    """In the order of the charge."""
    intervals: tuple[CapacitanceInterval, ...]
    excluded: tuple[tuple[str, str], ...]
    """Charge state of each run that left physics, and why; these enter no number."""
    line: InverseCapacitance
    """Differential capacitance from the line through all states."""
    potential_of_zero_charge: float
    """Potential drop at zero charge, from the line [V]."""
    potential_of_zero_charge_error: float
    chi_squared: float
    """Sum of squared deviations from the line over their variances; NaN with two states."""
    probability: float
    """Probability of so large a sum if the series were a line; NaN with two states."""
    is_monotonic: bool
    """Whether the drop rises with the charge from each state to the next."""
    n_wet_sides: int
    """Wet surfaces of the metal, among which its charge is divided."""
    statement: str
    """What was found, in words."""


def capacitance(runs: Sequence[ChargedRun]) -> tuple[SeriesCapacitance, ...]:
    """Return the capacitance of each series, in the order of their names.

    :param runs: runs at several charge states.
    :raises ValueError: if no run is given, runs of one series were analysed in different ways, or it has two groups.
    """
    if not runs:
        raise ValueError('no potential profile was given; give those of at least two charge states')
    names = sorted({run.tag.series for run in runs})
    for name in names:
        groups = sorted({run.tag.group for run in runs if run.tag.series == name})
        if len(groups) > 1:
            raise ValueError(f"the runs of series '{name}' belong to the groups {groups}; a series belongs to one")
    return tuple(_of_series(name, [run for run in runs if run.tag.series == name]) for name in names)


def _of_series(name: str, runs: list[ChargedRun]) -> SeriesCapacitance:
    """Return the capacitance of one series."""
    counted = [run for run in runs if not run.why_excluded]
    _check_alike(name, counted)
    points = sorted(
        (
            _point(label, [run.profile for run in counted if run.tag.charge_state == label])
            for label in {run.tag.charge_state for run in counted}
        ),
        key=lambda point: (point.surface_charge, point.charge_state),
    )
    known = [point for point in points if point.potential_drop_error > 0.0]
    rises = [upper.potential_drop > lower.potential_drop for lower, upper in pairwise(known)]
    found = SeriesCapacitance(
        series=name,
        group=runs[0].tag.group,
        points=tuple(points),
        intervals=tuple(_interval(lower, upper) for lower, upper in pairwise(known)),
        excluded=tuple((run.tag.charge_state, run.why_excluded) for run in runs if run.why_excluded),
        **_line(known),
        is_monotonic=bool(rises) and all(rises),
        n_wet_sides=runs[0].profile.n_wet_sides,
        statement='',
    )
    return dataclasses.replace(found, statement=_statement(found, known, [run.profile for run in counted]))


def _check_alike(name: str, runs: list[ChargedRun]) -> None:
    """Check that the runs of a series were analysed in one way.

    :raises ValueError: if not.
    """
    for field in ('settings', 'boundary', 'charge_source', 'n_wet_sides'):
        for run in runs[1:]:
            if getattr(run.profile, field) != getattr(runs[0].profile, field):
                raise ValueError(
                    f"the profiles of series '{name}' differ in {field} between charge states "
                    f"'{runs[0].tag.charge_state}' and '{run.tag.charge_state}'; analyse them in one way"
                )


def _point(label: str, profiles: list[PotentialProfile]) -> CapacitancePoint:
    """Return the mean over the runs of one charge state."""
    drop, charge = (
        combine_replicas(
            [
                Estimate(
                    mean=np.asarray(getattr(item, name)),
                    error=np.asarray(getattr(item, f'{name}_error')),
                    n_effective=np.asarray(item.n_effective),
                    correlation_time=np.asarray(0.5),
                )
                for item in profiles
            ]
        )
        for name in ('potential_drop', 'surface_charge_microcoulomb_per_cm2')
    )
    return CapacitancePoint(
        charge_state=label,
        surface_charge=float(charge.mean),
        surface_charge_error=float(np.nan_to_num(charge.error)),
        potential_drop=float(drop.mean),
        potential_drop_error=float(drop.error),
        n_runs=len(profiles),
    )


def _interval(lower: CapacitancePoint, upper: CapacitancePoint) -> CapacitanceInterval:
    """Return the integral capacitance between two states."""
    rise = upper.potential_drop - lower.potential_drop
    rise_error = float(np.hypot(upper.potential_drop_error, lower.potential_drop_error))
    step = upper.surface_charge - lower.surface_charge
    step_error = float(np.hypot(upper.surface_charge_error, lower.surface_charge_error))
    slope = unknown()
    if step > max(SAME_CHARGE, STEP_RESOLUTION * step_error):
        slope = from_slope(rise / step, float(np.hypot(rise_error, rise / step * step_error)) / step)
    return CapacitanceInterval(lower.charge_state, upper.charge_state, slope)


def _line(points: list[CapacitancePoint]) -> dict[str, Any]:
    """Return what follows from a line through the states, by field name; NaN where it does not exist."""
    names = ('potential_of_zero_charge', 'potential_of_zero_charge_error', 'chi_squared', 'probability')
    result: dict[str, Any] = dict.fromkeys(names, np.nan) | {'line': unknown()}
    charges, drops = (np.array([getattr(p, n) for p in points]) for n in ('surface_charge', 'potential_drop'))
    if len(points) < 2 or np.ptp(charges) <= SAME_CHARGE:
        return result
    drop_errors = np.array([point.potential_drop_error for point in points])
    charge_errors = np.array([point.surface_charge_error for point in points])
    coefficients, _ = _fit(charges, drops, drop_errors)
    errors = np.hypot(drop_errors, coefficients[1] * charge_errors)
    coefficients, covariance = _fit(charges, drops, errors)
    if len(points) > 2:
        deviations = (drops - coefficients[0] - coefficients[1] * charges) / errors
        result['chi_squared'] = float(np.sum(deviations**2))
        freedom = len(points) - 2
        result['probability'] = float(chi2.sf(result['chi_squared'], freedom))
        covariance = covariance * max(1.0, result['chi_squared'] / freedom)
    return result | {
        'line': from_slope(float(coefficients[1]), float(np.sqrt(covariance[1, 1]))),
        'potential_of_zero_charge': float(coefficients[0]),
        'potential_of_zero_charge_error': float(np.sqrt(covariance[0, 0])),
    }


def _fit(charges: Floats, drops: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Return intercept and slope of the weighted line, shape ``(2,)``, and their covariance, shape ``(2, 2)``."""
    design = np.stack([np.ones_like(charges), charges], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return np.asarray(covariance @ design.T @ (drops / errors)), np.asarray(covariance)


def _statement(found: SeriesCapacitance, known: list[CapacitancePoint], profiles: list[PotentialProfile]) -> str:
    """Return what was found in words."""
    parts = [f'the run of {state} left physics and does not count' for state, _ in found.excluded]
    if without := [point.charge_state for point in found.points if point not in known]:
        parts.append(f'left out for want of an error of the potential drop: {", ".join(without)}')
    if words := found.line.in_words():
        parts.append(f'{words} from the line through {len(known)} charge states')
    else:
        parts.append(
            f'no capacitance follows: it needs two states of different charge and known error, of {len(known)} given'
        )
    if len(known) == 2 and words:
        parts.append('two states always lie on a line, so that they do is no test')
    if found.probability < SMALL_PROBABILITY:
        parts.append(
            f'the states do not lie on a line (probability {found.probability:.1g}), so it is a mean over a '
            'capacitance that changes'
        )
    for item in found.intervals:
        if item.line.inverse_high < 0.0:
            parts.append(f'the drop falls while the charge rises from {item.lower} to {item.upper}: not monotonic')
        elif not item.line.is_bounded:
            parts.append(f'the drops of {item.lower} and {item.upper} cannot be told apart')
    regions = {(profile.bulk_lower, profile.bulk_upper) for profile in profiles}
    if len(regions) > 1:
        parts.append("the bulk liquid was taken from different heights; give the setting 'bulk_region'")
    if cut := sum(profile.frames_at_cut for profile in profiles):
        parts.append(f'{cut} frames have atoms where the vacuum is cut')
    return '; '.join(parts)
