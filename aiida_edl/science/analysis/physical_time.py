r"""How long runs stay physical on the average, of the time that they were run.

A model may have small errors on frames and yet leave physics within a picosecond (X. Fu et al., Transactions on Machine
Learning Research (2023), arXiv:2210.07237). The mean over runs of the time until then, or of their length if they
outlive it, is the area below the survival curve of :mod:`~aiida_edl.science.analysis.survival_of_runs` up to that
length:

.. math:: \bar t = \frac{1}{n} \sum_i t_i,\qquad \sigma^2 = \frac{1}{n(n-1)} \sum_i (t_i - \bar t)^2 .

Where no run has left physics the mean is their length, and its scatter says nothing of longer times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PhysicalTime:
    """Mean time for which runs stayed physical."""

    mean: float
    """Time until a run left physics, or its length if it did not [fs]."""
    error: float | None
    """Its standard error [fs]; None of one run, or where none has left physics."""
    n_runs: int
    """Runs that were judged."""
    n_left: int
    """Of them, those that left physics."""


def physical_time(times: Sequence[float], is_censored: Sequence[bool]) -> PhysicalTime | None:
    """Return the mean time for which runs of one length stayed physical; None without runs.

    >>> physical_time([1000.0, 3000.0], [False, True])
    PhysicalTime(mean=2000.0, error=1000.0, n_runs=2, n_left=1)

    :param times: until a run left physics, or until its end [fs], shape ``(n_runs,)``.
    :param is_censored: whether it outlived its length, shape ``(n_runs,)``.
    :raises ValueError: if the two do not have one value for each run.
    """
    count = len(times)
    if count != len(is_censored):
        raise ValueError(f'there are {count} times and {len(is_censored)} is_censored; give one of each for each run')
    if not count:
        return None
    mean, n_left = math.fsum(times) / count, count - sum(map(bool, is_censored))
    error = None
    if count > 1 and n_left:
        error = math.sqrt(math.fsum((time - mean) ** 2 for time in times) / (count * (count - 1)))
    return PhysicalTime(mean, error, count, n_left)
