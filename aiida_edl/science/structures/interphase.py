"""Build cells of the solid-electrolyte interphase: LiF(001) on Li2CO3(001) in one cell, or Li2CO3 alone; unrelaxed.

Both slabs consist of layers that are neutral and have no dipole along their normal, so that nothing is polar however
many layers there are. Strain is shared or given to one side; carbonate groups move as a whole and keep their bonds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from aiida_edl.registry import unknown_name_message
from aiida_edl.science import units
from aiida_edl.science.close_contacts import pairs_within
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.metal_charge import TOTAL_CHARGE
from aiida_edl.science.structures.lithium_carbonate import CELL, lithium_carbonate, lithium_carbonate_layers
from aiida_edl.science.structures.lithium_fluoride_settings import LATTICE_CONSTANT, DefectKind
from aiida_edl.typed_fields import checked_fields

CLOSEST_CONTACT = 1.5
"""Atoms of different slabs may not be nearer than this [Å]; the shortest bonds are Li–O and Li–F, 1.9 Å and longer."""
REACH = 1.5
"""Distance within which every cell has atoms: C and O of a carbonate group are 1.3 Å apart [Å]."""
MOST_CELLS = 20
"""Cells of carbonate along one direction up to which a better match is looked for."""
COLUMNS = {'defect': DefectKind.NONE.value, 'n_defects': 0, TOTAL_CHARGE: 0.0}
"""Columns of every frame, those of cells of lithium fluoride."""


class InterphaseError(ValueError):
    """A setting that does not exist, is out of range, or does not fit the others."""


class InterphaseKind(str, Enum):
    """What is built."""

    STACK = 'stack'
    """Slabs of LiF and Li2CO3 on top of each other."""
    LITHIUM_CARBONATE = 'lithium_carbonate'
    """A supercell of Li2CO3."""


class CommonCell(str, Enum):
    """Lateral lengths of the cell that both slabs share."""

    MEAN = 'mean'
    """The mean of both, so that both are strained."""
    FLUORIDE = 'fluoride'
    """Those of LiF, so that Li2CO3 is strained."""
    CARBONATE = 'carbonate'
    """Those of Li2CO3, so that LiF is strained."""


@dataclass(frozen=True)
class InterphaseSettings:
    """What to build."""

    kind: str = InterphaseKind.STACK.value
    """A value of ``InterphaseKind``."""
    repeat: tuple[int, int, int] = (1, 2, 2)
    """Conventional cells of Li2CO3 along a, b and c; of no effect in a stack."""
    lattice_constant: float = LATTICE_CONSTANT
    """Cubic lattice constant of LiF [Å]."""
    fluoride_repeat: tuple[int, int] = (2, 5)
    """Cubic cells of LiF along x and y."""
    fluoride_layers: int = 4
    """Planes of LiF, half a lattice constant apart."""
    carbonate_repeat: tuple[int, int] = (1, 4)
    """Cells of Li2CO3 along x (axis a) and y (axis b)."""
    carbonate_layers: int = 2
    """Layers of Li2CO3, two to a cell."""
    common_cell: str = CommonCell.MEAN.value
    """Lateral lengths of the cell, a value of ``CommonCell``."""
    maximum_strain: float = 0.03
    """Largest strain of either slab along x or y, in size."""
    gap: float = 2.0
    """Distance of the outermost atoms of one slab from those of the other, along the normal [Å]."""
    vacuum: float = 0.0
    """Empty space above the carbonate [Å]; 0 makes a second interface with the image of LiF, a ``gap`` away."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Where the carbonate lies over LiF, in fractions of the lateral cell vectors."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises InterphaseError: with the name, the value and the remedy.
        """
        for name, kinds in (('kind', InterphaseKind), ('common_cell', CommonCell)):
            known = [kind.value for kind in kinds]
            if getattr(self, name) not in known:
                raise InterphaseError(unknown_name_message(name, str(getattr(self, name)), known))
        for name in ('repeat', 'fluoride_repeat', 'carbonate_repeat'):
            if min(getattr(self, name)) < 1:
                raise InterphaseError(f'{name} is {list(getattr(self, name))}, its numbers must be positive')
        for name in ('lattice_constant', 'fluoride_layers', 'carbonate_layers', 'maximum_strain', 'gap'):
            if not getattr(self, name) > 0:
                raise InterphaseError(f"interphase setting '{name}' is {getattr(self, name)}, it must be positive")
        if self.vacuum < 0:
            raise InterphaseError(f"interphase setting 'vacuum' is {self.vacuum}, it must not be negative")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InterphaseSettings:
        """Return checked settings from those that differ from the defaults.

        :param values: settings by name; lists stand for tuples.
        :raises InterphaseError: for an unknown name, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'interphase setting', InterphaseError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class InterphaseReport:
    """What was built."""

    n_atoms: int
    """Atoms."""
    n_fluoride_atoms: int
    """Atoms of LiF, the first of the cell."""
    counts: dict[str, int]
    """Atoms by chemical symbol."""
    cell_lengths: tuple[float, float, float]
    """Lengths of the cell vectors [Å]."""
    density: float
    """Mass of all atoms over the volume of the cell, vacuum included [g/cm³]."""
    fluoride_strain: tuple[float, float] | None
    """Strain of LiF along x and y; None without LiF."""
    carbonate_strain: tuple[float, float]
    """Strain of Li2CO3 along x and y."""
    n_interfaces: int
    """Interfaces of the two slabs in the periodic cell: 2, or 1 with vacuum; 0 for Li2CO3 alone."""
    smallest_distance: float
    """Smallest distance of two atoms [Å], that of C and O in a carbonate group."""
    smallest_distance_across: float | None
    """Smallest distance of an atom of LiF from one of Li2CO3 [Å]; None without LiF."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class BuiltInterphase:
    """A cell and what is in it."""

    frame: Frame
    """Atoms of LiF (Li, F), then of Li2CO3 (Li, C, O); columns ``defect``, ``n_defects`` and ``total_charge`` [e]."""
    report: InterphaseReport
    """Counts, strains, distances."""


def build_interphase(settings: InterphaseSettings) -> BuiltInterphase:
    """Return a cell; it is neutral, and open along its normal if there is vacuum.

    :param settings: what to build.
    :raises InterphaseError: if a slab is strained too much, or atoms of different slabs are too close.
    """
    if InterphaseKind(settings.kind) is InterphaseKind.LITHIUM_CARBONATE:
        frame = dataclasses.replace(lithium_carbonate(settings.repeat), columns=dict(COLUMNS))
        return BuiltInterphase(frame, _report(settings, frame, 0, None, (0.0, 0.0)))
    of_fluoride = settings.lattice_constant * np.array(settings.fluoride_repeat)
    symbols, carbonate, of_carbonate = lithium_carbonate_layers(settings.carbonate_repeat, settings.carbonate_layers)
    common = {
        CommonCell.MEAN: (of_fluoride + of_carbonate) / 2,
        CommonCell.FLUORIDE: of_fluoride,
        CommonCell.CARBONATE: of_carbonate,
    }[CommonCell(settings.common_cell)]
    strains = common / of_fluoride - 1, common / of_carbonate - 1
    _check_strains(settings, *strains)
    numbers, fluoride = _fluoride_slab(settings)
    fluoride[:, :2] *= 1 + strains[0]
    carbonate = _strained_carbonate(symbols, carbonate, of_carbonate, 1 + strains[1])
    carbonate[:, :2] += np.array(settings.shift) * common
    carbonate[:, 2] += fluoride[:, 2].max() + settings.gap
    order = np.argsort([atomic_numbers[symbol] for symbol in symbols], kind='stable')
    of_slab = np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.uint8)[order]
    positions = np.vstack([fluoride, carbonate[order]])
    positions[:, :2] %= common
    height = positions[:, 2].max() + (settings.vacuum or settings.gap)
    frame = Frame(
        numbers=np.concatenate([numbers, of_slab]),
        positions=positions,
        cell=np.diag([*common, height]),
        pbc=np.array([True, True, settings.vacuum == 0]),
        columns=dict(COLUMNS),
    )
    return BuiltInterphase(
        frame, _report(settings, frame, len(numbers), *((float(s[0]), float(s[1])) for s in strains))
    )


def _fluoride_slab(settings: InterphaseSettings) -> tuple[Any, Floats]:
    """Return atomic numbers and positions [Å] of a slab of LiF(001), Li first, its lowest plane at height zero."""
    first, second = settings.fluoride_repeat
    # In halves of the lattice constant, where Li has an even sum of coordinates.
    points = np.array(list(np.ndindex(2 * first, 2 * second, settings.fluoride_layers)))
    is_fluorine = points.sum(axis=1) % 2
    order = np.argsort(is_fluorine, kind='stable')
    numbers = np.where(is_fluorine, atomic_numbers['F'], atomic_numbers['Li']).astype(np.uint8)
    return numbers[order], settings.lattice_constant / 2 * points[order]


def _strained_carbonate(symbols: list[str], positions: Floats, lateral: Floats, factors: Floats) -> Floats:
    """Return positions [Å] of a strained slab whose carbonate groups keep their shape.

    :param symbols: of the atoms.
    :param positions: without strain [Å], shape ``(n_atoms, 3)``.
    :param lateral: lateral lengths without strain [Å], shape ``(2,)``.
    :param factors: by which they grow, shape ``(2,)``.
    """
    is_carbon, is_oxygen = np.array(symbols) == 'C', np.array(symbols) == 'O'
    apart = positions[is_oxygen][:, None] - positions[is_carbon][None]
    apart[..., :2] -= np.rint(apart[..., :2] / lateral) * lateral
    owner = np.linalg.norm(apart, axis=2).argmin(axis=1)
    strained = positions.copy()
    strained[:, :2] *= factors
    strained[is_oxygen] = strained[is_carbon][owner] + apart[np.arange(len(owner)), owner]
    return strained


def _check_strains(settings: InterphaseSettings, fluoride: Floats, carbonate: Floats) -> None:
    """Refuse a common cell that strains a slab too much.

    :raises InterphaseError: with the strains and the smallest cells that would do.
    """
    largest = max(float(np.abs(fluoride).max()), float(np.abs(carbonate).max()))
    if largest <= settings.maximum_strain:
        return
    texts = [
        f'{name} {100 * along[0]:+.1f} % along x and {100 * along[1]:+.1f} % along y'
        for name, along in (('LiF', fluoride), ('Li2CO3', carbonate))
    ]
    fits = [fit for length in CELL[:2] if (fit := _smallest_match(settings, length)) is not None]
    advice = 'allow more strain'
    if len(fits) == 2:
        of_fluoride, of_carbonate = (list(numbers) for numbers in zip(*fits))
        advice = f'take fluoride_repeat {of_fluoride} and carbonate_repeat {of_carbonate}'
    raise InterphaseError(
        f'the common cell strains {texts[0]}, and {texts[1]}, more than {100 * settings.maximum_strain:g} %; {advice}'
    )


def _smallest_match(settings: InterphaseSettings, length: float) -> tuple[int, int] | None:
    """Return the smallest numbers of cells of LiF and of Li2CO3 along one direction that fit, None if none do."""
    for of_carbonate in range(1, MOST_CELLS + 1):
        of_fluoride = max(round(of_carbonate * length / settings.lattice_constant), 1)
        lengths = np.array([of_fluoride * settings.lattice_constant, of_carbonate * length])
        common = {CommonCell.MEAN: lengths.mean(), CommonCell.FLUORIDE: lengths[0], CommonCell.CARBONATE: lengths[1]}
        if np.abs(common[CommonCell(settings.common_cell)] / lengths - 1).max() <= settings.maximum_strain:
            return of_fluoride, of_carbonate
    return None


def _report(
    settings: InterphaseSettings,
    frame: Frame,
    n_fluoride: int,
    fluoride_strain: tuple[float, float] | None,
    carbonate_strain: tuple[float, float],
) -> InterphaseReport:
    """Return what was built.

    :raises InterphaseError: if atoms of different slabs are too close.
    """
    across = None
    if n_fluoride:
        reach = settings.gap + settings.lattice_constant
        pairs, distances = pairs_within(frame, reach)
        across = float(distances[(pairs < n_fluoride).sum(axis=1) == 1].min())
        if across < CLOSEST_CONTACT:
            raise InterphaseError(
                f'atoms of LiF and Li2CO3 are {across:.2f} Å apart, less than {CLOSEST_CONTACT:g} Å; raise gap, '
                f'now {settings.gap:g} Å, or change shift'
            )
    lengths = np.linalg.norm(frame.cell, axis=1)
    symbols, counts = np.unique(frame.numbers, return_counts=True)
    names = {number: symbol for symbol, number in atomic_numbers.items()}
    mass = float(np.sum(atomic_masses[frame.numbers]))
    return InterphaseReport(
        n_atoms=len(frame.numbers),
        n_fluoride_atoms=n_fluoride,
        counts={names[int(symbol)]: int(count) for symbol, count in zip(symbols, counts)},
        cell_lengths=(float(lengths[0]), float(lengths[1]), float(lengths[2])),
        density=mass * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3 / abs(float(np.linalg.det(frame.cell))),
        fluoride_strain=fluoride_strain,
        carbonate_strain=carbonate_strain,
        n_interfaces=(1 if settings.vacuum else 2) if n_fluoride else 0,
        smallest_distance=float(pairs_within(frame, REACH)[1].min()),
        smallest_distance_across=across,
    )
