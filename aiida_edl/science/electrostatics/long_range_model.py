"""Electrostatics of fixed charges beside a short-range potential: taken off its labels, and added to what it gives.

The labels of the short-range potential are those of the whole less the Coulomb energy of point charges, with all their
images, and its derivatives; what it gives plus that energy is the whole again. Any potential can be trained so. The
charges are a choice, not a result: what they miss, the potential learns as far as it sees.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.fft
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charged_system import NEUTRAL, ChargedSystem
from aiida_edl.science.electrostatics.slab_correction import film_stretch
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.typed_fields import checked_fields

MODES = ('subtracted',)
"""How the electrostatics comes in."""
FRAME_PBC = 'frame_pbc'
"""Entry of ``atoms.info`` with the periodicity of a frame, where the short-range potential sees another one."""
MESH_TOLERANCE = 1.02
"""By how much a cell may be longer than the one that was tuned before its mesh gets more points."""


class LongRangeModelError(ValueError):
    """Charges or settings that do not make an energy, or do not go with a frame."""


@dataclass(frozen=True)
class LongRangeModel:
    """Point charges by element, and how their energy is summed."""

    charges: Mapping[str, float] = field(default_factory=dict)
    """Charge of the atoms of each element [e]."""
    balanced_by: str = ''
    """Element whose atoms share the charge that makes a frame neutral, e.g. that of an electrode; it has no entry in
    ``charges``. Without it frames must be neutral by themselves."""
    summation: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`~aiida_edl.science.electrostatics.summation_settings.SummationSettings`."""
    tuned_lengths: tuple[float, float, float] | None = None
    """Lengths of the cell vectors on which the mesh was tuned [Å]; a longer cell gets as many points more. Without
    them every cell has the mesh as it is given."""
    force_error: float = 1e-5
    """Root mean square force error for which the numbers were tuned [eV/Å]; programs that choose their own are asked
    for the same."""
    mode: str = 'subtracted'
    """Taken off the labels, and added to what the potential gives."""

    def __post_init__(self) -> None:
        """Check what can be known without a frame.

        :raises LongRangeModelError: with the value and the remedy.
        """
        if self.mode not in MODES:
            raise LongRangeModelError(
                f"the mode of long_range is '{self.mode}', it must be 'subtracted', or 'joint' in a training of an "
                'architecture that learns its own; leave long_range out for none'
            )
        if not self.charges:
            raise LongRangeModelError('long_range has no charges; give one for each element, e.g. {"Na": 1.0}')
        for symbol in (*self.charges, *([self.balanced_by] if self.balanced_by else [])):
            if symbol not in atomic_numbers:
                raise LongRangeModelError(f"'{symbol}' in long_range is no chemical symbol")
        for symbol, charge in self.charges.items():
            if isinstance(charge, bool) or not isinstance(charge, int | float) or not np.isfinite(charge):
                raise LongRangeModelError(f'the charge of {symbol} is {charge!r}, it must be a number [e]')
        if self.balanced_by in self.charges:
            raise LongRangeModelError(
                f'{self.balanced_by} balances the charge of a frame and has a charge of '
                f'{self.charges[self.balanced_by]:g} e as well; leave one of them out'
            )
        if self.force_error <= 0.0:
            raise LongRangeModelError(f'force_error is {self.force_error} eV/Å, it must be positive')
        if not self.summation:
            raise LongRangeModelError('long_range has no summation; run edl.tune_long_range to get its numbers')
        self.settings.to_dict()

    @property
    def settings(self) -> SummationSettings:
        """Numbers of the sum."""
        return SummationSettings.from_dict(self.summation)

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements that have a charge, ordered by atomic number."""
        symbols = {*self.charges, *([self.balanced_by] if self.balanced_by else [])}
        return tuple(sorted(symbols, key=lambda symbol: atomic_numbers[symbol]))

    def settings_for(self, cell: Floats) -> SummationSettings:
        """Return the numbers of the sum for a cell: the mesh is not coarser than the one that was tuned.

        :param cell: cell vectors of :meth:`system_of` as rows [Å], shape ``(3, 3)``.
        """
        settings = self.settings
        if settings.mesh is None or self.tuned_lengths is None:
            return settings
        lengths = np.linalg.norm(cell, axis=1)
        first, second, third = (
            n if length <= tuned * MESH_TOLERANCE else int(scipy.fft.next_fast_len(math.ceil(n * length / tuned)))
            for n, length, tuned in zip(settings.mesh, lengths, self.tuned_lengths)
        )
        return dataclasses.replace(settings, mesh=(first, second, third))

    def charges_of(self, numbers: NDArray[Any]) -> Floats:
        """Return the charge of each atom [e], shape ``(n_atoms,)``.

        :param numbers: atomic numbers, shape ``(n_atoms,)``.
        :raises LongRangeModelError: if an element has no charge, or the frame is not neutral.
        """
        symbols = [chemical_symbols[int(number)] for number in np.unique(numbers)]
        if missing := [symbol for symbol in symbols if symbol not in self.elements]:
            raise LongRangeModelError(
                f'{", ".join(missing)} has no charge in long_range, which has {", ".join(self.elements)}; 0 is a '
                'charge too'
            )
        table = np.zeros(max(atomic_numbers.values()) + 1)
        for symbol, charge in self.charges.items():
            table[atomic_numbers[symbol]] = charge
        charges: Floats = table[np.asarray(numbers, dtype=int)]
        net = float(charges.sum())
        if self.balanced_by:
            balancing = np.asarray(numbers) == atomic_numbers[self.balanced_by]
            if balancing.any():
                charges[balancing] = -net / balancing.sum()
                return charges
        if abs(net) > NEUTRAL and not self.settings.has_background:
            raise LongRangeModelError(
                f'the charges of a frame sum to {net:g} e; change them, name an element in balanced_by, or state the '
                'uniform background by has_background'
            )
        return charges

    def system_of(self, frame: Frame) -> ChargedSystem:
        """Return a frame as charges in the cell of the sum: that of the frame, lengthened where a film lacks vacuum.

        :param frame: the frame.
        :raises LongRangeModelError: if an element has no charge, or the frame is not neutral.
        """
        system = ChargedSystem(
            np.asarray(frame.positions, dtype=float),
            np.asarray(frame.cell, dtype=float),
            self.charges_of(frame.numbers),
            np.asarray(frame.pbc, dtype=bool),
        )
        stretch = film_stretch(system)
        return (
            system if stretch == 1 else dataclasses.replace(system, cell=system.cell * np.array([[1], [1], [stretch]]))
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LongRangeModel:
        """Return a checked model from what differs from the defaults.

        :raises LongRangeModelError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'key of long_range', LongRangeModelError))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        values = dataclasses.asdict(self)
        lengths = None if self.tuned_lengths is None else list(self.tuned_lengths)
        return {**values, 'tuned_lengths': lengths, 'charges': dict(self.charges), 'summation': self.settings.to_dict()}
