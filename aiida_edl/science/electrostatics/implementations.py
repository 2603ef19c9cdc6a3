"""Programs that evaluate a sum with given numbers: one shape for all, so that each is tuned and checked alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.pairs import NeighbourPairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings


class Summation(Protocol):
    """A sum with fixed numbers."""

    settings: SummationSettings

    def __call__(self, system: ChargedSystem, pairs: NeighbourPairs | None = None) -> ElectrostaticResult:
        """Return energy, forces, stress and potentials of a system."""


@dataclass(frozen=True)
class Implementation:
    """A program in one precision."""

    name: str
    """``'compiled'`` or ``'torch'``."""
    precision: str
    """``'float32'`` or ``'float64'``."""
    make: Callable[[SummationSettings], Summation]
    """Returns the sum for given numbers."""
    nodes: Mapping[str, tuple[int, ...]]
    """Interpolation nodes that a tuning tries, by mesh method; a method without entry has no mesh."""
    cutoffs: tuple[float, ...]
    """Cutoffs that a tuning tries where none is given [Å]."""
    least_relative_error: float
    """Smallest force error over the root mean square force that can be asked of this precision."""
    remedy: str
    """What is more precise, or that nothing is."""


COMPILED = Implementation(
    name='compiled',
    precision='float64',
    make=CompiledSummation,
    nodes={'p3m': (4, 5, 6, 7, 8)},
    cutoffs=(5.0, 6.0, 7.0, 8.0, 9.0, 10.5, 12.0),
    least_relative_error=1e-12,
    remedy='nothing here is more precise',
)
"""The compiled sums."""
