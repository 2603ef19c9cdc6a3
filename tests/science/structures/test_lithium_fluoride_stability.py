"""Where defects of lithium fluoride go when they relax: what defaults and refusals of the builder rest on."""

from __future__ import annotations

import numpy as np
import pytest
from rigid_ions import RigidIons

from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.science.structures.lithium_fluoride import build_lithium_fluoride
from aiida_edl.science.structures.lithium_fluoride_settings import LATTICE_CONSTANT, LithiumFluorideSettings

pytestmark = pytest.mark.slow


def built(**settings) -> Frame:
    """Return a cell of 216 sites whose atoms are a bit off their sites, so that no symmetry holds them."""
    return build_lithium_fluoride(LithiumFluorideSettings.from_dict({'displacement': 0.02, **settings})).frames.frame(0)


def lithium_from_sites(frame: Frame, positions: Floats) -> tuple[int, Floats]:
    """Return how many lattice sites are without a Li, and how far each Li is from the nearest one [Å]."""
    perfect = build_lithium_fluoride(LithiumFluorideSettings()).frames.frame(0)
    sites = perfect.positions[perfect.numbers == 3]
    lithium, fluorine = positions[frame.numbers == 3], positions[frame.numbers == 9]
    if len(fluorine) == len(sites):
        drift = minimum_image(fluorine - perfect.positions[perfect.numbers == 9], frame.cell, frame.pbc)
        lithium = lithium - drift.mean(axis=0)
    apart = np.linalg.norm(minimum_image(lithium[:, None] - sites, frame.cell, frame.pbc), axis=2)
    return len(sites) - len(np.unique(apart.argmin(axis=1))), apart.min(axis=1)


def test_energy_of_the_crystal_is_that_of_madelung():
    frame = build_lithium_fluoride(LithiumFluorideSettings()).frames.frame(0)
    ions = RigidIons(frame)
    ions.strengths, ions.sixth, ions.eighth = (np.zeros_like(ions.sixth) for _ in range(3))
    energy, gradient = ions.energy_and_gradient(frame.positions.ravel())
    # Madelung constant of rocksalt: 1.747565; 14.399645 eV Å; the sum is cut where its parts are below 1e-5.
    assert energy / 108 == pytest.approx(-1.747565 * 14.399645 / (LATTICE_CONSTANT / 2), rel=1e-5)
    assert np.abs(gradient).max() < 1e-6


def test_gradient_is_that_of_the_energy():
    frame = built(defect='interstitial')
    ions, flat = RigidIons(frame), frame.positions.ravel()
    direction = np.random.default_rng(0).normal(size=flat.size)
    slope = ions.energy_and_gradient(flat)[1] @ direction
    step = 1e-5
    ends = [ions.energy_and_gradient(flat + sign * step * direction)[0] for sign in (1, -1)]
    # Energies of 1000 eV are good to 1e-11 eV, the difference to 1e-6 eV/Å.
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize('site', ['tetrahedral', 'dumbbell'])
def test_either_interstitial_ends_on_the_tetrahedral_site(site):
    frame = built(defect='interstitial', interstitial_site=site)
    _, distances = lithium_from_sites(frame, RigidIons(frame).relax(frame.positions))
    nearest = np.sort(distances)
    assert nearest[-1] == pytest.approx(LATTICE_CONSTANT * np.sqrt(3) / 4, abs=0.03)
    # Four neighbours give way by 0.56 Å, to which forces of 1e-3 eV/Å and images 12 Å away add some 0.02 Å.
    np.testing.assert_allclose(nearest[-5:-1], 0.56, atol=0.04)
    assert nearest[-6] < 0.2


@pytest.mark.parametrize(('separation', 'n_vacant'), [(None, 1), (3.3, 1), (4.3, 0)])
def test_frenkel_pair_stays_or_recombines(separation, n_vacant):
    settings = {} if separation is None else {'separation': separation}
    frame = built(defect='frenkel', **settings)
    vacant, distances = lithium_from_sites(frame, RigidIons(frame).relax(frame.positions))
    assert vacant == n_vacant
    assert (distances.max() > 1.5) == bool(n_vacant)


def test_pair_on_the_shell_that_is_refused_recombines():
    frame = built()
    corner = int(np.linalg.norm(frame.positions - LATTICE_CONSTANT, axis=1).argmin())
    assert frame.numbers[corner] == 3
    positions = frame.positions.copy()
    positions[corner] += LATTICE_CONSTANT / 4
    vacant, distances = lithium_from_sites(frame, RigidIons(frame).relax(positions))
    assert vacant == 0
    assert distances.max() < 0.05
