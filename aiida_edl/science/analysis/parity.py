r"""Whether two programs that load the same potential give the same energies and forces for the same frames.

.. math::
    \Delta E = \max_i \frac{|E_i - E_i^\mathrm{ref}|}{N_i}, \qquad
    \Delta F = \max_{ia} |F_{ia} - F_{ia}^\mathrm{ref}|

over frames i with N atoms, and over atoms and Cartesian components. Largest differences and not means: a model that was
converted wrongly for one element, or for the atoms near an open boundary, is right everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.error_metrics import charge_labels
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.metal_charge import tells_charge, told_charge

ChargeRange = tuple[float, float]
"""Smallest and largest total charge [e]."""
CHARGE_TOLERANCE = 1e-6
"""Total charges closer than this are equal [e]."""


@dataclass(frozen=True)
class ParityTolerances:
    """Largest differences that can be rounding."""

    energy: float
    """Difference of the energy per atom [eV/atom]."""
    force: float
    """Difference of a force component [eV/Å]."""


TOLERANCES = {
    # Sums of some hundred terms in another order differ by 1e-10 and less; programs that write text, or tabulate a
    # function, by up to 1e-7. A wrong conversion is off by 1e-3 at least.
    'float64': ParityTolerances(energy=1e-6, force=1e-5),
    # A total energy of 1e5 eV, atomic energies included, is good to 0.008 eV in single precision, for 100 atoms
    # 8e-5 eV/atom. Forces are differences of the order of 1 eV/Å, good to 1e-4; the errors of good models are 1e-2.
    'float32': ParityTolerances(energy=1e-4, force=1e-3),
}
"""Tolerances by the lower of the two precisions."""


@dataclass(frozen=True)
class Predicted:
    """What one program gives for all frames."""

    energies: Floats
    """Energies [eV], shape ``(n_frames,)``; NaN where it failed."""
    forces: Floats
    """Forces [eV/Å], shape ``(n_atoms_total, 3)``."""
    offsets: Integers
    """First atom of each frame and the number of all atoms, shape ``(n_frames + 1,)``."""

    def finite_frames(self) -> Integers:
        """Return the positions of the frames with finite energy and forces."""
        finite = np.logical_and.reduceat(np.isfinite(self.forces).all(axis=1), self.offsets[:-1])
        return np.flatnonzero(np.isfinite(self.energies) & finite)


@dataclass(frozen=True)
class Parity:
    """How one program compares with the reference."""

    max_energy_difference: float
    """Largest difference of the energy per atom [eV/atom]; NaN if no frame could be compared."""
    max_force_difference: float
    """Largest difference of a force component [eV/Å]; NaN if no frame could be compared."""
    reasons: tuple[str, ...]
    """Why it does not pass, one sentence each; empty if it does."""

    @property
    def passed(self) -> bool:
        """Whether all differences can be rounding."""
        return not self.reasons


def compare_predictions(reference: Predicted, other: Predicted, tolerances: ParityTolerances) -> Parity:
    """Return how far the predictions of two programs differ.

    :param reference: predictions that count as right.
    :param other: predictions for the same frames.
    :param tolerances: what can be rounding.
    :raises ValueError: if the frames are not the same.
    """
    if reference.offsets.tolist() != other.offsets.tolist():
        raise ValueError(
            f'{len(other.offsets) - 1} frames with {other.offsets[-1]} atoms cannot be compared with '
            f'{len(reference.offsets) - 1} frames with {reference.offsets[-1]} atoms; compute the same frames'
        )
    reasons = []
    for name, predicted in (('the reference', reference), ('it', other)):
        if n_failed := len(predicted.energies) - len(predicted.finite_frames()):
            reasons.append(f'{name} gives no finite result for {n_failed} of {len(predicted.energies)} frames')
    frames = np.intersect1d(reference.finite_frames(), other.finite_frames())
    if not len(frames):
        return Parity(float('nan'), float('nan'), tuple(reasons))
    n_atoms = np.diff(reference.offsets)
    energies = np.abs(other.energies - reference.energies)[frames] / n_atoms[frames]
    of_atoms = np.abs(other.forces - reference.forces).max(axis=1)
    forces = np.maximum.reduceat(of_atoms, reference.offsets[:-1])[frames]
    for name, values, tolerance, unit in (
        ('energy', energies, tolerances.energy, 'eV/atom'),
        ('force', forces, tolerances.force, 'eV/Å'),
    ):
        if values.max() > tolerance:
            worst = int(frames[values.argmax()])
            reasons.append(
                f'its {name} is off by {values.max():.3g} {unit} in frame {worst}, allowed are {tolerance:g}'
            )
    return Parity(float(energies.max()), float(forces.max()), tuple(reasons))


def charge_ranges(frames: Iterable[Frame], column: str | None) -> dict[str, ChargeRange | None]:
    """Return which charge states occur: by charge label the smallest and the largest total charge [e].

    :param frames: the frames.
    :param column: column that a potential takes as total charge; without it, or in frames that lack it, None stands for
        the charges.
    """
    ranges: dict[str, ChargeRange | None] = {}
    for frame in frames:
        (label,) = charge_labels([frame])
        known = ranges.setdefault(label, None)
        if column is not None and tells_charge(frame.columns, column):
            charge = told_charge(frame, column)
            low, high = known or (charge, charge)
            ranges[label] = (min(low, charge), max(high, charge))
    return ranges


def missing_charge_state(
    known: Mapping[str, ChargeRange | None], wanted: Mapping[str, ChargeRange | None]
) -> tuple[str, float | None] | None:
    """Return the first charge state that is wanted but not among those known: its label, and the total charge [e].

    The charge is None if the label itself is missing. None stands for nothing missing.

    >>> missing_charge_state({'0': None}, {'2Na': None})
    ('2Na', None)
    >>> missing_charge_state({'0': (0.0, 1.0)}, {'0': (0.5, 2.0)})
    ('0', 2.0)
    >>> missing_charge_state({'0': (0.0, 1.0)}, {'0': (0.5, 1.0)})

    :param known: what :func:`charge_ranges` returns for some frames.
    :param wanted: the same for other frames.
    """
    for label, charges in wanted.items():
        if label not in known:
            return label, None
        low, high = known[label] or (np.inf, -np.inf)
        for charge in charges or ():
            if not low - CHARGE_TOLERANCE <= charge <= high + CHARGE_TOLERANCE:
                return label, charge
    return None
