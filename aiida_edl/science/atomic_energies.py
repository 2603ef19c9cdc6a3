"""Reference energies of the elements, fitted to total energies; one set is shared by all models of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from aiida_edl.science.frames import FrameSet


@dataclass(frozen=True)
class AtomicEnergyFit:
    """Atomic energies and how well the compositions determine them."""

    energies: dict[str, float]
    """Reference energy by chemical symbol [eV], ordered by atomic number."""
    rank: int
    """Number of independent compositions; the fit is unique only if it equals the number of elements."""
    residual_rmse: float
    """Root-mean-square of what the fit leaves, per atom [eV/atom]."""

    @property
    def is_unique(self) -> bool:
        """Whether each single value is determined, not only the sums over the compositions that occur."""
        return self.rank == len(self.energies)


def atomic_energy_fit(frames: FrameSet, elements: Sequence[str] = ()) -> AtomicEnergyFit:
    r"""Return the atomic energies that reproduce the total energies best, and the rank of the problem.

    Minimises :math:`\sum_f (E_f - \sum_e N_{fe} \epsilon_e)^2`. Where compositions do not determine the values, e.g. if
    all frames have the same one, the solution of smallest norm is taken: the single values then have no meaning, but
    :math:`\sum_e N_{fe}\epsilon_e` is right for every composition that occurs (and for combinations of them), and this
    sum is all that a model takes off its labels. Convention: one fit per study, on the *training* frames of all charge
    states, handed to every model, so that their energies can be compared.

    :param frames: frames with energies [eV].
    :param elements: chemical symbols that need a value even if no frame holds them; theirs is 0 and not unique.
    :raises ValueError: if there is no energy, or one is not finite.
    """
    if frames.energies is None:
        raise ValueError('atomic energies cannot be fitted to frames without energies; label the frames first')
    if bad := np.flatnonzero(~np.isfinite(frames.energies)).tolist():
        raise ValueError(f'the energy of frames {bad[:10]} is not finite; remove those frames first')
    numbers = np.union1d(frames.numbers, np.array([atomic_numbers[symbol] for symbol in elements], dtype=np.int64))
    sizes = np.diff(frames.offsets)
    owners = np.repeat(np.arange(len(frames)), sizes)
    counts = np.zeros((len(frames), len(numbers)))
    np.add.at(counts, (owners, np.searchsorted(numbers, frames.numbers)), 1.0)
    solution, _, rank, _ = np.linalg.lstsq(counts, frames.energies, rcond=1e-10)
    residuals = (frames.energies - counts @ solution) / sizes
    return AtomicEnergyFit(
        energies={chemical_symbols[number]: float(value) for number, value in zip(numbers, solution)},
        rank=int(rank),
        residual_rmse=float(np.sqrt(np.mean(residuals**2))),
    )
