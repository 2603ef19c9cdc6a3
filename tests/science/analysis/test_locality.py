"""The range of models of known range: one layer, two, a pair potential, one without a cutoff."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from toy.layered_model import LayeredModel

from aiida_edl.science.analysis.locality import Prediction, Verdict, locality
from aiida_edl.science.analysis.locality_words import locality_sentences
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.locality_pairs import MOVED, LocalityError, LocalitySettings, locality_pairs, pairs_of

CUTOFF = 2.0
SETTINGS = LocalitySettings(n_moved=3, bin_width=0.25, displacement=0.1)


def rod(n_atoms: int = 120, spacing: float = 0.15) -> FrameSet:
    """Return atoms in a dense rod, so that there is an atom near every distance and a relay near every hop."""
    generator = np.random.default_rng(7)
    positions = np.zeros((n_atoms, 3))
    positions[:, 2] = spacing * np.arange(n_atoms)
    positions += generator.normal(0, 0.02, positions.shape)
    numbers = np.full(n_atoms, 8, np.uint8)
    numbers[[n_atoms // 12, n_atoms // 2]] = 11
    return FrameSet.from_frames([Frame(numbers, positions, np.zeros((3, 3)), np.zeros(3, bool))])


PAIRS = locality_pairs(rod(), SETTINGS)


def find(model, field=None, pairs=PAIRS, settings=SETTINGS, **options):
    found = model.predict(pairs, **options)
    return locality(pairs, found, field or CUTOFF * model.n_layers, settings)


@pytest.mark.parametrize('model', [LayeredModel(CUTOFF, 1), LayeredModel(CUTOFF, 2), LayeredModel(CUTOFF, 1, 0.5)])
def test_forces_of_the_toy_are_the_negative_gradient(model):
    frame, step = rod(14).frame(0), 1e-5
    _, forces = model.frame(frame)
    for atom, axis in ((5, 2), (7, 0)):
        energies = []
        for sign in (1, -1):
            positions = frame.positions.copy()
            positions[atom, axis] += sign * step
            energies.append(model.frame(replace(frame, positions=positions))[0].sum())
        # central difference: error of order step², energies of about 1e4 eV rounded to 1e-12
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize('n_layers', [1, 2])
def test_range_is_layers_times_cutoff_and_that_of_forces_at_most_twice(n_layers):
    findings, _ = find(LayeredModel(CUTOFF, n_layers))
    field = CUTOFF * n_layers
    assert findings.verdict is Verdict.LOCAL
    assert field - SETTINGS.bin_width < findings.energy_range < field
    assert 2 * field - 2 * SETTINGS.bin_width < findings.force_range < 2 * field
    assert findings.energy_change_beyond <= findings.energy_threshold
    assert 0 < findings.practical_energy_range <= findings.energy_range


def test_forces_of_a_pair_potential_reach_no_farther_than_its_energies():
    findings, _ = find(LayeredModel(CUTOFF, 1, is_pairwise=True))
    assert CUTOFF - SETTINGS.bin_width < findings.force_range < CUTOFF
    assert findings.verdict is Verdict.LOCAL


def test_model_that_states_too_little_is_found_out():
    findings, _ = find(LayeredModel(CUTOFF, 2), field=CUTOFF)
    assert findings.verdict is Verdict.NOT_LOCAL
    assert findings.energy_change_beyond > 1e-3


def test_model_without_cutoff_sees_the_farthest_ion():
    findings, _ = find(LayeredModel(CUTOFF, 1, coulomb=1.0))
    assert findings.verdict is Verdict.NOT_LOCAL
    assert findings.energy_range == findings.largest_distance
    assert findings.ion_energy_range == findings.ion_largest_distance


def test_local_model_tells_ions_as_far_as_it_sees():
    findings, _ = find(LayeredModel(CUTOFF, 2))
    assert 2 * CUTOFF - SETTINGS.bin_width < findings.ion_energy_range < 2 * CUTOFF
    assert findings.ion_largest_distance > 8.0


def test_forces_alone_judge_a_model_without_local_energies():
    findings, _ = find(LayeredModel(CUTOFF, 1), with_local_energies=False)
    assert (findings.has_local_energies, findings.verdict) == (False, Verdict.LOCAL)
    assert math.isnan(findings.energy_range)
    assert findings.row()['energy_range_angstrom'] is None
    assert find(LayeredModel(CUTOFF, 1), field=0.8, with_local_energies=False)[0].verdict is Verdict.NOT_LOCAL


def test_cell_without_atoms_beyond_the_field_decides_nothing():
    pairs = locality_pairs(rod(8), SETTINGS)
    findings, _ = find(LayeredModel(CUTOFF, 1), pairs=pairs)
    assert findings.verdict is Verdict.UNDECIDED


def test_noise_of_the_control_counts_as_no_change():
    generator = np.random.default_rng(5)
    found = LayeredModel(CUTOFF, 1).predict(PAIRS)
    noisy = Prediction(
        found.energies,
        found.forces + generator.uniform(-1e-4, 1e-4, found.forces.shape),
        found.atomic_energies + generator.uniform(-1e-4, 1e-4, found.energies.shape and found.forces.shape[0]),
    )
    findings, _ = locality(PAIRS, noisy, CUTOFF, SETTINGS)
    assert findings.verdict is Verdict.LOCAL
    assert 1e-3 < findings.energy_threshold < 2e-3
    assert findings.energy_range < CUTOFF


def test_profile_holds_the_largest_change_of_each_bin():
    model = LayeredModel(CUTOFF, 1)
    found = model.predict(PAIRS)
    _, profile = locality(PAIRS, found, CUTOFF, SETTINGS)
    largest = 0.0
    for pair in pairs_of(PAIRS):
        if pair.kind == MOVED:
            base = PAIRS.offsets[pair.base] + pair.base_atoms
            variant = PAIRS.offsets[pair.variant] + pair.variant_atoms
            inside = (pair.distances >= 1.0) & (pair.distances < 1.25)
            changes = np.abs(found.atomic_energies[variant] - found.atomic_energies[base])[inside]
            largest = max(largest, changes.max(initial=0.0))
    (bin_number,) = np.flatnonzero(np.isclose(profile.distance, 1.125))
    assert profile.max_energy_change[0, bin_number] == pytest.approx(largest, rel=1e-12)
    assert profile.n_atoms[0].sum() == 6 * 119 - 119  # 3 oxygens and 2 sodiums, all but the moved atom


def test_failed_frames_are_left_out_and_counted():
    found = LayeredModel(CUTOFF, 1).predict(PAIRS)
    energies = found.energies.copy()
    energies[3] = np.nan
    findings, _ = locality(PAIRS, replace(found, energies=energies), CUTOFF, SETTINGS)
    assert findings.n_failed_pairs == 1
    assert any('1 pairs have no finite prediction' in line for line in locality_sentences('toy', 2.0, 1, findings))


def test_without_a_control_the_noise_is_not_known():
    found = LayeredModel(CUTOFF, 1).predict(PAIRS)
    energies = found.energies.copy()
    energies[1] = np.nan
    with pytest.raises(LocalityError, match='no control has a finite prediction'):
        locality(PAIRS, replace(found, energies=energies), CUTOFF, SETTINGS)


def test_predictions_of_another_set_are_refused():
    with pytest.raises(LocalityError, match='they belong to another set'):
        locality(PAIRS, LayeredModel(CUTOFF, 1).predict(rod()), CUTOFF, SETTINGS)


def test_words_are_made_of_the_numbers():
    local, _ = find(LayeredModel(CUTOFF, 2))
    words = locality_sentences('toy', CUTOFF, 2, local)
    assert words[0] == 'toy states a receptive field of 4.00 Å (2 layers of 2.00 Å).'
    assert words[1].startswith(f'A moved atom changes local energies up to {local.energy_range:.2f} Å')
    assert words[2].startswith('It is as local as it states: local energies beyond 4.00 Å change by ')
    assert words[3].startswith(f'Its local energies tell up to {local.ion_energy_range:.2f} Å whether an ion is there')
    far, _ = find(LayeredModel(CUTOFF, 1, coulomb=1.0))
    assert locality_sentences('toy', CUTOFF, 1, far)[2].startswith('It sees farther than it states: ')
