"""What the compiled pass over a trajectory takes and fills: cells, indices, and the sums of each analysis.

Arrays of an analysis that is not asked for have no rows, so that the types are always the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SPARE = 8
"""Bins beyond the last of a profile for what is outside, filled in turn, as an addition must wait for that before."""


class Cells(NamedTuple):
    """Cells of the frames, or one that all share; the first dimension is the frame."""

    vectors: NDArray[Any]
    """As rows [Å], shape ``(n, 3, 3)``."""
    inverses: NDArray[Any]
    """Inverses [1/Å], same shape."""
    pbc: NDArray[Any]
    """Periodicity along the vectors, shape ``(n, 3)``."""
    normals: NDArray[Any]
    """Unit normals of the lower surface, shape ``(n, 3)``."""
    periods: NDArray[Any]
    """Heights [Å], shape ``(n,)``."""
    areas: NDArray[Any]
    """Lateral areas [Å²], shape ``(n,)``."""


class Atoms(NamedTuple):
    """Indices of the atoms of each kind, and of the outermost layers of the metal."""

    oxygen: NDArray[Any]
    hydrogen: NDArray[Any]
    ions: NDArray[Any]
    metal: NDArray[Any]
    layers: NDArray[Any]
    """Members of all layers, one after the other."""
    layer_starts: NDArray[Any]
    """First member of each, and their number, shape ``(n_surfaces + 1,)``."""
    signs: NDArray[Any]
    """+1 for the lower surface, -1 for the upper one, shape ``(n_surfaces,)``."""


class Profiles(NamedTuple):
    """Bins and sums of the profiles; see ``ProfileSums``."""

    surfaces: NDArray[Any]
    """Whether each surface is counted, shape ``(n_surfaces,)``."""
    share: float
    """One over the number of those."""
    width: float
    maximum: float
    bound: float
    angle_width: float
    table: NDArray[Any]
    """Result of :func:`angle_table`."""
    fine: NDArray[Any]
    """Shape ``(7, n_blocks, n_bins + SPARE)``."""
    angles: NDArray[Any]
    layers: NDArray[Any]
    """Count and sum of cos θ of the first layer in each frame, shape ``(2, n_frames)``."""
    irregular: NDArray[Any]


class Angles(NamedTuple):
    """Layers and sums of the angular distributions; the first of two rows is that of the dipoles, then bonds."""

    surfaces: NDArray[Any]
    bounds: NDArray[Any]
    width: float
    table: NDArray[Any]
    angles: NDArray[Any]
    """Shape ``(2, n_blocks, n_layers, n_angles)``."""
    cosines: NDArray[Any]
    """Shape ``(2, n_blocks, n_layers)``."""
    irregular: NDArray[Any]
    """Oxygen without exactly two hydrogen, and all oxygen, shape ``(2,)``."""


class Charges(NamedTuple):
    """Grids and sums of the charge; see ``ChargeSums``."""

    values: NDArray[Any]
    """Charges [e] of the frames, or fixed ones, shape ``(n, n_atoms)``."""
    is_fixed: bool
    """Whether they are fixed, so that those of the metal are induced."""
    width: float
    below: NDArray[Any]
    """Bins below each surface, shape ``(n_surfaces,)``."""
    bins: NDArray[Any]
    """Bins of each surface, same shape."""
    lengths: NDArray[Any]
    """Height of each grid [Å], same shape."""
    margin: float
    """Distance from the cut of a vacuum within which atoms are counted [Å]; negative if there is no vacuum."""
    charge: NDArray[Any]
    """Shape ``(n_surfaces, n_blocks, most_bins + SPARE)``; those after the last of a surface hold what is outside."""
    moment: NDArray[Any]
    surface_charge: NDArray[Any]
    at_cut: NDArray[Any]


@cache
def angle_table(width: float, n_cells: int = 4096) -> NDArray[np.int16]:
    """Return the bin of the angle for each of equal cells of the cosine, -1 where an edge lies in the cell or near it.

    The same array for the same width, so that it is held once by the cache of the processor; do not change it.

    :param width: width of the bins of the angle [degree].
    :param n_cells: number of cells between -1 and 1.
    """
    edges = np.linspace(-1.0, 1.0, n_cells + 1)
    low, high = (np.degrees(np.arccos(np.clip(edges + shift, -1.0, 1.0))) / width for shift in (1e-9, -1e-9))
    first, last = np.floor(low[1:]).astype(np.int64), np.floor(high[:-1]).astype(np.int64)
    return np.asarray(np.where(first == last, np.minimum(first, round(180.0 / width) - 1), -1), dtype=np.int16)
