r"""Walkers on a lattice whose diffusion is known exactly: what an analysis of diffusion has to find.

Hops are a Poisson process of a given rate, in continuous time, along one of the six directions of a simple cubic
lattice, so that :math:`D = \Gamma a^2 / 6`. Vibration is white or, with a relaxation time, exponentially correlated; it
adds a constant to the mean square displacement and nothing to D. Atoms may be independent, or a single carrier may move
several by each of its hops, as an interstitial does that knocks others on: then they are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.units import BOLTZMANN

DIRECTIONS = np.concatenate([np.eye(3), -np.eye(3)])
"""The six hops of a simple cubic lattice, in lattice constants."""


@dataclass(frozen=True)
class Walkers:
    """What walks, and how long."""

    n_walkers: int = 27
    """Mobile atoms."""
    n_frames: int = 2000
    """Frames of each replica."""
    n_replicas: int = 1
    """Independent replicas."""
    frame_interval: float = 100.0
    """Time between frames [fs]."""
    rate: float = 1e-3
    """Hops of an atom [1/fs]; of the carrier, where one moves the atoms."""
    lattice_constant: float = 3.0
    """Length of a hop [Å]."""
    vibration: float = 0.0
    """Standard deviation of the vibration along an axis [Å]."""
    relaxation_time: float = 0.0
    """Correlation time of the vibration [fs]; 0 for none between frames."""
    knocked_on: int = 0
    """Atoms that one hop of a single carrier moves in its direction; 0 for atoms that hop by themselves."""
    seed: int = 1
    """Of the random numbers."""

    @property
    def tracer_diffusion(self) -> float:
        """Exact diffusion coefficient of an atom [Å²/fs]; where a carrier walks, the atoms share its hops."""
        share = self.knocked_on / self.n_walkers if self.knocked_on else 1.0
        return self.rate * share * self.lattice_constant**2 / 6.0

    @property
    def charge_diffusion(self) -> float:
        """Exact diffusion coefficient of the sum of all displacements, per atom [Å²/fs]."""
        return self.tracer_diffusion * max(self.knocked_on, 1)

    def paths(self) -> Floats:
        """Return unwrapped positions [Å], shape ``(n_replicas, n_frames, n_walkers, 3)``."""
        random = np.random.default_rng(self.seed)
        shape = (self.n_replicas, self.n_frames, self.n_walkers, 3)
        steps = self._carried(random) if self.knocked_on else self._independent(random)
        paths = self.lattice_constant * np.cumsum(steps, axis=1)
        if self.vibration:
            paths += self.vibration * self._noise(random, shape)
        return np.asarray(paths + self._sites(), dtype=np.float64)

    def frames(self, symbols: tuple[int, int] = (3, 9), drift: Sequence[float] = (0.0, 0.0, 0.0)) -> FrameSet:
        """Return wrapped frames of walkers among as many atoms at rest, with the columns ``time`` and ``replica``.

        :param symbols: atomic numbers of walkers and atoms at rest.
        :param drift: velocity of all atoms [Å/fs].
        """
        paths = self.paths().reshape(-1, self.n_walkers, 3)
        time = np.tile(self.frame_interval * np.arange(self.n_frames), self.n_replicas)
        fixed = np.broadcast_to(self._sites() + self.lattice_constant / 2.0, paths.shape)
        positions = np.concatenate([paths, fixed], axis=1) + np.multiply.outer(time, np.asarray(drift))[:, None, :]
        edge = self._edge() * self.lattice_constant
        n_frames, n_atoms = len(paths), 2 * self.n_walkers
        return FrameSet(
            numbers=np.tile(np.repeat(symbols, self.n_walkers).astype(np.uint8), n_frames),
            positions=(positions % edge).reshape(-1, 3),
            offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
            cells=np.tile(edge * np.eye(3), (n_frames, 1, 1)),
            pbc=np.ones((n_frames, 3), dtype=bool),
            columns={'time': time, 'replica': np.repeat(np.arange(self.n_replicas), self.n_frames)},
        )

    def _edge(self) -> int:
        """Return the lattice constants along the edge of the cell; at least 12, so that no way is lost."""
        return max(12, int(np.ceil(self.n_walkers ** (1.0 / 3.0))))

    def _sites(self) -> Floats:
        """Return the sites on which walkers begin [Å], shape ``(n_walkers, 3)``."""
        edge = int(np.ceil(self.n_walkers ** (1.0 / 3.0)))
        sites = np.stack(np.unravel_index(np.arange(self.n_walkers), (edge, edge, edge)), axis=1)
        return np.asarray(self.lattice_constant * sites, dtype=np.float64)

    def _independent(self, random: np.random.Generator) -> Floats:
        """Return the sum of the hops of each atom since the frame before, in lattice constants.

        The hops of a Poisson process along each direction are Poisson processes of a sixth of the rate.
        """
        shape = (self.n_replicas, self.n_frames, self.n_walkers, 3)
        mean = self.rate * self.frame_interval / 6.0
        forth, back = random.poisson(mean, shape), random.poisson(mean, shape)
        return np.asarray(forth - back, dtype=np.float64)

    def _carried(self, random: np.random.Generator) -> Floats:
        """Return the same where each hop of the carrier moves some atoms, successive ones from a random one on."""
        steps = np.zeros((self.n_replicas, self.n_frames, self.n_walkers, 3))
        counts = random.poisson(self.rate * self.frame_interval, (self.n_replicas, self.n_frames))
        replicas, frames = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
        atoms = random.integers(0, self.n_walkers, len(frames))
        hops = DIRECTIONS[random.integers(0, 6, len(frames))]
        for neighbour in range(self.knocked_on):
            np.add.at(steps, (replicas, frames, (atoms + neighbour) % self.n_walkers), hops)
        return steps

    def _noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Return the vibration in standard deviations."""
        noise = random.normal(size=shape)
        if not self.relaxation_time:
            return noise
        memory = float(np.exp(-self.frame_interval / self.relaxation_time))
        for index in range(1, shape[1]):
            noise[:, index] = memory * noise[:, index - 1] + np.sqrt(1.0 - memory**2) * noise[:, index]
        return noise


def arrhenius_rate(temperature: float, activation_energy: float, attempts: float) -> float:
    """Return the rate of hops at a temperature [1/fs].

    :param temperature: [K].
    :param activation_energy: [eV].
    :param attempts: rate at infinite temperature [1/fs].
    """
    return float(attempts * np.exp(-activation_energy / (BOLTZMANN * temperature)))
