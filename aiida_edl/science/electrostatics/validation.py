"""Is the accuracy that is asked for the accuracy that is got? One row for each case, method, precision and target."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings, root_mean_square
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.implementations import Implementation, Summation
from aiida_edl.science.electrostatics.molten_salt import drift_of, melt
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.tuning import REFERENCE_MARGIN, TuningError, tune
from aiida_edl.science.electrostatics.validation_cases import ValidationCase

STEP = 1e-4
"""Displacement for differences of energies [Å]: the next term of their expansion is then below 1e-7 eV/Å."""
N_COORDINATES = 6
"""Coordinates along which energies are differentiated."""
SEED = 1


@dataclass(frozen=True)
class ValidationRow:
    """What one sum gave for one case."""

    case: str
    family: str
    n_atoms: int
    method: str
    implementation: str
    precision: str
    target: float
    """Root mean square force error that was asked for [eV/Å]."""
    refusal: str = ''
    """Why there is no result; empty if there is one."""
    settings: dict[str, Any] | None = None
    """Numbers of the sum."""
    force_error: float | None = None
    """Measured root mean square force error [eV/Å]."""
    energy_error: float | None = None
    """Measured error of the energy [eV per atom]."""
    stress_error: float | None = None
    """Largest error of a component of the stress [eV/Å³]; none for slabs, whose volume is a matter of choice."""
    gradient_error: float | None = None
    """Largest difference of a force from the difference of energies [eV/Å]; not in single precision."""
    exact_error: float | None = None
    """Error of the energy of the perfect lattice over its known energy."""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return dataclasses.asdict(self)


def validate_case(
    case: ValidationCase, implementations: Sequence[Implementation], targets: Sequence[float]
) -> Iterator[ValidationRow]:
    """Yield a row for each program in each precision, each of its methods, and each target.

    What cannot be is a row with the reason.

    :param case: the case.
    :param implementations: programs.
    :param targets: root mean square force errors [eV/Å].
    """
    references = {
        target: CompiledSummation(converged_settings(case.system, target * REFERENCE_MARGIN)) for target in targets
    }
    results = {target: evaluate(case.system) for target, evaluate in references.items()}
    for implementation in implementations:
        for method in ('ewald', *implementation.nodes):
            for target in targets:
                row = ValidationRow(
                    case.name,
                    case.family,
                    len(case.system.charges),
                    method,
                    implementation.name,
                    implementation.precision,
                    target,
                )
                try:
                    tuned = tune(case.system, target, method, implementation=implementation)
                except (TuningError, ChargedSystemError) as error:
                    yield replace(row, refusal=str(error))
                    continue
                evaluate = implementation.make(tuned.settings)
                measured = _measured(case, evaluate, results[target], implementation.precision)
                yield replace(row, settings=tuned.settings.to_dict(), **measured)


@dataclass(frozen=True)
class DriftRow:
    """How well one sum conserved the energy of molten salt."""

    method: str
    implementation: str
    precision: str
    target: float
    """Root mean square force error that was asked for [eV/Å]."""
    refusal: str = ''
    """Why there is no result; empty if there is one."""
    drift: float | None = None
    """Slope of the total energy [meV/(atom ps)]."""
    drift_error: float | None = None
    """Its standard error [meV/(atom ps)]."""
    fluctuation: float | None = None
    """Root mean square deviation from the slope [meV/atom]."""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return dataclasses.asdict(self)


def drift_rows(implementations: Sequence[Implementation], targets: Sequence[float], steps: int) -> Iterator[DriftRow]:
    """Yield a row for P3M of each program in each precision, and each target: molten salt at constant energy.

    :param implementations: programs.
    :param targets: root mean square force errors [eV/Å].
    :param steps: steps of 1 fs; none are run without any.
    """
    for implementation in implementations if steps else ():
        for target in targets:
            row = DriftRow('p3m', implementation.name, implementation.precision, target)
            try:
                tuned = tune(melt().system, target, 'p3m', implementation=implementation)
            except TuningError as error:
                yield replace(row, refusal=str(error))
                continue
            found = drift_of(implementation.make(tuned.settings), steps)
            yield replace(row, drift=found.drift, drift_error=found.error, fluctuation=found.fluctuation)


def _measured(
    case: ValidationCase, evaluate: Summation, reference: ElectrostaticResult, precision: str
) -> dict[str, Any]:
    """Return the measured errors of a sum."""
    system = case.system
    result = evaluate(system)
    is_slab = not system.pbc.all()
    exact_error = None
    if case.exact is not None and case.exact_energy is not None:
        exact_error = evaluate(case.exact).energy / case.exact_energy - 1.0
    return {
        'force_error': root_mean_square(result.forces - reference.forces),
        'energy_error': abs(result.energy - reference.energy) / len(system.charges),
        'stress_error': None if is_slab else float(np.abs(result.stress - reference.stress).max()),
        'gradient_error': gradient_error(system, evaluate, result) if precision == 'float64' else None,
        'exact_error': exact_error,
    }


def gradient_error(system: ChargedSystem, evaluate: Summation, result: ElectrostaticResult) -> float:
    """Return the largest difference of a force from the central difference of energies [eV/Å].

    Coordinates along which a pair enters or leaves the cutoff are passed over: there the energy has a step.

    :param system: the charges.
    :param evaluate: the sum.
    :param result: what it gives for the system.
    """
    order = np.random.default_rng(SEED).permutation(system.positions.size)
    cutoff = evaluate.settings.cutoff_radius
    worst, n_done = 0.0, 0
    for index in order:
        moved = []
        for step in (STEP, -STEP):
            positions = system.positions.copy()
            positions.flat[index] += step
            moved.append(replace(system, positions=positions))
        forward, backward = (neighbour_pairs(each, cutoff) for each in moved)
        if len(forward.pairs) != len(backward.pairs):
            continue
        slope = (evaluate(moved[0], forward).energy - evaluate(moved[1], backward).energy) / (2.0 * STEP)
        worst = max(worst, abs(float(result.forces.flat[index]) + slope))
        n_done += 1
        if n_done == N_COORDINATES:
            break
    return worst
