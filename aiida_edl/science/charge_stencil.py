"""Charge stencils: copies of one geometry whose metals carry different charges, from which derivatives by q are taken.

An MD frame ties the charge of the metal to the ions, so that a model cannot tell what either does. In a stencil the
atoms stay where they are and the charge alone changes. What neutralises the cell is up to whoever labels it: the
classical reference puts a sheet above the film (:mod:`aiida_edl.science.counter_sheet`), DFT with
``total_charge_column`` a uniform background; slopes by q of the two differ.

All charges of one geometry must be in one part of a split: the column ``geometry`` sees to it (method ``groups`` of
``edl.split_dataset``).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aiida_edl.science.frame_columns import RESULT_COLUMNS
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.group_splitting import GEOMETRY
from aiida_edl.science.metal_charge import METAL_CHARGE, TOTAL_CHARGE, ion_charges_of, metal_charges_of
from aiida_edl.typed_fields import checked_fields

SOURCE_INDEX = 'source_index'
"""Column of the index that a geometry has among the frames it comes from."""
DIGITS_OF_GEOMETRY = 12
"""Hexadecimal digits of the checksum that names a geometry."""
DECIMALS = 6
"""Decimals of positions and cells [Å] that the checksum takes."""


class ChargeStencilError(ValueError):
    """Settings or frames from which no stencil can be made."""


@dataclass(frozen=True)
class StencilSettings:
    """Which charges each geometry gets."""

    offsets: tuple[float, ...] = (-0.5, -0.25, 0.0, 0.25, 0.5)
    """Charges that are added to that of the metal [e]. Five give a derivative with an error estimate, and a model
    charges beyond the innermost three to learn from: without, the slope dE/dq of the charge-conditioned model of L. de
    Kam (lorem-jax) was not right."""
    n_geometries: int | None = None
    """Frames that are taken, evenly spaced; all if None."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ChargeStencilError: with the value and the remedy.
        """
        is_finite = all(math.isfinite(offset) for offset in self.offsets)
        if not is_finite or len(set(self.offsets)) < max(2, len(self.offsets)):
            raise ChargeStencilError(
                f'offsets are {list(self.offsets)} e; give at least two finite ones, none twice, e.g. [-0.25, 0, 0.25]'
            )
        if self.n_geometries is not None and self.n_geometries < 1:
            raise ChargeStencilError(f'n_geometries is {self.n_geometries}, it must be at least 1')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StencilSettings:
        """Return checked settings.

        :param values: fields that differ from their defaults.
        :raises ChargeStencilError: for an unknown name, with the nearest, or a value of a wrong type or range.
        """
        return cls(**checked_fields(cls, values, 'stencil setting', ChargeStencilError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {**asdict(self), 'offsets': list(self.offsets)}


def charge_stencil(frames: FrameSet, settings: StencilSettings | None = None) -> FrameSet:
    """Return every geometry at several charges of its metal, unlabelled, the charges of one geometry in succession.

    Columns of the result: ``geometry``, what names the geometry (that of the frames if they have it, else a checksum of
    atoms, positions and cell, so that stencils can be joined); ``metal_charge`` [e]; ``total_charge``, the charge that
    the cell has without a counter charge [e]; ``source_index``; and those of the frames, without results of a method.

    :param frames: the geometries; labels are left out.
    :param settings: the charges; None for the defaults.
    :raises ChargeStencilError: if a geometry occurs twice.
    """
    settings = settings or StencilSettings()
    chosen = np.arange(len(frames))
    if settings.n_geometries is not None and settings.n_geometries < len(frames):
        chosen = np.linspace(0, len(frames) - 1, settings.n_geometries).round().astype(np.int64)
    geometries = frames.without_labels().select(chosen)
    kept = {name: column for name, column in geometries.columns.items() if name not in RESULT_COLUMNS}
    names = np.array([geometry_name(frame) for frame in geometries])
    _check_unique(names, chosen)
    charges = metal_charges_of(geometries)
    n_charges = len(settings.offsets)
    copies = geometries.replaced_columns({GEOMETRY: names, **kept, SOURCE_INDEX: chosen})
    stencil = copies.select(np.repeat(np.arange(len(chosen)), n_charges))
    metal = np.repeat(charges, n_charges) + np.tile(np.asarray(settings.offsets), len(chosen))
    total = np.round(metal + ion_charges_of(stencil), 12) + 0.0  # no rounding error, no negative zero
    return stencil.with_columns(**{METAL_CHARGE: metal, TOTAL_CHARGE: total})


def geometry_name(frame: Frame) -> str:
    """Return a name of a geometry that depends on its atoms, positions, cell and periodicity alone.

    :param frame: the frame.
    """
    digest = hashlib.sha256(frame.numbers.astype(np.int64).tobytes())
    for array in (frame.positions, frame.cell):
        digest.update((np.round(array, DECIMALS) + 0.0).tobytes())
    digest.update(np.asarray(frame.pbc, dtype=bool).tobytes())
    return digest.hexdigest()[:DIGITS_OF_GEOMETRY]


def _check_unique(names: np.ndarray[Any, np.dtype[np.str_]], indices: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Refuse geometries that occur twice: their charges could not be told apart.

    :raises ChargeStencilError: with two of their indices.
    """
    first: dict[str, int] = {}
    for name, index in zip(names.tolist(), indices.tolist()):
        if name in first:
            raise ChargeStencilError(
                f'frames {first[name]} and {index} are one geometry; take each once, e.g. by edl.deduplicate_dataset'
            )
        first[name] = index
