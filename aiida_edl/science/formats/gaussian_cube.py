"""Volumetric data in the format of Gaussian: read as an average over planes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.io.cube import read_cube

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Floats


def planar_average(path: str | Path, axis: int) -> tuple[Floats, Floats]:
    """Return the average of a cube file over the planes normal to one of its axes.

    :param path: the file.
    :param axis: axis that stays, 0 to 2.
    :return: heights along it from the origin of the cell [Å], and averages in the unit of the file; shape
        ``(n_points,)`` each.
    :raises FormatError: if the file is truncated or no cube file.
    """
    try:
        with Path(path).open(encoding='utf-8') as handle:
            content = read_cube(handle)
    except (ValueError, IndexError, OSError) as error:
        raise FormatError(f'{Path(path).name} is truncated or no cube file ({error}); write it again') from error
    values = np.asarray(content['data'], dtype=np.float64)
    average: Floats = values.mean(axis=tuple(other for other in range(3) if other != axis))
    heights: Floats = np.arange(len(average), dtype=np.float64) * float(np.linalg.norm(content['spacing'][axis]))
    return heights, average
