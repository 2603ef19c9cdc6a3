"""Long-distance equivariant (LODE) descriptors of atoms, by featomic: neighbours together with the field of all others.

A. Grisafi and M. Ceriotti, J. Chem. Phys. 151, 204105 (2019), in the form of A. Grisafi, J. Nigam and M. Ceriotti,
Chem. Sci. 12, 2078 (2021): products of the expansion of the density of neighbours with that of the potential 1/r^p of
all atoms of a kind and their images. Without the second factor atoms beyond the cutoff are not seen.

Needs featomic, which the extra ``descriptors`` brings.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.typed_fields import checked_fields

EXPONENTS = (1, 2, 3, 4, 5, 6)


class LodeError(ValueError):
    """Settings or frames of which there are no such descriptors."""


@dataclass(frozen=True)
class LodeSettings:
    """How neighbours and the field of all others are expanded."""

    cutoff_radius: float = 5.0
    """Of the neighbours [Å]."""
    cutoff_width: float = 0.5
    """Width in which they fade out before it [Å]."""
    width: float = 0.4
    """Of the Gaussians on neighbours [Å]."""
    exponent: int = 1
    """p of the potential 1/r^p; 1 is that of charges."""
    smearing: float = 1.2
    """Of the Gaussians that make the potential [Å]."""
    field_radius: float = 3.0
    """Of the radial functions on which it is expanded around an atom [Å]."""
    max_angular: int = 2
    """Largest angular momentum; dimensionless."""
    max_radial: int = 3
    """Largest index of a radial function, from 0; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises LodeError: with the name, the value and the remedy.
        """
        for name in ('cutoff_radius', 'cutoff_width', 'width', 'smearing', 'field_radius'):
            if not getattr(self, name) > 0.0:
                raise LodeError(f'{name} is {getattr(self, name)} Å, it must be positive')
        if self.exponent not in EXPONENTS:
            raise LodeError(f'exponent is {self.exponent}, it must be from {EXPONENTS[0]} to {EXPONENTS[-1]}')
        for name in ('max_angular', 'max_radial'):
            if getattr(self, name) < 0:
                raise LodeError(f'{name} is {getattr(self, name)}, it must not be negative')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LodeSettings:
        """Return checked settings from what differs from the defaults.

        :raises LodeError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of LODE', LodeError))


@dataclass(frozen=True)
class LodeDescriptors:
    """Descriptors of atoms that do not change when a frame is turned or moved."""

    values: Floats
    """One row for each atom, frame by frame, shape ``(n_atoms, n_features)``."""
    features: tuple[tuple[str | int, ...], ...]
    """Of each column: element of the neighbours, element that makes the field, l, index of the radial function of the
    neighbours, and of the field."""


def lode_descriptors(frames: FrameSet, settings: LodeSettings, elements: Sequence[str] = ()) -> LodeDescriptors:
    """Return the descriptors of all atoms.

    :param frames: frames that are periodic along all cell vectors.
    :param settings: how they are made.
    :param elements: symbols in the order of the columns; those of the frames if none is given. Descriptors of several
        sets compare only if all have the same.
    :raises LodeError: for a frame that is open, an element that is unknown or not among them, or without featomic.
    """
    if len(is_open := np.flatnonzero(~frames.pbc.all(axis=1))):
        raise LodeError(
            f'frame {is_open[0]} is periodic along {frames.pbc[is_open[0]].tolist()}, LODE sums over images along all '
            'cell vectors: make it periodic with a vacuum in its cell'
        )
    if isinstance(elements, str) or any(symbol not in atomic_numbers for symbol in elements):
        raise LodeError(f'elements is {elements!r}, it must be a list of chemical symbols, e.g. ["O", "H"]')
    known = tuple(dict.fromkeys(elements)) or frames.elements
    if missing := [symbol for symbol in frames.elements if symbol not in known]:
        raise LodeError(f'the frames hold {", ".join(missing)}, elements are {", ".join(known)}; add them')
    kinds = [atomic_numbers[symbol] for symbol in known]
    if importlib.util.find_spec('featomic') is None:
        raise LodeError("LODE needs featomic, which is not there: pip install 'aiida-edl[descriptors]'")
    featomic = importlib.import_module('featomic')
    powers = importlib.import_module('featomic.clebsch_gordan').PowerSpectrum(
        featomic.SphericalExpansion(**_of_neighbours(settings)),
        featomic.LodeSphericalExpansion(**_of_field(settings)),
        neighbor_types=kinds,
    )
    systems = [
        Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
        for frame in (frames.frame(index) for index in range(len(frames)))
    ]
    block = powers.compute(systems).keys_to_samples('center_type').block()
    order = np.lexsort((block.samples.column('atom'), block.samples.column('system')))
    symbol_of = dict(zip(kinds, known))
    columns = [block.properties.column(name).tolist() for name in block.properties.names]
    places = [block.properties.names.index(name) for name in ('neighbor_1_type', 'neighbor_2_type', 'l', 'n_1', 'n_2')]
    features = tuple(
        (symbol_of[first], symbol_of[second], *numbers)
        for first, second, *numbers in zip(*(columns[place] for place in places))
    )
    return LodeDescriptors(np.ascontiguousarray(block.values[order]), features)


def _of_neighbours(settings: LodeSettings) -> dict[str, Any]:
    """Return what featomic is told of the neighbours."""
    radial = {'type': 'Gto', 'max_radial': settings.max_radial}
    return {
        'cutoff': {
            'radius': settings.cutoff_radius,
            'smoothing': {'type': 'ShiftedCosine', 'width': settings.cutoff_width},
        },
        'density': {'type': 'Gaussian', 'width': settings.width},
        'basis': {'type': 'TensorProduct', 'max_angular': settings.max_angular, 'radial': radial},
    }


def _of_field(settings: LodeSettings) -> dict[str, Any]:
    """Return what featomic is told of the field of all atoms."""
    radial = {'type': 'Gto', 'max_radial': settings.max_radial, 'radius': settings.field_radius}
    return {
        'density': {'type': 'SmearedPowerLaw', 'smearing': settings.smearing, 'exponent': settings.exponent},
        'basis': {'type': 'TensorProduct', 'max_angular': settings.max_angular, 'radial': radial},
    }
