"""Reasons that gather while a run is judged, and what could not be judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiida_edl.science.analysis.run_quality_settings import EXPLODED, RunQualitySettings
from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class Criterion:
    """One line of the rule of exclusion."""

    name: str
    """Its name."""
    what: str
    """What is looked at, in words."""
    limit: float
    """What is allowed."""
    unit: str = ''
    """Unit of the limit; ``''`` without one."""

    def sentence(self, value: float, time: float | None = None) -> str:
        """Return what was found, in words.

        :param value: what was found, in its unit.
        :param time: when [fs]; None for the run as a whole.
        """
        unit = f' {self.unit}' if self.unit else ''
        when = '' if time is None else f' at {time:g} fs'
        return f'{self.what} is {value:.4g}{unit}{when}, the limit is {self.limit:.4g}{unit}'


@dataclass
class Judgement:
    """What has been found so far."""

    settings: RunQualitySettings
    """The limits."""
    reasons: list[dict[str, Any]] = field(default_factory=list)
    """What excludes the run."""
    not_judged: list[str] = field(default_factory=list)
    """What could not be judged, one sentence each."""
    remarks: list[str] = field(default_factory=list)
    """What a reader should know although it excludes nothing, one sentence each."""

    def add(self, criterion: Criterion, value: float, time: float | None = None) -> None:
        """Add a reason.

        :param criterion: the criterion that does not hold.
        :param value: what was found, in its unit.
        :param time: when it was first seen [fs]; None for the run as a whole.
        """
        reason = {'name': criterion.name, 'value': float(value), 'limit': float(criterion.limit)}
        sentence = criterion.sentence(value, time)
        self.reasons.append({**reason, 'unit': criterion.unit, 'time': time, 'sentence': sentence})

    def add_explosion(self, time: float) -> None:
        """Add that the program itself ended the run.

        :param time: time of the last frame [fs].
        """
        sentence = f'the program ended the run after {time:g} fs because it exploded'
        reason = {'name': EXPLODED, 'value': time, 'limit': None, 'unit': 'fs', 'time': time}
        self.reasons.append({**reason, 'sentence': sentence})

    def add_first_above(self, criterion: Criterion, times: Floats, values: Floats) -> None:
        """Add the first of some values that exceeds the limit, if there is one.

        :param criterion: the criterion.
        :param times: times [fs], shape ``(n_values,)``.
        :param values: what was found, in its unit, shape ``(n_values,)``.
        """
        if (above := np.flatnonzero(values > criterion.limit)).size:
            first = int(above[0])
            self.add(criterion, float(values[first]), float(times[first]))

    def hot_or_cold(self, name: str, what: str, mean: float, error: float) -> Criterion | None:
        """Return the criterion by which a mean temperature deviates from the target; None if it does not.

        It deviates if it does so by more than the tolerance, and by more than its error allows.

        :param name: name of the criterion.
        :param what: which temperature, in words.
        :param mean: the mean [K].
        :param error: its standard error [K].
        """
        target, settings = self.settings.temperature, self.settings
        tolerated = settings.temperature_tolerance * target
        if not target or abs(mean - target) <= max(tolerated, settings.significance * error):
            return None
        return Criterion(name, what, target + np.copysign(tolerated, mean - target), 'K')

    @property
    def is_seen_in_a_frame(self) -> bool:
        """Whether a stored frame shows an event."""
        return any(reason['name'] != EXPLODED for reason in self.reasons)
