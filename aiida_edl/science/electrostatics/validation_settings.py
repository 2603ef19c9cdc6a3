"""What a validation of summation methods covers: cases, programs, precisions and accuracies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.typed_fields import checked_fields

PROGRAMS = ('compiled_float64', 'torch_float64', 'torch_float32')
"""Programs with their precision."""
FURTHER_CASES = (
    'eight_ions_1',
    'eight_ions_2',
    'eight_ions_3',
    'water',
    'water_sheared',
    'nacl_sheared',
    'nacl_elongated',
    'nacl_charged',
    'film',
    'film_charged',
)
"""Cases besides the lattices."""
CASE_NAMES = (*REFERENCE_LATTICES, *FURTHER_CASES)
"""All cases, in the order in which they are computed."""
LEAST_TARGET = 1e-10
"""Smallest force error that can be asked for [eV/Å]: the reference must be a thousand times better."""


LEAST_DRIFT_STEPS = 100
"""Fewest steps from which a drift is judged."""


class ValidationSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class ValidationSettings:
    """What a validation covers; the default is everything that runs on a processor within minutes."""

    cases: tuple[str, ...] = CASE_NAMES
    """Names of cases."""
    programs: tuple[str, ...] = ('compiled_float64',)
    """``'compiled_float64'``, ``'torch_float64'``, ``'torch_float32'``."""
    targets: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
    """Root mean square force errors that are asked for [eV/Å]."""
    drift_targets: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4)
    """Those for which molten salt is run at constant energy [eV/Å]."""
    drift_steps: int = 1000
    """Steps of 1 fs of such a run; 0 for none."""

    def __post_init__(self) -> None:
        """Check names and ranges.

        :raises ValidationSettingsError: with the value and the remedy.
        """
        for kind, given, known in (('case', self.cases, CASE_NAMES), ('program', self.programs, PROGRAMS)):
            if not given:
                raise ValidationSettingsError(f'no {kind} is given, known are {", ".join(known)}')
            for name in given:
                if name not in known:
                    raise ValidationSettingsError(unknown_name_message(f'{kind} of the validation', name, known))
        if not self.targets:
            raise ValidationSettingsError('no target is given, name at least one force error [eV/Å]')
        if self.drift_steps < 0 or 0 < self.drift_steps < LEAST_DRIFT_STEPS:
            raise ValidationSettingsError(
                f'drift_steps is {self.drift_steps}, a drift takes {LEAST_DRIFT_STEPS} steps or more, or 0 for none'
            )
        for target in (*self.targets, *self.drift_targets):
            if target < LEAST_TARGET:
                raise ValidationSettingsError(
                    f'the target {target:g} eV/Å is below {LEAST_TARGET:g} eV/Å, to which a reference is converged'
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ValidationSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ValidationSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the validation', ValidationSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
