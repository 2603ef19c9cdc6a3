"""Reference energies of the elements, fitted to total energies; one set is shared by all models of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.frame_columns import composition_counts
from aiida_edl.science.frames import Floats, FrameSet

RELATIVE_RANK = 1e-10
"""Singular values below this, relative to the largest, are zero."""
FREE_COMPONENT = 1e-8
"""Numbers of atoms below this are rounding."""
SAME_ENERGY = 1e-6
"""Energies that differ by less are the same [eV]."""
CONFIGURATION_ENERGY = 0.5
"""Difference in energy per atom that geometry alone may make [eV/atom]: several times that of melting or adsorption."""


@dataclass(frozen=True)
class AtomicEnergyFit:
    """Atomic energies and how well the compositions determine them."""

    energies: dict[str, float]
    """Reference energy by chemical symbol [eV], ordered by atomic number."""
    rank: int
    """Number of independent compositions; the fit is unique only if it equals the number of elements."""
    residual_rmse: float
    """Root-mean-square of what the fit leaves, per atom [eV/atom]."""

    n_frames: int = 0
    """Frames the values are fitted to."""
    undetermined: tuple[str, ...] = ()
    """Elements whose single values the compositions do not determine, ordered by atomic number."""

    @property
    def sentence(self) -> str:
        """How far the fit determines the values, in one sentence."""
        if self.is_unique:
            return f'The compositions of {self.n_frames} frames determine each of {len(self.energies)} values.'
        return (
            f'The compositions of {self.n_frames} frames determine {self.rank} of {len(self.energies)} values: those '
            f'of {", ".join(self.undetermined)} have no meaning one by one, only their sums over the compositions that '
            'occur; add frames of other compositions, or use isolated atoms.'
        )

    @property
    def is_unique(self) -> bool:
        """Whether each single value is determined, not only the sums over the compositions that occur."""
        return self.rank == len(self.energies)


def atomic_energy_fit(frames: FrameSet, elements: Sequence[str] = (), *, per_atom: bool = False) -> AtomicEnergyFit:
    r"""Return the atomic energies that reproduce the total energies best, and the rank of the problem.

    Minimises :math:`\sum_f (E_f - \sum_e N_{fe} \epsilon_e)^2`. Where compositions do not determine the values, e.g. if
    all frames have the same one, the solution of smallest norm is taken: the single values then have no meaning, but
    :math:`\sum_e N_{fe}\epsilon_e` is right for every composition that occurs (and for combinations of them), and this
    sum is all that a model takes off its labels. Convention: one fit per study, on the *training* frames of all charge
    states, handed to every model, so that their energies can be compared.

    :param frames: frames with energies [eV].
    :param elements: chemical symbols that need a value even if no frame holds them; theirs is 0 and not unique.
    :param per_atom: whether what is left per atom is minimised, :math:`\sum_f (\ldots)^2 / N_f^2`: the error that is
        reported of a potential.
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
    scale = sizes if per_atom else np.ones(len(frames))
    solution, _, rank, _ = np.linalg.lstsq(counts / scale[:, None], frames.energies / scale, rcond=RELATIVE_RANK)
    residuals = (frames.energies - counts @ solution) / sizes
    # An element is determined if no change of values that leaves all sums alone changes its own.
    _, singular, directions = np.linalg.svd(np.unique(counts, axis=0))
    free = directions[np.count_nonzero(singular > RELATIVE_RANK * singular[0]) :]
    is_free = (np.abs(free) > FREE_COMPONENT).any(axis=0)
    return AtomicEnergyFit(
        energies={chemical_symbols[number]: float(value) for number, value in zip(numbers, solution)},
        rank=int(rank),
        residual_rmse=float(np.sqrt(np.mean(residuals**2))),
        n_frames=len(frames),
        undetermined=tuple(chemical_symbols[number] for number in numbers[is_free]),
    )


def composition_rank(frames: FrameSet) -> int:
    """Return how many energies of elements, or sums of them, the compositions of the frames determine.

    :param frames: the frames; energies are not needed.
    """
    return int(np.linalg.matrix_rank(np.unique(composition_counts(frames)[0], axis=0)))


def isolated_atom_energies(atoms: FrameSet, elements: Sequence[str] = ()) -> dict[str, float]:
    """Return the energies of isolated atoms by chemical symbol [eV], ordered by atomic number.

    :param atoms: frames of one atom each, with energies [eV]; each element once, or with one and the same energy.
    :param elements: chemical symbols that need a value.
    :raises ValueError: if a frame is no single atom, an energy is absent or not finite, an element has two energies or
        none.
    """
    if atoms.energies is None:
        raise ValueError('the isolated atoms have no energies; label them first')
    sizes = np.diff(atoms.offsets)
    if len(large := np.flatnonzero(sizes != 1)):
        raise ValueError(f'frame {large[0]} of the isolated atoms has {sizes[large[0]]} atoms; give frames of one atom')
    energies: dict[int, float] = {}
    for number, energy in sorted(zip(atoms.numbers.tolist(), atoms.energies.tolist())):
        symbol = chemical_symbols[number]
        if not np.isfinite(energy):
            raise ValueError(f'the energy of the isolated atom {symbol} is not finite; remove that frame')
        if abs(energies.setdefault(number, energy) - energy) > SAME_ENERGY:
            raise ValueError(
                f'the isolated atom {symbol} has the energies {energies[number]:.6g} and {energy:.6g} eV; keep one'
            )
    known = {chemical_symbols[number]: energy for number, energy in energies.items()}
    if missing := [symbol for symbol in elements if symbol not in known]:
        raise ValueError(f'there is no isolated atom of {", ".join(missing)}, only of {", ".join(known)}; add them')
    return known


@dataclass(frozen=True)
class EnergyZeros:
    """How far the zeros of energy of two sets of frames lie apart."""

    composition: str
    """Chemical formula where they differ most."""
    difference: float
    """Energy per atom of the second set less what the first gives for this composition [eV/atom]."""
    limit: float
    """Largest difference that can be due to geometry [eV/atom]."""

    @property
    def are_different(self) -> bool:
        """Whether the two sets have different zeros of energy."""
        return abs(self.difference) > self.limit


def compare_energy_zeros(first: FrameSet, second: FrameSet) -> EnergyZeros | None:
    r"""Return how far the energies of two sets differ at the compositions that those of the first determine.

    The mean energy of a composition :math:`c = \sum_k w_k c_k` of the second set is compared with :math:`\sum_k w_k
    \bar E_k` of the first. What is due to geometry stays below :data:`CONFIGURATION_ENERGY` per atom and unit of
    :math:`\sum_k |w_k| N_k / N`; other pseudopotentials, or energies relative to atoms, make eV per atom.

    :param first: frames with energies [eV].
    :param second: frames with energies [eV].
    :return: the largest difference relative to its limit; None if no composition of the second follows from the first.
    """
    numbers = np.union1d(first.numbers, second.numbers)
    (known, known_energies), (asked, asked_energies) = (_mean_energies(frames, numbers) for frames in (first, second))
    weights = asked @ np.linalg.pinv(known, rcond=RELATIVE_RANK)
    sizes = asked.sum(axis=1)
    is_determined = np.abs(weights @ known - asked).max(axis=1) < FREE_COMPONENT * sizes
    if not is_determined.any():
        return None
    differences = (asked_energies - weights @ known_energies) / sizes
    limits = CONFIGURATION_ENERGY * np.maximum(np.abs(weights) @ known.sum(axis=1) / sizes, 1.0)
    worst = int(np.argmax(np.where(is_determined, np.abs(differences) / limits, -1.0)))
    formula = ''.join(f'{chemical_symbols[number]}{count:.0f}' for number, count in zip(numbers, asked[worst]) if count)
    return EnergyZeros(formula, float(differences[worst]), float(limits[worst]))


def _mean_energies(frames: FrameSet, numbers: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the compositions that occur, one row each, and their mean energies [eV]."""
    if frames.energies is None:
        raise ValueError('zeros of energy cannot be compared without energies; label the frames first')
    counts, own = composition_counts(frames)
    kinds, owners = np.unique(counts, axis=0, return_inverse=True)
    rows = np.zeros((len(kinds), len(numbers)))
    rows[:, np.searchsorted(numbers, own)] = kinds
    owners = owners.reshape(-1)
    return rows, np.bincount(owners, weights=frames.energies) / np.bincount(owners)
