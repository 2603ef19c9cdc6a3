"""Jumps and events of walkers with labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.science.analysis import site_assignment
from aiida_edl.science.analysis.crystal_sites import framework_sites
from aiida_edl.science.analysis.framework_motion import crystal_atoms, framework_motion, scaled_chunks
from aiida_edl.science.analysis.hopping import Hopping, hopping
from aiida_edl.science.analysis.hopping_settings import HoppingSettings, HoppingSettingsError
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import FrameSet

from .crystal_walkers import INTERVAL, Walker, interstitial_walk, vacancy_walk


def share_right(found: Hopping, walker: Walker) -> float:
    """Return the share of events found or labelled that are the same within 400 fs, with kind and length."""
    open_labels = [(frame * INTERVAL, kind, length) for frame, kind, length in walker.labels]
    n_labels, right = len(open_labels), 0
    rows = zip(found.event_time, found.event_kind, found.event_length, strict=True)
    for time, kind, length in rows:
        for label in open_labels:
            if label[1:] == (found.event_names[kind], length) and abs(label[0] - time) <= 400.0:
                open_labels.remove(label)
                right += 1
                break
    return right / max(n_labels, found.n_events)


def event_counts(found: Hopping) -> dict[str, int]:
    """Return the kinds of events that occur, with their numbers."""
    return {name: int(n) for name, n in zip(found.event_names, found.event_count, strict=True) if n}


@pytest.mark.parametrize('knock_off_share', [0.0, 0.7, 1.0])
def test_labelled_events_of_an_interstitial_are_found(knock_off_share):
    """98 of 100 as is asked of the classification, with vibrations of 0.15 Å and drift."""
    walker, n_frames = interstitial_walk(1, 100, knock_off_share)
    found = hopping(walker.trajectory(n_frames, drift=0.002, is_folded=True))
    assert share_right(found, walker) >= 0.98
    expected = np.mean([label[1] == 'knock_off' for label in walker.labels])
    assert found.knock_off_ratio == pytest.approx(expected, abs=0.02)


def test_labelled_events_of_a_vacancy_are_found():
    walker, n_frames = vacancy_walk(2, 100)
    assert share_right(hopping(walker.trajectory(n_frames)), walker) >= 0.98


def test_attempts_that_cross_the_border_are_no_events():
    walker = Walker(3)
    for frame in range(50, 1950, 40):
        walker.attempt(frame, walker.interstitials()[0])
    found = hopping(walker.trajectory(2000), HoppingSettings(commit_radius=0.6))
    assert found.n_events == 0


def test_attempts_that_touch_the_next_site_are_returns_or_short_visits():
    """At a commit radius of 1 Å, a visit of the neighbour is seen and taken out."""
    walker = Walker(3)
    for frame in range(50, 1950, 40):
        walker.attempt(frame, walker.interstitials()[0], share=0.9)
    found = hopping(walker.trajectory(2000))
    assert found.n_short_visits + found.n_returns > 40
    assert found.n_events == 0


def test_one_event_each():
    """Knock-off of two, direct hop and knock-off of three, without vibration: all fields by hand."""
    walker = Walker(4, transit_frames=2)
    for frame, length in ((100, 2), (200, 1), (300, 3)):
        atom = walker.interstitials()[0]
        walker.direct(frame, atom) if length == 1 else walker.knock_off(frame, atom, length, delay=0)
    found = hopping(walker.trajectory(400, vibration=0.0))
    assert event_counts(found) == {'knock_off': 2, 'direct': 1}
    assert found.event_length.tolist() == [2, 1, 3]
    assert dict(zip(found.chain_length.tolist(), found.chain_count.tolist(), strict=True)) == {2: 1, 3: 1}
    assert found.knock_off_ratio == pytest.approx(2 / 3)
    assert found.jump_count[:2, :2].tolist() == [[1, 2], [2, 1]]
    assert found.event_rate[0] == pytest.approx(2 / 8.0)
    assert sorted(np.bincount(found.jump_event).tolist()) == [1, 2, 3]
    kinds = np.array(found.site_kinds)[found.site_kind]
    assert set(kinds[found.event_source]) | set(kinds[found.event_target]) == {'tetrahedral'}


def test_population_counts_atoms_and_sites():
    walker, n_frames = interstitial_walk(5, 10, 1.0)
    found = hopping(walker.trajectory(n_frames))
    assert found.site_count.tolist() == [[32, 64, 0]]
    assert found.population.sum() == pytest.approx(33.0)
    assert found.population[1] == pytest.approx(1.0, abs=0.03)
    assert np.all(found.population_error[:2] > 0.0)


def test_residence_at_interstitial_sites_is_the_time_between_events():
    """One carrier: its residence is the length of the run over the number of departures."""
    walker, n_frames = interstitial_walk(6, 40, 0.5)
    found = hopping(walker.trajectory(n_frames))
    expected = found.duration / found.jump_count[1].sum()
    assert found.residence_time[1] == pytest.approx(expected, rel=0.03)
    assert found.residence_time_error[1] >= 0.99 * found.residence_time[1] / np.sqrt(found.jump_count[1].sum())


def test_no_jump_is_a_result_with_an_upper_limit():
    """With a confidence of 95 %, at most -ln(0.05) = 3.0 events were to be expected in 8 ps."""
    found = hopping(Walker(7).trajectory(400))
    assert (found.n_events, found.n_jumps) == (0, 0)
    assert found.event_rate.tolist() == [0.0] * 7
    assert np.isnan(found.event_rate_error).all()
    assert found.event_rate_upper == pytest.approx(np.full(7, -np.log(0.05) / 8.0))
    assert np.isnan(found.knock_off_ratio)
    assert np.isnan(found.population_error[:2]).all()


@pytest.mark.parametrize(
    'change', [{'drift': 0.01}, {'is_folded': True}, {'breath': 0.02}, {'drift': 0.01, 'is_folded': True}]
)
def test_drift_folding_and_a_breathing_cell_change_no_event(change):
    walker, n_frames = interstitial_walk(8, 20, 0.5)
    first = hopping(walker.trajectory(n_frames, vibration=0.05))
    second = hopping(walker.trajectory(n_frames, vibration=0.05, **change))
    assert second.event_count.tolist() == first.event_count.tolist()
    assert second.event_time == pytest.approx(first.event_time, abs=2 * INTERVAL)


def test_translation_and_order_of_atoms_change_no_event():
    walker, n_frames = interstitial_walk(9, 20, 0.5)
    frames = walker.trajectory(n_frames)
    order = np.random.default_rng(1).permutation(frames.offsets[1])
    positions = frames.positions.reshape(n_frames, -1, 3)[:, order] + np.array([1.0, -2.0, 17.0])
    numbers = frames.numbers.reshape(n_frames, -1)[:, order].ravel()
    first = hopping(frames)
    second = hopping(replace(frames, positions=positions.reshape(-1, 3), numbers=numbers))
    for name in ('event_kind', 'event_time', 'event_length', 'ratio_value', 'population'):
        assert getattr(second, name) == pytest.approx(getattr(first, name), nan_ok=True), name
    jumps = sorted(zip(first.jump_time.tolist(), first.jump_atom.tolist(), strict=True))
    assert sorted(zip(second.jump_time.tolist(), order[second.jump_atom].tolist(), strict=True)) == jumps


def test_without_the_compiler_the_result_is_the_same(monkeypatch):
    walker, n_frames = interstitial_walk(10, 20, 0.5)
    frames = walker.trajectory(n_frames, drift=0.003, is_folded=True)
    first = hopping(frames)
    monkeypatch.setattr(site_assignment, 'compiled_sites', lambda: None)
    second = hopping(frames)
    for name, value in first.arrays().items():
        assert np.array_equal(second.arrays()[name], value, equal_nan=True), name


def test_replicas_end_to_end_are_told_apart():
    """Two walkers of different order of sites; their errors hold the scatter between both."""
    parts = []
    for seed in (11, 12):
        walker, n_frames = interstitial_walk(seed, 20, 0.5)
        parts.append(walker.trajectory(n_frames, drift=0.001 * seed))
    single = [hopping(part) for part in parts]
    both = hopping(FrameSet.concatenate(parts))
    assert both.n_replicas == 2
    assert both.event_count.tolist() == (single[0].event_count + single[1].event_count).tolist()
    assert both.site_count.tolist() == [[32, 64, 0]] * 2
    assert np.all(both.site_replica[both.jump_source] == both.jump_replica)


def test_given_sites_are_taken():
    """Ideal places give the events of the sites that are found."""
    walker, n_frames = interstitial_walk(13, 10, 1.0)
    lattice = walker.initial[:-1]
    grid = np.concatenate([lattice, lattice + np.array([1, 1, 1]), lattice - np.array([1, 1, 1])])
    settings = HoppingSettings(
        site_positions=tuple(tuple(place) for place in (grid / 8.0).tolist()),
        site_kinds=('octahedral',) * 32 + ('tetrahedral',) * 64,
    )
    frames = walker.trajectory(n_frames, vibration=0.05)
    assert hopping(frames, settings).event_count.tolist() == hopping(frames).event_count.tolist()


def test_lists_are_bounded_and_say_what_they_lack():
    walker, n_frames = interstitial_walk(14, 20, 1.0)
    found = hopping(walker.trajectory(n_frames), HoppingSettings(maximum_listed=5))
    assert (len(found.jump_time), len(found.event_time)) == (5, 5)
    assert (found.n_unlisted_jumps, found.n_unlisted_events) == (found.n_jumps - 5, found.n_events - 5)
    assert len(found.path_time) <= 5


def test_parts_rebuild_the_result():
    walker, n_frames = interstitial_walk(15, 5, 1.0)
    found = hopping(walker.trajectory(n_frames))
    again = Hopping.from_parts(found.arrays(), found.scalars())
    assert again.settings == found.settings
    assert again.site_kinds == found.site_kinds


def test_a_melted_framework_is_refused():
    frames = Walker(16).trajectory(400)
    positions = frames.positions.reshape(400, -1, 3).copy()
    steps = np.random.default_rng(1).normal(scale=0.3, size=(400, 32, 3))
    positions[:, -32:] += np.cumsum(steps, axis=0)
    with pytest.raises(NotAnalysableError) as caught:
        hopping(replace(frames, positions=positions.reshape(-1, 3)))
    assert str(caught.value).startswith('the framework of replica 0 has melted in block 1 of 10: its Lindemann ratio ')
    assert str(caught.value).endswith('leave their sites; it holds no sites: leave this run out')


def test_a_step_of_nearly_half_the_cell_is_refused():
    frames = Walker(17).trajectory(40, vibration=0.0)
    positions = frames.positions.reshape(40, -1, 3).copy()
    positions[20:, 3, 0] += 4.0
    with pytest.raises(NotAnalysableError) as caught:
        hopping(replace(frames, positions=positions.reshape(-1, 3)))
    assert str(caught.value) == (
        'atom 3 moves 4 Å between frames 19 and 20, more than 0.4 of the smallest height of the cell (3.3 Å): its path '
        'is not known; store frames more often'
    )


def test_lattice_kinds_that_few_atoms_fill_are_refused():
    with pytest.raises(NotAnalysableError) as caught:
        hopping(Walker(18).trajectory(40), HoppingSettings(lattice_kinds=('tetrahedral',)))
    assert str(caught.value) == (
        'only 3.03 % of Li are at lattice sites, which are tetrahedral; name the kinds that a perfect crystal fills in '
        'lattice_kinds'
    )


def test_lattice_kinds_that_do_not_occur_are_refused():
    with pytest.raises(NotAnalysableError, match="kind of site 'other'"):
        hopping(Walker(18).trajectory(40), HoppingSettings(lattice_kinds=('other',)))


def test_settings_of_a_wrong_range_are_refused():
    with pytest.raises(HoppingSettingsError, match=r'^commit_radius is -1.0, it must be positive$'):
        HoppingSettings(commit_radius=-1.0)
    with pytest.raises(HoppingSettingsError, match=r'^1 site_positions have 0 site_kinds; give one each$'):
        HoppingSettings(site_positions=((0.0, 0.0, 0.0),))


def test_settings_survive_json():
    settings = HoppingSettings(site_positions=((0.0, 0.5, 0.25),), site_kinds=('octahedral',), other_windows=(100.0,))
    assert HoppingSettings.from_dict(settings.to_dict()) == settings


def recorded() -> tuple[FrameSet, np.ndarray]:
    """Return the recorded trajectory, and which Li are tetrahedral by site-analysis."""
    with np.load(Path(__file__).parents[2] / 'fixtures' / 'hopping' / 'site_analysis.npz') as archive:
        positions, numbers, is_tetrahedral = (archive[name] for name in ('positions', 'numbers', 'is_tetrahedral'))
    n_frames, n_atoms = positions.shape[:2]
    frames = FrameSet(
        numbers=np.tile(numbers, n_frames),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(n_frames + 1) * n_atoms,
        cells=np.repeat(12.36 * np.eye(3)[np.newaxis], n_frames, axis=0),
        pbc=np.ones((n_frames, 3), dtype=bool),
        columns={'time': 500.0 * np.arange(n_frames)},
    )
    return frames, is_tetrahedral


def test_nearest_sites_agree_with_site_analysis():
    """Its sites are at ideal places, ours follow the mean framework, which is off by 0.05 Å: one Li in 500 differs.

    Without hysteresis (a radius beyond all distances) and residence, both assign to the nearest site.
    """
    frames, is_tetrahedral = recorded()
    settings = HoppingSettings(commit_radius=10.0, other_commit_radii=(), minimum_residence=0.0)
    found = hopping(frames, settings)
    assert found.site_count.tolist() == [[108, 216, 0]]
    expected = is_tetrahedral.sum(axis=1)
    assert found.population[1] == pytest.approx(expected.mean(), rel=0.1)
    assert abs(found.population[1] - expected.mean()) < found.population_error[1]


def test_single_atoms_agree_with_site_analysis():
    frames, is_tetrahedral = recorded()
    atoms = crystal_atoms(frames, 'Li', ())
    motion = framework_motion(frames, 0, len(frames), atoms, 4)
    sites = framework_sites(motion.mean, motion.cell, merge_distance=0.8, minimum_radius=1.4)
    _, scaled = next(scaled_chunks(frames, 0, len(frames), atoms.mobile))
    nearest, _ = site_assignment.nearest_sites(
        scaled - motion.drift[:, np.newaxis], site_assignment.SiteSearch.of(sites)
    )
    assert np.mean((sites.kind[nearest] == 1) != is_tetrahedral) < 0.002
