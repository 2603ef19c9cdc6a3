"""At which temperatures a potential is run to find how ions diffuse, how often, and what is analysed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida.orm import Dict

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.typed_fields import checked_fields

SEED_STRIDE = 1000
"""Between the seeds of the first runs at two temperatures."""
OF_RUNS = ('temperature', 'seed')
"""Settings of molecular dynamics that follow from the run."""


class DiffusionSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class DiffusionRun:
    """One run of a potential."""

    label: str
    """Unique name, e.g. ``'T0700_replica_01'``."""
    temperature: float
    """Temperature [K]."""
    frame_index: int
    """Frame of the structure from which it begins."""
    seed: int
    """Seed of velocities and thermostat."""


@dataclass(frozen=True)
class DiffusionRunSettings:
    """The runs of a potential, and how its activation energy is fitted."""

    temperatures: tuple[float, ...] = (700.0, 850.0, 1000.0)
    """Temperatures [K]."""
    replicas: int = 3
    """Runs at each of them; of one migrating carrier only their scatter tells the error."""
    seed: int = 1
    """Seed of the first run; those of the others follow from it."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises DiffusionSettingsError: with the name, the value and the remedy.
        """
        if not self.temperatures or min(self.temperatures) <= 0.0:
            raise DiffusionSettingsError(
                f'temperatures are {list(self.temperatures)}, give at least one, all above 0 K'
            )
        if list(self.temperatures) != sorted(set(self.temperatures)):
            raise DiffusionSettingsError(
                f'temperatures are {list(self.temperatures)}, give each once and in increasing order'
            )
        for name, least in (('replicas', 1), ('seed', 0)):
            if getattr(self, name) < least:
                raise DiffusionSettingsError(f'{name} is {getattr(self, name)}, it must be at least {least}')
        if self.replicas >= SEED_STRIDE:
            raise DiffusionSettingsError(f'replicas is {self.replicas}, it must be below {SEED_STRIDE}')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DiffusionRunSettings:
        """Return checked settings from those that differ from the defaults.

        :raises DiffusionSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the runs', DiffusionSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {**dataclasses.asdict(self), 'temperatures': list(self.temperatures)}

    def runs(self, n_frames: int) -> list[DiffusionRun]:
        """Return all runs: those at one temperature begin from successive frames of the structure.

        :param n_frames: frames of the structure.
        """
        return [
            DiffusionRun(
                label=f'{temperature_label(temperature)}_replica_{replica + 1:02d}',
                temperature=temperature,
                frame_index=replica % n_frames,
                seed=self.seed + SEED_STRIDE * number + replica,
            )
            for number, temperature in enumerate(self.temperatures)
            for replica in range(self.replicas)
        ]


def temperature_label(temperature: float) -> str:
    """Return the label of a temperature.

    >>> temperature_label(700.0), temperature_label(912.5)
    ('T0700', 'T0912_5')

    :param temperature: temperature [K].
    """
    whole, _, rest = f'{temperature:.6g}'.partition('.')
    return f'T{int(whole):04d}' + (f'_{rest}' if rest else '')


def validate_runs(settings: Dict | None, _: Any) -> str | None:
    """Return one sentence if a setting of the runs does not exist or has a wrong value."""
    try:
        DiffusionRunSettings.from_dict({} if settings is None else settings.get_dict())
    except DiffusionSettingsError as error:
        return str(error)
    return None


def validate_md_of_runs(settings: Dict | None, _: Any) -> str | None:
    """Return one sentence if a setting of molecular dynamics is wrong, or is one that follows from the run."""
    values = {} if settings is None else settings.get_dict()
    if given := [name for name in OF_RUNS if name in values]:
        return f'md_settings holds {" and ".join(given)}, which each run has for itself: say it in settings'
    try:
        MDSettings.from_dict(values)
    except ValueError as error:
        return str(error)
    return None
