"""Named sets of hyperparameters of each architecture, from the YAML file beside its module."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import yaml

from aiida_edl.architectures.base import Architecture
from aiida_edl.registry import ARCHITECTURES, UnknownNameError, load_member, unknown_name_message


def protocol_document(architecture: Architecture) -> dict[str, Any]:
    """Return the content of the protocol file: ``default_protocol`` and ``protocols`` by name.

    Each protocol has a ``description``, ``hyperparameters`` and ``training`` (``gradient_updates`` and ``precision``),
    and each of these values a ``value`` and a ``source``.

    :param architecture: the architecture; its file is ``<module>.yaml`` beside ``<module>.py``.
    """
    path = Path(inspect.getfile(type(architecture))).with_suffix('.yaml')
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding='utf-8'))
    return document


def available_protocols(architecture: str) -> dict[str, str]:
    """Return the description of each protocol by name.

    :param architecture: entry-point name.
    :raises UnknownNameError: if there is no such architecture.
    """
    protocols = protocol_document(load_member(ARCHITECTURES, architecture))['protocols']
    return {name: str(protocol['description']) for name, protocol in protocols.items()}


def hyperparameter_protocol(architecture: str, protocol: str | None = None) -> dict[str, Any]:
    """Return the hyperparameters that a protocol sets; all others have their defaults.

    :param architecture: entry-point name.
    :param protocol: name of the protocol; None for the default of the architecture.
    :raises UnknownNameError: if there is no such architecture or protocol; the nearest is named.
    """
    return _values(architecture, protocol, 'hyperparameters')


def training_protocol(architecture: str, protocol: str | None = None) -> dict[str, Any]:
    """Return the target and the precision that a protocol proposes: ``gradient_updates`` and ``precision``.

    :param architecture: entry-point name.
    :param protocol: name of the protocol; None for the default of the architecture.
    :raises UnknownNameError: if there is no such architecture or protocol; the nearest is named.
    """
    return _values(architecture, protocol, 'training')


def _values(architecture: str, protocol: str | None, section: str) -> dict[str, Any]:
    """Return the values of one section of a protocol, without their sources."""
    document = protocol_document(load_member(ARCHITECTURES, architecture))
    name = protocol or document['default_protocol']
    if name not in document['protocols']:
        message = unknown_name_message(f'protocol of {architecture}', name, list(document['protocols']))
        raise UnknownNameError(message)
    return {key: entry['value'] for key, entry in document['protocols'][name][section].items()}
