"""What an activation energy is found with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

QUANTITIES = ('tracer', 'charge')
"""Diffusion coefficients that an activation energy may be that of."""


class ArrheniusSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class ArrheniusSettings:
    """Quantity, level and random numbers of :func:`~aiida_edl.science.analysis.arrhenius.arrhenius`."""

    quantity: str = 'tracer'
    """Which coefficient: ``'tracer'`` or ``'charge'``."""
    confidence: float = 0.95
    """Level of the intervals."""
    prediction_temperatures: tuple[float, ...] = (300.0,)
    """Temperatures [K] at which D is predicted."""
    maximum_p_fall: float = 0.01
    """Probability below which a D that falls with the temperature is no chance."""
    n_samples: int = 20000
    """Lines of the bootstrap."""
    seed: int = 1
    """Of the random numbers."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ArrheniusSettingsError: with the name, the value and the remedy.
        """
        if self.quantity not in QUANTITIES:
            raise ArrheniusSettingsError(unknown_name_message('quantity', self.quantity, QUANTITIES))
        for name in ('confidence', 'maximum_p_fall'):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ArrheniusSettingsError(f'{name} is {getattr(self, name)}; it must lie between 0 and 1')
        if any(temperature <= 0.0 for temperature in self.prediction_temperatures):
            raise ArrheniusSettingsError(
                f'prediction_temperatures is {list(self.prediction_temperatures)}; temperatures must be positive'
            )
        if self.n_samples < 1000:
            raise ArrheniusSettingsError(f'n_samples is {self.n_samples}; an interval needs at least 1000')
        if self.seed < 0:
            raise ArrheniusSettingsError(f'seed is {self.seed}, it must not be negative')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArrheniusSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ArrheniusSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the activation energy', ArrheniusSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self) | {'prediction_temperatures': list(self.prediction_temperatures)}
