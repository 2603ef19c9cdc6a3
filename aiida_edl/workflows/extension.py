"""A finished study with more in it: what it had comes from the cache, what is new is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida.orm import ProcessNode

from aiida_edl.data.potential import PotentialData
from aiida_edl.science.training_mixes import shapes_atomic_energies
from aiida_edl.workflows.launch import LaunchError, proposed_architecture, written_out
from aiida_edl.workflows.protocols.mixin import merge

CONSEQUENCES: Mapping[str, str] = {
    'charge_states': 'the data set is another one, so that every potential is trained again',
    'structure': 'everything is computed again',
    'ion': 'everything is computed again',
    'reference': 'everything after the structures is computed again',
    'labelling': 'everything after the reference runs is computed again',
    'split': 'every potential is trained again',
}
"""What follows if a setting is not that of the study."""


def extended_settings(
    process: ProcessNode,
    overrides: Mapping[str, Any] | None = None,
    architectures: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> dict[str, Any]:
    """Return the settings of a study with more in it.

    :param process: the study, a benchmark.
    :param overrides: nested values that replace those of the study; training sets join those it has, in short or not.
    :param architectures: entry-point names of architectures that join those it has.
    :param seeds: seeds that join those of every architecture, the new ones included.
    :raises LaunchError: if the process is no benchmark, or an architecture is there already.
    :raises ValueError: for what the settings refuse.
    """
    settings = merge(settings_of_study(process), overrides or {})
    known = settings['architectures']
    if present := sorted(set(architectures) & set(settings_of_study(process)['architectures'])):
        raise LaunchError(
            f'{", ".join(present)} is part of the study already; name those that are not, or change its settings '
            'with --set'
        )
    like = next(iter(known.values()))
    for name in architectures:
        proposed = proposed_architecture(name, like['protocol'], like['seeds'], like['device'])
        known[name] = merge(proposed, known.get(name, {}))
    for part in known.values():
        part['seeds'] = [*part['seeds'], *(seed for seed in seeds if seed not in part['seeds'])]
    return written_out(settings)


def settings_of_study(process: ProcessNode) -> dict[str, Any]:
    """Return the settings of a benchmark.

    :param process: the benchmark.
    :raises LaunchError: if it is none.
    """
    settings: dict[str, Any] = process.inputs.settings.get_dict() if 'settings' in process.inputs else {}
    if not {'architectures', 'training_sets'} <= set(settings):
        raise LaunchError(f'{process.process_label}<{process.pk}> is no benchmark; give the process of one')
    return settings


def codes_of_study(process: ProcessNode) -> dict[str, str]:
    """Return the UUID of each code of a benchmark by its name.

    :param process: the benchmark.
    """
    codes = process.inputs.codes if 'codes' in process.inputs else {}
    return {name: codes[name].uuid for name in codes}


def potentials_of_study(process: ProcessNode) -> dict[str, PotentialData]:
    """Return the potentials that were given to a benchmark, by name.

    :param process: the benchmark.
    """
    return dict(process.inputs.given_potentials) if 'given_potentials' in process.inputs else {}


def consequences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what of a study will not come from the cache though it was there, one sentence each.

    :param old: its settings.
    :param new: the extended settings.
    """
    found = [
        f'{key} is not that of the study: {consequence}'
        for key, consequence in CONSEQUENCES.items()
        if _without_tolerance(key, old.get(key)) != _without_tolerance(key, new.get(key))
    ]
    added = [name for name in new['training_sets'] if name not in old['training_sets'] and shapes_atomic_energies(name)]
    if added:
        found.append(
            f'the atomic energies are fitted to {", ".join(added)}, too: every potential is trained again, unless they '
            'come out the same'
        )
    for name in sorted(set(old['architectures']) & set(new['architectures'])):
        kept, asked = ({**settings['architectures'][name], 'seeds': None} for settings in (old, new))
        if kept != asked:
            found.append(f'{name} is trained or run in another way: its models are made again')
    before, after = ({**settings['production'], 'replicas': None} for settings in (old, new))
    if before != after:
        found.append('production is not that of the study: every potential is run again')
    return found


def _without_tolerance(key: str, values: Any) -> Any:
    """Return a part of the settings without what changes no job: how many labels may be rejected."""
    return {**values, 'max_failed_fraction': None} if key == 'labelling' and values else values
