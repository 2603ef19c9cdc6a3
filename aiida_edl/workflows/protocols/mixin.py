"""Named sets of inputs: defaults once, and a protocol states only what differs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from importlib.resources import files
from typing import Any, ClassVar

import yaml

from aiida_edl.registry import unknown_name_message


class ProtocolError(ValueError):
    """A protocol or a key of one that does not exist; the message names the nearest."""


def merge(
    base: Mapping[str, Any], overrides: Mapping[str, Any], replaced_whole: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return ``base`` with the values of ``overrides``; mappings are merged key by key.

    :param base: nested mapping.
    :param overrides: nested mapping; None removes a key.
    :param replaced_whole: keys whose mapping is replaced, not merged.

    >>> merge({'a': {'b': 1, 'c': 2}}, {'a': {'c': 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    result = deepcopy(dict(base))
    for key, value in overrides.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping) and key not in replaced_whole:
            result[key] = merge(result[key], value, replaced_whole)
        else:
            result[key] = deepcopy(value)
    return result


class ProtocolMixin:
    """Protocols from the YAML file named :attr:`protocol_file` beside this module."""

    protocol_file: ClassVar[str]
    """File name, e.g. ``'charged_interface_benchmark.yaml'``."""
    replaced_whole: ClassVar[tuple[str, ...]] = ()
    """Keys whose mapping an override replaces as a whole, e.g. a list of training sets by name."""

    @classmethod
    def _document(cls) -> dict[str, Any]:
        return yaml.safe_load(files(__package__).joinpath(cls.protocol_file).read_text())

    @classmethod
    def get_available_protocols(cls) -> dict[str, str]:
        """Return the description of each protocol by name."""
        return {name: protocol['description'] for name, protocol in cls._document()['protocols'].items()}

    @classmethod
    def get_default_protocol(cls) -> str:
        """Return the name of the default protocol."""
        return str(cls._document()['default_protocol'])

    @classmethod
    def get_protocol_inputs(
        cls, protocol: str | None = None, overrides: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the inputs of a protocol.

        :param protocol: its name; None for the default.
        :param overrides: nested values that replace those of the protocol.
        :raises ProtocolError: if the protocol or a top-level key of the overrides does not exist.
        """
        document = cls._document()
        name = protocol or document['default_protocol']
        if name not in document['protocols']:
            raise ProtocolError(unknown_name_message('protocol', name, list(document['protocols'])))
        defaults = document['default_inputs']
        for key in overrides or {}:
            if key not in defaults:
                raise ProtocolError(unknown_name_message('protocol key', key, list(defaults)))
        stated = {key: value for key, value in document['protocols'][name].items() if key != 'description'}
        return merge(merge(defaults, stated, cls.replaced_whole), overrides or {}, cls.replaced_whole)
