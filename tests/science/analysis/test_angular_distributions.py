"""Angles in layers: exact interfaces, isotropic water, both surfaces, bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aiida_edl.science.analysis import atom_groups, planar_bins, water_orientation, z_pass
from aiida_edl.science.analysis.angular_distribution import isotropic_distribution
from aiida_edl.science.analysis.angular_distributions import (
    AngularDistributions,
    AngularSettings,
    angular_distributions,
)
from aiida_edl.science.analysis.angular_settings import AngularSettingsError
from aiida_edl.science.analysis.interface_profiles import interface_profiles
from aiida_edl.science.frames import Frame, FrameSet

from . import synthetic


def layer(height: float, cosine: float) -> tuple[np.ndarray, np.ndarray]:
    """Nine waters at one height with one direction."""
    places = np.column_stack([synthetic.lattice(), np.full(9, height)])
    return places, synthetic.directions(np.full(9, cosine))


def layers_of(*layers: tuple[float, float], is_film: bool = True) -> FrameSet:
    """Four equal frames with waters at given heights above the lower surface, with given cosines against +z."""
    parts = [layer(synthetic.TOP + height, cosine) for height, cosine in layers]
    places, vectors = (np.concatenate(items) for items in zip(*parts, strict=True))
    return FrameSet.from_frames([synthetic.frame(places, vectors, is_film=is_film)] * 4)


def test_each_layer_has_its_own_angle():
    found = angular_distributions(layers_of((3.0, 0.5), (6.0, -0.5), (9.0, np.cos(np.radians(92.5)))))
    assert found.angle[np.argmax(found.dipole_distribution, axis=1)] == pytest.approx([60.0, 120.0, 92.5], abs=2.5)
    assert found.dipole_mean_cosine == pytest.approx([0.5, -0.5, np.cos(np.radians(92.5))], abs=1e-12)
    assert found.water_count == pytest.approx([9.0, 9.0, 9.0])
    assert found.dipole_distribution.sum(axis=1) * 5.0 == pytest.approx(1.0, rel=1e-12)
    assert found.bond_distribution.sum(axis=1) * 5.0 == pytest.approx(1.0, rel=1e-12)


def test_bonds_of_upright_water_enclose_half_its_angle_with_the_normal():
    found = angular_distributions(layers_of((3.0, 1.0)))
    half = np.degrees(synthetic.HALF_ANGLE)
    assert found.bond_mean_cosine[0] == pytest.approx(np.cos(synthetic.HALF_ANGLE), abs=1e-12)
    assert np.flatnonzero(found.bond_distribution[0]).tolist() == [int(half // 5.0)]
    assert found.bond_distribution[0].max() == pytest.approx(1 / 5.0, rel=1e-12)


def test_dipole_straight_at_the_metal_is_in_the_last_bin():
    found = angular_distributions(layers_of((3.0, -1.0)))
    assert found.dipole_distribution[0, -1] == pytest.approx(1 / 5.0, rel=1e-12)


def test_layer_without_water_has_no_distribution():
    found = angular_distributions(layers_of((3.0, 0.5)))
    assert np.isnan(found.dipole_distribution[1:]).all()
    assert found.water_count.tolist() == [9.0, 0.0, 0.0]


def test_normal_is_turned_round_at_the_upper_surface():
    frames = layers_of((3.0, -0.8), (13.0, 0.0), (23.0, 0.8), is_film=False)
    found = angular_distributions(frames)
    assert (found.n_surfaces, found.water_count[0]) == (2, 9.0)
    assert found.dipole_mean_cosine[0] == pytest.approx(-0.8, abs=1e-12)
    upper = angular_distributions(frames, AngularSettings(surfaces='upper'))
    assert upper.bond_mean_cosine[0] == pytest.approx(found.bond_mean_cosine[0], abs=1e-12)


@pytest.fixture(scope='module')
def isotropic() -> FrameSet:
    frames = synthetic.film(1200, seed=4, n_ions=0)
    positions = frames.positions.reshape(1200, -1, 3).copy()
    molecules = positions[:, 27:].reshape(-1, 3, 3)
    turns = Rotation.random(len(molecules), random_state=7).as_matrix()
    turned = molecules[:, :1] + np.einsum('mxy,may->max', turns, molecules - molecules[:, :1])
    positions[:, 27:] = turned.reshape(1200, -1, 3)
    return dataclasses.replace(frames, positions=positions.reshape(-1, 3))


def test_isotropic_water_gives_half_a_sine_for_dipoles_and_bonds(isotropic):
    found = angular_distributions(isotropic, AngularSettings(layer_bounds=(0.0, 20.0)))
    expected = isotropic_distribution(found.angle)
    assert expected.sum() * np.diff(found.angle)[0] == pytest.approx(1.0, rel=1e-3)
    assert abs(found.dipole_distribution[0] - expected).max() < 5 * found.dipole_distribution_error.max()
    assert abs(found.bond_distribution[0] - expected).max() < 5 * found.bond_distribution_error.max()
    # 43 200 independent molecules with a variance of 1/3; the two bonds of one are not independent.
    assert found.dipole_mean_cosine_error[0] == pytest.approx(np.sqrt(1 / 3 / 43_200), rel=0.1)
    # cos of a bond is cos(half) u + sin(half) v with u, v perpendicular; the mean of both bonds keeps the first term.
    assert found.bond_mean_cosine_error[0] == pytest.approx(
        np.cos(synthetic.HALF_ANGLE) * found.dipole_mean_cosine_error[0], rel=1e-6
    )


def test_first_layer_is_that_of_the_profiles(isotropic):
    few = isotropic.select(np.arange(40))
    found, profiles = angular_distributions(few), interface_profiles(few)
    assert found.dipole_distribution[0] == pytest.approx(profiles.angle_distribution, rel=1e-12)
    assert found.dipole_mean_cosine[0] == pytest.approx(profiles.first_layer_mean_cosine, rel=1e-12)
    assert found.water_count[0] == pytest.approx(profiles.first_layer_count, rel=1e-12)


def test_numpy_gives_what_compiled_code_gives(isotropic, monkeypatch):
    few = isotropic.select(np.arange(12))
    fast = angular_distributions(few)
    monkeypatch.setattr(z_pass, 'compiled_pass', lambda: None)
    for user in (atom_groups, planar_bins, water_orientation):
        monkeypatch.setattr(user, 'compiled_kernels', lambda: None)
    slow = angular_distributions(few)
    for name, values in fast.arrays().items():
        assert values == pytest.approx(getattr(slow, name), rel=1e-9, abs=1e-12, nan_ok=True), name


def test_order_rotation_and_images_do_not_matter(isotropic):
    few = isotropic.select(np.arange(8))
    random = np.random.default_rng(3)
    order = random.permutation(int(few.offsets[1]))
    atoms = (few.offsets[:-1, None] + order).ravel()
    images = np.column_stack([random.integers(-2, 3, (len(atoms), 2)) * synthetic.WIDTH, np.zeros(len(atoms))])
    turn = np.array([[np.cos(0.4), np.sin(0.4), 0], [-np.sin(0.4), np.cos(0.4), 0], [0, 0, 1]])
    changed = dataclasses.replace(
        few, numbers=few.numbers[atoms], positions=(few.positions[atoms] + images) @ turn, cells=few.cells @ turn
    )
    before, after = angular_distributions(few), angular_distributions(changed)
    assert after.dipole_mean_cosine == pytest.approx(before.dipole_mean_cosine, abs=1e-10)
    assert after.bond_distribution == pytest.approx(before.bond_distribution, abs=1e-10, nan_ok=True)


def test_dissociated_water_is_left_out_and_counted():
    frame = layers_of((3.0, 0.5)).frame(0)
    positions = frame.positions.copy()
    positions[28] = positions[30] + [0.0, -0.9, 0.3]  # a hydrogen of the first water goes to the second
    found = angular_distributions(FrameSet.from_frames([Frame(frame.numbers, positions, frame.cell, frame.pbc)] * 4))
    assert found.water_count[0] == 7.0
    assert found.irregular_oxygen_fraction == pytest.approx(2 / 9)


def test_distributions_survive_their_parts(isotropic):
    found = angular_distributions(isotropic.select(np.arange(8)))
    again = AngularDistributions.from_parts(found.arrays(), found.scalars())
    assert again.settings == found.settings
    assert again.bond_distribution == pytest.approx(found.bond_distribution, nan_ok=True)
    with pytest.raises(ValueError, match=r"^angular distributions need the fields \['angle'\], which were not given$"):
        AngularDistributions.from_parts({k: v for k, v in found.arrays().items() if k != 'angle'}, found.scalars())


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'layer_bounds': [4.0, 0.0]},
            r'^layer_bounds are \[4\.0, 0\.0\] Å, they must be at least two heights that ascend from 0 or above$',
        ),
        (
            {'layer_bound': [0.0, 4.0]},
            r"^unknown angular setting 'layer_bound': did you mean 'layer_bounds'\? Known: .*$",
        ),
        ({'angle_bin_width': 7.0}, r'^range 180\.0 Å is not a whole multiple of the bin width 7\.0 Å$'),
        ({'surfaces': 'lowr'}, r"^unknown choice of surfaces 'lowr': did you mean 'lower'\? Known: .*$"),
        ({'equilibration_frames': -2}, r'^equilibration_frames is -2, it must not be negative$'),
    ],
)
def test_wrong_setting_is_refused(values, message):
    with pytest.raises(AngularSettingsError, match=message):
        AngularSettings.from_dict(values)
