"""Put plain, remedied and single models of one family side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.remedies import RemedyTag, remedy_name
from aiida_edl.science.analysis.remedies import compare_remedies as compare
from aiida_edl.science.analysis.remedy_findings import RemedySettings

ERRORS, POTENTIAL = 'errors_', 'potential_'
"""Beginnings of link labels; what follows is the key of a model."""
SETTINGS = ('confidence', 'margin', 'tags')
"""Keys of the settings."""
TAGS = ('family', 'remedy')
"""Keys of a tag."""


@calcfunction
def compare_remedies(settings: Dict, **models: Any) -> Dict:
    """Compare what training on several charge states costs plain models with what it costs remedied ones.

    What a potential was trained on, whether it is told a charge and has a long-range part is read from its node. Models
    of one family, remedy and choice of charge states are seeds of each other.

    :param settings: ``confidence`` of the tests (0.95 without it), ``margin``, the share of the cost of mixing that may
        be left of it in a cure (0.2 without it), and ``tags``: by key of a model its ``family`` (its architecture
        without it) and ``remedy`` (``charge_conditioned`` if it is told a charge, ``long_range`` if the electrostatics
        of fixed charges is added to it, else ``plain``), e.g. ``{'polar_1': {'family': 'mace', 'remedy': 'polar'}}``.
    :param models: for each key ``potential_<key>`` and ``errors_<key>``, the result of ``edl.error_metrics``, all on
        the same test frames.
    :return: ``verdict`` (in words), ``rows`` (force RMSE and signed energy error of each kind of model per charge
        state, with errors and spread over seeds), ``comparisons`` (cost of mixing, what each remedy leaves of it, and
        what that shows), ``settings`` (level and margin).
    """
    values = settings.get_dict()
    for key in values:
        if key not in SETTINGS:
            raise ValueError(unknown_name_message('setting of the comparison of remedies', key, SETTINGS))
    potentials = {name.removeprefix(POTENTIAL) for name in models if name.startswith(POTENTIAL)}
    errors = {name.removeprefix(ERRORS) for name in models if name.startswith(ERRORS)}
    unmatched = sorted(potentials ^ errors) + [
        name for name in sorted(models) if not name.startswith((POTENTIAL, ERRORS))
    ]
    if unmatched:
        raise ValueError(
            f'give potential_<key> and errors_<key> for each model; something else is given for {unmatched}'
        )
    tags = values.get('tags', {})
    if unknown := sorted(set(tags) - potentials):
        raise ValueError(unknown_name_message('model with a tag', unknown[0], sorted(potentials)))
    compared = [
        (_tag(models[POTENTIAL + key], tags.get(key, {})), models[ERRORS + key]['rows']) for key in sorted(potentials)
    ]
    chosen = {name: value for name, value in values.items() if name != 'tags'}
    return Dict(compare(compared, RemedySettings.from_dict(chosen)).tables())


def _tag(potential: PotentialData, given: Mapping[str, str]) -> RemedyTag:
    """Return what a potential is in the comparison.

    :raises ValueError: for an unknown key of a tag, or a potential that does not say what it was trained on.
    """
    for key in given:
        if key not in TAGS:
            raise ValueError(unknown_name_message('tag', key, TAGS))
    states = tuple(potential.base.attributes.get(potential.KEY_TRAINING_CHARGE_LABELS))
    if not states:
        raise ValueError(f'the {potential.architecture} potential does not say on which charge states it was trained')
    remedy = remedy_name(potential.total_charge_column is not None, potential.long_range is not None)
    return RemedyTag(given.get('family', potential.architecture), given.get('remedy', remedy), states)
