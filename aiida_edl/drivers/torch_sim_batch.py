"""Replicas that run together: one integrator for all their atoms, a thermostat for each of them.

A part of ``run_torch_sim_md.py``, beside which it lies on the compute node; needs torch-sim, torch, numpy and ASE.

Integration is velocity Verlet (W. C. Swope et al., J. Chem. Phys. 76, 637 (1982)). In the NVT ensemble it is followed
by stochastic velocity rescaling (G. Bussi, D. Donadio and M. Parrinello, J. Chem. Phys. 126, 014101 (2007), equation
A7), or it becomes the splitting BAOAB of Langevin dynamics (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102
(2013)) with friction ``1 / relaxation_time``. All is as in ``run_ase_md.py``, in the same order of random numbers: the
same seed gives the same run here and there, but for rounding.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch_sim
from ase.data import atomic_masses
from numpy.typing import NDArray

ROOM = 100.0
"""Empty space along an open direction that is left whatever the atoms do [Å]."""
ATOM_VARIABLES = ('positions', 'velocities', 'forces')
"""What changes from step to step, for each atom, shape ``(n_atoms, 3)`` [Å, Å/fs, eV/Å]."""
REPLICA_VARIABLES = ('potential_energy', 'wall_energy', 'heat')
"""What changes from step to step, for each replica [eV]."""

Floats = NDArray[np.float64]


@dataclass
class Replica:
    """One trajectory, as it is stored."""

    number: int
    """Its place in the input."""
    numbers: NDArray[np.int64]
    """Atomic numbers."""
    mobile: NDArray[np.bool_]
    """Atoms that move."""
    cell: Floats
    """Lattice vectors as rows, those of open directions long enough [Å]."""
    open_directions: Floats
    """Unit vectors of open directions, zero for periodic ones, shape ``(3, 3)``."""
    wall_height: float
    """Position of the wall [Å]; infinite without one."""
    energy_shift: float
    """Energy to add to that of the model [eV]."""
    generator: np.random.Generator
    """Source of random numbers."""
    variables: dict[str, Any]
    """What changes from step to step: :data:`ATOM_VARIABLES` and :data:`REPLICA_VARIABLES`; at first the positions."""
    outcome: str = ''
    """How it ended; empty while it runs."""
    message: str = ''
    """One sentence on that."""
    steps_done: int = 0
    """Steps done when it ended."""
    samples: list[tuple[Floats, tuple[float, ...]]] = field(default_factory=list)
    """Positions and values of the series that are not written yet."""

    def arrays(self) -> dict[str, Any]:
        """Return what the checkpoint holds of it."""
        ending = {'outcome': self.outcome, 'message': self.message, 'steps_done': self.steps_done}
        state = json.dumps(self.generator.bit_generator.state)
        arrays = {**self.variables, 'numbers': self.numbers, 'generator_state': state, 'ending': json.dumps(ending)}
        return {f'{self.number:04d}_{name}': np.asarray(value) for name, value in arrays.items()}

    def restore(self, archive: Any) -> None:
        """Take its part of a checkpoint."""
        self.generator.bit_generator.state = json.loads(str(archive[f'{self.number:04d}_generator_state']))
        for name in (*ATOM_VARIABLES, *REPLICA_VARIABLES):
            self.variables[name] = archive[f'{self.number:04d}_{name}']
        for name, value in json.loads(str(archive[f'{self.number:04d}_ending'])).items():
            setattr(self, name, value)


def periodic_cell(cell: Floats, pbc: NDArray[np.bool_], positions: Floats) -> tuple[Floats, Floats]:
    """Return a cell that is periodic in all directions [Å], and the unit vectors of the open directions.

    :param cell: lattice vectors as rows [Å]; those of open directions are not used.
    :param pbc: which directions are periodic.
    :param positions: positions [Å].
    """
    padded, directions = np.array(cell, dtype=np.float64), np.zeros((3, 3))
    if pbc.all():
        return padded, directions
    _, _, complement = np.linalg.svd(padded[pbc]) if pbc.any() else (None, None, np.eye(3))
    directions[~pbc] = complement[int(pbc.sum()) :]
    extent = np.ptp(positions @ directions.T, axis=0)
    padded[~pbc] = (directions * (extent + 2.0 * ROOM)[:, None])[~pbc]
    return padded, directions


class Batch:
    """Replicas that run together, their atoms end to end in tensors of double precision."""

    positions: torch.Tensor
    """Positions, never wrapped back into the cell [Å]."""
    velocities: torch.Tensor
    """Velocities [Å/fs]."""
    forces: torch.Tensor
    """Forces, those of the wall included [eV/Å]."""
    potential_energy: torch.Tensor
    """Energies of the model [eV]."""
    wall_energy: torch.Tensor
    """Energies of the wall [eV]."""
    heat: torch.Tensor
    """Heat given by the thermostats so far [eV]."""

    def __init__(self, replicas: list[Replica], settings: dict[str, Any], units: dict[str, float], model: Any) -> None:
        self.replicas = replicas
        self.settings = settings
        self.units = units
        self.model = model
        self.boltzmann = units['boltzmann']
        has_thermostat = settings['ensemble'] == 'nvt'
        self.is_langevin = has_thermostat and settings['thermostat'] == 'langevin'
        self.is_csvr = has_thermostat and settings['thermostat'] == 'csvr'
        self.decay = float(np.exp(-settings['time_step'] / settings['relaxation_time']))
        self.is_at_rest = [bool(replica.mobile.all()) and not self.is_langevin for replica in replicas]
        mobile = [int(replica.mobile.sum()) for replica in replicas]
        self.degrees_of_freedom = np.array([3 * n - 3 * rest for n, rest in zip(mobile, self.is_at_rest)])
        self._pack_constants()
        for name in (*ATOM_VARIABLES, *REPLICA_VARIABLES):
            if all(replica.variables.get(name) is not None for replica in replicas):
                setattr(self, name, self._pack([np.atleast_1d(replica.variables[name]) for replica in replicas]))

    def _pack(self, arrays: list[Any]) -> torch.Tensor:
        """Return arrays of all replicas end to end."""
        return torch.as_tensor(np.concatenate(arrays), device=self.model.device)

    def _pack_constants(self) -> None:
        """Put into tensors what stays as it is."""
        replicas, settings = self.replicas, self.settings
        self.sizes = [len(replica.numbers) for replica in replicas]
        self.owner = self._pack([np.full(size, index) for index, size in enumerate(self.sizes)])
        numbers = np.concatenate([replica.numbers for replica in replicas])
        masses = atomic_masses[numbers] * self.units['atomic_mass']
        self.masses = self._pack([masses])[:, None]
        self.mobile = self._pack([replica.mobile for replica in replicas])[:, None]
        self.inverse_masses = torch.where(self.mobile, 1.0 / self.masses, 0.0)
        self.half_kick = 0.5 * settings['time_step'] * self.inverse_masses
        self.energy_shifts = self._pack([np.array([replica.energy_shift for replica in replicas])])
        heights = [np.where(replica.mobile, replica.wall_height, np.inf) for replica in replicas]
        self.wall_heights = self._pack(heights)
        self.has_wall = bool(np.isfinite(np.concatenate(heights)).any())
        self.open_directions = self._pack([replica.open_directions[None] for replica in replicas])
        self.has_open_directions = bool((self.open_directions != 0).any())
        cells = self._pack([replica.cell[None] for replica in replicas])
        dtype = self.model.dtype
        self.state = torch_sim.SimState(
            positions=torch.zeros((len(numbers), 3), dtype=dtype, device=self.model.device),
            masses=self.masses[:, 0].to(dtype),
            cell=cells.transpose(1, 2).contiguous().to(dtype),
            pbc=True,
            atomic_numbers=self._pack([numbers]),
            system_idx=self.owner,
        )

    def unpack(self) -> None:
        """Bring the variables back to the replicas."""
        ends = np.cumsum(self.sizes)[:-1]
        for name in ATOM_VARIABLES:
            for replica, values in zip(self.replicas, np.split(getattr(self, name).cpu().numpy(), ends)):
                replica.variables[name] = values.copy()
        for name in REPLICA_VARIABLES:
            for replica, value in zip(self.replicas, getattr(self, name).cpu().numpy()):
                replica.variables[name] = value

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sums over the atoms of each replica, shape ``(n_replicas, ...)``."""
        shape = (len(self.replicas), *values.shape[1:])
        return torch.zeros(shape, dtype=values.dtype, device=values.device).index_add_(0, self.owner, values)

    def kinetic_energies(self) -> Floats:
        """Return the kinetic energy of each replica [eV]; fixed atoms have none."""
        energies: Floats = self.sums(0.5 * (self.masses * self.velocities**2).sum(dim=1)).cpu().numpy()
        return energies

    def temperatures(self, kinetic_energies: Floats) -> Floats:
        """Return the instantaneous temperatures of the mobile atoms [K]."""
        return 2.0 * kinetic_energies / (self.degrees_of_freedom * self.boltzmann)

    def compute(self) -> None:
        """Compute energies [eV] and forces [eV/Å], those of the wall included."""
        # a copy: models switch on gradients of what they are given
        self.state.positions = self.positions.to(self.model.dtype, copy=True)
        results = self.model(self.state)
        self.potential_energy = results['energy'].detach().to(torch.float64) + self.energy_shifts
        self.forces = results['forces'].detach().to(torch.float64)
        self.wall_energy = torch.zeros_like(self.potential_energy)
        if self.has_wall:
            constant = self.settings['wall_force_constant']
            depth = (self.positions[:, 2] - self.wall_heights).clamp(min=0.0)
            self.wall_energy = self.sums(0.5 * constant * depth**2)
            self.forces[:, 2] -= constant * depth

    def normals(self) -> torch.Tensor:
        """Return normal random numbers for each coordinate, each replica's from its own source."""
        return self._pack([r.generator.standard_normal((size, 3)) for r, size in zip(self.replicas, self.sizes)])

    def start(self) -> None:
        """Draw velocities that were not given, put centres of mass at rest, and compute the first forces."""
        spread = np.sqrt(self.boltzmann * self.settings['temperature'] * self.inverse_masses.cpu().numpy())
        for replica, own_spread, rest in zip(
            self.replicas, np.split(spread, np.cumsum(self.sizes)[:-1]), self.is_at_rest
        ):
            given = replica.variables['velocities']
            if given is None:
                given = own_spread * replica.generator.standard_normal(replica.variables['positions'].shape)
            given = np.where(replica.mobile[:, None], given, 0.0)
            if rest:
                masses = atomic_masses[replica.numbers][:, None]
                given = given - np.sum(masses * given, axis=0) / np.sum(masses)
            replica.variables['velocities'] = given
        self.velocities = self._pack([replica.variables['velocities'] for replica in self.replicas])
        self.heat = torch.zeros(len(self.replicas), dtype=torch.float64, device=self.model.device)
        self.compute()

    def move(self) -> None:
        """Make the first part of a step: up to the new positions."""
        time_step = self.settings['time_step']
        self.velocities = self.velocities + self.half_kick * self.forces
        if self.is_langevin:
            self.positions = self.positions + 0.5 * time_step * self.velocities
            self.ornstein_uhlenbeck()
            self.positions = self.positions + 0.5 * time_step * self.velocities
        else:
            self.positions = self.positions + time_step * self.velocities

    def finish_step(self) -> Floats:
        """Make the rest of a step and return the kinetic energies [eV] at its end."""
        self.compute()
        self.velocities = self.velocities + self.half_kick * self.forces
        kinetic_energies = self.kinetic_energies()
        return self.rescale(kinetic_energies) if self.is_csvr else kinetic_energies

    def ornstein_uhlenbeck(self) -> None:
        """Friction and noise of Langevin dynamics over one time step, exactly."""
        before = self.kinetic_energies()
        thermal = (1.0 - self.decay**2) * self.boltzmann * self.settings['temperature']
        self.velocities = self.velocities * self.decay + (thermal * self.inverse_masses).sqrt() * self.normals()
        self.heat = self.heat + self._pack([self.kinetic_energies() - before])

    def rescale(self, kinetic_energies: Floats) -> Floats:
        """Draw new kinetic energies from Bussi's equation A7, rescale to them, and return them [eV]."""
        new, share = kinetic_energies.copy(), 0.5 * self.boltzmann * self.settings['temperature']
        for index, (replica, old) in enumerate(zip(self.replicas, kinetic_energies)):
            if not np.isfinite(old) or old <= 0:
                continue
            freedom = self.degrees_of_freedom[index]
            normal = float(replica.generator.standard_normal())
            squares = float(replica.generator.chisquare(freedom - 1)) if freedom > 1 else 0.0
            new[index] += (1.0 - self.decay) * (share * (normal**2 + squares) - old)
            new[index] += 2.0 * normal * np.sqrt(self.decay * (1.0 - self.decay) * old * share)
        factors = np.sqrt(np.divide(new, kinetic_energies, out=np.ones_like(new), where=kinetic_energies > 0))
        self.velocities = self.velocities * self._pack([factors])[self.owner, None]
        self.heat = self.heat + self._pack([new - kinetic_energies])
        return new

    def escaped(self) -> NDArray[np.bool_]:
        """Return which replicas have an atom that has left the room along an open direction."""
        if not self.has_open_directions:
            return np.zeros(len(self.replicas), dtype=bool)
        heights = torch.einsum('ajc,ac->aj', self.open_directions[self.owner], self.positions)
        lengths = self.state.row_vector_cell.norm(dim=2).to(torch.float64)
        index = self.owner[:, None].expand(-1, 3)
        lowest = torch.zeros_like(lengths).scatter_reduce(0, index, heights, 'amin', include_self=False)
        highest = torch.zeros_like(lengths).scatter_reduce(0, index, heights, 'amax', include_self=False)
        is_open = (self.open_directions != 0).any(dim=2)
        left: NDArray[np.bool_] = (is_open & (highest - lowest > lengths - ROOM)).any(dim=1).cpu().numpy()
        return left
