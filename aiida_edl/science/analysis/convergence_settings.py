"""How long a run should be: the errors that are wanted, and what counts as settled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.profile_settings import SURFACE_CHOICES
from aiida_edl.typed_fields import checked_fields


class ConvergenceSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class ConvergenceSettings:
    """Wanted errors and limits of :func:`~aiida_edl.science.analysis.convergence.convergence`.

    The wanted errors are choices of the project: about what tells potentials apart at a charged interface.
    """

    first_layer_count: float = 0.1
    """Wanted standard error of the waters in the first layer, per surface."""
    first_layer_mean_cosine: float = 0.01
    """Wanted standard error of ⟨cos θ⟩ of the first layer."""
    ion_height: float = 0.1
    """Wanted standard error of the mean height of the ions above the nearest surface [Å]."""
    solvent_dipole: float = 0.5
    """Wanted standard error of the total solvent dipole along the normal [e Å]."""
    potential_step: float = 0.05
    """Wanted standard error of the step of the potential from the metal to the vacuum, by fixed charges [V]."""
    temperature: float = 1.0
    """Wanted standard error of the temperature [K]."""
    potential_energy: float = 0.05
    """Wanted standard error of the potential energy [eV]."""
    minimum_independent: float = 25.0
    """Independent samples below which a correlation time, and the error that follows, is not trusted: a series should
    be fifty correlation times long (A. D. Sokal 1997)."""
    maximum_drift: float = 3.0
    """Difference of the means of both halves, in its standard errors, up to which a run counts as settled."""
    first_layer_bound: float = 4.0
    """Height of the oxygen below which a water belongs to the first layer [Å]."""
    hydrogen_charge: float = 0.41
    """Charge of H, half of that of O, by which dipoles of water are weighed [e]; that of SPC/Fw."""
    surfaces: str = 'average'
    """``'average'`` over all wet surfaces, ``'lower'`` or ``'upper'``."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ConvergenceSettingsError: with the name, the value and the remedy.
        """
        if self.surfaces not in SURFACE_CHOICES:
            raise ConvergenceSettingsError(unknown_name_message('choice of surfaces', self.surfaces, SURFACE_CHOICES))
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, float) and value <= 0.0:
                raise ConvergenceSettingsError(f'{name} is {value}, it must be positive')
        if self.equilibration_frames < 0:
            raise ConvergenceSettingsError(
                f'equilibration_frames is {self.equilibration_frames}, it must not be negative'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConvergenceSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ConvergenceSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the convergence', ConvergenceSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self)
