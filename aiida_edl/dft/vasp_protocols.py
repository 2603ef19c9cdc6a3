"""Named settings of VASP, from the YAML file beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from aiida_edl.dft.vasp_settings import VaspSettingsError
from aiida_edl.registry import unknown_name_message


def protocol_document() -> dict[str, Any]:
    """Return the content of the protocol file: ``default_protocol`` and ``protocols`` by name.

    Each protocol has a ``description`` and ``settings``, and each of these a ``value`` and a ``source``.
    """
    text = Path(__file__).with_name('vasp.yaml').read_text(encoding='utf-8')
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def available_protocols() -> dict[str, str]:
    """Return the description of each protocol by name."""
    return {name: str(protocol['description']) for name, protocol in protocol_document()['protocols'].items()}


def vasp_protocol(protocol: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return the settings of a protocol, to be given as ``model_parameters``; all others have their defaults.

    :param protocol: name of the protocol; None for the default.
    :param changes: settings that replace or complete those of the protocol, e.g. ``potential_family``.
    :raises VaspSettingsError: if there is no such protocol; the nearest is named.
    """
    document = protocol_document()
    name = protocol or document['default_protocol']
    if name not in document['protocols']:
        raise VaspSettingsError(unknown_name_message('protocol of VASP', name, list(document['protocols'])))
    return {key: entry['value'] for key, entry in document['protocols'][name]['settings'].items()} | changes
