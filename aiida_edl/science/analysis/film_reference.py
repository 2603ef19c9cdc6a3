r"""How often atoms of a film would be found at a distance if they did not know of each other.

In a film of lateral area A, periodic along the surface, atoms of two kinds with mean linear densities
:math:`\lambda_a(z), \lambda_b(z)` [1/Å] that are independent and lie anywhere along the surface have

.. math::
    \frac{\mathrm dN_0}{\mathrm dr} = \frac{2\pi r}{A}\, \frac{n_{ab}}{N_a N_b} \int_{-r}^{r} \mathrm d\Delta
    \int \mathrm dz\, \lambda_a(z)\, \lambda_b(z + \Delta)

pairs at the distance r: of a sphere, each slice of one thickness has the same surface. :math:`n_{ab}` are the pairs
that count, e.g. :math:`N(N-1)` of N equal atoms. It holds up to half the lateral height of the cell. In a homogeneous
periodic cell it is the usual :math:`4\pi r^2 n_{ab}/V`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats

HEIGHT_STEP = 0.02
"""Width of the bins in which heights are gathered [Å]; within it, a density is taken to be constant."""
STEPS_PER_BIN = 20
"""Steps in which a bin of the distance is integrated, an even number."""
MAX_HEIGHT_BINS = 200_000
"""Bins of the height beyond which the heights of an open cell are not those of a film."""


@dataclass(frozen=True)
class HeightGrid:
    """Fine bins of the height, over a period or over all that occurs."""

    low: float
    """Lower end [Å]."""
    step: float
    """Width of a bin [Å]."""
    n_bins: int
    """Number of bins."""
    is_periodic: bool
    """Whether the upper end is the lower one again."""

    @classmethod
    def of_period(cls, period: float) -> HeightGrid:
        """Return the grid of a cell that is periodic along its normal.

        :param period: mean height of the cell [Å].
        """
        n_bins = max(1, round(period / HEIGHT_STEP))
        return cls(0.0, period / n_bins, n_bins, is_periodic=True)

    @classmethod
    def of_extent(cls, low: float, high: float) -> HeightGrid:
        """Return the grid of a film, from its lowest to its highest atom.

        :param low: lowest height [Å].
        :param high: highest height [Å].
        """
        step = max(HEIGHT_STEP, (high - low) / MAX_HEIGHT_BINS)
        return cls(low, step, int((high - low) / step) + 1, is_periodic=False)

    def counts(self, heights: Floats) -> Floats:
        """Return how many heights lie in each bin, shape ``(n_bins,)``.

        :param heights: heights [Å], any shape; of a periodic cell in whatever period.
        """
        bins = np.floor((heights.ravel() - self.low) / self.step).astype(np.int64)
        bins = bins % self.n_bins if self.is_periodic else np.clip(bins, 0, self.n_bins - 1)
        return np.bincount(bins, minlength=self.n_bins).astype(np.float64)


def uncorrelated_pairs(first: Floats, second: Floats, grid: HeightGrid, area: float, edges: Floats) -> Floats:
    """Return the pairs of independent atoms in each bin of the distance, shape ``(n_edges - 1,)``.

    :param first: mean number of atoms of one kind in each bin of the height, shape ``(n_bins,)``.
    :param second: the same for the other kind.
    :param grid: bins of the height.
    :param area: lateral area [Å²].
    :param edges: edges of the bins of the distance [Å], shape ``(n_edges,)``, equally spaced from 0.
    """
    reach = int(np.ceil(edges[-1] / grid.step)) + 1
    size = grid.n_bins if grid.is_periodic else 2 ** int(np.ceil(np.log2(grid.n_bins + reach + 1)))
    product = np.fft.rfft(first, size).conj() * np.fft.rfft(second, size)
    correlation = np.fft.irfft(product, size)
    lags = np.arange(reach + 1)
    both = correlation[lags % size] + correlation[-lags % size]
    # Atoms anywhere within their bins: the density of the difference of heights is linear between whole lags.
    within = np.concatenate([[0.0], np.cumsum(0.5 * (both[:-1] + both[1:]))])
    fine = np.linspace(0.0, edges[-1], (len(edges) - 1) * STEPS_PER_BIN + 1)
    lag = np.minimum((fine / grid.step).astype(np.int64), reach - 1)
    rest = fine / grid.step - lag
    pairs = within[lag] + rest * (both[lag] + 0.5 * rest * (both[lag + 1] - both[lag]))
    density = 2.0 * np.pi * fine / area * pairs
    # Simpson's rule, exact where the profiles are flat.
    triples = (density[:-2:2] + 4.0 * density[1:-1:2] + density[2::2]) * (fine[1] - fine[0]) / 3.0
    return np.asarray(np.maximum(triples.reshape(-1, STEPS_PER_BIN // 2).sum(axis=1), 0.0))
