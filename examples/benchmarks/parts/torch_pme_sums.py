"""The P3M of torch-pme as its users call it: energies by the library, forces by automatic differentiation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchpme
from parts.charge_cases import ChargeCase
from parts.own_sums import search_times
from parts.timed_sums import (
    AIM,
    MOST_TUNED_ATOMS,
    NotMeasuredError,
    Settings,
    TimePlan,
    largest_that_meets,
    neglect_ratio,
    pairs_within,
    peak_megabytes,
    time_evaluations,
)

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem
from aiida_edl.science.electrostatics.converged_sum import root_mean_square
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.frames import Floats

SPACINGS = (0.45, 2.6)
"""Spacings of mesh points that are tried, from and to [Å]."""
NODES = (4, 5)
"""Interpolation nodes that are tried; the library has up to 5 and its default is 4."""
LONGEST_CUTOFF = 14.0
"""Longest cutoff that is tried [Å]."""
REAL_SHARE = 0.7
"""Share of the target that the neglect of pairs may take."""
RATIO_CUTOFF = 5.0
"""Cutoff at which the ratio of cutoff and smearing is measured; it varies little [Å]."""
BYTES_OF_PAIR, BYTES_OF_POINT, BYTES_OF_NODE = 400.0, 130.0, 60.0
"""Peak of memory in double precision for a pair, a mesh point and an atom at one of its nodes."""
LEAST_MEGABYTES = 300.0
"""Memory of the process alone."""
TRIAL_EVALUATIONS = 3
"""Evaluations by which candidates are compared."""


@dataclass(frozen=True)
class TorchP3M:
    """The plain calculator of the library, in one precision."""

    precision: str
    """``'float64'`` or ``'float32'``."""

    @property
    def most_tuned_atoms(self) -> int:
        """Atoms up to which it is tuned on a system itself."""
        return MOST_TUNED_ATOMS

    def tune(self, case: ChargeCase, target: float, reference: Floats) -> Settings:
        """Return the fastest of several meshes and orders, each with the shortest cutoff that meets the target.

        The library takes powers of two as numbers of mesh points, the next above 2 L/h + 1 for a spacing h; so the
        mesh is chosen first, and then the smearing and the cutoff.
        """
        if not case.is_orthorhombic:
            raise NotMeasuredError('the P3M of torch-pme 0.5.0 is wrong in cells that are not orthorhombic')
        if self.precision == 'float32':
            return TorchP3M('float64').tune(case, target, reference)
        system = case.system()
        ratio = neglect_ratio(system, RATIO_CUTOFF, AIM * REAL_SHARE * target)
        search = _Search(system, target, reference, ratio)
        length = float(np.linalg.norm(system.cell[0]))
        powers = [m for m in range(3, 10) if SPACINGS[0] <= length / 2**m <= SPACINGS[1]] or [3]
        found: list[tuple[float, Settings]] = []
        for power in powers:
            for nodes in NODES:
                settings = search.best(length / 2**power, nodes)
                if settings is not None:
                    found.append((_trial_seconds(system, settings), settings))
        if not found:
            raise NotMeasuredError(f'no mesh met the target with a cutoff up to {LONGEST_CUTOFF:g} Å')
        return min(found, key=lambda pair: pair[0])[1]

    def scaled(self, settings: Settings, factor: int) -> Settings:
        """Return the settings: their spacing gives a mesh that grows with the cell."""
        return settings

    def tighter(self, settings: Settings, ratio: float) -> Settings:
        """Return settings with a longer cutoff and a wider smearing."""
        longer = ratio ** (-1.0 / settings['nodes'])
        return {**settings, 'cutoff': longer * settings['cutoff'], 'smearing': longer * settings['smearing']}

    def forces(self, case: ChargeCase, settings: Settings) -> Floats:
        """Return forces [eV/Å]."""
        return _Evaluation(case.system(), settings, self.dtype).result()[1]

    def needed_megabytes(self, case: ChargeCase, settings: Settings) -> float:
        """Return the memory that an evaluation needs, about."""
        system = case.system()
        n_pairs = pairs_within(case, system.volume, settings['cutoff'])
        n_points = float(np.prod(np.linalg.norm(system.cell, axis=1) / settings['spacing']))
        needed = BYTES_OF_PAIR * n_pairs + BYTES_OF_POINT * n_points
        needed += BYTES_OF_NODE * case.n_atoms * settings['nodes'] ** 3
        return LEAST_MEGABYTES + needed * (1.0 if self.precision == 'float64' else 0.6) / 1e6

    def measure(self, case: ChargeCase, settings: Settings, plan: TimePlan) -> dict[str, Any]:
        """Return times and peak of memory."""
        system = case.system()
        evaluation = _Evaluation(system, settings, self.dtype)
        times = time_evaluations(lambda positions: evaluation.result(positions)[1], system.positions, plan)
        return {**times, **search_times(system, settings['cutoff']), 'peak_megabytes': peak_megabytes()}

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers."""
        return torch.float64 if self.precision == 'float64' else torch.float32


@dataclass(frozen=True)
class _Search:
    """The search for the shortest cutoff, in double precision."""

    system: ChargedSystem
    target: float
    """Force error that is asked for [eV/Å]."""
    reference: Floats
    """Forces of a converged sum [eV/Å]."""
    ratio: float
    """Cutoff over smearing."""

    def best(self, spacing: float, nodes: int) -> Settings | None:
        """Return the shortest cutoff that meets the target with a mesh, if any does.

        :param spacing: spacing of mesh points [Å].
        :param nodes: interpolation nodes.
        """

        def settings_of(cutoff: float) -> Settings:
            return {'cutoff': cutoff, 'smearing': cutoff / self.ratio, 'spacing': spacing, 'nodes': nodes}

        def judge(inverse: float) -> float:
            if 1.0 / inverse > LONGEST_CUTOFF:
                return 10.0 * self.target
            forces = _Evaluation(self.system, settings_of(1.0 / inverse), torch.float64).result()[1]
            return root_mean_square(forces - self.reference)

        start = 1.0 / min(max(1.2 * self.ratio * spacing, 3.0), 10.0)
        best = largest_that_meets(judge, start, self.target, nodes + 1.0)
        return None if best is None else settings_of(1.0 / best[0])


def _trial_seconds(system: ChargedSystem, settings: Settings) -> float:
    """Return the processor time of the fastest of some evaluations in double precision [s]."""
    evaluation = _Evaluation(system, settings, torch.float64)
    evaluation.result()
    seconds = []
    for _ in range(TRIAL_EVALUATIONS):
        start = time.process_time()
        evaluation.result()
        seconds.append(time.process_time() - start)
    return min(seconds)


class _Evaluation:
    """A calculator with its system and pairs."""

    def __init__(self, system: ChargedSystem, settings: Settings, dtype: torch.dtype) -> None:
        torch.set_num_threads(1)
        torch.set_default_dtype(dtype)  # mesh calculators fail in single precision under another default
        potential = torchpme.CoulombPotential(smearing=settings['smearing'], prefactor=COULOMB_CONSTANT)
        asked = asked_spacing(float(np.linalg.norm(system.cell[0])), settings['spacing'])
        calculator = torchpme.P3MCalculator(potential, mesh_spacing=asked, interpolation_nodes=settings['nodes'])
        self.calculator = calculator.to(dtype)
        self.dtype = dtype
        self.positions = system.positions
        found = neighbour_pairs(system, settings['cutoff'])
        self.pairs = torch.from_numpy(found.pairs)
        self.shifts = torch.from_numpy(found.shifts).to(dtype)
        self.cell = torch.from_numpy(system.cell).to(dtype)
        self.charges = torch.from_numpy(system.charges).to(dtype)[:, None]

    def result(self, positions: Floats | None = None) -> tuple[float, Floats]:
        """Return energy [eV] and forces [eV/Å]."""
        given = self.positions if positions is None else positions
        places = torch.from_numpy(np.ascontiguousarray(given)).to(self.dtype).requires_grad_(True)
        first, second = self.pairs[:, 0], self.pairs[:, 1]
        distances = torch.linalg.norm(places[second] - places[first] + self.shifts @ self.cell, dim=1)
        potentials = self.calculator(self.charges, self.cell, places, self.pairs, distances)
        energy = (self.charges * potentials).sum()
        (gradient,) = torch.autograd.grad(energy, places)
        return float(energy.detach()), -gradient.double().numpy()


def asked_spacing(length: float, spacing: float) -> float:
    """Return the spacing to ask the library for: it takes the power of two next above 2 L/h + 1 as number of points.

    :param length: length of the cell L [Å].
    :param spacing: spacing that is wanted, the length divided by a power of two [Å].

    >>> 2.0 * 64.0 / asked_spacing(64.0, 2.0) + 1.0 <= 32.0
    True
    """
    return 2.0 * length / (round(length / spacing) - 1) * (1.0 + 1e-5)
