"""Langevin dynamics with torch-sim and a MACE model, written by hand: ``python torch_sim_mace.py STEPS DEVICE``.

Without the variable e3nn cannot read its tables.
"""

import os
import sys

os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] = '1'

import torch
import torch_sim
from ase.io import read
from torch_sim.integrators import nvt_langevin
from torch_sim.models.mace import MaceModel

steps, device = int(sys.argv[1]), torch.device(sys.argv[2])
network = torch.load('mace.model', map_location=device, weights_only=False)
model = MaceModel(model=network, device=device, dtype=torch.float64, compute_stress=False)
torch_sim.integrate(
    system=read('initial.xyz'),
    model=model,
    integrator=nvt_langevin,
    n_steps=steps,
    temperature=300,
    timestep=0.0005,
    trajectory_reporter={'filenames': ['trajectory.h5'], 'state_frequency': 20},
)
