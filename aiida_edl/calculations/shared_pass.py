"""Several observables along the normal of one trajectory from one pass over it, though each has its calcfunction.

One calcfunction for all would make each observable depend on the settings of the others, and one that cannot be had
would cost all. So each stays a function of a trajectory and of its own settings. A work chain announces which it is
going to ask for; the first that runs computes all in one pass, and the others fetch theirs from memory. What is not
there, because a worker was restarted in between, say, each computes for itself: the same, but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.angular_settings import AngularSettings
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.potential_settings import PotentialSettings
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.z_observables import wanted_observables

SETTINGS: dict[str, Any] = {
    'interface_profiles': ProfileSettings,
    'angular_distributions': AngularSettings,
    'potential_profile': PotentialSettings,
}
"""Settings of each analysis that one pass can do, in the order of its arguments."""
SAME_FRAMES = ('equilibration_frames', 'replica_column')
"""Settings by which a pass chooses its frames."""
MOST_PASSES = 8
"""Passes that are held; of more, the one announced first is forgotten."""


@dataclass
class _Pass:
    """What one pass is to find, and what of it was not fetched yet."""

    wanted: dict[str, Any]
    found: dict[str, Any] = field(default_factory=dict)
    is_done: bool = False


_PASSES: dict[str, _Pass] = {}
"""By the UUID of the trajectory."""


def announce(trajectory: DatasetData, analyses: Mapping[str, Mapping[str, Any]]) -> None:
    """Say which analyses of a trajectory will be asked for; nothing is computed yet.

    Analyses that no pass can do are left out, and so are those that take other frames than the first.

    :param trajectory: the trajectory.
    :param analyses: settings by name of the analysis.
    """
    wanted: dict[str, Any] = {}
    for name, kind in SETTINGS.items():
        if name not in analyses:
            continue
        settings = kind.from_dict(analyses[name])
        first = next(iter(wanted.values()), settings)
        if all(getattr(settings, key) == getattr(first, key) for key in SAME_FRAMES):
            wanted[name] = settings
    _PASSES.pop(trajectory.uuid, None)
    if len(wanted) > 1:
        _PASSES[trajectory.uuid] = _Pass(wanted)
    while len(_PASSES) > MOST_PASSES:
        del _PASSES[next(iter(_PASSES))]


def fetch(name: str, trajectory: DatasetData, settings: Any) -> Any | None:
    """Return what an announced pass finds for one analysis, once; None if it must be computed alone.

    :param name: name of the analysis.
    :param trajectory: the trajectory.
    :param settings: its settings.
    """
    announced = _PASSES.get(trajectory.uuid)
    if announced is None or announced.wanted.get(name) != settings:
        return None
    if not announced.is_done:
        wanted = announced.wanted
        try:
            observables = wanted_observables(trajectory.frames(), *(wanted.get(key) for key in SETTINGS))
        except NotAnalysableError:  # each alone says why, or is done where another cannot be
            del _PASSES[trajectory.uuid]
            return None
        announced.found = dict(zip(SETTINGS, vars(observables).values(), strict=True))
        announced.is_done = True
    result = announced.found.pop(name, None)
    if not any(value is not None for value in announced.found.values()):
        del _PASSES[trajectory.uuid]
    return result
