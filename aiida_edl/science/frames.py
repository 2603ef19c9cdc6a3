"""Frames of atoms laid end to end: the one shape in which structures, labels and trajectories travel below AiiDA.

House units: Å, eV, e, fs. Stress is in eV/Å³ and positive in tension. Energies are those whose negative gradient
the forces are.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PER_ATOM = ('numbers', 'positions', 'forces', 'charges', 'velocities')
PER_FRAME = ('cells', 'pbc', 'energies', 'stresses')
OPTIONAL = ('energies', 'forces', 'stresses', 'charges', 'velocities')
COLUMN_PREFIX = 'column_'


@dataclass(frozen=True)
class Frame:
    """One arrangement of atoms, labelled or not."""

    numbers: NDArray[np.uint8]
    """Atomic numbers, shape ``(n_atoms,)``."""
    positions: Floats
    """Cartesian positions [Å], shape ``(n_atoms, 3)``."""
    cell: Floats
    """Cell vectors as rows [Å], shape ``(3, 3)``."""
    pbc: NDArray[np.bool_]
    """Periodicity along the cell vectors, shape ``(3,)``."""
    energy: float | None = None
    """Potential energy [eV]."""
    forces: Floats | None = None
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    stress: Floats | None = None
    """Stress [eV/Å³], positive in tension, shape ``(3, 3)``."""
    charges: Floats | None = None
    """Atomic charges [e], shape ``(n_atoms,)``."""
    velocities: Floats | None = None
    """Velocities [Å/fs], shape ``(n_atoms, 3)``."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Scalars of this frame by name, e.g. ``charge_state`` (number of ions)."""


@dataclass(frozen=True)
class FrameSet:
    """Many frames laid end to end; frame ``i`` owns the atoms ``offsets[i]:offsets[i + 1]``."""

    numbers: NDArray[np.uint8]
    """Atomic numbers, shape ``(n_atoms_total,)``."""
    positions: Floats
    """Cartesian positions [Å], shape ``(n_atoms_total, 3)``."""
    offsets: NDArray[np.int64]
    """First atom of each frame and the total, shape ``(n_frames + 1,)``."""
    cells: Floats
    """Cell vectors as rows [Å], shape ``(n_frames, 3, 3)``."""
    pbc: NDArray[np.bool_]
    """Periodicity along the cell vectors, shape ``(n_frames, 3)``."""
    energies: Floats | None = None
    """Potential energies [eV], shape ``(n_frames,)``."""
    forces: Floats | None = None
    """Forces [eV/Å], shape ``(n_atoms_total, 3)``."""
    stresses: Floats | None = None
    """Stresses [eV/Å³], positive in tension, shape ``(n_frames, 3, 3)``."""
    charges: Floats | None = None
    """Atomic charges [e], shape ``(n_atoms_total,)``."""
    velocities: Floats | None = None
    """Velocities [Å/fs], shape ``(n_atoms_total, 3)``."""
    columns: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    """Scalars per frame by name, each of shape ``(n_frames,)``: ``charge_state`` (ions), ``time`` [fs], ``group``."""

    def __post_init__(self) -> None:
        """Check that all arrays agree on the number of frames and atoms.

        :raises ValueError: if a shape does not fit; the message names the array and both shapes.
        """
        n_frames, n_atoms = len(self.offsets) - 1, int(self.offsets[-1]) if len(self.offsets) else 0
        if n_frames < 0 or self.offsets[0] != 0 or np.any(np.diff(self.offsets) <= 0):
            raise ValueError('offsets must start at 0 and increase: every frame needs at least one atom')
        expected = {
            'numbers': (n_atoms,),
            'positions': (n_atoms, 3),
            'cells': (n_frames, 3, 3),
            'pbc': (n_frames, 3),
            'energies': (n_frames,),
            'forces': (n_atoms, 3),
            'stresses': (n_frames, 3, 3),
            'charges': (n_atoms,),
            'velocities': (n_atoms, 3),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"array '{name}' has shape {array.shape}, expected {shape}")
        for name, column in self.columns.items():
            if column.shape != (n_frames,):
                raise ValueError(f"column '{name}' has shape {column.shape}, expected {(n_frames,)}")
            if column.dtype.hasobject:
                raise ValueError(f"column '{name}' holds Python objects; give numbers or strings of one type")

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the frames."""
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> Frame:
        """Return one frame as views into the arrays.

        :param index: position in the set; negative counts from the end.
        :raises IndexError: if there is no such frame.
        """
        n_frames = len(self)
        if not -n_frames <= index < n_frames:
            raise IndexError(f'frame {index} of a set of {n_frames} frames')
        index %= n_frames
        atoms = slice(int(self.offsets[index]), int(self.offsets[index + 1]))

        def part(array: NDArray[Any] | None) -> Any:
            return None if array is None else array[atoms]

        return Frame(
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            cell=self.cells[index],
            pbc=self.pbc[index],
            energy=None if self.energies is None else float(self.energies[index]),
            forces=part(self.forces),
            stress=None if self.stresses is None else self.stresses[index],
            charges=part(self.charges),
            velocities=part(self.velocities),
            columns={name: column[index] for name, column in self.columns.items()},
        )

    def select(self, indices: Sequence[int] | NDArray[np.int64]) -> FrameSet:
        """Return the frames at ``indices``, in that order.

        :param indices: positions in this set.
        :raises IndexError: if one is out of range.
        :raises ValueError: if they are not integers, e.g. a mask.
        """
        given = np.asarray(indices)
        if given.size and not np.issubdtype(given.dtype, np.integer):
            raise ValueError(f'frame indices are of type {given.dtype}; give integers, for a mask np.flatnonzero(mask)')
        chosen = given.astype(np.int64)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise IndexError(f'frame indices {chosen.min()} to {chosen.max()} of a set of {len(self)} frames')
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        atoms = np.arange(int(offsets[-1])) + np.repeat(self.offsets[chosen] - offsets[:-1], sizes)
        arrays: dict[str, Any] = {}
        for name, index in [(name, atoms) for name in PER_ATOM] + [(name, chosen) for name in PER_FRAME]:
            array = getattr(self, name)
            arrays[name] = None if array is None else array[index]
        return FrameSet(offsets=offsets, columns={k: v[chosen] for k, v in self.columns.items()}, **arrays)

    def with_columns(self, **columns: Any) -> FrameSet:
        """Return a copy with columns added or replaced; a scalar is repeated for every frame."""
        added = {name: np.broadcast_to(np.asarray(value), (len(self),)).copy() for name, value in columns.items()}
        return replace(self, columns={**self.columns, **added})

    def replaced_columns(self, columns: Mapping[str, NDArray[Any]]) -> FrameSet:
        """Return a copy that carries these columns and no others."""
        return replace(self, columns=dict(columns))

    def without_labels(self) -> FrameSet:
        """Return a copy that keeps positions, cells and columns only."""
        return replace(self, energies=None, forces=None, stresses=None, charges=None, velocities=None)

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that occur, ordered by atomic number."""
        return tuple(chemical_symbols[number] for number in np.unique(self.numbers))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays that are present, by name; columns carry the prefix ``column_``."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != 'columns'}
        present = {name: array for name, array in arrays.items() if array is not None}
        return present | {COLUMN_PREFIX + name: column for name, column in self.columns.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> FrameSet:
        """Build a set from the arrays of :meth:`to_arrays`.

        :param arrays: arrays by name.
        :raises ValueError: if an array is missing or a shape does not fit.
        """
        known = {f.name for f in fields(cls)} - {'columns'}
        missing = known - set(OPTIONAL) - set(arrays)
        if missing:
            raise ValueError(f'a set of frames needs the arrays {sorted(missing)}, given were {sorted(arrays)}')
        prefix = len(COLUMN_PREFIX)
        columns = {name[prefix:]: array for name, array in arrays.items() if name.startswith(COLUMN_PREFIX)}
        return cls(columns=columns, **{name: arrays[name] for name in known if name in arrays})

    def to_npz(self, target: str | Path | IO[bytes]) -> None:
        """Write the set as an uncompressed ``.npz`` file, readable with numpy alone."""
        np.savez(target, **self.to_arrays())  # type: ignore[arg-type]

    def to_npz_bytes(self) -> bytes:
        """Return the content of the ``.npz`` file."""
        buffer = io.BytesIO()
        self.to_npz(buffer)
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, source: str | Path | IO[bytes]) -> FrameSet:
        """Read a set written by :meth:`to_npz`.

        :raises ValueError: if the file is truncated or lacks arrays.
        """
        try:
            with np.load(source, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f'the file of frames is truncated or no .npz file ({error}); write it again') from error
        return cls.from_arrays(arrays)

    @classmethod
    def from_frames(cls, frames: Iterable[Frame]) -> FrameSet:
        """Lay frames end to end; an optional label is kept only if every frame has it.

        :param frames: at least one frame; all with the same columns.
        :raises ValueError: if there is no frame, or columns differ, or only some frames carry a label.
        """
        items = list(frames)
        if not items:
            raise ValueError('a set of frames needs at least one frame, none was given')
        names = set(items[0].columns)
        for number, item in enumerate(items):
            if set(item.columns) != names:
                raise ValueError(f'frame {number} has columns {sorted(item.columns)}, frame 0 has {sorted(names)}')

        def gather(name: str, stack: bool) -> NDArray[Any] | None:
            values = [getattr(item, name) for item in items]
            present = sum(value is not None for value in values)
            if present not in (0, len(items)):
                raise ValueError(f"{len(items) - present} of {len(items)} frames lack '{name}'")
            return None if not present else (np.stack(values) if stack else np.concatenate(values))

        energies = gather('energy', stack=True)
        return cls(
            numbers=np.concatenate([item.numbers for item in items]).astype(np.uint8),
            positions=np.concatenate([item.positions for item in items]).astype(np.float64),
            offsets=np.concatenate([[0], np.cumsum([len(item.numbers) for item in items])]).astype(np.int64),
            cells=np.stack([item.cell for item in items]).astype(np.float64),
            pbc=np.stack([item.pbc for item in items]).astype(bool),
            energies=None if energies is None else energies.astype(np.float64),
            forces=gather('forces', stack=False),
            stresses=gather('stress', stack=True),
            charges=gather('charges', stack=False),
            velocities=gather('velocities', stack=False),
            columns={name: np.array([item.columns[name] for item in items]) for name in sorted(names)},
        )

    @classmethod
    def concatenate(cls, sets: Sequence[FrameSet]) -> FrameSet:
        """Join sets that carry the same labels and columns.

        :param sets: at least one set.
        :raises ValueError: if none is given, or one carries labels or columns that another lacks.
        """
        if not sets:
            raise ValueError('at least one set of frames is needed to join, none was given')
        first = sets[0].to_arrays()
        for number, item in enumerate(sets):
            if different := set(first) ^ set(item.to_arrays()):
                raise ValueError(f'set {number} and set 0 do not both carry {sorted(different)}')
        parts = [item.to_arrays() for item in sets]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in first if name != 'offsets'}
        starts = np.cumsum([0] + [int(item.offsets[-1]) for item in sets])
        joined['offsets'] = np.concatenate(
            [[0]] + [item.offsets[1:] + start for item, start in zip(sets, starts, strict=False)]
        )
        return cls.from_arrays(joined)
