"""Cells that differ far away from most of their atoms: what a local model is shown to find out how far it sees.

Each base frame is followed by variants of itself, told apart by the column :data:`KIND`:

- ``control``: the same cell, all atoms translated alike; whatever a model makes of it is numerical noise;
- ``moved``: one atom displaced, which measures the range of a model;
- ``removed``: one ion less, and the charge of the metal with it, as the cell stays neutral;
- ``added``: one ion more, at a height above the uppermost atom of a film;
- ``charge``: the same atoms with another value in the column by which a model is told the charge.

The atoms of a variant are those of its base in the same order, without the one removed or with the one added last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.geometry import get_distances
from numpy.typing import NDArray

from aiida_edl.science.charge_state import FORMAL_CHARGES, count_ions
from aiida_edl.science.frames import Floats, Frame, FrameSet
from aiida_edl.science.metal_charge import METAL_CHARGE, TOTAL_CHARGE, tells_charge, told_charge
from aiida_edl.typed_fields import checked_fields

KIND = 'locality_kind'
"""Column: kind of the frame, see above; :data:`BASE` for a base frame."""
BASE_INDEX = 'locality_base'
"""Column: index of the base frame in the set."""
CHANGED = 'changed_atom'
"""Column: index of the atom in the base that is moved or removed, in the variant if it is added; -1 if none is."""
FRAME = 'locality_frame'
"""Column: index of the frame in the set, by which labels of some of the frames find their way back."""
BASE, CONTROL, MOVED, REMOVED, ADDED, CHARGE = 'base', 'control', 'moved', 'removed', 'added', 'charge'
CONTROL_SHIFT = (0.31830988, 0.27182818, 0.14142135)
"""Translation of the control [Å]: no rational part of any cell."""
ION_COUNT_COLUMN = 'charge_state'
"""Column with the number of ions."""


class LocalityError(ValueError):
    """Settings or frames that no locality test can be made of; the message says what would be right."""


@dataclass(frozen=True)
class LocalitySettings:
    """Which pairs are made of each frame, and how differences are judged."""

    frame_indices: tuple[int, ...] = (-1,)
    """Frames of the structure that serve as bases; negative counts from the end."""
    repeat: tuple[int, int, int] = (1, 1, 1)
    """How often the cell is repeated along its vectors; a small cell has no atoms beyond a receptive field."""
    n_moved: int = 4
    """Atoms of each element that are moved in each base, as far as there are so many."""
    displacement: float = 0.3
    """Length of their displacement [Å]."""
    n_removed: int = 4
    """Ions that are removed from each base, one at a time; fewer if there are fewer."""
    ion: str = ''
    """Chemical symbol of the ion; ``''`` takes the only kind that occurs."""
    heights: tuple[float, ...] = ()
    """Heights above the uppermost atom of a film at which an ion is added [Å], one at a time."""
    charge_column: str = ''
    """Column whose value is varied, e.g. ``'total_charge'``; ``''`` for none."""
    charges: tuple[float, ...] = ()
    """Values for that column [e]."""
    seed: int = 1
    """Seed of the choice of atoms and of the directions."""
    bin_width: float = 0.5
    """Width of the bins of the distance to the changed atom [Å]."""
    energy_tolerance: float = 1e-12
    """Change of a local energy that counts as one [eV], if ten times the noise of the control is less."""
    force_tolerance: float = 1e-12
    """Change of a force that counts as one [eV/Å], if ten times the noise of the control is less."""
    practical_energy: float = 1e-3
    """Change of a local energy that matters [eV]; the distance to which there are such changes is reported too."""
    practical_force: float = 1e-2
    """Change of a force that matters [eV/Å]."""
    far: float = 6.0
    """Distance from the ion beyond which the force of the pairs without it is summed up [Å]."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises LocalityError: with the name, the value and the remedy.
        """
        for name in ('displacement', 'bin_width', 'practical_energy', 'practical_force', 'far'):
            if getattr(self, name) <= 0:
                raise LocalityError(f'{name} is {getattr(self, name)}, it must be positive')
        for name in ('n_moved', 'n_removed', 'energy_tolerance', 'force_tolerance', 'seed'):
            if getattr(self, name) < 0:
                raise LocalityError(f'{name} is {getattr(self, name)}, it must not be negative')
        if min(self.repeat) < 1:
            raise LocalityError(f'repeat is {list(self.repeat)}, each number must be at least 1')
        if any(height <= 0 for height in self.heights):
            raise LocalityError(f'heights are {list(self.heights)}, they must be positive')
        if self.ion and self.ion not in FORMAL_CHARGES:
            raise LocalityError(f"ion is '{self.ion}', which has no formal charge; known are {sorted(FORMAL_CHARGES)}")
        if bool(self.charges) != bool(self.charge_column):
            raise LocalityError('charges and charge_column belong together; give both or neither')
        if not self.frame_indices:
            raise LocalityError('frame_indices are empty; give at least one frame')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LocalitySettings:
        """Return checked settings from those that differ from the defaults.

        :raises LocalityError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'locality setting', LocalityError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self)


def locality_pairs(structure: FrameSet, settings: LocalitySettings) -> FrameSet:
    """Return each base frame followed by its variants, without labels.

    :param structure: frames to choose from.
    :param settings: which variants are made.
    :raises LocalityError: if a frame does not exist, or ions are to be added where there are none of one kind, or to a
        frame that is not open along exactly one cell vector.
    """
    generator = np.random.default_rng(settings.seed)
    frames: list[Frame] = []
    for index in settings.frame_indices:
        if not -len(structure) <= index < len(structure):
            raise LocalityError(f'frame_indices holds {index}, the structure has {len(structure)} frames')
        base = _prepared(structure.without_labels().frame(index), settings)
        position = len(frames)
        for kind, changed, frame in ((BASE, -1, base), *_variants(base, settings, generator)):
            columns = {**frame.columns, KIND: kind, BASE_INDEX: position, CHANGED: changed}
            frames.append(replace(frame, columns=columns))
    return FrameSet.from_frames(frames).with_columns(**{FRAME: np.arange(len(frames))})


def _prepared(frame: Frame, settings: LocalitySettings) -> Frame:
    """Return a frame repeated, and with room for added ions, so that its vacuum stays as wide as it was."""
    n_images = int(np.prod(settings.repeat))
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in settings.repeat], indexing='ij'), axis=-1).reshape(-1, 3)
    positions = (frame.positions[None] + (shifts @ frame.cell)[:, None]).reshape(-1, 3)
    cell = frame.cell * np.array(settings.repeat)[:, None]
    if settings.heights:
        axis = _open_axis(frame)
        cell = cell.copy()
        cell[axis] *= 1.0 + max(settings.heights) / np.linalg.norm(cell[axis])
    columns = dict(frame.columns)
    for name in (ION_COUNT_COLUMN, METAL_CHARGE, TOTAL_CHARGE):
        if name in columns:
            columns[name] = columns[name] * n_images
    whole = replace(frame, numbers=np.tile(frame.numbers, n_images), positions=positions, cell=cell, columns=columns)
    if column := settings.charge_column:
        columns[column] = told_charge(whole, column) if tells_charge(columns, column) else 0.0
    return whole


def _open_axis(frame: Frame) -> int:
    """Return the only open cell vector of a frame.

    :raises LocalityError: if it is not the only one.
    """
    is_open = np.flatnonzero(~frame.pbc)
    if len(is_open) != 1 or not frame.cell[is_open[0]].any():
        raise LocalityError(
            f'ions are to be added above a film, but the frame has pbc {frame.pbc.tolist()}; give a film with a cell '
            'that is open along one vector, or no heights'
        )
    return int(is_open[0])


def _variants(
    base: Frame, settings: LocalitySettings, generator: np.random.Generator
) -> Iterator[tuple[str, int, Frame]]:
    """Yield kind, changed atom and frame of each variant of a base."""
    yield CONTROL, -1, replace(base, positions=base.positions + np.array(CONTROL_SHIFT))
    for number in np.unique(base.numbers):
        members = np.flatnonzero(base.numbers == number)
        for atom in generator.permutation(members)[: settings.n_moved]:
            direction = generator.normal(size=3)
            positions = base.positions.copy()
            positions[atom] += settings.displacement * direction / np.linalg.norm(direction)
            yield MOVED, int(atom), replace(base, positions=positions)
    ion = _ion_of(base, settings)
    ions = np.flatnonzero(base.numbers == atomic_numbers[ion]) if ion else np.zeros(0, dtype=int)
    for atom in ions[: settings.n_removed]:
        yield REMOVED, int(atom), _without(base, int(atom), ion)
    for height in settings.heights:
        yield ADDED, len(base.numbers), _with_ion_above(base, height, ion)
    for charge in settings.charges:
        yield CHARGE, -1, replace(base, columns={**base.columns, settings.charge_column: charge})


def _ion_of(base: Frame, settings: LocalitySettings) -> str:
    """Return the ion that is removed or added, ``''`` if there is none and none is needed.

    :raises LocalityError: if it has to be stated.
    """
    if settings.ion:
        return settings.ion
    found = sorted(count_ions(chemical_symbols[number] for number in base.numbers))
    if len(found) == 1:
        return found[0]
    if settings.heights or (found and settings.n_removed):
        raise LocalityError(f'the frame holds {", ".join(found) or "no ions"}; state the ion that is removed or added')
    return ''


def _recounted(columns: Mapping[str, Any], change: int, ion: str) -> dict[str, Any]:
    """Return columns of a neutral cell after the number of ions changed."""
    changed = dict(columns)
    if ION_COUNT_COLUMN in changed:
        changed[ION_COUNT_COLUMN] = changed[ION_COUNT_COLUMN] + change
    if METAL_CHARGE in changed:
        changed[METAL_CHARGE] = changed[METAL_CHARGE] - change * FORMAL_CHARGES[ion]
    return changed


def _without(base: Frame, atom: int, ion: str) -> Frame:
    """Return a frame without one of its ions."""
    return replace(
        base,
        numbers=np.delete(base.numbers, atom),
        positions=np.delete(base.positions, atom, axis=0),
        columns=_recounted(base.columns, -1, ion),
    )


def _with_ion_above(base: Frame, height: float, ion: str) -> Frame:
    """Return a film with an ion above its uppermost atom."""
    axis = _open_axis(base)
    normal = np.cross(base.cell[(axis + 1) % 3], base.cell[(axis + 2) % 3])
    normal *= np.sign(normal @ base.cell[axis]) / np.linalg.norm(normal)
    uppermost = base.positions[np.argmax(base.positions @ normal)]
    return replace(
        base,
        numbers=np.append(base.numbers, np.uint8(atomic_numbers[ion])),
        positions=np.vstack([base.positions, uppermost + height * normal]),
        columns=_recounted(base.columns, 1, ion),
    )


@dataclass(frozen=True)
class Pair:
    """A variant beside its base, atom by atom."""

    kind: str
    """See the top of this module."""
    base: int
    """Index of the base frame in the set."""
    variant: int
    """Index of the variant."""
    changed: int
    """Atom that was changed; -1 if there is none."""
    base_atoms: NDArray[np.int64]
    """Atoms of the base that the variant has at the same place, shape ``(n,)``; all for control and charge."""
    variant_atoms: NDArray[np.int64]
    """The same atoms in the variant, shape ``(n,)``."""
    distances: Floats
    """Their distances to the changed atom, to the nearer of its two places if it was moved, periodic images counted
    [Å], shape ``(n,)``; infinite if no atom was changed."""


def pairs_of(frames: FrameSet) -> tuple[Pair, ...]:
    """Return the pairs in a set that :func:`locality_pairs` made.

    :param frames: the set.
    """
    pairs = []
    for index in np.flatnonzero(frames.columns[KIND] != BASE):
        base_index, changed = int(frames.columns[BASE_INDEX][index]), int(frames.columns[CHANGED][index])
        base, variant, kind = frames.frame(base_index), frames.frame(int(index)), str(frames.columns[KIND][index])
        kept = np.arange(min(len(base.numbers), len(variant.numbers) + (kind == REMOVED)))
        variant_atoms = kept
        if kind == REMOVED:
            variant_atoms = np.arange(len(kept) - 1)
        if kind in {REMOVED, MOVED}:
            kept = np.delete(kept, changed)
        if kind == MOVED:
            variant_atoms = kept
        places = [] if kind == ADDED else [base.positions[changed]]
        places += [] if kind == REMOVED else [variant.positions[changed]]
        distances = np.full(len(kept), np.inf)
        if changed >= 0:
            _, lengths = get_distances(base.positions[kept], np.array(places), cell=base.cell, pbc=base.pbc)
            distances = lengths.min(axis=1)
        pairs.append(Pair(kind, base_index, int(index), changed, kept, variant_atoms, distances))
    return tuple(pairs)
