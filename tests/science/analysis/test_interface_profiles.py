"""All profiles together: exact interfaces, invariants, errors, replicas."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.science.analysis import atom_groups, charge_sums, planar_bins, water_orientation, z_pass
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles, interface_profiles
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.frames import Frame, FrameSet

from . import synthetic

HIGH = {'z_max': 12.0}


def repeated(frame: Frame, n_frames: int = 4) -> FrameSet:
    """The same frame several times."""
    return FrameSet.from_frames([frame] * n_frames)


def layer(height: float, cosine: float, count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Waters at one height with one direction."""
    places = np.column_stack([synthetic.lattice()[:count], np.full(count, height)])
    return places, synthetic.directions(np.full(count, cosine))


def assert_equal(first: InterfaceProfiles, second: InterfaceProfiles) -> None:
    """Compare all fields to rounding: sums of up to 1e4 terms in another order."""
    for field in dataclasses.fields(first):
        ours, theirs = getattr(first, field.name), getattr(second, field.name)
        if isinstance(ours, (np.ndarray, float)):
            assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-10, equal_nan=True), field.name
        else:
            assert ours == theirs, field.name


def test_aligned_waters_at_a_known_place_and_angle():
    ions = np.array([[6.0, 6.0, synthetic.TOP + 7.25]])
    frames = repeated(synthetic.frame(*layer(synthetic.TOP + 3.05, 0.5), ions, is_film=True))
    profiles = interface_profiles(frames)
    area, here = synthetic.WIDTH**2, 30
    assert profiles.z[here] == pytest.approx(3.05)
    assert profiles.oxygen_number_density[here] == pytest.approx(9 / (area * 0.1), rel=1e-12)
    assert np.flatnonzero(profiles.oxygen_number_density).tolist() == [here]
    assert profiles.ion_number_density[72] == pytest.approx(1 / (area * 0.1), rel=1e-12)
    assert profiles.hydrogen_number_density.sum() * 0.1 * area == pytest.approx(18, rel=1e-12)
    assert profiles.mean_cosine[here] == pytest.approx(0.5, abs=1e-12)
    assert np.flatnonzero(np.isfinite(profiles.mean_cosine)).tolist() == [here]
    # 18.015 u in 14.4 Å³ for each of nine waters, half of it along the normal.
    assert profiles.water_mass_density[here] == pytest.approx(9 * 18.015 * 1.66053906892 / 14.4, rel=1e-9)
    assert profiles.orientation_density[here] == pytest.approx(0.5 * profiles.water_mass_density[here], rel=1e-12)
    assert profiles.ion_mass_density[72] == pytest.approx(22.98976928 * 1.66053906892 / 14.4, rel=1e-9)
    assert (profiles.first_layer_count, profiles.first_layer_mean_cosine) == (9.0, pytest.approx(0.5, abs=1e-12))
    assert profiles.angle[np.argmax(profiles.angle_distribution)] == pytest.approx(60.0, abs=2.5)
    assert profiles.angle_distribution.sum() * 5.0 == pytest.approx(1.0, rel=1e-12)
    assert (profiles.ion, profiles.n_surfaces, profiles.irregular_oxygen_fraction) == ('Na', 1, 0.0)


def test_constant_frames_say_nothing_about_their_error():
    profiles = interface_profiles(repeated(synthetic.frame(*layer(synthetic.TOP + 3.05, 0.5), is_film=True)))
    assert np.isnan(profiles.oxygen_number_density_error).all()
    assert np.isnan(profiles.first_layer_mean_cosine_error)


def two_sided(lower: float, upper: float) -> FrameSet:
    """Waters 3.05 Å from either face with the given cosines against +z, and bulk between."""
    below, above = layer(synthetic.TOP + 3.05, lower), layer(synthetic.BOTTOM + synthetic.HEIGHT - 3.05, upper)
    bulk = layer(17.0, 0.0)
    places, vectors = (np.concatenate(parts) for parts in zip(below, bulk, above, strict=True))
    return repeated(synthetic.frame(places, vectors))


def test_normal_points_into_the_liquid_on_both_sides():
    # Hydrogen towards the metal on both faces: down at the lower one, up at the upper one.
    profiles = interface_profiles(two_sided(-0.8, 0.8), ProfileSettings(**HIGH))
    assert profiles.n_surfaces == 2
    assert profiles.mean_cosine[30] == pytest.approx(-0.8, abs=1e-12)
    assert profiles.first_layer_count == 9.0


def test_average_over_surfaces_cancels_what_is_antisymmetric():
    assert interface_profiles(two_sided(0.8, 0.8), ProfileSettings(**HIGH)).mean_cosine[30] == pytest.approx(
        0, abs=1e-12
    )


@pytest.mark.parametrize(('surfaces', 'expected'), [('lower', 0.8), ('upper', -0.8)])
def test_one_surface_can_be_chosen(surfaces, expected):
    profiles = interface_profiles(two_sided(0.8, 0.8), ProfileSettings(surfaces=surfaces, **HIGH))
    assert profiles.n_surfaces == 1
    assert profiles.mean_cosine[30] == pytest.approx(expected, abs=1e-12)


def test_average_is_the_mean_of_both_surfaces():
    frames = synthetic.film(12, seed=3, is_film=False)
    # The film of 14 Å leaves 11 Å to the upper surface: fill it with a mirror image, so that both are wet.
    mirrored = dataclasses.replace(frames, positions=_filled(frames))
    lower, upper, both = (
        interface_profiles(mirrored, ProfileSettings(surfaces=name)) for name in ('lower', 'upper', 'average')
    )
    mean = 0.5 * (lower.oxygen_number_density + upper.oxygen_number_density)
    assert both.oxygen_number_density == pytest.approx(mean, rel=1e-12)
    assert both.first_layer_count == pytest.approx(0.5 * (lower.first_layer_count + upper.first_layer_count))


def _filled(frames: FrameSet) -> np.ndarray:
    """Stretch the liquid so that it fills the gap up to the image of the slab."""
    positions = frames.positions.copy().reshape(len(frames), -1, 3)
    molecules = positions[:, 27:-2].reshape(len(frames), -1, 3, 3)
    oxygen = molecules[:, :, :1, 2].copy()
    molecules[..., 2] += (oxygen - synthetic.TOP - 3.0) * 0.95
    return positions.reshape(-1, 3)


@pytest.fixture(scope='module')
def trajectory() -> FrameSet:
    return synthetic.film(24, seed=5)


@pytest.fixture(scope='module')
def profiles(trajectory: FrameSet) -> InterfaceProfiles:
    return interface_profiles(trajectory)


def test_shift_of_everything_along_the_normal_changes_nothing(trajectory, profiles):
    shifted = dataclasses.replace(trajectory, positions=trajectory.positions + np.array([0.0, 0.0, 3.7]))
    assert_equal(interface_profiles(shifted), profiles)


def test_shift_in_the_plane_across_the_boundary_changes_nothing(trajectory, profiles):
    positions = trajectory.positions + np.array([5.3, 7.1, 0.0])
    positions[:, :2] %= synthetic.WIDTH
    assert_equal(interface_profiles(dataclasses.replace(trajectory, positions=positions)), profiles)


def test_image_of_each_atom_may_be_any(trajectory, profiles):
    images = np.random.default_rng(1).integers(-3, 4, (len(trajectory.positions), 2)) * synthetic.WIDTH
    positions = trajectory.positions + np.column_stack([images, np.zeros(len(images))])
    assert_equal(interface_profiles(dataclasses.replace(trajectory, positions=positions)), profiles)


def test_slab_across_the_periodic_boundary_changes_nothing():
    frames = synthetic.film(8, seed=9, is_film=False)
    positions = frames.positions + np.array([0.0, 0.0, -3.3])
    positions[:, 2] %= synthetic.HEIGHT
    assert_equal(interface_profiles(dataclasses.replace(frames, positions=positions)), interface_profiles(frames))


def test_order_of_the_atoms_does_not_matter(trajectory, profiles):
    n_atoms = int(trajectory.offsets[1])
    order = np.random.default_rng(2).permutation(n_atoms)
    atoms = (trajectory.offsets[:-1, None] + order).ravel()
    shuffled = dataclasses.replace(trajectory, numbers=trajectory.numbers[atoms], positions=trajectory.positions[atoms])
    assert_equal(interface_profiles(shuffled), profiles)


def test_rotation_about_the_normal_changes_nothing(trajectory, profiles):
    angle = 0.3
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = dataclasses.replace(trajectory, positions=trajectory.positions @ turn, cells=trajectory.cells @ turn)
    assert_equal(interface_profiles(turned), profiles)


def test_size_of_the_chunks_does_not_matter(trajectory, profiles, monkeypatch):
    monkeypatch.setattr(charge_sums, 'ATOMS_AT_ONCE', 3 * int(trajectory.offsets[1]))
    assert_equal(interface_profiles(trajectory), profiles)


def test_numpy_gives_what_compiled_code_gives(trajectory, profiles, monkeypatch):
    monkeypatch.setattr(z_pass, 'compiled_pass', lambda: None)
    for user in (atom_groups, planar_bins, water_orientation):
        monkeypatch.setattr(user, 'compiled_kernels', lambda: None)
    assert_equal(interface_profiles(trajectory), profiles)


def test_single_precision_mapped_from_a_file_is_enough(trajectory, profiles, tmp_path):
    np.save(tmp_path / 'positions.npy', trajectory.positions.astype(np.float32))
    mapped = dataclasses.replace(trajectory, positions=np.load(tmp_path / 'positions.npy', mmap_mode='r'))
    found = interface_profiles(mapped)
    assert found.first_layer_mean_cosine == pytest.approx(profiles.first_layer_mean_cosine, abs=1e-6)
    assert found.oxygen_number_density == pytest.approx(profiles.oxygen_number_density, abs=1e-12)


def test_dissociated_water_is_counted_and_left_out():
    frame = synthetic.frame(*layer(synthetic.TOP + 3.05, 0.5), is_film=True)
    positions = frame.positions.copy()
    positions[28] = positions[30] + [0.0, -0.9, 0.3]  # a hydrogen of the first water goes to the second
    dissociated = Frame(frame.numbers, positions, frame.cell, frame.pbc)
    profiles = interface_profiles(FrameSet.from_frames([frame, frame, dissociated, dissociated]))
    assert profiles.irregular_oxygen_counts.tolist() == [0, 0, 2, 2]
    assert profiles.irregular_oxygen_fraction == pytest.approx(4 / 36)
    assert profiles.first_layer_count == pytest.approx((9 + 9 + 7 + 7) / 4)
    assert profiles.oxygen_number_density[30] == pytest.approx(9 / 14.4, rel=1e-12)


def test_independent_frames_give_the_poisson_error():
    # Jitter of 0.8 Å: a bin of 0.1 Å holds each of n molecules with probability 1/8, independently.
    n_frames = 1500
    profiles = interface_profiles(synthetic.film(n_frames, seed=8, n_ions=0))
    inside = (profiles.z > 2.7) & (profiles.z < 3.3)
    expected = np.sqrt(9 * (1 / 8) * (7 / 8) / n_frames) / 14.4
    # Six bins, each error good to a few per cent.
    assert profiles.oxygen_number_density_error[inside].mean() == pytest.approx(expected, rel=0.1)
    assert profiles.first_layer_mean_cosine == pytest.approx(0.0, abs=4 * profiles.first_layer_mean_cosine_error)
    # Nine isotropic cosines of variance 1/3 a frame.
    assert profiles.first_layer_mean_cosine_error == pytest.approx(np.sqrt(1 / 27 / n_frames), rel=0.1)
    assert profiles.n_effective == pytest.approx(n_frames, rel=0.3)


def test_slow_frames_enlarge_the_error_by_their_correlation():
    fast = synthetic.film(200, seed=8, n_ions=0)
    slow = fast.select(np.repeat(np.arange(200), 8))
    ratio = (
        interface_profiles(slow).first_layer_mean_cosine_error / interface_profiles(fast).first_layer_mean_cosine_error
    )
    # The same information eight times: the error must not shrink (by sqrt(8) = 2.8 if correlation were neglected).
    assert ratio == pytest.approx(1.0, abs=0.15)


def test_replicas_are_combined():
    first, second = synthetic.film(20, seed=1), synthetic.film(30, seed=2)
    columns = {'replica': np.repeat([0, 1], [20, 30])}
    joined = dataclasses.replace(FrameSet.concatenate([first, second]), columns=columns)
    both = interface_profiles(joined)
    parts = [interface_profiles(part) for part in (first, second)]
    expected = (20 * parts[0].oxygen_number_density + 30 * parts[1].oxygen_number_density) / 50
    assert both.oxygen_number_density == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert (both.n_replicas, both.n_frames) == (2, 50)


def test_time_that_starts_anew_begins_a_replica():
    times = {'time': np.concatenate([np.arange(6), np.arange(5)]) * 10.0}
    profiles = interface_profiles(synthetic.film(11, seed=1, columns=times))
    assert (profiles.n_replicas, profiles.frame_interval) == (2, 10.0)


def test_equilibration_is_left_out_of_each_replica():
    frames = synthetic.film(16, seed=1, columns={'replica': np.repeat([1, 2], 8)})
    kept = frames.select([2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15])
    settings = ProfileSettings(equilibration_frames=2)
    cut = interface_profiles(frames, settings)
    assert_equal(cut, dataclasses.replace(interface_profiles(kept), settings=settings))


def test_scattered_replicas_are_refused():
    frames = synthetic.film(6, seed=1, columns={'replica': np.array([0, 1, 0, 1, 0, 1])})
    with pytest.raises(ValueError, match=r"^frames of one 'replica' are not contiguous; sort them by that column$"):
        interface_profiles(frames)


def test_equilibration_longer_than_a_replica_is_refused():
    with pytest.raises(ValueError, match=r'^equilibration_frames is 9, but a replica has only 6 frames$'):
        interface_profiles(synthetic.film(6, seed=1), ProfileSettings(equilibration_frames=9))


def test_too_few_frames_for_an_error_are_refused():
    message = '^a replica of 3 frames gives 3 samples, too few for an error; an error needs at least 4 in each replica$'
    with pytest.raises(NotAnalysableError, match=message):
        interface_profiles(synthetic.film(3, seed=1))


def test_different_compositions_are_refused():
    mixed = FrameSet.concatenate([synthetic.film(4, seed=1, n_ions=0), synthetic.film(4, seed=1, n_ions=2)])
    with pytest.raises(ValueError, match=r'^frame 4 has other atoms than frame 0: profile them apart$'):
        interface_profiles(mixed)


def test_surface_that_is_dry_is_refused():
    message = r"^the setting 'surfaces' asks for the upper surface, but in frame 0 only the lower one is wet$"
    with pytest.raises(NotAnalysableError, match=message):
        interface_profiles(synthetic.film(4, seed=1), ProfileSettings(surfaces='upper'))


def test_metal_alone_is_refused():
    frame = synthetic.frame(np.zeros((0, 3)), np.zeros((0, 3)))
    message = r'^frame 0 has no metal surface that touches water: an interface cannot be profiled$'
    with pytest.raises(NotAnalysableError, match=message):
        interface_profiles(repeated(frame))


def test_profiles_are_rebuilt_from_arrays_and_json(profiles):
    scalars = json.loads(json.dumps(profiles.scalars(), allow_nan=False))
    assert_equal(InterfaceProfiles.from_parts(profiles.arrays(), scalars), profiles)


def test_missing_fields_are_named(profiles):
    arrays = profiles.arrays()
    del arrays['z']
    with pytest.raises(ValueError, match=r"^profiles need the fields \['z'\], which were not given$"):
        InterfaceProfiles.from_parts(arrays, profiles.scalars())


@pytest.mark.slow
def test_maicos_gives_the_same_profiles():
    """MAICoS lives in an environment of its own, or in that of the interpreter named by MAICOS_PYTHON."""
    root = Path(__file__).parents[3]
    python = os.environ.get('MAICOS_PYTHON', str(root / '.environments' / 'crosscheck' / 'bin' / 'python'))
    path = root / 'examples' / 'benchmarks' / 'profiles.py'
    spec = importlib.util.spec_from_file_location('profiles_benchmark', path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    report = benchmark.compare(500, seed=2, maicos_python=python, repeats=1)
    # Densities of MAICoS rest on a box in single precision: 1e-7 of up to 0.2 per Å³.
    assert report['largest_deviation'] < 1e-6
