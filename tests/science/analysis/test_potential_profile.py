"""Charge density, field and potential of interfaces: exact answers, invariants, errors, bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.potential_profile import PotentialProfile, PotentialSettings, potential_profile
from aiida_edl.science.analysis.potential_settings import PotentialSettingsError
from aiida_edl.science.frames import FrameSet

from . import synthetic

EPS = units.VACUUM_PERMITTIVITY
AREA = synthetic.WIDTH**2
WATER_DIPOLE = 2 * 0.41 * synthetic.BOND * np.cos(synthetic.HALF_ANGLE)
"""Of SPC/Fw charges on the water of these tests [e Å]."""


def layer(height: float, cosine: float, count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Waters at one height with one direction."""
    places = np.column_stack([synthetic.lattice()[:count], np.full(count, height)])
    return places, synthetic.directions(np.full(count, cosine))


def film_with_ion(height: float, cosine: float = 0.0, is_film: bool = True, n_frames: int = 4) -> FrameSet:
    """Nine waters 3.05 Å above the surface and one Na higher up."""
    ions = np.array([[6.0, 6.0, synthetic.TOP + height]])
    frame = synthetic.frame(*layer(synthetic.TOP + 3.05, cosine), ions, is_film=is_film)
    return FrameSet.from_frames([frame] * n_frames)


def at(profile: PotentialProfile, height: float) -> int:
    """Index of a point of the common grid."""
    return int(np.argmin(np.abs(profile.point_z - height)))


def assert_equal(first: PotentialProfile, second: PotentialProfile) -> None:
    """Compare all fields to rounding, which 1/EPS enlarges 200 times."""
    for field in dataclasses.fields(first):
        ours, theirs = getattr(first, field.name), getattr(second, field.name)
        if isinstance(ours, (np.ndarray, float)):
            assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9, equal_nan=True), field.name
        else:
            assert ours == theirs, field.name


def test_ion_and_metal_are_a_plate_capacitor():
    profile = potential_profile(film_with_ion(7.25), PotentialSettings(bulk_region=(9.0, 12.0)))
    sigma = -1.0 / AREA
    assert profile.surface_charge == pytest.approx(sigma, rel=1e-12)
    assert profile.surface_charge_microcoulomb_per_cm2 == pytest.approx(1602.176634 * sigma, rel=1e-9)
    assert profile.electric_field[at(profile, 6.0)] == pytest.approx(sigma / EPS, rel=1e-9)
    assert profile.electric_field[[at(profile, -2.0), at(profile, 9.0)]] == pytest.approx(0.0, abs=1e-12)
    # The metal is negative, so its potential is below that of the liquid.
    assert profile.potential_drop == pytest.approx(sigma * 7.25 / EPS, rel=1e-9)
    assert profile.potential[at(profile, 12.0)] == pytest.approx(-sigma * 7.25 / EPS, rel=1e-9)
    assert (profile.boundary, profile.charge_source, profile.n_surfaces) == ('vacuum', 'fixed', 1)
    assert profile.residual_field == pytest.approx(0.0, abs=1e-12)


def test_charge_density_counts_every_charge_in_its_bin():
    profile = potential_profile(film_with_ion(7.25))
    assert profile.charge_density[np.argmin(np.abs(profile.z - 7.25))] == pytest.approx(1 / (AREA * 0.1), rel=1e-9)
    assert profile.charge_density.sum() * 0.1 == pytest.approx(0.0, abs=1e-12)


def test_aligned_dipoles_raise_the_potential_by_their_density():
    frames = FrameSet.from_frames([synthetic.frame(*layer(synthetic.TOP + 3.05, 0.5), is_film=True)] * 4)
    profile = potential_profile(frames, PotentialSettings(bulk_region=(6.0, 10.0)))
    expected = 9 * 0.5 * WATER_DIPOLE / (AREA * EPS)
    assert profile.potential_step == pytest.approx(expected, rel=1e-9)
    # Hydrogen, which is positive, points away from the metal: the liquid is above the metal.
    assert profile.potential_drop == pytest.approx(-expected, rel=1e-9)


def test_vacuum_of_a_periodic_cell_is_treated_as_that_of_an_open_one():
    settings = PotentialSettings(bulk_region=(9.0, 12.0))
    film, cell = (potential_profile(film_with_ion(7.25, 0.3, is_film=value), settings) for value in (True, False))
    assert cell.boundary == 'vacuum'
    assert cell.potential == pytest.approx(film.potential, abs=1e-9)
    assert cell.electric_field == pytest.approx(film.electric_field, abs=1e-9)


def test_periodic_boundary_lets_the_vacuum_carry_a_field():
    settings = PotentialSettings(bulk_region=(9.0, 12.0), boundary='periodic')
    profile = potential_profile(film_with_ion(7.25, is_film=False), settings)
    # Capacitor of 7.25 Å, short-circuited through the rest of a cell of 30 Å.
    assert profile.electric_field[at(profile, 12.0)] == pytest.approx(7.25 / (AREA * EPS) / 30.0, rel=1e-9)
    assert profile.cell_potential[-1] == pytest.approx(profile.cell_potential[0], abs=1e-9)
    assert np.isnan(profile.potential_step)


def two_sided(lower: float, upper: float, ion: float | None = None) -> FrameSet:
    """Waters 3.05 Å from either face with the given cosines against +z, and bulk between; slab and image 26 Å apart."""
    below, above = layer(synthetic.TOP + 3.05, lower), layer(synthetic.BOTTOM + synthetic.HEIGHT - 3.05, upper)
    places, vectors = (np.concatenate(parts) for parts in zip(below, layer(17.0, 0.0), above, strict=True))
    ions = None if ion is None else np.array([[6.0, 6.0, synthetic.TOP + ion]])
    return FrameSet.from_frames([synthetic.frame(places, vectors, ions)] * 4)


def test_metal_between_two_liquids_is_one_equipotential():
    settings = PotentialSettings(z_max=12.0)
    profile = potential_profile(two_sided(0.3, 0.9, ion=6.5), settings)
    assert (profile.boundary, profile.n_surfaces) == ('periodic', 2)
    assert profile.metal_field == pytest.approx(0.0, abs=1e-12)
    assert 2 * profile.surface_charge * AREA == pytest.approx(-1.0, rel=1e-9)
    lower = potential_profile(two_sided(0.3, 0.9, ion=6.5), dataclasses.replace(settings, surfaces='lower'))
    # Three quarters of the charge are induced on the surface at a quarter of the way, the rest by dipoles.
    dipoles = 9 * WATER_DIPOLE * (0.3 + 0.0 + 0.9) / 26.0
    assert lower.surface_charge * AREA == pytest.approx(-19.5 / 26.0 + dipoles, rel=1e-9)


def test_mirror_image_of_a_film_gives_the_same_profile_at_the_other_surface():
    settings = PotentialSettings(z_max=12.0, bulk_region=(6.0, 8.0))
    profile = potential_profile(two_sided(-0.8, 0.8), settings)
    assert profile.surface_potential_drops[0] == pytest.approx(profile.surface_potential_drops[1], abs=1e-9)
    expected = 9 * 0.8 * WATER_DIPOLE / (AREA * EPS)
    assert profile.potential_drop == pytest.approx(expected, rel=1e-9)
    lower = potential_profile(two_sided(-0.8, 0.8), dataclasses.replace(settings, surfaces='lower'))
    below = profile.point_z < 8.0  # the layer in the middle is no mirror image
    assert profile.electric_field[below] == pytest.approx(lower.electric_field[below], abs=1e-9)


def test_equal_orientation_along_z_cancels_in_the_mean_drop_of_both_surfaces():
    profile = potential_profile(two_sided(0.8, 0.8), PotentialSettings(z_max=12.0, bulk_region=(6.0, 8.0)))
    assert profile.potential_drop == pytest.approx(0.0, abs=1e-9)
    assert profile.surface_potential_drops[0] == pytest.approx(-profile.surface_potential_drops[1], rel=1e-9)


@pytest.fixture(scope='module')
def trajectory() -> FrameSet:
    return synthetic.film(24, seed=5)


@pytest.fixture(scope='module')
def profile(trajectory: FrameSet) -> PotentialProfile:
    return potential_profile(trajectory)


def test_shift_of_everything_along_the_normal_changes_nothing(trajectory, profile):
    shifted = dataclasses.replace(trajectory, positions=trajectory.positions + np.array([0.0, 0.0, 3.7]))
    assert_equal(potential_profile(shifted), profile)


def test_shift_through_the_boundary_of_a_periodic_cell_changes_nothing():
    frames = synthetic.film(8, seed=9, is_film=False)
    positions = frames.positions + np.array([0.0, 0.0, -3.3])
    positions[:, 2] %= synthetic.HEIGHT
    assert_equal(potential_profile(dataclasses.replace(frames, positions=positions)), potential_profile(frames))


def test_rotation_about_the_normal_changes_nothing(trajectory, profile):
    angle = 0.3
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = dataclasses.replace(trajectory, positions=trajectory.positions @ turn, cells=trajectory.cells @ turn)
    assert_equal(potential_profile(turned), profile)


def test_order_of_the_atoms_does_not_matter(trajectory, profile):
    order = np.random.default_rng(2).permutation(int(trajectory.offsets[1]))
    atoms = (trajectory.offsets[:-1, None] + order).ravel()
    shuffled = dataclasses.replace(trajectory, numbers=trajectory.numbers[atoms], positions=trajectory.positions[atoms])
    assert_equal(potential_profile(shuffled), profile)


def with_charges(frames: FrameSet, factors: np.ndarray) -> FrameSet:
    """Frames whose charges are the fixed ones times a factor for each frame, those of the metal even on its top."""
    numbers = frames.numbers.reshape(len(frames), -1)
    charges = np.select([numbers == 8, numbers == 1, numbers == 11], [-0.82, 0.41, 1.0], 0.0)
    charges[:, 18:27] = -charges.sum(axis=1, keepdims=True) / 9
    return dataclasses.replace(frames, charges=(charges * factors[:, None]).ravel())


def test_charges_of_the_frames_are_taken_frame_by_frame(trajectory):
    # A repeat of charges in the wrong order (atom-major for frame-major) would mix frames and elements.
    factors = 1.0 + 0.1 * np.arange(24)
    varied = potential_profile(with_charges(trajectory, factors))
    alone = [
        potential_profile(with_charges(trajectory.select([index] * 4), np.full(4, factors[index])))
        for index in range(24)
    ]
    assert varied.charge_source == 'frames'
    assert varied.potential == pytest.approx(np.mean([item.potential for item in alone], axis=0), abs=1e-9)
    assert varied.surface_charge == pytest.approx(-2 * factors.mean() / AREA, rel=1e-9)


def test_charges_of_the_frames_and_equal_fixed_ones_agree(trajectory, profile):
    given = potential_profile(with_charges(trajectory, np.ones(24)))
    assert given.potential == pytest.approx(profile.potential, abs=1e-9)
    assert given.potential_drop_error == pytest.approx(profile.potential_drop_error, rel=1e-6)


def test_fixed_charges_can_be_asked_for_where_frames_have_others(trajectory, profile):
    other = potential_profile(with_charges(trajectory, np.full(24, 2.0)), PotentialSettings(charge_source='fixed'))
    assert other.potential == pytest.approx(profile.potential, abs=1e-9)


def test_charges_in_the_settings_scale_the_potential_of_water():
    frames = synthetic.film(6, seed=3, n_ions=0)
    double = potential_profile(frames, PotentialSettings(charges={'O': -1.64, 'H': 0.82}))
    assert double.potential == pytest.approx(2 * potential_profile(frames).potential, abs=1e-9)


def test_error_of_the_step_is_that_of_independent_dipoles():
    n_frames = 1200
    result = potential_profile(synthetic.film(n_frames, seed=8, n_ions=0))
    # 36 isotropic dipoles: variance 36/3 of their sum along z.
    expected = np.sqrt(12.0 / n_frames) * WATER_DIPOLE / (AREA * EPS)
    assert result.potential_step_error == pytest.approx(expected, rel=0.1)
    assert result.potential_step == pytest.approx(0.0, abs=4 * expected)


def test_constant_frames_say_nothing_about_their_error():
    result = potential_profile(film_with_ion(7.25))
    assert np.isnan(result.potential_drop_error)
    assert np.isnan(result.surface_charge_error)


def test_profile_survives_its_parts(profile):
    assert_equal(PotentialProfile.from_parts(profile.arrays(), profile.scalars()), profile)


def test_missing_field_is_named(profile):
    arrays = profile.arrays()
    del arrays['potential']
    with pytest.raises(
        ValueError, match=r"^a potential profile needs the fields \['potential'\], which were not given$"
    ):
        PotentialProfile.from_parts(arrays, profile.scalars())


def test_film_of_two_replicas_counts_both():
    frames = synthetic.film(16, seed=1, columns={'replica': np.repeat([1, 2], 8)})
    assert (potential_profile(frames).n_replicas, potential_profile(frames).n_frames) == (2, 16)


def test_charged_frame_is_refused(trajectory):
    charges = with_charges(trajectory, np.ones(24)).charges.copy()
    charges[int(trajectory.offsets[7])] += 0.5
    message = (
        r'^the charges of frame 7 sum to 0\.5 e, and a charged cell has no field; give charges of a neutral cell, or '
        r"choose charge_source 'fixed'$"
    )
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(dataclasses.replace(trajectory, charges=charges))


def test_charges_that_are_asked_for_but_missing_are_refused(trajectory):
    with pytest.raises(NotAnalysableError, match=r"^the frames carry no charges: choose charge_source 'fixed'$"):
        potential_profile(trajectory, PotentialSettings(charge_source='frames'))


def test_element_without_charge_is_refused(trajectory):
    numbers = np.where(trajectory.numbers == 11, 2, trajectory.numbers).astype(np.uint8)
    message = r"^frames without charges hold He: give their charges by the setting 'charges'$"
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(dataclasses.replace(trajectory, numbers=numbers))


def test_cell_whose_height_changes_is_refused():
    frames = synthetic.film(6, seed=1, is_film=False)
    cells = frames.cells.copy()
    cells[3, 2, 2] = 31.0
    message = r'^the height of the cell changes between 30 and 31 Å: a potential profile needs one height$'
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(dataclasses.replace(frames, cells=cells))


def test_open_cell_has_no_periodic_boundary(trajectory):
    message = r"^the boundary 'periodic' is asked for, but the cells are open along the normal$"
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(trajectory, PotentialSettings(boundary='periodic'))


def test_dry_surface_cannot_be_chosen(trajectory):
    message = r"^the setting 'surfaces' asks for the upper surface, but in frame 0 only the lower one is wet$"
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(trajectory, PotentialSettings(surfaces='upper'))


def test_molecules_at_the_cut_of_the_vacuum_are_counted():
    frames = film_with_ion(7.25, is_film=False, n_frames=6)
    positions = frames.positions.copy()
    stray = int(frames.offsets[4]) - 1  # the ion of the fourth frame
    positions[stray, 2] = 21.0
    result = potential_profile(dataclasses.replace(frames, positions=positions))
    assert result.frames_at_cut == 1


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'boundry': 'auto'}, r"^unknown potential setting 'boundry': did you mean 'boundary'\? Known: .*$"),
        ({'boundary': 'vacum'}, r"^unknown boundary 'vacum': did you mean 'vacuum'\? Known: auto, periodic, vacuum\.$"),
        ({'charges': {'O': -0.82}}, r"^charges name \['O'\] but not \['H'\]; give both of water$"),
        (
            {'charges': {'O': -0.82, 'H': 0.42}},
            r'^the charges of O and H give a water of 0\.02 e; choose charges that sum to zero$',
        ),
        ({'charges': {'O': -0.82, 'H': '0.41'}}, r"^the charge of 'H' is '0\.41', expected a number \[e\]$"),
        ({'z_min': 1.0}, r'^z_min is 1\.0 Å and z_max is 15\.0 Å, the surface plane at 0 must lie between them$'),
        (
            {'metal_region': [-1.0, -3.0]},
            r'^metal_region is \(-1\.0, -3\.0\) Å, it must ascend between z_min = -4\.0 Å and 0$',
        ),
        (
            {'bulk_region': [5.0, 4.0]},
            r'^bulk_region is \(5\.0, 4\.0\) Å, it must ascend above 0, or be \(0, 0\) to be found$',
        ),
        ({'bin_width': 0.7}, r'^range 4\.0 Å is not a whole multiple of the bin width 0\.7 Å$'),
        ({'equilibration_frames': -1}, r'^equilibration_frames is -1, it must not be negative$'),
    ],
)
def test_wrong_setting_is_refused(values, message):
    with pytest.raises(PotentialSettingsError, match=message):
        PotentialSettings.from_dict(values)


def test_settings_survive_their_dictionary():
    settings = PotentialSettings(bulk_region=(6.0, 8.0), boundary='vacuum')
    assert PotentialSettings.from_dict(settings.to_dict()) == settings


def test_region_beyond_the_cell_is_refused():
    message = r'^bulk_region ends at 40\.0 Å, but the cell ends at .* Å$'
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(film_with_ion(7.25), PotentialSettings(bulk_region=(30.0, 40.0)))


def test_grid_longer_than_a_periodic_cell_is_refused():
    frames = two_sided(0.0, 0.0)
    message = r'^z_max is 29\.0 Å, but the periodic cell repeats 26\.00 Å above the surface; choose less$'
    with pytest.raises(NotAnalysableError, match=message):
        potential_profile(frames, PotentialSettings(z_max=29.0))
