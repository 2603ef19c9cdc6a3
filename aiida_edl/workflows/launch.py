"""Launch a benchmark: settings from a protocol, codes by label, one node back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import submit
from aiida.orm import AbstractCode, Dict, ProcessNode, QueryBuilder, WorkChainNode, load_code

from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain


class LaunchError(ValueError):
    """Something that must be right before anything is submitted."""


def benchmark_settings(protocol: str | None = None, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of a protocol.

    :param protocol: its name; None for the default.
    :param overrides: nested values that replace those of the protocol.
    :raises aiida_edl.workflows.protocols.mixin.ProtocolError: for an unknown protocol or key.
    """
    name = protocol or ChargedInterfaceBenchmarkWorkChain.get_default_protocol()
    return {'protocol': name, **ChargedInterfaceBenchmarkWorkChain.get_protocol_inputs(name, overrides)}


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


def benchmark_builder(
    settings: Mapping[str, Any], codes: Mapping[str, str], options: Mapping[str, Any] | None = None
) -> Any:
    """Return a builder of the benchmark.

    :param settings: all settings, see :func:`benchmark_settings`.
    :param codes: label of the code of the reference (``reference``) and of each architecture, by name; ``default`` is
        used for architectures that are not named.
    :param options: scheduler options by name of the code, or ``default``.
    :raises ValueError: with one sentence, before anything is stored.
    """
    builder = ChargedInterfaceBenchmarkWorkChain.get_builder()
    builder.settings = Dict(dict(settings))
    engine = load_member(MD_ENGINES, settings['reference']['engine'])
    nodes = {'reference': find_code(codes['reference'], engine.install_command)}
    for name in settings['architectures']:
        label = codes.get(name) or codes.get('default')
        install_command = load_member(ARCHITECTURES, name).install_command
        if label is None:
            raise LaunchError(f"no code is given for architecture '{name}'; install it with: {install_command}")
        nodes[name] = find_code(label, install_command)
    builder.codes = nodes
    if options:
        builder.options = Dict(dict(options))
    return builder


def launch_benchmark(
    settings: Mapping[str, Any],
    codes: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    label: str = '',
) -> ProcessNode:
    """Submit a benchmark to the daemon, or return one with the same settings that is still running.

    A benchmark that was stopped goes on where it was; one that finished is repeated, and every calculation comes from
    the cache.

    :param settings: all settings.
    :param codes: labels of codes, see :func:`benchmark_builder`.
    :param options: scheduler options.
    :param label: label of the process node.
    """
    builder = benchmark_builder(settings, codes, options)
    running = running_benchmark(builder.settings.get_dict())
    if running is not None:
        return running
    builder.metadata.label = label or f'charged-interface benchmark, protocol {settings["protocol"]}'
    return submit(builder)


def running_benchmark(settings: Mapping[str, Any]) -> ProcessNode | None:
    """Return a benchmark with these settings that has not ended, None if there is none.

    :param settings: all settings.
    """
    query = QueryBuilder().append(
        WorkChainNode,
        filters={
            'process_type': ChargedInterfaceBenchmarkWorkChain.build_process_type(),
            'attributes.process_state': {'in': ['created', 'running', 'waiting']},
        },
    )
    for node in query.all(flat=True):
        if node.inputs.settings.get_dict() == dict(settings):
            return node
    return None
