"""What a set of frames looks like in numbers: histograms of energies, forces, charges, sizes and distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frame_columns import charge_columns, charge_states_of, composition_numbers
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.neighbour_distances import nearest_distances

MAXIMUM_BINS = 12
"""Bins of equal width in a histogram of numbers."""
MAXIMUM_VALUES = 20
"""A histogram of whole numbers with more values than this has bins."""
TAIL = 0.005
"""Share of the values on each side that may lie in a bin of its own, if they lie far out."""
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Widths of bins, up to powers of ten."""


@dataclass(frozen=True)
class Histogram:
    """How often a quantity takes which values."""

    quantity: str
    """Name."""
    unit: str
    """Unit; empty for numbers without one."""
    per: str
    """What one value belongs to: ``'frame'`` or ``'atom'``."""
    edges: Floats
    """Edges of the bins, ascending, shape ``(n_bins + 1,)``; a value on an edge is in the bin above it. The first and
    the last bin may be wider than the others."""
    counts: NDArray[np.int64]
    """Values in each bin, shape ``(n_bins,)``."""
    is_whole: bool
    """Whether each bin holds one whole number, its lower edge."""
    n_missing: int
    """Values that are not finite and in no bin."""
    minimum: float
    mean: float
    median: float
    maximum: float

    @property
    def n_values(self) -> int:
        """Number of values in the bins."""
        return int(self.counts.sum())

    def label(self, number: int) -> str:
        """Return the range of a bin in words.

        :param number: of the bin.
        """
        low, high = self.edges[number], self.edges[number + 1]
        return f'{low:.0f}' if self.is_whole else f'{low + 0.0:.4g} to {high + 0.0:.4g}'


def dataset_histograms(frames: FrameSet) -> tuple[Histogram, ...]:
    """Return histograms of what the frames have.

    The energy per atom is taken from the median of the frames of the same composition, as those of different ones
    compare only by atomic energies. The net force of a frame is the length of the sum of its forces: zero for labels
    without external fields and without noise. The minimum distance of a frame is that of its closest two atoms, images
    included; frames without a pair within 5 Å count as missing. Columns that state a charge have a histogram each.

    :param frames: at least one frame, labelled or not.
    """
    return tuple(_histogram(*values) for values in _quantities(frames))


def _quantities(frames: FrameSet) -> Iterator[tuple[str, str, str, NDArray[np.float64], bool]]:
    """Yield name, unit, owner and values of each quantity, and whether they are whole numbers."""
    sizes = np.diff(frames.offsets)
    if frames.energies is not None:
        per_atom = frames.energies / sizes
        kinds = composition_numbers(frames)
        for kind in range(int(kinds.max()) + 1):
            per_atom[kinds == kind] -= np.median(per_atom[kinds == kind])
        yield 'energy within composition', 'eV/atom', 'frame', per_atom, False
    if frames.forces is not None:
        yield 'force', 'eV/Å', 'atom', np.linalg.norm(frames.forces, axis=1), False
        net = np.linalg.norm(np.add.reduceat(frames.forces, frames.offsets[:-1], axis=0), axis=1)
        yield 'net force', 'eV/Å', 'frame', net, False
    yield 'ions', '', 'frame', charge_states_of(frames).astype(np.float64), True
    for name in charge_columns(frames):
        column = frames.columns[name]
        if name != 'charge_state' and np.issubdtype(column.dtype, np.number):
            yield name, 'e', 'frame', column.astype(np.float64), False
    yield 'atoms', '', 'frame', sizes.astype(np.float64), True
    closest = np.array([nearest_distances(frame, 1).min() for frame in frames])
    yield 'minimum distance', 'Å', 'frame', closest, False


def _histogram(quantity: str, unit: str, per: str, values: Floats, is_whole: bool) -> Histogram:
    """Return the histogram of some values."""
    finite = values[np.isfinite(values)]
    given = finite if len(finite) else np.zeros(1)
    has_bin_each = is_whole and len(np.unique(given)) <= MAXIMUM_VALUES
    if has_bin_each:
        kinds, counts = np.unique(finite, return_counts=True)
        edges = np.append(kinds, kinds[-1:] + 1.0)
    else:
        edges = _edges(given)
        counts = np.histogram(finite, edges)[0]
    return Histogram(
        quantity=quantity,
        unit=unit,
        per=per,
        edges=edges,
        counts=counts.astype(np.int64),
        is_whole=has_bin_each,
        n_missing=len(values) - len(finite),
        minimum=float(given.min()),
        mean=float(given.mean()),
        median=float(np.median(given)),
        maximum=float(given.max()),
    )


def _edges(values: Floats) -> Floats:
    """Return round edges; values far out on either side share one bin that reaches to the last of them."""
    lowest, highest = float(values.min()), float(values.max())
    low, high = (float(value) for value in np.quantile(values, [TAIL, 1.0 - TAIL]))
    width = high - low
    low = lowest if lowest >= low - width else low
    high = highest if highest <= high + width else high
    # If all values are equal, but for those far out, any narrow bin will do.
    step = _round_step((high - low) / MAXIMUM_BINS) or 1e-6 * max(abs(low), 1.0)
    edges = step * np.arange(np.floor(low / step), np.floor(high / step) + 2.0)
    edges[0] = min(edges[0], low)
    if lowest < edges[0]:
        edges = np.concatenate([[lowest], edges])
    if highest > edges[-1]:
        edges = np.concatenate([edges, [highest]])
    return np.asarray(edges, dtype=np.float64)


def _round_step(width: float) -> float:
    """Return the next round number that is not smaller; 0 for 0.

    >>> _round_step(0.13), _round_step(2.4)
    (0.2, 2.5)
    """
    if not width > 0.0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step * power for step in STEPS if step * power >= width * (1.0 - 1e-12)))
