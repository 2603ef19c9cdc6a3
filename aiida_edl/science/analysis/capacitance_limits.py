r"""Limits of a capacitance from its inverse, which is what the potential drops measure.

The slope of the potential drop over the charge, :math:`1/C`, has a symmetric error; its reciprocal has not. The limits
of C are the reciprocals of those of the slope,

.. math:: \left[\frac{1}{s + k \sigma_s}, \frac{1}{s - k \sigma_s}\right],

with k the normal quantile or, where the error is the scatter of a few numbers, that of Student's t. If the limits of
the slope have different signs, those of C are not bounded: every capacitance above the first or below the second agrees
with the drops. Source: E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954), for a numerator that is known.

There is no symmetric bar on C, for it would select: of series of three states with a true C of 20 µF/cm² and a slope
3.2 standard errors from zero, 2 in 100 exceed five of them, all are too steep, and no bar of 1.96 errors holds the
truth; those chosen for two errors at a true slope of 1.3 have a median of half the truth. The limits are always given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
"""Level of the limits."""
UNIT = 'µF/cm²'
"""Unit of a capacitance."""


@dataclass(frozen=True)
class InverseCapacitance:
    """A slope of the potential drop over the charge, and the capacitance that follows; NaN where nothing does."""

    inverse: float
    """Slope of the potential drop over the surface charge, 1/C [cm²/µF]."""
    inverse_error: float
    """Its standard error [cm²/µF], symmetric."""
    inverse_low: float
    """Lower limit of the slope at the level :data:`CONFIDENCE` [cm²/µF]."""
    inverse_high: float
    """Its upper limit [cm²/µF]."""

    @property
    def capacitance(self) -> float:
        """Reciprocal of the slope, whatever its error [µF/cm²]; negative if the drop falls while the charge rises."""
        return _reciprocal(self.inverse)

    @property
    def is_bounded(self) -> bool:
        """Whether the capacitance lies between its limits, so that its sign is known."""
        return bool(self.inverse_low * self.inverse_high > 0.0)

    @property
    def capacitance_low(self) -> float:
        """Lower limit [µF/cm²]; if not bounded, capacitances above it or below the upper one agree with the drops."""
        return _reciprocal(self.inverse_high)

    @property
    def capacitance_high(self) -> float:
        """Upper limit [µF/cm²]; below the lower one if not bounded."""
        return _reciprocal(self.inverse_low)

    def row(self) -> dict[str, float | bool]:
        """Return slope, capacitance and limits by name."""
        names = ('inverse', 'inverse_error', 'capacitance', 'capacitance_low', 'capacitance_high')
        return {name: getattr(self, name) for name in names} | {'is_bounded': self.is_bounded}

    def in_words(self) -> str:
        """Return the capacitance with its limits, or what the limits leave of it; empty if there is no slope."""
        if not np.isfinite(self.inverse):
            return ''
        head = f'1/C = {self.inverse:.3g}'
        if not np.isfinite(self.inverse_error):
            return f'{head} cm²/µF, of unknown error'
        head = f'{head} ± {self.inverse_error:.2g} cm²/µF'
        level = f'{100 * CONFIDENCE:.0f} %'
        if self.is_bounded:
            limits = f'{level}: {self.capacitance_low:.3g} to {self.capacitance_high:.3g}'
            return f'C = {self.capacitance:.3g} {UNIT} ({limits}; {head})'
        beyond = [f'above {self.capacitance_low:.3g}'] if self.inverse_high > 0.0 else []
        beyond += [f'below {self.capacitance_high:.3g}'] if self.inverse_low < 0.0 else []
        return f'C is not bounded: {" or ".join(beyond)} {UNIT} ({level}; {head})'


def from_slope(slope: float, error: float) -> InverseCapacitance:
    """Return what follows from a slope whose error is known.

    :param slope: slope of the potential drop over the surface charge [cm²/µF].
    :param error: its standard error [cm²/µF].
    """
    reach = float(stats.norm.ppf(0.5 + CONFIDENCE / 2.0)) * error
    return InverseCapacitance(slope, error, slope - reach, slope + reach)


def unknown() -> InverseCapacitance:
    """Return that there is no slope."""
    return from_slope(float('nan'), float('nan'))


def _reciprocal(value: float) -> float:
    """Return the reciprocal, of zero infinity."""
    return 1.0 / value if value != 0.0 else float('inf')
