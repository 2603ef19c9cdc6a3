"""A local-charge model as a calculator of ASE, and the file that it is loaded from.

Needs torch, torch-pme and numba.
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

from aiida_edl.science.electrostatics.charge_models.atomic_system import atomic_system
from aiida_edl.science.electrostatics.charge_models.local_charges import LocalChargeModel, own_energies
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings


def save_model(model: LocalChargeModel, path: Path) -> None:
    """Write a model in one step: whoever kills the program leaves the old file or the new one.

    :param model: the model.
    :param path: the file.
    """
    temporary = path.with_name(f'{path.name}.tmp')
    torch.save({'settings': model.settings.to_dict(), 'weights': model.state_dict()}, temporary)
    temporary.replace(path)


def load_model(path: str | Path, device: str = 'cpu', precision: str = 'float64') -> LocalChargeModel:
    """Return a model from its file.

    :param path: the file.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param precision: ``'float32'`` or ``'float64'``.
    """
    content = torch.load(path, map_location='cpu', weights_only=True)
    model = LocalChargeModel(LocalChargeSettings.from_dict(content['settings']))
    model.load_state_dict(content['weights'])
    model.to(device=device, dtype=getattr(torch, precision)).requires_grad_(False)
    return model


class LocalChargeCalculator(Calculator):  # type: ignore[misc]  # ASE is not typed
    """Energy, forces, charges and, of frames that are periodic in all directions, stress.

    ``atoms.info['charge']`` is the total charge of the frame [e], 0 without it.

    :param model: the file.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param precision: ``'float32'`` or ``'float64'``.
    """

    implemented_properties: ClassVar[Sequence[str]] = [
        'energy',
        'free_energy',
        'energies',
        'forces',
        'charges',
        'stress',
    ]

    def __init__(self, model: str, device: str = 'cpu', precision: str = 'float64') -> None:
        super().__init__()
        self.model = load_model(model, device, precision)
        self.device, self.dtype = device, getattr(torch, precision)

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
        system = atomic_system(
            seen.numbers,
            seen.positions,
            seen.cell.array,
            seen.pbc,
            self.model.settings,
            dtype=self.dtype,
            device=self.device,
            total_charge=float(seen.info.get('charge', 0.0)),
        )
        positions = system.positions.requires_grad_()
        strain = torch.zeros((3, 3), dtype=self.dtype, device=self.device, requires_grad=True)
        strained = torch.eye(3, dtype=self.dtype, device=self.device) + strain
        found = self.model([system.moved(positions @ strained, system.cell @ strained)])
        gradient, by_strain = torch.autograd.grad(found.energies.sum(), (positions, strain), allow_unused=True)
        own = own_energies(self.model.settings, seen.numbers)
        energy = float(found.energies.detach().sum()) + float(own.sum())
        self.results = {
            'energy': energy,
            'free_energy': energy,
            'energies': _array(found.atomic_energies) + own,
            'forces': np.zeros((len(seen), 3)) if gradient is None else -_array(gradient),
            'charges': _array(found.charges),
        }
        if seen.pbc.all() and by_strain is not None:
            stress = _array(by_strain) / seen.get_volume()
            self.results['stress'] = full_3x3_to_voigt_6_stress(0.5 * (stress + stress.T))


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array of double precision."""
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)
