"""Molten salt at constant energy: its forces, and a drift that tells good sums from bad ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('numba')

from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.molten_salt import drift_of, melt, repulsion
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.units import ATOMIC_MASS, BOLTZMANN

GOOD = SummationSettings('p3m', 6.0, 1.2, mesh=(24, 24, 24), nodes=5)


def test_repulsion_is_the_gradient_of_its_energy():
    system = melt().system
    energies = []
    for step in (1e-5, -1e-5):
        positions = system.positions.copy()
        positions[5, 1] += step
        energies.append(repulsion(replace(system, positions=positions))[0])
    assert repulsion(system)[1][5, 1] == pytest.approx(-(energies[0] - energies[1]) / 2e-5, abs=1e-6)


def test_the_melt_is_molten_and_at_its_temperature():
    state = melt()
    masses = ATOMIC_MASS * np.where(state.system.charges > 0.0, 22.98976928, 35.45)[:, None]
    kinetic = 0.5 * float(np.sum(masses * state.velocities**2))
    assert 2.0 * kinetic / (189.0 * BOLTZMANN) == pytest.approx(1300.0, rel=1e-9)
    # F. A. Lindemann (1910): a crystal has melted if its atoms are a tenth of their distance away from their sites
    places = state.system.positions / (state.system.cell[0, 0] / 4.0)
    assert np.sqrt(np.mean(np.sum((places - np.round(places)) ** 2, axis=1))) > 0.2


def test_a_good_sum_conserves_energy_and_a_bad_one_does_not():
    good, bad = (drift_of(CompiledSummation(s), 500) for s in (GOOD, replace(GOOD, smearing=3.0, mesh=(8, 8, 8))))
    assert good.fluctuation < 0.02
    assert bad.fluctuation > 50.0 * good.fluctuation
    assert abs(good.drift) < 0.1
