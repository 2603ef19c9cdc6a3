"""A MACE model with electrostatics as a calculator of ASE, and the file that it is loaded from.

Needs torch, mace-torch and numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import (
    ElectrostaticFrame,
    Surroundings,
    electrostatic_frame,
)
from aiida_edl.science.electrostatics.charge_models.electrostatic_mace import ElectrostaticMace
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings

OUTSIDE = ('charge', 'potential', 'field')
"""Entries of ``atoms.info`` with what is held fixed outside."""


def save_model(model: ElectrostaticMace, path: Path) -> None:
    """Write a model in one step: whoever kills the program leaves the old file or the new one.

    :param model: the model.
    :param path: the file.
    """
    temporary = path.with_name(f'{path.name}.tmp')
    torch.save({'settings': model.settings.to_dict(), 'weights': model.state_dict()}, temporary)
    temporary.replace(path)


def load_model(path: str | Path, device: str = 'cpu', precision: str = 'float64') -> ElectrostaticMace:
    """Return a model from its file.

    :param path: the file.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param precision: ``'float32'`` or ``'float64'``.
    """
    content = torch.load(path, map_location='cpu', weights_only=True)
    model = ElectrostaticMace(ElectrostaticSettings.from_dict(content['settings']))
    # in the type of the file: what is copied into weights of single precision is rounded
    model.to(dtype=next(value.dtype for value in content['weights'].values() if value.is_floating_point()))
    model.load_state_dict(content['weights'])
    model.to(device=device, dtype=getattr(torch, precision)).requires_grad_(False)
    return model


class ElectrostaticMaceCalculator(Calculator):  # type: ignore[misc]  # ASE is not typed
    """Energy, forces, charges and dipole and, of frames that are periodic in all directions, stress.

    ``atoms.info['charge']`` is the total charge of the frame [e], 0 without it; ``atoms.info['potential']`` the
    potential dE/dQ at which charges come and go [V], for a model that has one: the energy is then less that times the
    charge. ``atoms.info['field']`` is an applied electric field [V/Å]. The result ``potential`` is dE/dQ, minus the
    Fermi level.

    :param model: the file.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param precision: ``'float32'`` or ``'float64'``.
    """

    implemented_properties: ClassVar[Sequence[str]] = [
        'energy',
        'free_energy',
        'forces',
        'charges',
        'dipole',
        'stress',
    ]

    def __init__(self, model: str, device: str = 'cpu', precision: str = 'float64') -> None:
        super().__init__()
        self.model = load_model(model, device, precision)
        self.device, self.dtype = device, getattr(torch, precision)
        settings = self.model.settings
        self.own_energies = dict(zip(settings.atomic_numbers, settings.atomic_energies))

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed: also charge, potential and field, which ASE does not look at."""
        changes: list[str] = super().check_state(atoms, tol)
        known = {} if self.atoms is None else self.atoms.info
        outside = [name for name in OUTSIDE if np.any(np.asarray(known.get(name)) != np.asarray(atoms.info.get(name)))]
        return [*changes, *outside]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ('energy',),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute all properties at once."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None  # set by the base class
        seen = self.atoms
        frame = self._frame(seen)
        positions = frame.positions.requires_grad_()
        strain = torch.zeros((3, 3), dtype=self.dtype, device=self.device, requires_grad=True)
        strained = torch.eye(3, dtype=self.dtype, device=self.device) + strain
        (found,), _ = self.model.energies([frame.moved(positions @ strained, frame.cell @ strained)])
        gradient, by_strain = torch.autograd.grad(found.energy, (positions, strain), allow_unused=True)
        energy = float(found.energy.detach()) + sum(self.own_energies[int(number)] for number in seen.numbers)
        multipoles = _array(found.charges.multipoles)
        own_dipoles = multipoles[:, 1:].sum(axis=0) if multipoles.shape[1] > 1 else np.zeros(3)
        self.results = {
            'energy': energy,
            'free_energy': energy,
            'forces': np.zeros((len(seen), 3)) if gradient is None else -_array(gradient),
            'charges': multipoles[:, 0],
            'dipole': multipoles[:, 0] @ seen.positions + own_dipoles,
        }
        if found.charges.potential is not None:
            self.results['potential'] = float(found.charges.potential)
        if seen.pbc.all() and by_strain is not None:
            stress = _array(by_strain) / seen.get_volume()
            self.results['stress'] = full_3x3_to_voigt_6_stress(0.5 * (stress + stress.T))

    def _frame(self, atoms: Atoms) -> ElectrostaticFrame:
        """Return atoms as tensors, with what is held fixed outside of them."""
        potential = atoms.info.get('potential')
        first, second, third = (float(component) for component in atoms.info.get('field', (0.0, 0.0, 0.0)))
        outside = Surroundings(
            total_charge=float(atoms.info.get('charge', 0.0)),
            potential=None if potential is None else float(potential),
            field=(first, second, third),
        )
        return electrostatic_frame(
            atoms.numbers,
            atoms.positions,
            atoms.cell.array,
            atoms.pbc,
            self.model.settings,
            dtype=self.dtype,
            device=self.device,
            outside=outside,
        )


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array of double precision."""
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)
