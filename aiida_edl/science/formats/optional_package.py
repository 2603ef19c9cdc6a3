"""Packages that one format needs and most users do not: imported when used, with a sentence if they are not there."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from aiida_edl.science.formats.file_units import FormatError


def optional_package(name: str, extra: str, purpose: str) -> Any:
    """Return an installed package.

    :param name: name under which it is imported.
    :param extra: extra of this package that installs it.
    :param purpose: name of the format.
    :raises FormatError: if it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise FormatError(
            f'{purpose} needs the package {name}, which is not installed; install it with '
            f"pip install 'aiida-edl[{extra}]'"
        ) from error
