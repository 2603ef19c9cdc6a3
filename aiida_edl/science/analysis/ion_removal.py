r"""Does a potential know what a far ion does to the forces? Pairs of one geometry with and without the ion.

For every atom at distance d from an ion that is removed together with the charge it put on the metal, the change of the
force is :math:`\Delta F = F_\mathrm{with} - F_\mathrm{without}`, by the reference and by the potential. For each
element and beyond each distance the root mean square of its components is given, the error of the potential, and the
slope of the predicted against the true change,

.. math:: s = \sum \Delta F^\mathrm{model} \cdot \Delta F^\mathrm{ref} \Big/ \sum |\Delta F^\mathrm{ref}|^2,

which is 1 for a potential that knows the ion, and 0 for one whose forces there do not depend on it. Such pairs keep the
water as it was with the ion: what it is *without* is not equilibrium. Errors are standard errors over base frames, as
ions of one frame share their surroundings; NaN with fewer than two. That of the slope is the jackknife over them (B.
Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), chapter 3); of few frames it is rough.

The row of all elements weighs each atom by the square of its true change: it says most of the elements that feel most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.science.analysis.locality import NO_VALUE, atoms_of_pair
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.locality_pairs import REMOVED, LocalitySettings, pairs_of

ALL = 'all'
"""Name of the row of all elements."""


@dataclass(frozen=True)
class RemovalRow:
    """Change of the forces on one element when an ion is taken away; values that do not exist are NaN."""

    element: str
    """Chemical symbol, or :data:`ALL`."""
    from_angstrom: float
    """Distance to the ion beyond which atoms are counted [Å]."""
    to_angstrom: float | None
    """Distance up to which they are counted [Å]; None for all beyond."""
    reference_rms_ev_per_angstrom: float
    """Root mean square of the components of the true change [eV/Å]."""
    reference_rms_error_ev_per_angstrom: float
    model_rms_ev_per_angstrom: float
    """Root mean square of the components of the predicted change [eV/Å]."""
    model_rms_error_ev_per_angstrom: float
    error_rms_ev_per_angstrom: float
    """Root mean square of predicted less true change [eV/Å]."""
    error_rms_error_ev_per_angstrom: float
    slope: float
    """Predicted against true change; 1 is right, 0 is blind; dimensionless."""
    slope_error: float
    """Its standard error, by the jackknife over base frames."""
    n_atoms: int
    """Atoms that were counted, over all pairs."""
    n_pairs: int
    """Ions that were removed."""

    def row(self) -> dict[str, Any]:
        """Return the values as JSON types; None where there is no value."""
        values = asdict(self).items()
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values}


@dataclass(frozen=True)
class _Samples:
    """One entry for each atom of each pair."""

    elements: Any
    distances: Floats
    bases: Any
    pairs: Any
    reference: Floats
    model: Floats


def ion_removal(
    frames: FrameSet, reference_forces: Floats, model_forces: Floats, settings: LocalitySettings
) -> tuple[RemovalRow, ...]:
    """Return the change of forces by reference and potential: by bins of the distance, and beyond ``far``.

    :param frames: what :func:`~aiida_edl.science.locality_pairs.locality_pairs` made.
    :param reference_forces: true forces [eV/Å], shape ``(n_atoms_total, 3)``; NaN where a frame has none.
    :param model_forces: predicted forces [eV/Å], shape ``(n_atoms_total, 3)``.
    :param settings: those the pairs were made with.
    :return: rows of each element, then of all; empty if no ion was removed or no such pair has forces.
    """
    samples = _samples(frames, reference_forces, model_forces)
    if samples is None:
        return ()
    n_bins = int(samples.distances.max() / settings.bin_width) + 1
    limits: list[tuple[float, float | None]] = [
        (n * settings.bin_width, (n + 1) * settings.bin_width) for n in range(n_bins)
    ]
    names = [*(chemical_symbols[number] for number in np.unique(samples.elements)), ALL]
    rows = [_row(samples, name, *limit) for name in names for limit in [(settings.far, None), *limits]]
    return tuple(row for row in rows if row is not None)


def _samples(frames: FrameSet, reference: Floats, model: Floats) -> _Samples | None:
    """Return the changes of all atoms of pairs of which both frames have finite forces."""
    parts: list[Sequence[Any]] = []
    for number, pair in enumerate(pair for pair in pairs_of(frames) if pair.kind == REMOVED):
        base, variant = atoms_of_pair(frames, pair)
        true, predicted = reference[base] - reference[variant], model[base] - model[variant]
        if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
            continue
        n_atoms = len(base)
        owners = np.full(n_atoms, pair.base), np.full(n_atoms, number)
        parts.append((frames.numbers[base], pair.distances, *owners, true, predicted))
    return _Samples(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else None


def _row(samples: _Samples, element: str, low: float, high: float | None) -> RemovalRow | None:
    """Return one row, None if there is no atom."""
    chosen = (samples.distances >= low) & (samples.distances < (np.inf if high is None else high))
    if element != ALL:
        chosen &= samples.elements == chemical_symbols.index(element)
    if not chosen.any():
        return None
    true, predicted, bases = samples.reference[chosen], samples.model[chosen], samples.bases[chosen]
    slope, slope_error = _slope_with_error(true, predicted, bases)
    reference, model, error = (_rms_with_error(part, bases) for part in (true, predicted, predicted - true))
    return RemovalRow(
        element=element,
        from_angstrom=low,
        to_angstrom=high,
        reference_rms_ev_per_angstrom=reference[0],
        reference_rms_error_ev_per_angstrom=reference[1],
        model_rms_ev_per_angstrom=model[0],
        model_rms_error_ev_per_angstrom=model[1],
        error_rms_ev_per_angstrom=error[0],
        error_rms_error_ev_per_angstrom=error[1],
        slope=slope,
        slope_error=slope_error,
        n_atoms=int(chosen.sum()),
        n_pairs=len(np.unique(samples.pairs[chosen])),
    )


def _slope_with_error(true: Floats, predicted: Floats, bases: Any) -> tuple[float, float]:
    """Return the slope of the predicted against the true change, and its standard error over base frames."""
    _, owners = np.unique(bases, return_inverse=True)
    products, squares = (np.bincount(owners, weights=(true * other).sum(axis=1)) for other in (predicted, true))
    scale, n_bases = float(squares.sum()), len(squares)
    if not scale:
        return NO_VALUE, NO_VALUE
    slope, others = float(products.sum()) / scale, scale - squares
    if n_bases < 2 or not others.all():
        return slope, NO_VALUE
    without = (products.sum() - products) / others
    return slope, math.sqrt((n_bases - 1) / n_bases * float(((without - without.mean()) ** 2).sum()))


def _rms_with_error(vectors: Floats, bases: Any) -> tuple[float, float]:
    """Return the root mean square of the components, and its standard error over base frames.

    It is the root of a ratio of sums over base frames, whose error follows from the residuals of the ratio (W. G.
    Cochran, Sampling Techniques, 3rd ed., section 6.4 (1977)).
    """
    squares = (vectors**2).mean(axis=1)
    mean = float(squares.mean())
    rms = math.sqrt(mean)
    _, owners = np.unique(bases, return_inverse=True)
    counts, sums = np.bincount(owners), np.bincount(owners, weights=squares)
    n_bases = len(counts)
    if n_bases < 2 or not rms:
        return rms, NO_VALUE
    residuals = (sums - mean * counts) / counts.mean()
    variance = float((residuals**2).sum()) / (n_bases * (n_bases - 1))
    return rms, math.sqrt(variance) / (2.0 * rms)
