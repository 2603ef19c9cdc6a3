"""Difference of two activation energies with its interval, and whether it is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aiida_edl.science.analysis.arrhenius import Arrhenius, DiffusionPoint, line_of
from aiida_edl.science.analysis.line_bootstrap import LineBootstrap, interval, standard_error
from aiida_edl.science.analysis.result_parts import StoredResult


@dataclass(frozen=True)
class ActivationEnergyDifference(StoredResult):
    """First less second activation energy; NaN, with a sentence, where one is not determined."""

    stored_subject: ClassVar[str] = 'a difference of activation energies needs'

    difference: float
    """[eV]"""
    difference_error: float
    """Half the central interval of 68 % [eV]."""
    difference_low: float
    """Lower end of the interval [eV]."""
    difference_high: float
    """Upper end of the interval [eV]."""
    confidence: float
    """Level of the interval."""
    is_decided: bool
    """Whether the interval leaves out zero."""
    sentence: str
    """The answer in words."""


def activation_energy_difference(first: Arrhenius, second: Arrhenius) -> ActivationEnergyDifference:
    """Return the difference of two activation energies of independent runs, at the level of the first.

    :param first: activation energy.
    :param second: another, which is subtracted.
    :raises ValueError: if they are those of different quantities.
    """
    if first.settings.quantity != second.settings.quantity:
        raise ValueError(
            f'the first activation energy is that of the {first.settings.quantity} coefficient, the second of the '
            f'{second.settings.quantity} coefficient; compare those of one quantity'
        )
    confidence = first.settings.confidence
    if not (first.is_determined and second.is_determined):
        which = ' and '.join(name for name, item in (('first', first), ('second', second)) if not item.is_determined)
        nan = float('nan')
        return ActivationEnergyDifference(
            nan, nan, nan, nan, confidence, False, f'no difference: the {which} activation energy is not determined'
        )
    # Samples of both are drawn from other random numbers, whatever the seeds of their settings.
    lines = [_line(item, first.settings.seed + number) for number, item in enumerate((first, second))]
    samples = lines[1].slopes - lines[0].slopes
    low, high = interval(samples, confidence)
    value, error = lines[1].slope - lines[0].slope, standard_error(samples)
    is_decided = bool(low > 0.0 or high < 0.0)
    verdict = 'is decided' if is_decided else 'is not decided'
    sentence = (
        f'the activation energies differ by {value:.3f} ± {error:.3f} eV ({100 * confidence:g} % interval {low:.3f} to '
        f'{high:.3f} eV): the difference {verdict}'
    )
    return ActivationEnergyDifference(value, error, low, high, confidence, is_decided, sentence)


def _line(result: Arrhenius, seed: int) -> LineBootstrap:
    """Return the line of an activation energy; its slope is -E_a [eV]."""
    rows = zip(
        result.labels,
        result.temperature.tolist(),
        result.diffusion.tolist(),
        result.diffusion_error.tolist(),
        result.degrees_of_freedom.tolist(),
    )
    return line_of([DiffusionPoint(*row) for row in rows], result.settings.n_samples, seed)
