"""Compiled inner loops where numba is installed (extra ``compiled``); without it the same is done by numpy, slower."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def compiled_kernels() -> Any | None:
    """Return the module of compiled kernels, or None without numba. The first call takes a second, once ten."""
    try:
        return importlib.import_module('aiida_edl.science.analysis.compiled_kernels')
    except ModuleNotFoundError as error:
        if error.name != 'numba':
            raise
        return None


@cache
def compiled_pass() -> Any | None:
    """Return the module of the compiled pass over a trajectory, or None without numba."""
    if compiled_kernels() is None:
        return None
    return importlib.import_module('aiida_edl.science.analysis.compiled_pass')


def writable(array: NDArray[Any], order: str = '') -> NDArray[Any]:
    """Return an array that a kernel takes: as it is, or a copy if it is read-only or in single precision.

    Both are so for arrays mapped from files.

    :param array: any array.
    :param order: ``'C'`` if it must be laid out row by row.
    """
    is_real = np.issubdtype(array.dtype, np.floating)
    return np.require(array, dtype=np.float64 if is_real else None, requirements=['W', *order])
