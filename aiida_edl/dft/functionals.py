"""Exchange-correlation functionals and dispersion corrections that the engines have in common."""

from __future__ import annotations

from enum import Enum


class Functional(str, Enum):
    """Exchange-correlation functional; the value is what the D3 correction calls it."""

    PBE = 'PBE'
    RPBE = 'RPBE'
    REVPBE = 'revPBE'


class Dispersion(str, Enum):
    """D3 correction for dispersion; the damping matters: zero and Becke-Johnson differ by a factor of 3 on gold."""

    NONE = 'none'
    D3_ZERO = 'd3_zero'
    D3_BJ = 'd3_bj'

    @property
    def in_words(self) -> str:
        """The correction as a level of theory names it."""
        words = {
            Dispersion.NONE: 'without dispersion correction',
            Dispersion.D3_ZERO: 'D3 with zero damping',
            Dispersion.D3_BJ: 'D3 with Becke-Johnson damping',
        }
        return words[self]
