"""Six components of a stress in the order of ASE: xx yy zz yz xz xy."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Floats, FrameSet

ORDER = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Row and column of each component."""


def matrix_of(values: Any, where: str) -> Floats:
    """Return the stress as a matrix, in the unit of the file.

    :param values: 6 components, or 9.
    :param where: name of the file and the frame, for the message.
    :raises FormatError: for another number of values.
    """
    given = np.asarray(values)
    if given.size not in (6, 9) or not np.issubdtype(given.dtype, np.number):
        raise FormatError(f'{where} has a stress of {given.size} values; give 6 in the order xx yy zz yz xz xy, or 9')
    if given.size == 9:
        return np.asarray(given.reshape(3, 3), dtype=np.float64)
    matrix = np.zeros((3, 3))
    for (row, column), component in zip(ORDER, given.reshape(-1)):
        matrix[row, column] = matrix[column, row] = component
    return matrix


def components_of(matrix: Floats) -> Floats:
    """Return the six components of a symmetric matrix.

    :param matrix: shape ``(3, 3)``.
    """
    return np.array([matrix[row, column] for row, column in ORDER])


def losses_of_voigt(frames: FrameSet) -> dict[str, str]:
    """Return that six components cannot hold a stress that is not symmetric.

    :param frames: the frames.
    """
    if frames.stresses is None or np.array_equal(frames.stresses, frames.stresses.transpose(0, 2, 1)):
        return {}
    return {'stresses': 'six components hold symmetric stresses only'}
