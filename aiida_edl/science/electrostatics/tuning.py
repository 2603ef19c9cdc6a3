"""Choose the numbers of a sum for a force error that is asked for, and measure the error that is reached.

The error is the root mean square over the atoms of the length of the error of the force on each [eV/Å], measured on the
system itself against a sum that is converged far beyond. Nothing is timed: of the settings that meet the target the one
with the least estimated work is taken, so the same system and target give the same numbers on every machine.

A perfect crystal cannot be tuned on: all its forces vanish by symmetry, and so do their errors. Displace its atoms
first, as by :func:`~aiida_edl.science.electrostatics.charged_system.rattled`.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings, force_scale, root_mean_square
from aiida_edl.science.electrostatics.implementations import COMPILED, Implementation
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.tuning_search import Search

REFERENCE_MARGIN = 1e-3
"""Error of the reference over the target."""


class TuningError(ValueError):
    """A target that cannot be met."""


@dataclass(frozen=True)
class TunedSummation:
    """Numbers of a sum and the error that they gave."""

    settings: SummationSettings
    """The numbers, to be stored and used as they are."""
    target: float
    """Root mean square force error that was asked for [eV/Å]."""
    error: float
    """The one that was measured [eV/Å]."""
    real_space_error: float
    """The part of it that comes from pairs beyond the cutoff [eV/Å]."""
    energy_error: float
    """Measured error of the energy [eV per atom]."""
    root_mean_square_force: float
    """Root mean square length of the forces themselves [eV/Å]."""
    reference: SummationSettings
    """The converged sum against which it was measured."""
    work: float
    """Estimated work of one evaluation, without the search for pairs [ns on one core]."""


def tune(
    system: ChargedSystem,
    target: float,
    method: str = 'p3m',
    cutoff_radius: float | None = None,
    implementation: Implementation = COMPILED,
) -> TunedSummation:
    """Return settings that meet a force error with the least work.

    :param system: charges at positions of little symmetry.
    :param target: root mean square force error [eV/Å].
    :param method: ``'ewald'``, or a mesh method of the implementation.
    :param cutoff_radius: the cutoff [Å], where a neighbour list is shared with a short-range potential; else chosen.
    :param implementation: the program that will sum.
    :raises TuningError: for a target that the precision or the cutoff cannot reach, or forces that vanish.
    :raises ChargedSystemError: if the method does not hold for the system.
    """
    if target <= 0.0:
        raise TuningError(f'the target is {target} eV/Å, a force error must be positive')
    if cutoff_radius is not None and cutoff_radius <= 0.0:
        raise TuningError(f'the cutoff_radius is {cutoff_radius} Å, it must be positive')
    if method not in (known := ('ewald', *implementation.nodes)):
        raise TuningError(
            unknown_name_message(f'method that {implementation.name} sums can be tuned for', method, known)
        )
    reference_settings = converged_settings(system, target * REFERENCE_MARGIN)
    reference = CompiledSummation(reference_settings)(system)
    size = root_mean_square(reference.forces)
    if size < 1e-6 * force_scale(system):
        raise TuningError(
            f'the root mean square force is {size:.1e} eV/Å: by symmetry no force can be wrong; displace the atoms '
            'first'
        )
    _check_reach(target, implementation.least_relative_error * size, implementation)
    search = Search(system, target, reference, implementation)
    cutoffs = implementation.cutoffs if cutoff_radius is None else (cutoff_radius,)
    found = [search.best(method, cutoff) for cutoff in cutoffs]
    met = [candidate for candidate, _ in found if candidate is not None]
    if not met:
        raise TuningError(
            f'{method} in {implementation.precision} with a cutoff of {" or ".join(f"{each:g}" for each in cutoffs)} Å '
            f'reaches {min(least for _, least in found):.1e} eV/Å at best, the target is {target:g} eV/Å: take a '
            'longer cutoff, or the method ewald'
        )
    best = min(met, key=lambda candidate: candidate.work)
    return TunedSummation(
        settings=best.settings,
        target=target,
        error=best.error,
        real_space_error=best.real_space_error,
        energy_error=best.energy_error,
        root_mean_square_force=size,
        reference=reference_settings,
        work=best.work,
    )


def _check_reach(target: float, least: float, implementation: Implementation) -> None:
    """Refuse a target below what a precision reaches.

    :raises TuningError: with both and the remedy.
    """
    if target < least:
        raise TuningError(
            f'the target is {target:g} eV/Å, {implementation.precision} reaches {least:.1e} eV/Å for these forces: '
            f'{implementation.remedy}'
        )
