"""One pass for all observables gives what the three functions give, with and without compiled code."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from aiida_edl.science.analysis import atom_groups, planar_bins, water_orientation, z_pass
from aiida_edl.science.analysis.angular_distributions import AngularSettings, angular_distributions
from aiida_edl.science.analysis.interface_profiles import ProfileSettings, interface_profiles
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.potential_profile import PotentialSettings, potential_profile
from aiida_edl.science.analysis.z_observables import ZObservables, z_observables
from aiida_edl.science.frames import FrameSet

from . import synthetic

SHORT = ProfileSettings(z_max=12.0), AngularSettings(), PotentialSettings(z_max=12.0)


def disordered(is_film: bool, n_frames: int = 12, seed: int = 5) -> FrameSet:
    """Waters that turn and wander and an ion, where one hydrogen in some frames is nearer to another water."""
    random = np.random.default_rng(seed)
    frames = []
    for index in range(n_frames):
        levels = synthetic.TOP + np.array([2.6, 5.8, 9.1] if is_film else [2.6, 5.8, 9.1, 23.2])
        places = np.concatenate([np.column_stack([synthetic.lattice(), np.full(9, z)]) for z in levels])
        places = places + random.normal(size=places.shape) * 0.15
        waters = synthetic.directions(random.uniform(-1.0, 1.0, len(places)))
        ions = np.array([[6.0, 6.0, synthetic.TOP + 11.0]]) + random.normal(size=(1, 3)) * 0.2
        frame = synthetic.frame(places, waters, ions, is_film=is_film)
        # The metal moves too, or rounding would decide on which side of the edge of a bin a surface lies.
        positions = frame.positions + np.where(frame.numbers == 79, 0.05, 0.0)[:, None] * random.normal(
            size=frame.positions.shape
        )
        if index % 3 == 2:
            hydrogen, oxygen = (np.flatnonzero(frame.numbers == number) for number in (1, 8))
            positions[hydrogen[0]] = positions[oxygen[5]] + [0.1, 0.2, 0.9]
        frames.append(dataclasses.replace(frame, positions=positions))
    return FrameSet.from_frames(frames)


def sheared(frames: FrameSet) -> FrameSet:
    """The same frames in a triclinic cell that stands askew."""
    shear = np.array([[1.0, 0.0, 0.0], [0.15, 1.0, 0.0], [0.0, 0.0, 1.0]])
    angle = 0.4
    turn = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    cells = frames.cells @ shear
    cells[:, 2, 0] += 1.3
    return dataclasses.replace(frames, positions=frames.positions @ shear @ turn, cells=cells @ turn)


def assert_equal(first: Any, second: Any, tolerance: float = 1e-10) -> None:
    """Compare all fields of two results; absolute values are of the order of one."""
    for field in dataclasses.fields(first):
        ours, theirs = getattr(first, field.name), getattr(second, field.name)
        if isinstance(ours, (np.ndarray, float)):
            assert np.allclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True), field.name
        else:
            assert ours == theirs, field.name


def without_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave numpy alone."""
    monkeypatch.setattr(z_pass, 'compiled_pass', lambda: None)
    for user in (atom_groups, planar_bins, water_orientation):
        monkeypatch.setattr(user, 'compiled_kernels', lambda: None)


def assert_same(found: ZObservables, frames: FrameSet, settings: tuple[Any, Any, Any]) -> None:
    """Compare with the three functions."""
    assert_equal(found.profiles, interface_profiles(frames, settings[0]))
    assert_equal(found.angles, angular_distributions(frames, settings[1]))
    assert_equal(found.potential, potential_profile(frames, settings[2]))


@pytest.mark.parametrize('is_askew', [False, True], ids=['orthorhombic', 'triclinic'])
@pytest.mark.parametrize('kind', ['open', 'vacuum', 'two surfaces'])
def test_one_pass_gives_what_three_functions_of_numpy_give(kind, is_askew, monkeypatch):
    frames = disordered(is_film=kind != 'two surfaces')
    if kind == 'vacuum':
        frames = dataclasses.replace(frames, pbc=np.ones((len(frames), 3), dtype=bool))
    if is_askew:
        frames = sheared(frames)
    found = z_observables(frames, *SHORT)
    assert found.profiles.n_surfaces == (2 if kind == 'two surfaces' else 1)
    assert found.profiles.irregular_oxygen_fraction > 0
    without_compiled_code(monkeypatch)
    assert_same(found, frames, SHORT)
    assert_same(z_observables(frames, *SHORT), frames, SHORT)


def test_each_analysis_may_take_another_surface(monkeypatch):
    frames = disordered(is_film=False)
    settings = tuple(
        dataclasses.replace(item, surfaces=name) for item, name in zip(SHORT, ('lower', 'upper', 'lower'), strict=True)
    )
    found = z_observables(frames, *settings)
    assert_same(found, frames, settings)
    without_compiled_code(monkeypatch)
    assert_same(z_observables(frames, *settings), frames, settings)


def test_charges_of_the_frames_are_taken(monkeypatch):
    frames = disordered(is_film=False)
    charges = np.random.default_rng(1).normal(size=(len(frames), int(frames.offsets[1])))
    charges -= charges.mean(axis=1, keepdims=True)
    frames = dataclasses.replace(frames, charges=charges.ravel())
    found = z_observables(frames, *SHORT)
    assert found.potential.charge_source == 'frames'
    without_compiled_code(monkeypatch)
    assert_same(found, frames, SHORT)


def test_cells_that_change_and_single_precision(monkeypatch):
    frames = disordered(is_film=True)
    factors = np.linspace(1.0, 1.02, len(frames))
    cells = frames.cells.copy()
    cells[:, :2] *= factors[:, None, None]
    frames = dataclasses.replace(frames, cells=cells, positions=frames.positions.astype(np.float32))
    found = z_observables(frames, *SHORT)
    without_compiled_code(monkeypatch)
    assert_same(found, frames, SHORT)


def test_settings_that_take_other_frames_are_rejected():
    message = 'equilibration_frames is [1, 0, 0], but one pass takes the same frames for all: give one value'
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        z_observables(disordered(is_film=True), ProfileSettings(equilibration_frames=1))


def test_surface_that_is_dry_is_rejected():
    message = "the setting 'surfaces' asks for the upper surface, but in frame 0 only the lower one is wet"
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        z_observables(disordered(is_film=True), ProfileSettings(surfaces='upper', z_max=12.0))
