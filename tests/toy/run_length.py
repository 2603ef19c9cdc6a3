"""A registered analysis in miniature: how many frames a run has, and what else it was given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl import registry
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.typed_fields import checked_fields
from aiida_edl.workflows import registered_analyses

NAME = 'run_length'


@dataclass(frozen=True)
class RunLengthSettings:
    """Settings of the toy."""

    fewest_frames: int = 1
    """A run with fewer frames cannot be analysed."""

    @classmethod
    def from_dict(cls, values: Any) -> RunLengthSettings:
        """Return checked settings."""
        return cls(**checked_fields(cls, values, 'setting', ValueError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self)


@calcfunction
def run_length(
    trajectory: DatasetData, settings: Dict, series: ArrayData | None = None, training: DatasetData | None = None
) -> Dict:
    """Count frames."""
    fewest = RunLengthSettings.from_dict(settings.get_dict()).fewest_frames
    if trajectory.n_frames < fewest:
        raise NotAnalysableError(f'{trajectory.n_frames} frames are fewer than {fewest}')
    return Dict(
        {
            'frames': trajectory.n_frames,
            'rows': None if series is None else len(series.get_array('time')),
            'training_frames': None if training is None else training.n_frames,
        }
    )


class RunLengthEntryPoint:
    """Entry point of the toy, as ``importlib.metadata`` gives it."""

    name = NAME

    def load(self) -> type[RunLengthSettings]:
        """Return the class of the settings."""
        return RunLengthSettings


def register_run_length(monkeypatch: Any) -> None:
    """Register the toy beside the analyses of the package."""
    found, factory = registry.entry_points, registered_analyses.CalculationFactory

    def entry_points(group: str) -> list[Any]:
        extra = [RunLengthEntryPoint()] if group == registry.ANALYSES else []
        return [*found(group=group), *extra]

    monkeypatch.setattr(registry, 'entry_points', entry_points)
    monkeypatch.setattr(
        registered_analyses, 'CalculationFactory', lambda name: run_length if name == f'edl.{NAME}' else factory(name)
    )
