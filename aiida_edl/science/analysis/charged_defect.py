"""Formation energies of a defect in its charge states against the Fermi level, and where its charge sits.

``E_f(q, E_F) = E(q) + E_corr(q) - E_bulk - Σ Δn_i μ_i + q (E_V + E_F)`` with the energy of the cell in the charge state
q, the perfect crystal, the number Δn of atoms of each element that the defect has more and their chemical potentials μ,
and the valence band maximum E_V, from which the Fermi level E_F is counted (S. B. Zhang and J. E. Northrup, Phys. Rev.
Lett. 67, 2339 (1991); C. Freysoldt et al., Rev. Mod. Phys. 86, 253 (2014)).

A charged cell has the energy of a lattice of charges in a uniform background, screened by the crystal, that one defect
in an infinite crystal has not. To first order it is that of point charges over the permittivity (M. Leslie and M. J.
Gillan, J. Phys. C 18, 973 (1985)), for cells of any shape; ``E_corr`` takes it off. What is left falls with the volume
of the cell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.metal_charge import TOTAL_CHARGE
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.typed_fields import checked_fields

LATTICE_ERROR = 1e-11
"""Force error for which the lattice of charges is summed [eV/Å]; its energy is then right to nine digits."""


class ChargedDefectError(ValueError):
    """Settings or frames from which no formation energy follows."""


@dataclass(frozen=True)
class ChargedDefectSettings:
    """What formation energies are counted from."""

    permittivity: float = 1.0
    """Relative permittivity of the perfect crystal: that of clamped ions for a defect that is not relaxed, the static
    one else; dimensionless."""
    valence_band_maximum: float = 0.0
    """Energy of the valence band maximum on the scale of the labels [eV]."""
    band_gap: float = 0.0
    """Largest Fermi level that is looked at, from the valence band maximum [eV]."""
    chemical_potentials: Mapping[str, float] = field(default_factory=dict)
    """Chemical potential of each element of which the defect has more or fewer atoms [eV]."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ChargedDefectError: with the name, the value and the remedy.
        """
        if self.permittivity < 1.0:
            raise ChargedDefectError(f'permittivity is {self.permittivity}, it must be at least 1')
        if self.band_gap < 0.0:
            raise ChargedDefectError(f'band_gap is {self.band_gap} eV, it must not be negative')
        if unknown := [symbol for symbol in self.chemical_potentials if symbol not in atomic_numbers]:
            raise ChargedDefectError(f"'{unknown[0]}' in chemical_potentials is no chemical symbol")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChargedDefectSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ChargedDefectError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of charged defects', ChargedDefectError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {**dataclasses.asdict(self), 'chemical_potentials': dict(self.chemical_potentials)}


@dataclass(frozen=True)
class DefectState:
    """One charge state of a defect."""

    charge: int
    """Charge of the cell [e]."""
    energy: float
    """Formation energy with the Fermi level at the valence band maximum [eV], corrected."""
    correction: float
    """What was added for the images of the charge [eV]."""
    n_frames: int
    """Frames of this charge, of which the one of least energy counts."""
    frame_index: int
    """Which frame that is."""


@dataclass(frozen=True)
class TransitionLevel:
    """Fermi level at which the stable charge changes."""

    fermi_level: float
    """From the valence band maximum [eV]."""
    lower: int
    """Charge that is stable below [e], the more positive one."""
    upper: int
    """Charge that is stable above [e]."""


@dataclass(frozen=True)
class FormationEnergies:
    """Formation energies of a defect."""

    states: tuple[DefectState, ...]
    """Charge states, the most positive first."""
    levels: tuple[TransitionLevel, ...]
    """Where the stable charge changes within the gap, ascending."""
    is_shallow: bool
    """Whether one charge is stable throughout the gap."""

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON types."""
        return {
            'states': [dataclasses.asdict(state) for state in self.states],
            'levels': [dataclasses.asdict(level) for level in self.levels],
            'is_shallow': self.is_shallow,
        }


def formation_energies(
    defects: Sequence[Frame], bulk: Frame, settings: ChargedDefectSettings | None = None
) -> FormationEnergies:
    """Return the formation energies of all charge states that there are.

    :param defects: labelled frames of one defect with the column ``total_charge`` [e], relaxed or of one geometry.
    :param bulk: the perfect crystal in the same cell, labelled.
    :param settings: what is counted from.
    :raises ChargedDefectError: for frames without energies, of several compositions or another cell, a charge that is
        no whole number, or a missing chemical potential.
    """
    chosen = ChargedDefectSettings() if settings is None else settings
    by_charge: dict[int, list[int]] = {}
    for index, frame in enumerate(defects):
        by_charge.setdefault(_checked_charge(frame, index, defects[0], bulk), []).append(index)
    if not by_charge:
        raise ChargedDefectError('there is no frame of a defect; give one for each charge state')
    reservoir = _reservoir(defects[0], bulk, chosen)
    states = []
    for charge in sorted(by_charge, reverse=True):
        best = min(by_charge[charge], key=lambda index: float(defects[index].energy or 0.0))
        correction = image_correction(defects[best].cell, charge, chosen.permittivity)
        energy = float(defects[best].energy or 0.0) - float(bulk.energy or 0.0) - reservoir
        energy += correction + charge * chosen.valence_band_maximum
        states.append(DefectState(charge, energy, correction, len(by_charge[charge]), best))
    levels = transition_levels(states, chosen.band_gap)
    return FormationEnergies(tuple(states), levels, is_shallow=not levels)


def image_correction(cell: Floats, charge: float, permittivity: float) -> float:
    """Return minus the energy of a lattice of point charges in a uniform background, screened [eV].

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param charge: charge of the cell [e].
    :param permittivity: relative permittivity.
    """
    if not charge:
        return 0.0
    lattice = ChargedSystem(np.zeros((1, 3)), np.asarray(cell, float), np.array([1.0]), np.ones(3, dtype=bool))
    energy = CompiledSummation(converged_settings(lattice, LATTICE_ERROR))(lattice).energy
    return -(charge**2) * energy / permittivity


def transition_levels(states: Sequence[DefectState], band_gap: float) -> tuple[TransitionLevel, ...]:
    """Return where the stable charge changes: the corners of the least of the lines ``E + q E_F``.

    :param states: charge states.
    :param band_gap: largest Fermi level [eV].
    """
    level, current = 0.0, min(states, key=lambda state: (state.energy, -state.charge))
    found: list[TransitionLevel] = []
    while True:
        crossings = [
            ((state.energy - current.energy) / (current.charge - state.charge), state)
            for state in states
            if state.charge < current.charge
        ]
        ahead = [(at, state) for at, state in crossings if level <= at <= band_gap]
        if not ahead:
            return tuple(found)
        level, following = min(ahead, key=lambda pair: (pair[0], pair[1].charge))
        found.append(TransitionLevel(level, current.charge, following.charge))
        current = following


@dataclass(frozen=True)
class ChargeLocalisation:
    """Where the charge of a state sits that another one has not."""

    radii: Floats
    """Distances from the defect [Å], shape ``(n_radii,)``."""
    shares: Floats
    """Share of the difference of both total charges within each radius, shape ``(n_radii,)``."""
    total: float
    """Difference of both sums of charges [e]."""


def charge_localisation(
    charged: Frame, reference: Frame, place: Sequence[float], radii: Sequence[float]
) -> ChargeLocalisation:
    """Return how much of the charge that was added lies near the defect.

    :param charged: frame with atomic charges.
    :param reference: the same atoms in another charge state, with atomic charges.
    :param place: position of the defect [Å].
    :param radii: distances from it [Å].
    :raises ChargedDefectError: if a frame has no charges, the atoms differ, or so do not the sums of charges.
    """
    if charged.charges is None or reference.charges is None:
        raise ChargedDefectError('a frame has no atomic charges; label them, or take a model with charges')
    if not np.array_equal(charged.numbers, reference.numbers):
        raise ChargedDefectError('both frames must hold the same atoms in the same order')
    added = charged.charges - reference.charges
    total = float(added.sum())
    if abs(total) < 1e-3:
        raise ChargedDefectError(f'the charges of both frames sum to the same but for {total:.2g} e; give two states')
    vectors = minimum_image(charged.positions - np.asarray(place, float), charged.cell, charged.pbc)
    distances = np.linalg.norm(vectors, axis=1)
    limits = np.asarray(radii, dtype=float)
    within: NDArray[np.float64] = np.array([added[distances <= radius].sum() for radius in limits])
    return ChargeLocalisation(limits, within / total, total)


def _checked_charge(frame: Frame, index: int, first: Frame, bulk: Frame) -> int:
    """Return the charge of a frame [e].

    :raises ChargedDefectError: if the frame does not go with the others.
    """
    if frame.energy is None or bulk.energy is None:
        raise ChargedDefectError(f'frame {index} or the perfect crystal has no energy; label both')
    if not np.array_equal(np.sort(frame.numbers), np.sort(first.numbers)):
        raise ChargedDefectError(f'frame {index} has another composition than frame 0; give frames of one defect')
    if not np.allclose(frame.cell, bulk.cell, atol=1e-3) or not frame.pbc.all():
        raise ChargedDefectError(
            f'frame {index} is not in the periodic cell of the perfect crystal; give both one cell'
        )
    charge = float(frame.columns.get(TOTAL_CHARGE, 0.0))
    if abs(charge - round(charge)) > 1e-6:
        raise ChargedDefectError(f'frame {index} has a total charge of {charge:g} e, it must be a whole number')
    return round(charge)


def _reservoir(defect: Frame, bulk: Frame, settings: ChargedDefectSettings) -> float:
    """Return the energy that the atoms have where they come from, ``Σ Δn μ`` [eV].

    :raises ChargedDefectError: if a chemical potential is missing.
    """
    energy = 0.0
    for number in np.union1d(defect.numbers, bulk.numbers).tolist():
        change = int(np.count_nonzero(defect.numbers == number)) - int(np.count_nonzero(bulk.numbers == number))
        if not change:
            continue
        symbol = chemical_symbols[number]
        if symbol not in settings.chemical_potentials:
            raise ChargedDefectError(
                f'the defect has {change:+d} {symbol} and chemical_potentials has none for it; give it [eV]'
            )
        energy += change * settings.chemical_potentials[symbol]
    return energy
