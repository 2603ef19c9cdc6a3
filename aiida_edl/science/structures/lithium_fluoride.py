"""Build rocksalt cells of lithium fluoride with interstitials, vacancies, Frenkel or Schottky pairs; seeded, unrelaxed.

Atoms of the lattice lie on their sites, or displaced at random from them: what the surroundings of a defect do is left
to a relaxation or to dynamics.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_masses
from numpy.typing import NDArray

from aiida_edl.science import units
from aiida_edl.science.close_contacts import closest_contact
from aiida_edl.science.frames import Floats, Frame, FrameSet
from aiida_edl.science.metal_charge import TOTAL_CHARGE
from aiida_edl.science.structures.lithium_fluoride_settings import (
    ChargeConvention,
    DefectKind,
    InterstitialSite,
    LithiumFluorideError,
    LithiumFluorideSettings,
)
from aiida_edl.science.structures.lithium_fluoride_sites import (
    PlacedDefects,
    Quarters,
    Sites,
    place_defects,
    sites_of,
    squared_distances,
)

LITHIUM, FLUORINE = 3, 9
"""Atomic numbers."""
SAFE_IMAGE_DISTANCE = 8.0
"""Distance [Å] below which the report warns that a defect interacts with its own image; chosen by the project."""
CLOSEST_CONTACT = 1.3
"""Atoms may not be nearer than this [Å]; the nearest of an unrelaxed interstitial are 1.6 Å apart."""
ROUNDING = 1e-6
"""Added to a distance so that atoms at it are found [Å]."""
DIRECTIONS = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) / np.sqrt(3.0)
"""The four ⟨111⟩ directions without regard to sign, of length one, shape ``(4, 3)``."""
MEANINGS = {
    0: 'The cell has the electrons of its neutral atoms.',
    1: 'The cell lacks one electron for each interstitial, against a uniform background: Li+ in an insulator.',
    -1: 'The cell has one electron more for each vacancy, against a uniform background: no hole in an insulator.',
}
"""What the sign of the total charge says of the electrons."""
SURPLUS = {
    DefectKind.INTERSTITIAL: ' Each interstitial leaves one electron in the conduction band.',
    DefectKind.VACANCY: ' Each vacancy leaves one hole in the valence band.',
}
"""What a neutral cell means for defects that are charged as ions."""


@dataclass(frozen=True)
class LithiumFluorideReport:
    """What was built."""

    n_atoms: int
    """Atoms of each frame."""
    n_lithium: int
    """Li atoms."""
    n_fluorine: int
    """F atoms."""
    n_lithium_sites: int
    """Li sites of the perfect crystal; it has as many F sites."""
    defect: str
    """Kind of the defects."""
    n_defects: int
    """Number of defects, a pair being one."""
    concentration: float
    """Defects per Li site, after rounding to a whole number."""
    lattice_constant: float
    """Cubic lattice constant [Å]."""
    cell_lengths: tuple[float, float, float]
    """Edges of the cell [Å]."""
    density: float
    """Mass of all atoms over the volume of the cell [g/cm³]."""
    total_charge: int
    """Charge of the cell [e]."""
    charge_meaning: str
    """What that says of the electrons."""
    interstitial_atoms: tuple[int, ...]
    """Indices of the atoms that are additional to the lattice, in every frame; of a dumbbell, one of the two."""
    pair_separation: float | None
    """Distance of the two parts of a pair on their sites [Å]; None if the defect is no pair."""
    smallest_defect_distance: float | None
    """Smallest distance of two different defects on their sites, over all frames [Å]; None with fewer than two."""
    image_distance: float | None
    """Distance of a defect from its own periodic image [Å]; None without defects."""
    smallest_distance: float
    """Smallest distance of two atoms, over all frames [Å]."""
    n_frames: int
    """Arrangements."""
    n_repeated_frames: int
    """Frames whose atoms all lie where those of an earlier frame do."""
    warnings: tuple[str, ...]
    """What the cell may be too small for, or does not hold."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class BuiltLithiumFluoride:
    """Cells and what is in them."""

    frames: FrameSet
    """Atoms in the order Li of the lattice, F of the lattice, additional Li; columns ``defect``, ``n_defects`` and
    ``total_charge`` [e]."""
    report: LithiumFluorideReport
    """Counts, charge, distances."""


def build_lithium_fluoride(settings: LithiumFluorideSettings) -> BuiltLithiumFluoride:
    """Return cells that are periodic in all directions; the same settings give the same atoms.

    :param settings: what to build.
    :raises LithiumFluorideError: if the defects do not fit in the cell, or atoms come to lie on top of each other.
    """
    sites = sites_of(settings.repeat)
    seeds = range(settings.seed, settings.seed + settings.n_frames)
    placed = [place_defects(settings, sites, seed) for seed in seeds]
    frames = [_frame(settings, sites, defects, seed) for defects, seed in zip(placed, seeds)]
    smallest = [_checked_contact(frame, number, settings) for number, frame in enumerate(frames)]
    report = _report(settings, sites, placed, frames, min(smallest))
    return BuiltLithiumFluoride(FrameSet.from_frames(frames), report)


def _frame(settings: LithiumFluorideSettings, sites: Sites, defects: PlacedDefects, seed: int) -> Frame:
    """Return one arrangement."""
    unit = settings.lattice_constant / 4
    lithium, fluorine = unit * sites.lithium, unit * sites.fluorine
    if settings.interstitial_site == InterstitialSite.TETRAHEDRAL.value:
        added = unit * sites.tetrahedral[list(defects.interstitials)]
    else:
        halves = settings.dumbbell_length / 2 * DIRECTIONS[list(defects.directions)]
        chosen = list(defects.interstitials)
        added = lithium[chosen] + halves
        lithium[chosen] -= halves
    lithium = np.delete(lithium, list(defects.lithium_vacancies), axis=0)
    fluorine = np.delete(fluorine, list(defects.fluorine_vacancies), axis=0)
    positions = np.vstack([lithium, fluorine, added])
    if settings.displacement:
        # A seed of its own, so that displaced cells have their defects where others have them.
        generator = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        positions = positions + generator.normal(scale=settings.displacement, size=positions.shape)
    counts = [len(lithium), len(fluorine), len(added)]
    return Frame(
        numbers=np.repeat(np.array([LITHIUM, FLUORINE, LITHIUM], dtype=np.uint8), counts),
        positions=positions,
        cell=np.diag(unit * sites.period),
        pbc=np.array([True, True, True]),
        columns={
            'defect': settings.defect,
            'n_defects': settings.number_of_defects,
            TOTAL_CHARGE: float(settings.total_charge),
        },
    )


def _checked_contact(frame: Frame, number: int, settings: LithiumFluorideSettings) -> float:
    """Return the smallest distance of two atoms [Å].

    :raises LithiumFluorideError: if it is below :data:`CLOSEST_CONTACT`.
    """
    # A single atom that is left meets its own image.
    reaches = (settings.lattice_constant, float(np.diag(frame.cell).min()))
    contacts = (closest_contact(frame, reach + ROUNDING) for reach in reaches)
    contact = next(found for found in contacts if found is not None)
    if contact.distance < CLOSEST_CONTACT:
        raise LithiumFluorideError(
            f'{contact} of frame {number} are {contact.distance:.2f} Å apart, less than {CLOSEST_CONTACT:g} Å; lower '
            'displacement or raise minimum_distance, lattice_constant or dumbbell_length'
        )
    return contact.distance


def _report(
    settings: LithiumFluorideSettings,
    sites: Sites,
    placed: list[PlacedDefects],
    frames: list[Frame],
    smallest_distance: float,
) -> LithiumFluorideReport:
    """Return what was built."""
    first = frames[0]
    lengths = np.diag(first.cell)
    unit, number = settings.lattice_constant / 4, settings.number_of_defects
    own_image = float(lengths.min()) if number else None
    n_lithium = int(np.count_nonzero(first.numbers == LITHIUM))
    n_added = len(placed[0].interstitials)
    separations = [_separations(settings, sites, defects) for defects in placed]
    pairs = [float(value) for within, _ in separations for value in within]
    others = [float(value) for _, between in separations for value in between]
    mass = float(np.sum(atomic_masses[first.numbers]))
    return LithiumFluorideReport(
        n_atoms=len(first.numbers),
        n_lithium=n_lithium,
        n_fluorine=len(first.numbers) - n_lithium,
        n_lithium_sites=settings.n_lithium_sites,
        defect=settings.defect,
        n_defects=number,
        concentration=number / settings.n_lithium_sites,
        lattice_constant=settings.lattice_constant,
        cell_lengths=(float(lengths[0]), float(lengths[1]), float(lengths[2])),
        density=mass * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3 / float(np.prod(lengths)),
        total_charge=settings.total_charge,
        charge_meaning=_charge_meaning(settings),
        interstitial_atoms=tuple(range(len(first.numbers) - n_added, len(first.numbers))),
        pair_separation=unit * float(np.sqrt(pairs[0])) if pairs else None,
        smallest_defect_distance=unit * float(np.sqrt(min(others))) if others else None,
        image_distance=own_image,
        smallest_distance=smallest_distance,
        n_frames=len(frames),
        n_repeated_frames=_repeated(frames),
        warnings=_warnings(settings, own_image),
    )


def _separations(
    settings: LithiumFluorideSettings, sites: Sites, defects: PlacedDefects
) -> tuple[list[int], list[int]]:
    """Return squared distances within pairs, and of different defects [squared quarters]."""
    of_interstitials = (
        sites.tetrahedral if settings.interstitial_site == InterstitialSite.TETRAHEDRAL.value else sites.lithium
    )
    parts: list[Quarters] = [
        points[list(chosen)]
        for points, chosen in (
            (sites.lithium, defects.lithium_vacancies),
            (sites.fluorine, defects.fluorine_vacancies),
            (of_interstitials, defects.interstitials),
        )
        if chosen
    ]
    if not parts:
        return [], []
    owners = np.tile(np.arange(settings.number_of_defects), len(parts))
    points = np.concatenate(parts)
    within: list[int] = []
    between: list[int] = []
    for index, point in enumerate(points[:-1]):
        distances = squared_distances(points[index + 1 :], point, sites.period)
        is_own: NDArray[np.bool_] = owners[index + 1 :] == owners[index]
        within += distances[is_own].tolist()
        between += distances[~is_own].tolist()
    return within, between


def _charge_meaning(settings: LithiumFluorideSettings) -> str:
    """Return what the charge of the cell says of the electrons."""
    text = MEANINGS[int(np.sign(settings.total_charge))]
    if ChargeConvention(settings.charge_convention) is ChargeConvention.NEUTRAL:
        text += SURPLUS.get(settings.kind, '')
    return text


def _repeated(frames: list[Frame]) -> int:
    """Return how many frames repeat an earlier one atom by atom."""
    seen: set[bytes] = set()
    for frame in frames:
        positions: Floats = frame.positions
        seen.add(np.ascontiguousarray(positions).tobytes())
    return len(frames) - len(seen)


def _warnings(settings: LithiumFluorideSettings, own_image: float | None) -> tuple[str, ...]:
    """Return what a user must know before labelling the cells."""
    found = []
    if own_image is not None and own_image < SAFE_IMAGE_DISTANCE:
        found.append(
            f'a defect is {own_image:.2f} Å from its own periodic image, nearer than {SAFE_IMAGE_DISTANCE:g} Å; '
            'its energy and its barriers are those of a periodic array'
        )
    if settings.total_charge:
        found.append(
            f'the cell has a charge of {settings.total_charge:+d} e: labels need a method that takes the column '
            f"'{TOTAL_CHARGE}', and energies contain the interaction with the background"
        )
    return tuple(found)
