"""Sites of rocksalt and where defects are put on them, in whole quarters of the lattice constant: distances are exact.

In these units Li sites have even coordinates whose halves add up to an even number, F sites to an odd one, and the
tetrahedral sites have odd coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.structures.lithium_fluoride_settings import (
    FRENKEL_SEPARATION,
    PAIRS,
    DefectKind,
    InterstitialSite,
    LithiumFluorideError,
    LithiumFluorideSettings,
)

Quarters = NDArray[np.int64]
"""Coordinates in quarters of the lattice constant, shape ``(..., 3)``."""
N_ATTEMPTS = 100
"""Placements that are begun anew before the defects are said not to fit."""
ROUNDING = 1e-9
"""Share of a squared distance that is put down to rounding of the distance asked for."""


@dataclass(frozen=True)
class Sites:
    """Sites of one supercell."""

    lithium: Quarters
    """Li sites, shape ``(n_lithium, 3)``."""
    fluorine: Quarters
    """F sites, shape ``(n_fluorine, 3)``."""
    tetrahedral: Quarters
    """Centres of the cubes of four Li and four F, shape ``(n_tetrahedral, 3)``."""
    period: Quarters
    """Edges of the supercell, shape ``(3,)``."""


@dataclass(frozen=True)
class PlacedDefects:
    """Where the defects of one arrangement are."""

    lithium_vacancies: tuple[int, ...]
    """Li sites that are empty."""
    fluorine_vacancies: tuple[int, ...]
    """F sites that are empty."""
    interstitials: tuple[int, ...]
    """Tetrahedral sites that are occupied, or Li sites that are split."""
    directions: tuple[int, ...]
    """Direction of each dumbbell, 0 to 3; none for tetrahedral sites."""


def sites_of(repeat: tuple[int, int, int]) -> Sites:
    """Return the sites of a supercell.

    :param repeat: cubic cells along each direction.
    """
    period = 4 * np.array(repeat, dtype=np.int64)
    even = np.array(list(product(*(range(0, int(edge), 2) for edge in period))), dtype=np.int64)
    odd = np.array(list(product(*(range(1, int(edge), 2) for edge in period))), dtype=np.int64)
    is_lithium = even.sum(axis=1) % 4 == 0
    return Sites(even[is_lithium], even[~is_lithium], odd, period)


def squared_distances(sites: Quarters, point: Quarters, period: Quarters) -> Quarters:
    """Return the squared distances of sites from a point, to the nearest periodic image, in squared quarters.

    :param sites: the sites, shape ``(n_sites, 3)``.
    :param point: the point, shape ``(3,)``.
    :param period: edges of the supercell, shape ``(3,)``.
    """
    apart = np.abs(sites - point) % period
    apart = np.minimum(apart, period - apart)
    return np.asarray(np.sum(apart**2, axis=1), dtype=np.int64)


def place_defects(settings: LithiumFluorideSettings, sites: Sites, seed: int) -> PlacedDefects:
    """Return where defects are, drawn one after the other from the sites that are far enough from all before.

    :param settings: kind, number and distances.
    :param sites: of the supercell.
    :param seed: seed of the draw.
    :raises LithiumFluorideError: if they do not fit, or the cell is too small for the parts of a pair.
    """
    number = settings.number_of_defects
    if not number:
        return PlacedDefects((), (), (), ())
    least = _in_quarters(settings.minimum_distance, settings)
    if int(sites.period.min()) ** 2 < least:
        raise LithiumFluorideError(
            f'a defect is {int(sites.period.min()) * settings.lattice_constant / 4:.2f} Å from its own image, '
            f'minimum_distance is {settings.minimum_distance:g} Å; give a larger cell or a smaller distance'
        )
    shell = _shell(settings, sites) if settings.kind in PAIRS else 0
    generator = np.random.default_rng(seed)
    most = 0
    for _ in range(N_ATTEMPTS):
        placed = _Placement(settings, sites, least, shell)
        for _ in range(number):
            if not placed.add(generator):
                break
        if len(placed.centres) == number:
            return placed.result(generator)
        most = max(most, len(placed.centres))
    edges = ' x '.join(f'{edge * settings.lattice_constant / 4:.2f}' for edge in sites.period)
    raise LithiumFluorideError(
        f"{number} defects '{settings.defect}' do not fit {settings.minimum_distance:g} Å apart in a cell of "
        f'{edges} Å, at most {most} were placed; lower minimum_distance or take a larger cell'
    )


def partner_sites(settings: LithiumFluorideSettings, sites: Sites) -> Quarters:
    """Return the sites of the second part of a pair.

    :param settings: kind of the defect and site of interstitials.
    :param sites: of the supercell.
    """
    if settings.kind is DefectKind.SCHOTTKY:
        return sites.fluorine
    return sites.tetrahedral if settings.interstitial_site == InterstitialSite.TETRAHEDRAL.value else sites.lithium


def _in_quarters(distance: float, settings: LithiumFluorideSettings) -> int:
    """Return the least squared distance [squared quarters] that reaches a distance [Å]."""
    exact = (4 * distance / settings.lattice_constant) ** 2
    return int(np.ceil(exact * (1 - ROUNDING)))


def _shell(settings: LithiumFluorideSettings, sites: Sites) -> int:
    """Return the squared distance of the parts of a pair [squared quarters].

    :raises LithiumFluorideError: if the cell has no such shell, or a Frenkel pair would recombine at once.
    """
    unit = settings.lattice_constant / 4
    found = np.unique(squared_distances(partner_sites(settings, sites), sites.lithium[0], sites.period))
    shells = [int(shell) for shell in found if shell]
    is_frenkel = settings.kind is DefectKind.FRENKEL
    least = FRENKEL_SEPARATION * settings.lattice_constant if is_frenkel else unit
    separation = least if settings.separation is None else settings.separation
    index = int(np.searchsorted(shells, _in_quarters(separation, settings)))
    if index == len(shells):
        raise LithiumFluorideError(
            f"the parts of a '{settings.defect}' pair are to be {separation:.4g} Å apart or more, but at most "
            f'{unit * np.sqrt(shells[-1]):.2f} Å are possible in this cell; give a larger cell or a smaller separation'
        )
    if is_frenkel and index == 0:
        raise LithiumFluorideError(
            f'a separation of {separation:g} Å puts the interstitial {unit * np.sqrt(shells[0]):.2f} Å from the '
            'vacancy, where the pair recombines at once; give more than that'
        )
    return shells[index]


class _Placement:
    """Defects that are placed so far, and the sites that are left."""

    def __init__(self, settings: LithiumFluorideSettings, sites: Sites, least: int, shell: int) -> None:
        """Begin with the perfect crystal."""
        self.settings, self.sites, self.least, self.shell = settings, sites, least, shell
        is_lone = settings.kind is DefectKind.INTERSTITIAL
        self.first = partner_sites(settings, sites) if is_lone else sites.lithium
        self.second = partner_sites(settings, sites)
        self.is_free = np.ones(len(self.first), dtype=bool)
        self.is_second_free = np.ones(len(self.second), dtype=bool)
        self.centres: list[int] = []
        self.partners: list[int] = []

    def add(self, generator: np.random.Generator) -> bool:
        """Add a defect and return whether there was room for it."""
        for centre in generator.permutation(np.flatnonzero(self.is_free)):
            if self.settings.kind not in PAIRS:
                self._occupy(int(centre), None)
                return True
            distances = squared_distances(self.second, self.first[centre], self.sites.period)
            partners = np.flatnonzero((distances == self.shell) & self.is_second_free)
            if len(partners):
                self._occupy(int(centre), int(generator.choice(partners)))
                return True
        return False

    def _occupy(self, centre: int, partner: int | None) -> None:
        """Take a site, or two, and strike out all that are too near."""
        self.centres.append(centre)
        points = [self.first[centre]]
        if partner is not None:
            self.partners.append(partner)
            points.append(self.second[partner])
        for point in points:
            self.is_free &= squared_distances(self.first, point, self.sites.period) >= self.least
            self.is_second_free &= squared_distances(self.second, point, self.sites.period) >= self.least

    def result(self, generator: np.random.Generator) -> PlacedDefects:
        """Return the sites by what has become of them, and draw the directions of dumbbells."""
        kind = self.settings.kind
        interstitials = tuple(self.partners if kind is DefectKind.FRENKEL else self.centres)
        if kind in (DefectKind.VACANCY, DefectKind.SCHOTTKY):
            interstitials = ()
        is_split = self.settings.interstitial_site == InterstitialSite.DUMBBELL.value
        return PlacedDefects(
            lithium_vacancies=() if kind is DefectKind.INTERSTITIAL else tuple(self.centres),
            fluorine_vacancies=tuple(self.partners) if kind is DefectKind.SCHOTTKY else (),
            interstitials=interstitials,
            directions=tuple(int(way) for way in generator.integers(4, size=len(interstitials) if is_split else 0)),
        )
