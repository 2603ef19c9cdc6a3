"""Charged systems that several tests of the electrostatics share."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, rattled, supercell
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES

PERIODIC = np.ones(3, dtype=bool)
SLAB = np.array([True, True, False])


def salt(name='nacl_cubic', repetitions=(2, 2, 2), length=2.8, amplitude=0.1):
    """Return a supercell of a reference lattice with displaced atoms."""
    return rattled(supercell(REFERENCE_LATTICES[name].system(length), repetitions), amplitude, seed=1)


def sheared_salt():
    """Return displaced NaCl in a cell with three unlike, oblique angles."""
    system = salt()
    shear = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.2, -0.3, 1.0]])
    fractions = system.positions @ np.linalg.inv(system.cell)
    cell = shear @ system.cell
    return ChargedSystem(fractions @ cell, cell, system.charges, system.pbc)


def slab(net_charge=0.0, height=40.0):
    """Return sixteen ions in a film of 6 Å with vacuum above and below, and a dipole."""
    generator = np.random.default_rng(3)
    positions = generator.uniform(0.0, [9.0, 9.0, 6.0], size=(16, 3)) + np.array([0.0, 0.0, 5.0])
    charges = np.tile([1.0, -1.0], 8)
    charges[0] += net_charge
    return ChargedSystem(positions, np.diag([9.0, 9.0, height]), charges, SLAB)


def force_error(result, reference):
    """Return the root mean square length of the difference of forces [eV/Å]."""
    return float(np.sqrt(np.mean(np.sum((result.forces - reference.forces) ** 2, axis=1))))
