"""Named settings of the engines that label frames, from the YAML file of each beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from aiida_edl.registry import unknown_name_message


class ProtocolError(ValueError):
    """A protocol that does not exist; the message names the nearest."""


def protocol_document(engine: str) -> dict[str, Any]:
    """Return the content of the protocol file: ``default_protocol`` and ``protocols`` by name.

    Each protocol has a ``description`` and ``settings``, and each of these a ``value`` and a ``source``.

    :param engine: short name of the engine, e.g. ``'cp2k'``.
    :raises ProtocolError: if the engine has no protocols.
    """
    path = Path(__file__).with_name(f'{engine}.yaml')
    if not path.is_file():
        known = ', '.join(sorted(other.stem for other in path.parent.glob('*.yaml')))
        raise ProtocolError(f"engine '{engine}' has no protocols; give all its settings, or use one of: {known}")
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding='utf-8'))
    return document


def available_protocols(engine: str) -> dict[str, str]:
    """Return the description of each protocol by name.

    :param engine: short name of the engine.
    :raises ProtocolError: if the engine has no protocols.
    """
    return {name: str(protocol['description']) for name, protocol in protocol_document(engine)['protocols'].items()}


def engine_protocol(engine: str, protocol: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return the settings of a protocol, to be given as ``model_parameters``; all others have their defaults.

    :param engine: short name of the engine.
    :param protocol: name of the protocol; None for the default.
    :param changes: settings that replace or complete those of the protocol.
    :raises ProtocolError: if there is no such protocol; the nearest is named.
    """
    document = protocol_document(engine)
    name = protocol or document['default_protocol']
    if name not in document['protocols']:
        raise ProtocolError(unknown_name_message(f'protocol of {engine}', name, list(document['protocols'])))
    return {key: entry['value'] for key, entry in document['protocols'][name]['settings'].items()} | changes
