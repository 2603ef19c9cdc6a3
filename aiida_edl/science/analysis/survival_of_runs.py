r"""How long runs stay physical: the survival curve of Kaplan and Meier, with runs that outlived their length.

With the times :math:`t_1 < t_2 < ...` at which runs fail, :math:`d_i` failures among the :math:`n_i` runs that still
go on just before,

.. math:: S(t) = \prod_{t_i \le t} \left(1 - \frac{d_i}{n_i}\right),\qquad
   \sigma_S^2 = S^2 \sum_{t_i \le t} \frac{d_i}{n_i (n_i - d_i)} .

A run that was censored counts among those that go on up to its end, and then leaves without a failure; with equal
times, failures come first. The median is the first time at which S is at most one half; its confidence interval holds
the times at which the interval of S, on the scale log(-log S), holds one half. Where S, or its bound, never falls so
low, the median, or the bound, is not known: the runs were too short, or too few.

Sources: E. L. Kaplan, P. Meier, J. Am. Stat. Assoc. 53, 457 (1958); M. Greenwood (1926), for the error;
R. Brookmeyer, J. Crowley, Biometrics 38, 29 (1982), for the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class SurvivalOfRuns(StoredResult):
    """Survival curve and its median."""

    stored_subject: ClassVar[str] = 'a survival curve needs'

    time: Floats
    """0, then the times at which runs failed [fs], shape ``(n_times,)``."""
    survival: Floats
    """Share of runs that survive that time, shape ``(n_times,)``."""
    survival_error: Floats
    """Standard error after Greenwood, shape ``(n_times,)``; NaN where none survives."""
    n_at_risk: NDArray[np.int64]
    """Runs that still went on just before, shape ``(n_times,)``."""
    n_runs: int
    """Runs."""
    n_failed: int
    """Runs that left physics; the others outlived their length."""
    median: float
    """Median survival time [fs]; NaN if more than half survive to the end."""
    median_lower: float
    """Lower bound of the median [fs]; NaN if not known."""
    median_upper: float
    """Upper bound of the median [fs]; NaN if not known."""
    confidence: float
    """Confidence of the bounds."""
    longest: float
    """Longest time that any run lasted [fs]: nothing is known beyond."""

    @property
    def sentence(self) -> str:
        """The result in words."""
        counts = f'{self.n_failed} of {self.n_runs} runs left physics'
        if np.isnan(self.median):
            return f'{counts}; more than half survive what was run, the longest lasted {self.longest:g} fs'
        bounds = (f'{b:g} fs' if np.isfinite(b) else 'not known' for b in (self.median_lower, self.median_upper))
        return f'{counts}; median survival time {self.median:g} fs, {self.confidence:.0%} bounds: {", ".join(bounds)}'

    def scalars(self) -> dict[str, Any]:
        """Return the other fields as JSON types, and the sentence, by name; NaN becomes None."""
        return {**super().scalars(), 'sentence': self.sentence}


def survival_of_runs(times: ArrayLike, is_censored: ArrayLike, confidence: float = 0.95) -> SurvivalOfRuns:
    """Return the survival curve of several runs.

    :param times: survival time of each run [fs], shape ``(n_runs,)``.
    :param is_censored: whether the run outlived its length, shape ``(n_runs,)``.
    :param confidence: of the bounds of the median.
    :raises ValueError: if no run is given, shapes differ, a time is negative or not finite, or the confidence is none.

    >>> survival_of_runs([10.0, 20.0, 30.0], [False, False, True]).median
    20.0
    """
    ends, censored = np.asarray(times, dtype=np.float64), np.asarray(is_censored, dtype=bool)
    if ends.ndim != 1 or ends.shape != censored.shape or not ends.size:
        raise ValueError(f'times have shape {ends.shape}, is_censored {censored.shape}; give one of each for each run')
    if not (np.isfinite(ends).all() and (ends >= 0.0).all()):
        raise ValueError(f'survival times are {ends.tolist()} fs; each must be finite and not negative')
    if not 0.0 < confidence < 1.0:
        raise ValueError(f'confidence is {confidence}, it must lie between 0 and 1')
    failures, deaths = np.unique(ends[~censored], return_counts=True)
    at_risk = np.array([np.sum(ends >= time) for time in failures], dtype=np.int64)
    survival = np.asarray(np.cumprod(1.0 - deaths / at_risk), dtype=np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        greenwood = np.cumsum(deaths / (at_risk * (at_risk - deaths)))
        error = np.where(survival > 0.0, survival * np.sqrt(greenwood), np.nan)
        # S^exp(±zs) has the bounds of log(-log S) ± zs.
        width = stats.norm.ppf(0.5 + confidence / 2.0) * np.sqrt(greenwood) / np.abs(np.log(survival))
        lower, upper = survival ** np.exp(width), survival ** np.exp(-width)
    # Where none survives, Greenwood's error is not known: neither bound moves there.
    lower, upper = np.where(survival > 0.0, lower, 0.0), np.where(survival > 0.0, upper, 1.0)
    return SurvivalOfRuns(
        time=np.concatenate([[0.0], failures]),
        survival=np.concatenate([[1.0], survival]),
        survival_error=np.concatenate([[0.0], error]),
        n_at_risk=np.concatenate([[ends.size], at_risk]).astype(np.int64),
        n_runs=int(ends.size),
        n_failed=int(np.sum(~censored)),
        median=_first_below_half(failures, survival),
        median_lower=_first_below_half(failures, lower),
        median_upper=_first_below_half(failures, upper),
        confidence=confidence,
        longest=float(ends.max()),
    )


def _first_below_half(times: Floats, survival: NDArray[Any]) -> float:
    """Return the first time at which a curve is at most one half; NaN if it never is."""
    below = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(times[below[0]]) if below.size else float('nan')
