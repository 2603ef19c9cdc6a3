"""What is asked of the electrostatics beside a potential before its sum is tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from aiida_edl.science.electrostatics.long_range_model import LongRangeModel, LongRangeModelError
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.typed_fields import checked_fields

TUNED_METHODS = ('p3m', 'ewald')


@dataclasses.dataclass(frozen=True)
class TuningRequest:
    """What a tuning is asked for."""

    charges: dict[str, float] = dataclasses.field(default_factory=dict)
    """Charge of the atoms of each element [e]."""
    balanced_by: str = ''
    """Element whose atoms share the charge that makes a frame neutral."""
    force_error: float = 1e-5
    """Root mean square force error that is asked for [eV/Å]."""
    method: str = 'p3m'
    """``'p3m'`` or ``'ewald'``."""
    cutoff_radius: float | None = None
    """Cutoff of the pairs [Å]; the one of least work if not given."""
    has_background: bool = False
    """Whether a uniform background neutralises a net charge."""
    frame_index: int = 0
    """Frame on which the error is measured."""

    def __post_init__(self) -> None:
        """Check what can be known without a frame.

        :raises LongRangeModelError: with the value and the remedy.
        """
        if self.method not in TUNED_METHODS:
            raise LongRangeModelError(
                f"the method of long_range is '{self.method}', it must be one of {', '.join(TUNED_METHODS)}"
            )
        if self.cutoff_radius is not None and self.cutoff_radius <= 0.0:
            raise LongRangeModelError(f'the cutoff_radius of long_range is {self.cutoff_radius} Å, it must be positive')
        self.untuned()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TuningRequest:
        """Return a checked request from what differs from the defaults.

        :param values: fields by name.
        :raises LongRangeModelError: for an unknown key or a wrong value.
        """
        return cls(**checked_fields(cls, values, 'setting of the tuning', LongRangeModelError))

    def untuned(self) -> LongRangeModel:
        """Return the charges with a sum that has no numbers yet.

        :raises LongRangeModelError: if they make no energy.
        """
        unsummed = SummationSettings('direct', has_background=self.has_background)
        return LongRangeModel(
            charges=self.charges,
            balanced_by=self.balanced_by,
            summation=unsummed.to_dict(),
            force_error=self.force_error,
        )
