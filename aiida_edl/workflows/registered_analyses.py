"""The analyses of a trajectory that are registered: settings checked, calcfunction found, what else it takes.

An analysis is a line in the entry-point group ``aiida_edl.analyses``: its name, and the frozen dataclass of its
settings (made without arguments; ``from_dict`` refuses what does not exist). The calcfunction ``edl.<name>`` takes
``trajectory`` and ``settings``, and may take any of :data:`CONTEXT` as optional inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiida.common.exceptions import EntryPointError
from aiida.plugins import CalculationFactory

from aiida_edl.registry import ANALYSES, load_member

NEEDED = ('trajectory', 'settings')
"""What every analysis takes."""
CONTEXT = ('series', 'training')
"""What an analysis may take besides the trajectory: the series of the run, and the training frames of its potential."""


def analysis_function(name: str) -> Callable[..., Any]:
    """Return the calcfunction of an analysis.

    :param name: entry-point name in ``aiida_edl.analyses``.
    :raises aiida.common.exceptions.EntryPointError: if there is no calculation ``edl.<name>``.
    """
    function: Callable[..., Any] = CalculationFactory(f'edl.{name}')
    return function


def inputs_taken(name: str) -> tuple[str, ...]:
    """Return which of :data:`CONTEXT` the calcfunction of an analysis takes.

    :param name: entry-point name in ``aiida_edl.analyses``.
    """
    ports = analysis_function(name).process_class.spec().inputs  # type: ignore[attr-defined]
    return tuple(key for key in CONTEXT if key in ports)


def check_analyses(analyses: Mapping[str, Mapping[str, Any]]) -> None:
    """Check names and settings of analyses, and that their calculations are there.

    :param analyses: settings by name of the analysis.
    :raises ValueError: with one sentence; an unknown name is answered with the nearest.
    """
    for name, values in analyses.items():
        settings_class = type(load_member(ANALYSES, name))
        _check_function(name)
        try:
            settings_class.from_dict(values)
        except ValueError as error:
            raise ValueError(f"analysis '{name}': {error}") from error


def _check_function(name: str) -> None:
    """Check that an analysis has its calcfunction, which takes what every analysis is given."""
    try:
        ports = analysis_function(name).process_class.spec().inputs  # type: ignore[attr-defined]
    except (EntryPointError, AttributeError) as error:
        raise ValueError(
            f"analysis '{name}' is registered without a calcfunction 'edl.{name}' ({error}); the package that "
            'registers it must give it in the entry-point group aiida.calculations'
        ) from error
    if absent := [key for key in NEEDED if key not in ports]:
        raise ValueError(
            f"the calcfunction 'edl.{name}' of analysis '{name}' takes no {' and no '.join(absent)}; it is called with "
            f'{" and ".join(NEEDED)}'
        )


def validate_analyses(analyses: Mapping[str, Any] | None, _: Any) -> str | None:
    """Return one sentence if an analysis is not registered, or a setting of one is wrong.

    :param analyses: nodes of the settings by name of the analysis.
    """
    try:
        check_analyses({name: node.get_dict() for name, node in (analyses or {}).items()})
    except ValueError as error:
        return str(error)
    return None
