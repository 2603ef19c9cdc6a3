"""How the errors of a potential are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.error_metrics import EnergyZero
from aiida_edl.typed_fields import checked_fields


class ErrorSettingsError(ValueError):
    """A way to take errors that does not exist; the message says what would be right."""


@dataclass(frozen=True)
class ErrorSettings:
    """How the errors of a potential are taken."""

    energy_zero: str = EnergyZero.AS_PREDICTED.value
    """``'as_predicted'`` to compare energies as they are, ``'fitted_per_element'`` to take a fitted energy for each
    element off the predictions first, for a model whose labels have another zero of energy."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ErrorSettingsError: for an unknown key or value; the nearest is named.
        """
        settings = cls(**checked_fields(cls, values, 'setting', ErrorSettingsError, ' of errors'))
        known = [member.value for member in EnergyZero]
        if settings.energy_zero not in known:
            raise ErrorSettingsError(unknown_name_message('energy_zero of errors', settings.energy_zero, known))
        return settings
