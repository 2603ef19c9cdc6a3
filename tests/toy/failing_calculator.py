"""Calculators that fail in the ways real ones do."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

GOLD = 79


class UnconvergedCalculator(EMT):
    """Effective-medium theory whose SCF fails for every frame with copper."""

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Refuse copper."""
        if np.any(atoms.numbers != GOLD):
            raise CalculationFailed('SCF not converged\nin 500 cycles')
        super().calculate(atoms, properties, system_changes)


class EmtCalculator(EMT):
    """Effective-medium theory with nothing wrong."""


class WrongSignCalculator(EMT):
    """Effective-medium theory that gives gradients instead of forces."""

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Turn the forces around."""
        super().calculate(atoms, properties, system_changes)
        self.results['forces'] = -self.results['forces']


class NotFiniteCalculator(EMT):
    """Effective-medium theory with an energy that is not a number for frames with copper."""

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Spoil copper."""
        super().calculate(atoms, properties, system_changes)
        if np.any(atoms.numbers != GOLD):
            self.results['energy'] = self.results['free_energy'] = np.nan


class OutOfMemoryCalculator(Calculator):
    """Runs out of the memory of an accelerator."""

    implemented_properties = ('energy', 'forces')

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Say what PyTorch says."""
        raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')


class ExtrapolatingCalculator(Calculator):
    """Constant energies, the one that forces belong to being the free energy; charges and a stress."""

    implemented_properties = ('energy', 'free_energy', 'forces', 'stress', 'charges')

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Return constants."""
        super().calculate(atoms, properties, system_changes)
        n_atoms = len(self.atoms)
        self.results = {
            'energy': -1.0,
            'free_energy': -1.5,
            'forces': np.zeros((n_atoms, 3)),
            'stress': np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            'charges': np.arange(n_atoms) / 10,
        }


class ChargeInInfoCalculator(Calculator):
    """Energy and forces equal to the charge in ``atoms.info``; it caches as ASE and Deep Potential do."""

    implemented_properties = ('energy', 'forces')

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Return the charge."""
        super().calculate(atoms, properties, system_changes)
        (charge,) = self.atoms.info['fparam']
        self.results = {'energy': charge, 'forces': np.full((len(self.atoms), 3), charge)}


MORSE = {'epsilon': 0.5, 'r0': 2.9, 'rho0': 5.0, 'rcut1': 1.5, 'rcut2': 1.9}
"""Morse potential of gold; its results do not depend on what was computed before."""


class KillingCalculator(MorsePotential):
    """Morse potential that ends its process without a word after some frames, as the kernel does."""

    def __init__(self, after: int) -> None:
        super().__init__(**MORSE)
        self.left = after

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Compute, then count down."""
        if self.left == 0:
            os._exit(137)
        self.left -= 1
        super().calculate(atoms, properties, system_changes)


class InterruptedCalculator(MorsePotential):
    """Morse potential in a process that the scheduler tells to stop after some frames."""

    def __init__(self, after: int) -> None:
        super().__init__(**MORSE)
        self.left = after

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Compute, and count down."""
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


class HangingCalculator(MorsePotential):
    """Morse potential whose process stops dead after some frames, unless it goes on from a checkpoint."""

    def __init__(self, after: int) -> None:
        super().__init__(**MORSE)
        self.left = -1 if Path('checkpoint.npz').exists() else after

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Compute, count down, and hang."""
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)


class SpoilingCalculator(MorsePotential):
    """Morse potential whose forces are no numbers after some frames."""

    def __init__(self, after: int) -> None:
        super().__init__(**MORSE)
        self.left = after

    def calculate(self, atoms: Any = None, properties: Any = ('energy',), system_changes: Any = all_changes) -> None:
        """Compute, then spoil."""
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left < 0:
            self.results['forces'] = np.full_like(self.results['forces'], np.nan)
