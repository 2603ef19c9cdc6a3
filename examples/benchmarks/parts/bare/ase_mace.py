"""Langevin dynamics with ASE and a MACE model, as one writes it by hand: ``python ase_mace.py STEPS DEVICE``."""

import sys

from ase import units
from ase.io import Trajectory, read
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from mace.calculators import MACECalculator

steps, device = int(sys.argv[1]), sys.argv[2]
atoms = read('initial.xyz')
atoms.calc = MACECalculator(model_paths='mace.model', device=device, default_dtype='float64')
MaxwellBoltzmannDistribution(atoms, temperature_K=300)
dynamics = Langevin(atoms, timestep=0.5 * units.fs, temperature_K=300, friction=0.01 / units.fs)
dynamics.attach(Trajectory('trajectory.traj', 'w', atoms).write, interval=20)
dynamics.run(steps)
