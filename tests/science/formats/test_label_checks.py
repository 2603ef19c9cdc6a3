"""Labels that cannot be what they are said to be; exact trajectories of harmonic atoms are the ground truth."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.label_checks import LabelLimits, check_labels, compare_work
from aiida_edl.science.frames import FrameSet

HARTREE_PER_BOHR = units.HARTREE / units.BOHR


def make_trajectory(n_frames: int = 12, n_atoms: int = 4, step: float = 0.03) -> FrameSet:
    """Return a trajectory of atoms bound to their sites by 10 eV/Å², so that energies and forces fit exactly."""
    generator = np.random.default_rng(0)
    sites = 2.0 * np.arange(n_atoms)[:, None] * np.ones(3)
    displacements = 0.15 * generator.normal(size=(n_atoms, 3)) + step * np.cumsum(
        generator.normal(size=(n_frames, n_atoms, 3)), axis=0
    )
    return FrameSet(
        numbers=np.full(n_frames * n_atoms, 79, dtype=np.uint8),
        positions=(sites + displacements).reshape(-1, 3),
        offsets=n_atoms * np.arange(n_frames + 1),
        cells=np.tile(np.eye(3) * 20.0, (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
        energies=-50.0 + 5.0 * np.sum(displacements**2, axis=(1, 2)),
        forces=(-10.0 * displacements).reshape(-1, 3),
    )


def scaled(frames: FrameSet, energy: float = 1.0, force: float = 1.0) -> FrameSet:
    """Return frames with labels in wrong units."""
    return replace(frames, energies=frames.energies * energy, forces=frames.forces * force)


def test_right_labels_pass():
    check_labels(make_trajectory(), 'set', LabelLimits())


def test_work_of_harmonic_forces_is_the_energy_change():
    """The trapezoidal rule is exact for linear forces."""
    comparison = compare_work(make_trajectory())
    assert comparison.slope == pytest.approx(1.0, abs=1e-10)
    assert (comparison.correlation, comparison.n_pairs) == (pytest.approx(1.0, abs=1e-10), 11)


def test_work_is_not_compared_between_trajectories():
    frames = make_trajectory().with_columns(group=np.arange(12) // 6)
    assert compare_work(frames).n_pairs == 10


def test_work_is_not_compared_over_large_steps():
    comparison = compare_work(make_trajectory(step=2.0))
    assert (comparison.n_pairs, math.isnan(comparison.slope)) == (0, True)


def test_work_needs_labels():
    message = '^energies and forces are both needed to compare them; label the frames first$'
    with pytest.raises(FormatError, match=message):
        compare_work(make_trajectory().without_labels())


def test_forces_too_large_are_refused():
    with pytest.raises(
        FormatError, match=r'^set: the median force is \d+(\.\d+)? eV/Å, thermal frames stay below 15 eV/Å; '
    ):
        check_labels(scaled(make_trajectory(), force=HARTREE_PER_BOHR), 'set', LabelLimits())


def test_forces_too_large_are_accepted_when_said_so():
    frames = scaled(make_trajectory(step=2.0), force=HARTREE_PER_BOHR)
    check_labels(frames, 'set', LabelLimits(maximum_median_force=math.inf, maximum_energy_spread=math.inf))


def test_forces_too_small_are_refused():
    frames = scaled(make_trajectory(), force=0.1 / HARTREE_PER_BOHR)
    with pytest.raises(
        FormatError, match=r'^set: the median force is 0\.00\d+ eV/Å, thermal frames stay above 0\.03 eV/Å; '
    ):
        check_labels(frames, 'set', LabelLimits())


def test_single_relaxed_frame_is_accepted():
    check_labels(scaled(make_trajectory().select([0]), force=1e-4), 'set', LabelLimits())


@pytest.mark.parametrize(
    ('energy', 'force', 'meaning'),
    [
        (1.0, 1.0 / HARTREE_PER_BOHR, 'forces in Ha/Bohr: read them with the unit force=hartree/bohr'),
        (1.0 / units.HARTREE, 1.0, 'energies in Ha: read them with the unit energy=hartree'),
        (1.0 / units.KILOCALORIE_PER_MOL, 1.0, 'energies in kcal/mol: read them with the unit energy=kcal/mol'),
        (1.0, -1.0, 'gradients instead of forces: read them with the unit force=-eV/angstrom'),
        (1.0, units.BOHR, 'forces in eV/Bohr: read them with the unit force=eV/bohr'),
        (7.0, 1.0, 'check both units'),
    ],
)
def test_units_that_do_not_fit_are_named(energy, force, meaning):
    frames = scaled(make_trajectory(), energy, force)
    comparison = compare_work(frames)
    message = (
        f'set: between 11 pairs of neighbouring frames the energy changes {comparison.slope:.4g} times as much as the '
        f'work of the forces; this looks like {meaning}'
    )
    limits = LabelLimits(minimum_median_force=0.0, maximum_energy_spread=math.inf)
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        check_labels(frames, 'set', limits)


def test_energy_per_atom_out_of_range_is_refused():
    frames = replace(make_trajectory().select([0]), energies=np.array([-8e6]))
    message = 'set: the energy of frame 0 is 2e+06 eV/atom, beyond 1e+06 eV/atom; check the unit of energy'
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        check_labels(frames, 'set', LabelLimits())


def test_energies_of_two_levels_of_theory_are_refused():
    frames = make_trajectory(step=2.0)
    energies = np.where(np.arange(12) < 6, -50.0, -70.0)
    message = (
        'set: energies of one composition spread over 5 eV/atom, beyond 1 eV/atom; check the unit of energy and that '
        'one level of theory made all labels'
    )
    forces = frames.forces / 10.0
    with pytest.raises(FormatError, match=f'^{message}$'):
        check_labels(replace(frames, energies=energies, forces=forces), 'set', LabelLimits())


def test_stress_in_gigapascal_is_refused():
    frames = replace(make_trajectory(), stresses=np.full((12, 3, 3), 2.0))
    message = (
        'set: stresses reach 2 eV/Å³, beyond 0.5 eV/Å³; read it with the unit stress=GPa or stress=kbar if it is in '
        'these'
    )
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        check_labels(frames, 'set', LabelLimits())
