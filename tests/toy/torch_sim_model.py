"""Models with the interface of those of torch-sim, and some that fail; torch and torch-sim are needed."""

from __future__ import annotations

import os
import signal
from typing import Any

import torch
from torch_sim.neighbors import vesin_nl_ts


class PairModel:
    """The potential of Lennard and Jones, shifted to vanish at the cutoff radius, as ASE has it."""

    def __init__(self, sigma: float, epsilon: float, cutoff: float, device: torch.device, dtype: torch.dtype) -> None:
        self.sigma = sigma
        self.epsilon = epsilon
        self.cutoff = torch.tensor(cutoff, dtype=dtype)
        self.device = device
        self.dtype = dtype

    def energy(self, positions: torch.Tensor, cell: torch.Tensor, pbc: bool) -> torch.Tensor:
        """Return the energy of one system [eV]."""
        pairs, shifts = vesin_nl_ts(positions.detach(), cell, pbc, self.cutoff)
        distances = (positions[pairs[1]] - positions[pairs[0]] + shifts @ cell).norm(dim=1)

        def pair_energy(distance: torch.Tensor) -> torch.Tensor:
            power = (self.sigma / distance) ** 6
            return 4.0 * self.epsilon * (power**2 - power)

        return 0.5 * (pair_energy(distances) - pair_energy(self.cutoff)).sum()

    def __call__(self, state: Any) -> dict[str, torch.Tensor]:
        """Return energies [eV] and forces [eV/Å] of all systems."""
        positions = state.positions.detach().requires_grad_(True)
        energies = torch.stack(
            [
                self.energy(positions[state.system_idx == index], cell, state.pbc)
                for index, cell in enumerate(state.row_vector_cell)
            ]
        )
        (gradient,) = torch.autograd.grad(energies.sum(), positions)
        return {'energy': energies.detach(), 'forces': -gradient}


class CountingModel(PairModel):
    """A pair model that does something in a certain call, counted over the whole run of the program."""

    def __init__(self, after: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.calls, self.after = 0, after

    def __call__(self, state: Any) -> dict[str, torch.Tensor]:
        """Count, act, compute."""
        self.calls += 1
        if self.calls > self.after:
            self.act()
        return super().__call__(state)

    def act(self) -> None:
        """Do what the subclass is for."""
        raise NotImplementedError


class KillingModel(CountingModel):
    """Ends the process without a word, as the kernel does when memory is short."""

    def act(self) -> None:
        """End the process."""
        os._exit(137)


class InterruptedModel(CountingModel):
    """Tells the program to stop, as a scheduler does."""

    def act(self) -> None:
        """Send the signal."""
        os.kill(os.getpid(), signal.SIGTERM)


class OutOfMemoryModel(PairModel):
    """Raises what torch raises when an accelerator has no memory left."""

    def __call__(self, state: Any) -> dict[str, torch.Tensor]:
        """Raise."""
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
