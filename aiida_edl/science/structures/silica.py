"""Build orthogonal cells of alpha-quartz with oxygen vacancies in charge states; seeded, unrelaxed.

An oxygen vacancy leaves two silicon atoms, 3.1 Å apart in the perfect crystal, which bond when it is neutral and move
apart when electrons are taken out: the oldest charged defect of a gate oxide. What its surroundings do is left to a
relaxation or to dynamics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.data import atomic_masses
from ase.spacegroup import crystal

from aiida_edl.science import units
from aiida_edl.science.close_contacts import closest_contact
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.metal_charge import TOTAL_CHARGE
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.typed_fields import checked_fields

SILICON, OXYGEN = 14, 8
"""Atomic numbers."""
SPACE_GROUP = 152
"""P3₁21, left-handed quartz."""
SILICON_SITE = (0.4697, 0.0, 1.0 / 3.0)
"""Fractional coordinates of Si: L. Levien, C. T. Prewitt and D. J. Weidner, Am. Mineral. 65, 920 (1980), at 1 bar."""
OXYGEN_SITE = (0.4135, 0.2669, 1.0 / 3.0 - 0.1191)
"""Fractional coordinates of O; Levien et al. have the origin where z is 0.1191."""
ORTHOGONAL = np.array([[1, 0, 0], [1, 2, 0], [0, 0, 1]])
"""Vectors of the orthogonal cell of 18 atoms in those of the hexagonal one."""
CHARGES = (-1, 0, 1, 2)
"""Charge states of one vacancy that are built [e]."""
SAFE_IMAGE_DISTANCE = 8.0
"""Distance [Å] below which the report warns that a vacancy interacts with its own image; chosen by the project."""
CLOSEST_CONTACT = 1.3
"""Atoms may not be nearer than this [Å]; Si and O are 1.61 Å apart."""
ROUNDING = 1e-6
"""Added to a distance so that atoms at it are found [Å]."""


class SilicaError(ValueError):
    """A setting that does not exist, is out of range, or does not fit the others."""


@dataclass(frozen=True)
class SilicaSettings:
    """What to build."""

    repeat: tuple[int, int, int] = (2, 1, 2)
    """Orthogonal cells of 18 atoms, 4.92 x 8.51 x 5.41 Å, along each direction; the default has 72 atoms."""
    lattice_a: float = 4.916
    """Hexagonal lattice constant a [Å]; Levien et al. 1980."""
    lattice_c: float = 5.4054
    """Hexagonal lattice constant c [Å]; Levien et al. 1980."""
    n_vacancies: int = 1
    """Oxygen atoms that are missing; 0 for the perfect crystal."""
    minimum_distance: float = 4.0
    """Least distance of two vacancies, periodic images included [Å]."""
    charge: int = 0
    """Charge of each vacancy [e]: -1, 0, 1 or 2."""
    displacement: float = 0.0
    """Standard deviation of a random displacement of every atom along each axis [Å]."""
    n_frames: int = 1
    """Arrangements, from successive seeds."""
    seed: int = 0
    """Seed of the first arrangement."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises SilicaError: with the name, the value and the remedy.
        """
        if min(self.repeat) < 1:
            raise SilicaError(f'repeat is {list(self.repeat)}, it must be three positive integers')
        for name in ('lattice_a', 'lattice_c', 'minimum_distance', 'n_frames'):
            if not getattr(self, name) > 0:
                raise SilicaError(f"setting '{name}' is {getattr(self, name)}, it must be positive")
        for name in ('displacement', 'seed'):
            if getattr(self, name) < 0:
                raise SilicaError(f"setting '{name}' is {getattr(self, name)}, it must not be negative")
        if self.charge not in CHARGES:
            raise SilicaError(f'charge is {self.charge}, it must be one of {", ".join(map(str, CHARGES))} e')
        if not 0 <= self.n_vacancies < self.n_oxygen_sites:
            raise SilicaError(
                f'n_vacancies is {self.n_vacancies} in a cell of {self.n_oxygen_sites} oxygen atoms; give 0 to '
                f'{self.n_oxygen_sites - 1} or a larger cell'
            )
        if self.charge and not self.n_vacancies:
            raise SilicaError(f'charge is {self.charge:+d} e but there is no vacancy to carry it; set n_vacancies to 1')

    @property
    def n_oxygen_sites(self) -> int:
        """Oxygen atoms of the perfect crystal."""
        first, second, third = self.repeat
        return 12 * first * second * third

    @property
    def total_charge(self) -> int:
        """Charge of the cell [e]."""
        return self.charge * self.n_vacancies

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SilicaSettings:
        """Return checked settings from those that differ from the defaults.

        :raises SilicaError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of silica', SilicaError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {**dataclasses.asdict(self), 'repeat': list(self.repeat)}


@dataclass(frozen=True)
class SilicaReport:
    """What was built."""

    n_atoms: int
    """Atoms of each frame."""
    n_silicon: int
    """Si atoms."""
    n_oxygen: int
    """O atoms."""
    n_vacancies: int
    """Missing O atoms."""
    cell_lengths: tuple[float, float, float]
    """Edges of the cell [Å]."""
    density: float
    """Mass of all atoms over the volume of the cell [g/cm³]."""
    total_charge: int
    """Charge of the cell [e]."""
    vacancy_positions: tuple[tuple[tuple[float, float, float], ...], ...]
    """Where O is missing, for each frame [Å]."""
    silicon_distance: float | None
    """Distance of the two Si at a vacancy, the smallest of all [Å]; None without one."""
    image_distance: float | None
    """Distance of a vacancy from its own periodic image [Å]; None without one."""
    smallest_distance: float
    """Smallest distance of two atoms, over all frames [Å]."""
    n_frames: int
    """Arrangements."""
    warnings: tuple[str, ...]
    """What the cell may be too small for, or does not hold."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        values = dataclasses.asdict(self)
        places = [[list(place) for place in places] for places in self.vacancy_positions]
        return {
            **values,
            'cell_lengths': list(self.cell_lengths),
            'vacancy_positions': places,
            'warnings': list(self.warnings),
        }


@dataclass(frozen=True)
class BuiltSilica:
    """Cells and what is in them."""

    frames: FrameSet
    """Atoms in the order Si, O; columns ``defect``, ``n_defects`` and ``total_charge`` [e]."""
    report: SilicaReport
    """Counts, charge, distances."""


def build_silica(settings: SilicaSettings) -> BuiltSilica:
    """Return cells that are periodic in all directions; the same settings give the same atoms.

    :param settings: what to build.
    :raises SilicaError: if the vacancies do not fit in the cell, or atoms come to lie on top of each other.
    """
    perfect = perfect_quartz(settings)
    frames, places = [], []
    for seed in range(settings.seed, settings.seed + settings.n_frames):
        missing = _vacancies(perfect, settings, seed)
        places.append(perfect.positions[missing])
        frames.append(_frame(perfect, missing, settings, seed))
    smallest = min(_checked_contact(frame, number) for number, frame in enumerate(frames))
    return BuiltSilica(FrameSet.from_frames(frames), _report(settings, perfect, frames, places, smallest))


def perfect_quartz(settings: SilicaSettings) -> Atoms:
    """Return the perfect crystal in an orthogonal cell, Si before O.

    :param settings: lattice constants and size.
    """
    lengths = [settings.lattice_a, settings.lattice_a, settings.lattice_c]
    sites = [SILICON_SITE, OXYGEN_SITE]
    hexagonal = crystal(['Si', 'O'], sites, spacegroup=SPACE_GROUP, cellpar=[*lengths, 90, 90, 120])
    quartz = make_supercell(hexagonal, ORTHOGONAL).repeat(settings.repeat)
    quartz.set_cell(np.diag(quartz.cell.lengths()))  # what is off the diagonal is rounding
    quartz.wrap()
    return quartz[np.argsort(-quartz.numbers.astype(int), kind='stable')]


def _vacancies(perfect: Atoms, settings: SilicaSettings, seed: int) -> list[int]:
    """Return the indices of the oxygen atoms that are missing.

    :raises SilicaError: if there is no place for all of them.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(perfect.numbers == OXYGEN))
    chosen: list[int] = []
    cell, pbc = perfect.cell.array, np.ones(3, dtype=bool)
    for index in order.tolist():
        if len(chosen) == settings.n_vacancies:
            break
        others = perfect.positions[chosen] - perfect.positions[index]
        distances = np.linalg.norm(minimum_image(others, cell, pbc), axis=1)
        if np.all(distances >= settings.minimum_distance):
            chosen.append(index)
    if len(chosen) < settings.n_vacancies:
        raise SilicaError(
            f'{len(chosen)} of {settings.n_vacancies} vacancies found a place at least {settings.minimum_distance:g} Å '
            'from the others; lower minimum_distance, or take a larger cell'
        )
    return sorted(chosen)


def _frame(perfect: Atoms, missing: list[int], settings: SilicaSettings, seed: int) -> Frame:
    """Return one arrangement."""
    positions = np.delete(perfect.positions, missing, axis=0)
    if settings.displacement:
        # A seed of its own, so that displaced cells have their vacancies where others have them.
        generator = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        positions = positions + generator.normal(scale=settings.displacement, size=positions.shape)
    return Frame(
        numbers=np.delete(perfect.numbers, missing).astype(np.uint8),
        positions=positions,
        cell=perfect.cell.array.copy(),
        pbc=np.array([True, True, True]),
        columns={
            'defect': 'oxygen_vacancy' if missing else 'none',
            'n_defects': len(missing),
            TOTAL_CHARGE: float(settings.total_charge),
        },
    )


def _checked_contact(frame: Frame, number: int) -> float:
    """Return the smallest distance of two atoms [Å].

    :raises SilicaError: if it is below :data:`CLOSEST_CONTACT`.
    """
    contact = closest_contact(frame, 2.0 * CLOSEST_CONTACT + ROUNDING)
    if contact is None:
        raise SilicaError(
            f'no two atoms of frame {number} are within {2.0 * CLOSEST_CONTACT:g} Å: this is no quartz; lower the '
            'lattice constants'
        )
    if contact.distance < CLOSEST_CONTACT:
        raise SilicaError(
            f'{contact} of frame {number} are {contact.distance:.2f} Å apart, less than {CLOSEST_CONTACT:g} Å; lower '
            'displacement or raise the lattice constants'
        )
    return contact.distance


def _report(
    settings: SilicaSettings, perfect: Atoms, frames: list[Frame], places: list[Any], smallest: float
) -> SilicaReport:
    """Return what was built."""
    first, lengths = frames[0], np.diag(frames[0].cell)
    n_silicon = int(np.count_nonzero(first.numbers == SILICON))
    image = float(lengths.min()) if settings.n_vacancies else None
    warnings = []
    if image is not None and image < SAFE_IMAGE_DISTANCE:
        warnings.append(
            f'a vacancy is {image:.2f} Å from its own periodic image, nearer than {SAFE_IMAGE_DISTANCE:g} Å; its '
            'energy is that of a periodic array'
        )
    if settings.total_charge:
        warnings.append(
            f'the cell has a charge of {settings.total_charge:+d} e: labels need a method that takes the column '
            f"'{TOTAL_CHARGE}', and energies contain the interaction with the background"
        )
    return SilicaReport(
        n_atoms=len(first.numbers),
        n_silicon=n_silicon,
        n_oxygen=len(first.numbers) - n_silicon,
        n_vacancies=settings.n_vacancies,
        cell_lengths=(float(lengths[0]), float(lengths[1]), float(lengths[2])),
        density=float(np.sum(atomic_masses[first.numbers]))
        * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3
        / float(np.prod(lengths)),
        total_charge=settings.total_charge,
        vacancy_positions=tuple(tuple((float(x), float(y), float(z)) for x, y, z in found) for found in places),
        silicon_distance=_silicon_distance(frames, places),
        image_distance=image,
        smallest_distance=smallest,
        n_frames=len(frames),
        warnings=tuple(warnings),
    )


def _silicon_distance(frames: list[Frame], places: list[Any]) -> float | None:
    """Return the smallest distance of the two Si next to a vacancy [Å]; None without a vacancy."""
    found = []
    for frame, positions in zip(frames, places):
        silicon = frame.positions[frame.numbers == SILICON]
        for place in positions:
            vectors = minimum_image(silicon - place, frame.cell, frame.pbc)
            first, second = np.argsort(np.linalg.norm(vectors, axis=1))[:2]
            found.append(float(np.linalg.norm(vectors[first] - vectors[second])))
    return min(found) if found else None
