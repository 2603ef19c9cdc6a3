"""By which limits a run of molecular dynamics counts as physical."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

ENSEMBLES = ('', 'nve', 'nvt', 'npt')
EXPLODED = 'exploded'
"""Outcome of a run that its own program ended because it left physics."""
OUTCOMES = (
    '',
    'finished',
    'out_of_walltime',
    'out_of_memory',
    'device_missing',
    'device_lost',
    EXPLODED,
    'output_incomplete',
)


class RunQualitySettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class RunQualitySettings:
    """What was run, and the limits of the rule of exclusion of :mod:`~aiida_edl.science.analysis.run_quality`."""

    temperature: float = 0.0
    """Temperature that was asked for [K]; 0 if it is not known, then it is not judged."""
    ensemble: str = ''
    """``'nve'``, ``'nvt'``, ``'npt'``; ``''`` if it is not known, then a thermostat is assumed."""
    outcome: str = ''
    """How the run ended by its summary: ``'exploded'`` ends its survival at the last frame; ``''`` if not known."""
    hot_factor: float = 3.0
    """An instantaneous temperature above so many times the target has left physics."""
    contact_fraction: float = 0.6
    """Two atoms closer than this fraction of the sum of their covalent radii have left physics (radii of ASE)."""
    maximum_force: float = 50.0
    """Largest force on an atom, where forces are stored [eV/Å]."""
    maximum_bond_length: float = 1.6
    """Distance from its nearest oxygen beyond which a hydrogen counts as broken off [Å]."""
    maximum_irregular_fraction: float = 0.05
    """Share of oxygen without exactly two bound hydrogens that a frame may hold."""
    evaporation_gap: float = 6.0
    """Empty slice along the normal that separates evaporated atoms from the rest [Å]."""
    maximum_evaporated_atoms: int = 0
    """Atoms that may be beyond such a slice."""
    temperature_tolerance: float = 0.03
    """Relative deviation of the mean temperature that is allowed; of one element, beyond which it is remarked on."""
    maximum_energy_drift: float = 1.0
    """Drift of the conserved energy that is allowed [meV/(atom ps)]; a thermostat that relaxes in 0.1 ps and takes up 1
    meV/(atom ps) is off by 0.8 K."""
    maximum_slab_drift: float = 1.0
    """Largest displacement of the centre of mass of the metal from its start [Å]."""
    significance: float = 4.0
    """Standard errors by which a mean must deviate, beside its limit, to count."""
    significance_level: float = 0.01
    """Chance by which runs that sample the canonical ensemble fail the test of their distribution."""
    equilibration_fraction: float = 0.2
    """Share of the run at its beginning that means, distributions and drifts leave out."""
    pair_range: float = 3.0
    """Range within which distances of pairs of elements are compared with those of a training set [Å]."""
    pair_stride: int = 1
    """Distances are looked at in each of so many frames."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises RunQualitySettingsError: with the name, the value and the remedy.
        """
        for name, value, known in (('ensemble', self.ensemble, ENSEMBLES), ('outcome', self.outcome, OUTCOMES)):
            if value not in known:
                raise RunQualitySettingsError(unknown_name_message(name, value, known))
        for name in ('hot_factor', 'contact_fraction', 'maximum_force', 'maximum_bond_length', 'evaporation_gap',
                     'temperature_tolerance', 'maximum_energy_drift', 'maximum_slab_drift', 'significance',
                     'pair_range', 'pair_stride'):  # fmt: skip
            if getattr(self, name) <= 0:
                raise RunQualitySettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        for name in ('temperature', 'maximum_irregular_fraction', 'maximum_evaporated_atoms'):
            if getattr(self, name) < 0:
                raise RunQualitySettingsError(f'{name} is {getattr(self, name)}, it must not be negative')
        if not 0.0 < self.significance_level < 1.0:
            raise RunQualitySettingsError(
                f'significance_level is {self.significance_level}, it must lie between 0 and 1'
            )
        if not 0.0 <= self.equilibration_fraction < 1.0:
            raise RunQualitySettingsError(
                f'equilibration_fraction is {self.equilibration_fraction}, it must be at least 0 and below 1'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunQualitySettings:
        """Return checked settings from those that differ from the defaults.

        :raises RunQualitySettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the quality of a run', RunQualitySettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self)
