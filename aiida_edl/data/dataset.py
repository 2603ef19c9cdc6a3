"""Node that holds frames, labelled or not: data sets, structures and trajectories alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.orm import ArrayData
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science.charge_state import FORMAL_CHARGES, charge_state_of_ions
from aiida_edl.science.frames import COLUMN_PREFIX, OPTIONAL, PER_ATOM, Frame, FrameSet

IN_SINGLE = ('positions', 'velocities', 'forces')
"""Arrays that may be stored in single precision: positions to 2e-6 Å at 30 Å. Energies stay in double precision, as
their differences are small beside them, and so do cells."""


class DatasetData(ArrayData):
    """Frames laid end to end in plain ``.npy`` arrays with offsets; numpy alone reads them from an archive.

    Units: positions and cells Å, energies eV, forces eV/Å, stresses eV/Å³ (positive in tension), charges e,
    velocities Å/fs. The charge state is a queryable attribute. What is read has double precision; trajectories are
    stored in single, see :data:`IN_SINGLE`.
    """

    KEY_N_FRAMES = 'n_frames'
    """Number of frames."""
    KEY_N_ATOMS = 'n_atoms'
    """Atoms per frame: minimum and maximum."""
    KEY_ELEMENTS = 'elements'
    """Chemical symbols that occur, ordered by atomic number."""
    KEY_CHARGE_STATES = 'charge_states'
    """One entry per charge label: label, ions, metal charge [e], mean area of the cells and its range [Å²], surface
    charge [e/Å²] and [µC/cm²] at that area (None without a cell), frames."""
    KEY_CHARGE_LABELS = 'charge_labels'
    """Sorted labels of the charge states, for queries."""
    KEY_LABELS = 'labels'
    """Which optional arrays are present."""
    KEY_LEVEL_OF_THEORY = 'level_of_theory'
    """What made the labels, in words; ``''`` if unlabelled."""
    KEY_ORIGIN = 'origin'
    """Where the frames come from, in words."""
    KEY_SHA256 = 'sha256'
    """Checksum over all arrays, in order of name."""
    KEY_PRECISION = 'precision'
    """Precision in which :data:`IN_SINGLE` are stored: ``'float32'`` or ``'float64'``."""
    KEY_N_WET_SIDES = 'n_wet_sides'
    """Sides of the slab that touch the liquid: 1 or 2; convention for the surface charge."""

    @classmethod
    def from_frames(
        cls,
        frames: FrameSet,
        level_of_theory: str = '',
        origin: str = '',
        n_wet_sides: int = 1,
        attributes: Mapping[str, Any] | None = None,
        *,
        in_single_precision: bool = False,
    ) -> DatasetData:
        """Return an unstored node with these frames.

        :param frames: the frames.
        :param level_of_theory: what made the labels, in words.
        :param origin: where the frames come from, in words; no path of a machine.
        :param n_wet_sides: sides of the slab that touch the liquid, 1 or 2.
        :param attributes: further queryable attributes, JSON types.
        :param in_single_precision: whether :data:`IN_SINGLE` are rounded to single precision, which halves the room
            they take.
        :raises ValueError: if there is no frame, labels are present and ``level_of_theory`` is empty, or an array holds
            NaN.
        """
        if not len(frames):
            raise ValueError('a data set needs at least one frame, none was given')
        arrays = frames.to_arrays()
        if in_single_precision:
            arrays |= {name: arrays[name].astype(np.float32) for name in IN_SINGLE if name in arrays}
        labels = [name for name in OPTIONAL if name in arrays]
        if 'forces' in labels and not level_of_theory:
            raise ValueError('labelled frames need a level_of_theory in words, given was an empty string')
        for name in ('positions', 'cells', *labels):
            if bad := int(np.count_nonzero(~np.isfinite(arrays[name]))):
                raise ValueError(f"array '{name}' holds {bad} values that are not finite; remove those frames first")
        node = cls()
        digest = hashlib.sha256()
        for name in sorted(arrays):
            node.set_array(name, np.ascontiguousarray(arrays[name]))
            digest.update(
                name.encode() + str(arrays[name].dtype).encode() + np.ascontiguousarray(arrays[name]).tobytes()
            )
        sizes = np.diff(frames.offsets)
        states = _charge_states(frames, n_wet_sides)
        node.base.attributes.set_many(
            {
                cls.KEY_N_FRAMES: len(frames),
                cls.KEY_N_ATOMS: [int(sizes.min()), int(sizes.max())],
                cls.KEY_ELEMENTS: list(frames.elements),
                cls.KEY_CHARGE_STATES: states,
                cls.KEY_CHARGE_LABELS: sorted(state['label'] for state in states),
                cls.KEY_LABELS: labels,
                cls.KEY_LEVEL_OF_THEORY: level_of_theory,
                cls.KEY_ORIGIN: origin,
                cls.KEY_SHA256: digest.hexdigest(),
                cls.KEY_PRECISION: str(arrays['positions'].dtype),
                cls.KEY_N_WET_SIDES: n_wet_sides,
                **(attributes or {}),
            }
        )
        return node

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.base.attributes.get(self.KEY_N_FRAMES))

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that occur, ordered by atomic number."""
        return tuple(self.base.attributes.get(self.KEY_ELEMENTS))

    @property
    def level_of_theory(self) -> str:
        """What made the labels, in words."""
        return str(self.base.attributes.get(self.KEY_LEVEL_OF_THEORY))

    @property
    def n_wet_sides(self) -> int:
        """Sides of the slab that touch the liquid."""
        return int(self.base.attributes.get(self.KEY_N_WET_SIDES))

    @property
    def charge_labels(self) -> tuple[str, ...]:
        """Labels of the charge states that occur, e.g. ``('0', '2Na')``."""
        return tuple(self.base.attributes.get(self.KEY_CHARGE_LABELS))

    def frames(self) -> FrameSet:
        """Return all frames."""
        return FrameSet.from_arrays({name: _in_double(self.get_array(name)) for name in self.get_arraynames()})

    def frame(self, index: int) -> Frame:
        """Return one frame, reading only its own part of each array.

        :param index: position in the set; negative counts from the end.
        :raises IndexError: if there is no such frame.
        """
        if not -self.n_frames <= index < self.n_frames:
            raise IndexError(f'frame {index} of a set of {self.n_frames} frames')
        index %= self.n_frames
        start, stop = (int(offset) for offset in self._read_rows('offsets', index, index + 2))
        part: dict[str, NDArray[Any]] = {'offsets': np.array([0, stop - start])}
        for name in self.get_arraynames():
            if name == 'offsets':
                continue
            rows = (start, stop) if name in PER_ATOM else (index, index + 1)
            part[name] = self._read_rows(name, *rows)
        return FrameSet.from_arrays(part).frame(0)

    def _read_rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows of a stored array without reading the rest."""
        with self.base.repository.open(f'{name}.npy', 'rb') as handle:
            version = np.lib.format.read_magic(handle)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran_ordered, dtype = header(handle)
            if is_fortran_ordered and len(shape) > 1:
                raise ValueError(f"array '{name}' is stored column by column; make the node by from_frames")
            row_items = int(np.prod(shape[1:], dtype=np.int64))
            handle.seek(handle.tell() + start * row_items * dtype.itemsize)
            content = handle.read((stop - start) * row_items * dtype.itemsize)
        return _in_double(np.frombuffer(content, dtype=dtype).reshape(stop - start, *shape[1:]))

    def columns(self) -> tuple[str, ...]:
        """Names of the scalars per frame."""
        return tuple(n[len(COLUMN_PREFIX) :] for n in self.get_arraynames() if n.startswith(COLUMN_PREFIX))


def _in_double(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in double precision if it is in single; else as it is."""
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _charge_states(frames: FrameSet, n_wet_sides: int) -> list[dict[str, Any]]:
    """Return one entry per charge label, from the composition of the frames and the mean area of their cells."""
    ions = [symbol for symbol in frames.elements if symbol in FORMAL_CHARGES]
    counts = np.stack(
        [np.add.reduceat(frames.numbers == atomic_numbers[symbol], frames.offsets[:-1]) for symbol in ions]
        if ions
        else [np.zeros(len(frames), dtype=np.int64)],
        axis=1,
    )
    areas = np.linalg.norm(np.cross(frames.cells[:, 0], frames.cells[:, 1]), axis=1)
    compositions, owners = np.unique(counts, axis=0, return_inverse=True)
    entries = []
    for number, composition in enumerate(compositions.tolist()):
        own_areas = areas[owners.reshape(-1) == number]
        present = {symbol: count for symbol, count in zip(ions, composition) if count}
        state = charge_state_of_ions(present, float(own_areas.mean()), n_wet_sides)
        has_area = state.area > 0.0
        entries.append(
            {
                'label': state.label,
                'ions': state.ions,
                'metal_charge': state.metal_charge,
                'area': state.area,
                'area_range': [float(own_areas.min()), float(own_areas.max())],
                'surface_charge_e_per_angstrom2': state.surface_charge_density if has_area else None,
                'surface_charge_microcoulomb_per_cm2': (
                    state.surface_charge_density_microcoulomb_per_cm2 if has_area else None
                ),
                'n_frames': len(own_areas),
            }
        )
    return sorted(entries, key=lambda entry: str(entry['label']))
