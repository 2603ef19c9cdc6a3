"""Launch a benchmark: settings from a protocol, codes by label, one node back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import submit
from aiida.orm import AbstractCode, Dict, Int, ProcessNode, QueryBuilder, WorkChainNode, load_code

from aiida_edl.architectures.protocols import available_protocols, protocol_document, training_protocol
from aiida_edl.calculations.exit_codes import FIRST_WARNING
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.science.structures.metal_water_interface import find_packmol
from aiida_edl.science.training_mixes import resolve_training_sets
from aiida_edl.workflows.benchmark_given import codes_of_given
from aiida_edl.workflows.benchmark_given import conversion_environments_of as environments_of_given
from aiida_edl.workflows.benchmark_settings import (
    BenchmarkSettings,
    checked_settings,
    conversion_code_name,
    conversion_environments_of,
    md_code_name,
)
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.environments.codes import code_of_architecture, python_of_environment
from aiida_edl.workflows.gpu_options import options_with_gpus

DEFAULT_CODES = {'reference': 'lmp', 'default': 'engines-python'}
"""Labels of the codes, unless others are given: LAMMPS, and a Python for architectures that name no environment."""


class LaunchError(ValueError):
    """Something that must be right before anything is submitted."""


def benchmark_settings(
    protocol: str | None = None, overrides: Mapping[str, Any] | None = None, architectures: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the settings of a protocol.

    :param protocol: its name; None for the default.
    :param overrides: nested values that replace those of the protocol.
    :param architectures: entry-point names of the architectures to compare; those of the protocol if empty. One that
        the protocol does not name gets the seeds of the others, and the rest from a protocol of its own.
    :raises aiida_edl.workflows.protocols.mixin.ProtocolError: for an unknown protocol or key.
    :raises aiida_edl.registry.UnknownNameError: for an unknown architecture.
    :raises aiida_edl.science.training_mixes.TrainingMixError: for training sets that the charge states do not give.
    """
    name = protocol or ChargedInterfaceBenchmarkWorkChain.get_default_protocol()
    settings = {'protocol': name, **ChargedInterfaceBenchmarkWorkChain.get_protocol_inputs(name, overrides)}
    if architectures:
        known = settings['architectures']
        like = next(iter(known.values()))
        settings['architectures'] = {
            key: known.get(key) or proposed_architecture(key, like['protocol'], like['seeds'], like['device'])
            for key in architectures
        }
    return written_out(settings)


def written_out(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which short forms of training sets are written out: what is stored says what was trained.

    :param settings: all settings.
    """
    return {
        **settings,
        'training_sets': resolve_training_sets(settings['training_sets'], settings['charge_states']),
    }


def proposed_architecture(name: str, protocol: str, seeds: Sequence[int], device: str) -> dict[str, Any]:
    """Return how an architecture is trained that the protocol of the benchmark does not name.

    :param name: entry-point name.
    :param protocol: protocol of its own; its default one if it has none of this name.
    :param seeds: one model for each.
    :param device: ``'cpu'`` or ``'cuda'``.
    """
    chosen = protocol if protocol in available_protocols(name) else None
    return {
        'protocol': chosen or protocol_document(load_member(ARCHITECTURES, name))['default_protocol'],
        'hyperparameters': {},
        'seeds': list(seeds),
        'device': device,
        **training_protocol(name, chosen),
    }


def code_labels(
    settings: BenchmarkSettings, given: Mapping[str, str], potentials: Mapping[str, PotentialData] | None = None
) -> dict[str, str]:
    """Return the label of each code of a benchmark: that of the environment it stands for, unless another is given.

    :param settings: checked settings.
    :param given: labels that were given by name; with ``default`` among them, it is that of all other architectures.
    :param potentials: potentials that are given, by name.
    :raises aiida_edl.workflows.environments.codes.CodeError: if several computers have one.
    """
    of_potentials = {name: node.architecture for name, node in (potentials or {}).items()}
    members = {**{name: settings.architecture_of(name) for name in settings.architectures}, **of_potentials}
    found = {}
    for name, architecture in members.items():
        if name in given or 'default' in given:
            continue
        label = given.get(architecture) or code_of_architecture(architecture)
        if label is not None:
            found[name] = label
    environments = {key for name in settings.architectures for key in conversion_environments_of(settings, name)}
    environments |= {key for node in (potentials or {}).values() for key in environments_of_given(node, settings)}
    for environment in sorted(environments):
        if (name := conversion_code_name(environment)) not in given:
            found[name] = python_of_environment(environment, name)
    return {**DEFAULT_CODES, **found, **given}


def find_code(label: str, install_command: str) -> AbstractCode:
    """Return the code with this label.

    :param label: ``label@computer``.
    :param install_command: named in the message if there is no such code.
    :raises LaunchError: if there is no such code.
    """
    try:
        return load_code(label)
    except NotExistent:
        raise LaunchError(f"code '{label}' is not set up; install it with: {install_command}") from None
    except MultipleObjectsError:
        raise LaunchError(f"code '{label}' names several codes; give its full label, label@computer") from None


def architecture_code(name: str, codes: Mapping[str, str], architecture: str = '') -> AbstractCode:
    """Return the code by which an architecture is trained.

    :param name: its key in the settings.
    :param codes: labels of codes, see :func:`benchmark_builder`.
    :param architecture: its entry-point name, if that is not the key.
    :raises LaunchError: if none is given for it, or there is no such code.
    """
    label = codes.get(name) or codes.get(architecture) or codes.get('default')
    install_command = load_member(ARCHITECTURES, architecture or name).install_command
    if label is None:
        raise LaunchError(f"no code is given for architecture '{name}'; install it with: {install_command}")
    return find_code(label, install_command)


def benchmark_builder(
    settings: Mapping[str, Any],
    codes: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    max_active: int | None = None,
    potentials: Mapping[str, PotentialData] | None = None,
) -> Any:
    """Return a builder of the benchmark.

    :param settings: all settings, see :func:`benchmark_settings`.
    :param codes: label of the code of the reference (``reference``) and of each architecture, by name; ``default`` is
        used for architectures that are not named. ``<architecture>_md`` is the code of its runs, if it is another;
        ``conversion_<environment>`` converts potentials.
    :param options: scheduler options by name of the code, or ``default``.
    :param max_active: models that are assessed at once at most; None for all.
    :param potentials: potentials that are given, by name.
    :raises ValueError: with one sentence, before anything is stored.
    """
    builder = ChargedInterfaceBenchmarkWorkChain.get_builder()
    checked = checked_settings(settings)
    builder.settings = Dict(dict(settings))
    engine = load_member(MD_ENGINES, settings['reference']['engine'])
    nodes = {'reference': find_code(codes['reference'], engine.install_command)}
    for name in settings['architectures']:
        architecture = checked.architecture_of(name)
        nodes[name] = architecture_code(name, codes, architecture)
        if (of_runs := codes.get(md_code_name(name)) or codes.get(md_code_name(architecture))) is not None:
            engine = load_member(MD_ENGINES, checked.md_engine(name))
            nodes[md_code_name(name)] = find_code(of_runs, engine.install_command)
        for environment in conversion_environments_of(checked, name):
            key, command = conversion_code_name(environment), f'aiida-edl environment create {environment}'
            if key not in codes:
                raise LaunchError(f"no code is given for '{key}', which converts {name}; install it with: {command}")
            nodes[key] = find_code(codes[key], command)
    if potentials:
        nodes |= _codes_of_potentials(potentials, checked, codes)
        builder.given_potentials = dict(potentials)
    builder.codes = nodes
    if options:
        builder.options = Dict(dict(options))
    if max_active is not None:
        builder.max_active = Int(max_active)
    return builder


def _codes_of_potentials(
    potentials: Mapping[str, PotentialData], settings: BenchmarkSettings, codes: Mapping[str, str]
) -> dict[str, AbstractCode]:
    """Return the codes of given potentials by name.

    :raises LaunchError: if one is missing.
    """
    needed, optional = codes_of_given(potentials, settings)
    architectures = {name: node.architecture for name, node in potentials.items()}
    found = {}
    for name, command in {**needed, **optional}.items():
        if name in architectures:
            found[name] = architecture_code(name, codes, architectures[name])
        elif name in codes:
            found[name] = find_code(codes[name], command)
        elif name in needed:
            raise LaunchError(f"no code is given for '{name}'; install it with: {command}")
    return found


def launch_benchmark(  # noqa: PLR0917  (all but the first two by name)
    settings: Mapping[str, Any],
    codes: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    label: str = '',
    should_repeat: bool = False,
    max_active: int | None = None,
    potentials: Mapping[str, PotentialData] | None = None,
) -> ProcessNode:
    """Submit a benchmark to the daemon, or return the one with the same inputs that runs or has finished.

    A benchmark that was stopped goes on where it was. One that failed is repeated: what succeeded comes from the cache.
    One that ended with a warning, because a run exploded for example, has finished: it would end in the same way again.

    :param settings: all settings.
    :param codes: labels of codes, see :func:`benchmark_builder`.
    :param options: scheduler options.
    :param label: label of the process node.
    :param should_repeat: submit a new one even if one with the same inputs has finished.
    :param max_active: models that are assessed at once at most; None for all.
    :param potentials: potentials that are given, by name.
    :raises ValueError: if the inputs are refused.
    :raises aiida_edl.science.structures.metal_water_interface.PackingError: if packmol is missing.
    """
    find_packmol()
    builder = benchmark_builder(settings, codes, options, max_active, potentials)
    uuids = {name: code.uuid for name, code in builder.codes.items()}
    known = known_benchmark(builder.settings.get_dict(), uuids, potentials)
    if known is not None and not (should_repeat and known.is_terminated):
        return known
    builder.metadata.label = label or f'charged-interface benchmark, protocol {settings["protocol"]}'
    return submit(builder)


def options_on_gpus(
    options: Mapping[str, Any], codes: Mapping[str, str], architectures: Sequence[str], n_gpus: int
) -> dict[str, Any]:
    """Return scheduler options in which the jobs of architectures ask for accelerators; those of the reference do not.

    :param options: options by name of the code, or ``default``.
    :param codes: labels of codes, see :func:`benchmark_builder`.
    :param architectures: entry-point names.
    :param n_gpus: accelerators of each job.
    :raises ValueError: if a code is not set up, or its scheduler is not known.
    """
    found = {name: architecture_code(name, codes) for name in architectures}
    for name in architectures:
        if (of_runs := codes.get(md_code_name(name))) is not None:
            found[md_code_name(name)] = find_code(of_runs, load_member(ARCHITECTURES, name).install_command)
    schedulers = {name: code.computer.scheduler_type for name, code in found.items()}
    return options_with_gpus(options, schedulers, n_gpus)


def known_benchmark(
    settings: Mapping[str, Any],
    codes: Mapping[str, str],
    potentials: Mapping[str, PotentialData] | None = None,
) -> ProcessNode | None:
    """Return the last benchmark with these inputs that runs or has finished without error, None if there is none.

    :param settings: all settings.
    :param codes: UUID of each code by its name in the inputs.
    :param potentials: potentials that are given, by name.
    """
    asked = {name: node.uuid for name, node in (potentials or {}).items()}
    query = QueryBuilder().append(
        WorkChainNode,
        filters={
            'process_type': ChargedInterfaceBenchmarkWorkChain.build_process_type(),
            'or': [
                {'attributes.process_state': {'in': ['created', 'running', 'waiting']}},
                {'attributes.exit_status': 0},
                {'attributes.exit_status': {'>=': FIRST_WARNING}},
            ],
        },
        tag='benchmark',
    )
    query.order_by({'benchmark': {'ctime': 'desc'}})
    for node in query.all(flat=True):
        inputs = node.inputs
        same_codes = {name: inputs.codes[name].uuid for name in inputs.codes} == dict(codes)
        given = inputs.given_potentials if 'given_potentials' in inputs else {}
        same_potentials = {name: given[name].uuid for name in given} == asked
        if same_codes and same_potentials and inputs.settings.get_dict() == dict(settings):
            return node
    return None
