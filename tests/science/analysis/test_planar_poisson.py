"""Field and potential of planes of charge against exact answers and against a Fourier sum."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows
from aiida_edl.science.analysis.planar_poisson import PlanarPotential, planar_potential, region_mean

EPS = units.VACUUM_PERMITTIVITY
LENGTH = 20.0


def solved(charges: np.ndarray, places: np.ndarray, width: float = 0.1, is_periodic: bool = False) -> PlanarPotential:
    """Solution for sheets of charge per area [e/Å²] at heights between 0 and 20 Å."""
    bins, rows = PlanarBins(width, LENGTH), Rows(np.zeros(1, dtype=np.int64), 1)
    sums = [bins.sums(places[None], rows, (charges * factor)[None])[0] for factor in (1.0, places)]
    return planar_potential(*sums, edges(width), is_periodic=is_periodic)


def edges(width: float = 0.1) -> np.ndarray:
    return np.arange(round(LENGTH / width) + 1) * width


def test_parallel_plates_have_the_field_and_drop_of_the_textbook():
    sigma, separation = 0.01, 9.68
    solution = solved(np.array([sigma, -sigma]), np.array([5.03, 5.03 + separation]))
    between = (edges() > 5.1) & (edges() < 14.7)
    assert solution.field[between] == pytest.approx(sigma / EPS, rel=1e-9)
    assert solution.field[~between & ((edges() < 5.0) | (edges() > 14.8))] == pytest.approx(0.0, abs=1e-12)
    assert solution.potential[-1] == pytest.approx(-sigma * separation / EPS, rel=1e-9)


def test_width_of_the_bins_changes_no_potential():
    random = np.random.default_rng(1)
    charges, places = random.normal(size=50) * 0.01, random.uniform(0, LENGTH, 50)
    charges -= charges.mean()
    fine, coarse = solved(charges, places), solved(charges, places, width=2.0)
    assert coarse.potential == pytest.approx(fine.potential[::20], abs=1e-9)


def test_uniform_slab_of_charge_between_plates_gives_parabola():
    # rho on 5 < z < 15 and half of minus its charge on planes at its ends: field linear, potential quadratic.
    n_sheets, rho = 100_000, 1e-3
    inside = 5.0 + (np.arange(n_sheets) + 0.5) * 10.0 / n_sheets
    charges = np.concatenate([np.full(n_sheets, rho * 10 / n_sheets), [-5 * rho, -5 * rho]])
    solution = solved(charges, np.concatenate([inside, [4.999999, 15.000001]]))
    here = (edges() > 5.05) & (edges() < 14.95)
    z = edges()[here]
    assert solution.field[here] == pytest.approx(rho * (z - 10.0) / EPS, abs=1e-5)
    middle = rho * 5.0**2 / (2 * EPS)
    assert solution.potential[here] == pytest.approx(middle - rho * (z - 10.0) ** 2 / (2 * EPS), abs=1e-5)


def test_periodic_solution_is_the_fourier_sum():
    random = np.random.default_rng(2)
    charges, places = random.normal(size=12) * 0.02, random.uniform(0, LENGTH, 12)
    charges -= charges.mean()
    solution = solved(charges, places, is_periodic=True)
    waves = 2 * np.pi * np.arange(1, 40_001) / LENGTH
    amplitudes = (charges * np.exp(-1j * waves[:, None] * places)).sum(axis=1) / (LENGTH * EPS * waves**2)
    points = edges()[::10]
    fourier = 2 * np.real(np.exp(1j * points[:, None] * waves) @ amplitudes)
    # The sum of 1/k² up to 40000 waves leaves 1e-5 of its terms.
    assert solution.potential[::10] - solution.potential[0] == pytest.approx(fourier - fourier[0], abs=2e-4)


def test_periodic_potential_closes_where_integration_from_zero_does_not():
    charges, places = np.array([0.02, -0.02]), np.array([3.0, 17.0])
    naive, right = solved(charges, places), solved(charges, places, is_periodic=True)
    assert naive.potential[-1] == pytest.approx(-0.02 * 14.0 / EPS, rel=1e-9)
    assert right.potential[-1] == pytest.approx(0.0, abs=1e-9)
    # Between the planes, and through the boundary, the drop shares the two ways from one plane to the other.
    assert right.field[100] == pytest.approx(0.02 / EPS * 6.0 / 20.0, rel=1e-9)
    assert right.field[10] == pytest.approx(-0.02 / EPS * 14.0 / 20.0, rel=1e-9)


def test_dipoles_lift_the_potential_beyond_a_film_by_their_density():
    # 100 dipoles of 0.4 e Å on 1 Å²: a step of 0.4/EPS for each, positive where they point up.
    lower = np.random.default_rng(3).uniform(2.0, 17.0, 100)
    solution = solved(np.repeat([-0.004, 0.004], 100), np.concatenate([lower, lower + 1.0]))
    assert solution.potential[-1] == pytest.approx(100 * 0.004 / EPS, rel=1e-9)
    assert solution.field[-1] == pytest.approx(0.0, abs=1e-12)


def test_mean_over_a_region_is_exact_for_a_line_and_cuts_bins():
    values = 3.0 * edges() + 1.0
    assert region_mean(values, edges(), 2.03, 7.77) == pytest.approx(3.0 * 4.9 + 1.0, rel=1e-12)
    assert region_mean(np.stack([values, 2 * values]), edges(), 0.0, LENGTH) == pytest.approx([31.0, 62.0], rel=1e-12)
