"""Ways of defects through walkers whose way is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.defect_walk import DefectWalk, HopRecord, defect_walk
from aiida_edl.science.analysis.hopping import Hopping, hopping
from aiida_edl.science.analysis.hopping_settings import HoppingSettings
from aiida_edl.science.frames import FrameSet

from .crystal_walkers import INTERVAL, LATTICE, Walker, interstitial_walk, vacancy_walk

UNIT = LATTICE / 4.0
"""Of the places of a walker [Å]."""
CELL = 2 * LATTICE * np.eye(3)[np.newaxis]
START = np.zeros(1)
START_SITE, LATTICE_SITE = np.array([1, 1, 1]), np.array([2, 0, 0])
"""Tetrahedral site of the interstitial, and the lattice site beside it whose atom is pushed off."""


def walk_of(walker: Walker, n_frames: int, **settings) -> tuple[Hopping, DefectWalk]:
    """Return hopping and walk of a walker without vibration."""
    found = hopping(walker.trajectory(n_frames, vibration=0.0), HoppingSettings(**settings))
    return found, defect_walk(found, CELL, START)


def steps_of(walk: DefectWalk, carrier: int = 0) -> np.ndarray:
    """Return the places of a defect from its beginning, in units of the walker."""
    places = walk.position[walk.carrier == carrier]
    return (places - places[0]) / UNIT


def kinds_of(found: Hopping, walk: DefectWalk, carrier: int = 0) -> list[str]:
    """Return the events that moved a defect."""
    return [found.event_names[found.event_kind[event]] for event in walk.event[walk.carrier == carrier][1:]]


def test_one_event_each():
    """Knock-off along x, direct hop along z: where the interstitial is, since when, and by what."""
    walker = Walker(1, transit_frames=1)
    pushed = walker.occupant(LATTICE_SITE)
    atom = walker.interstitials()[0]
    walker.move(100, atom, LATTICE_SITE)
    walker.move(103, pushed, LATTICE_SITE + np.array([1, 1, 1]))
    walker.move(200, pushed, LATTICE_SITE + np.array([1, 1, 3]))
    found, walk = walk_of(walker, 300)
    assert kinds_of(found, walk) == ['knock_off', 'direct']
    assert steps_of(walk) == pytest.approx(np.array([[0, 0, 0], [2, 0, 0], [2, 0, 2]]), abs=1e-6)
    assert walk.time.tolist() == [0.0, 104 * INTERVAL, 201 * INTERVAL]
    assert walk.kind.tolist() == [0, 0, 0]
    assert walk.unplaced.size == 0


@pytest.mark.parametrize('seed', [1, 2, 3])
@pytest.mark.parametrize('share', [0.0, 0.6, 1.0])
def test_interstitial_goes_as_far_as_all_atoms_together(seed, share):
    """What one interstitial is moved by is the sum over all cations; the cell is crossed many times."""
    walker, n_frames = interstitial_walk(seed, 60, share)
    frames = walker.trajectory(n_frames, vibration=0.1, drift=0.002, is_folded=True)
    found = hopping(frames)
    walk = defect_walk(found, CELL, START)
    gone = (walker.places - walker.initial).sum(axis=0)
    # The sites are means of a framework that vibrates: 0.1 Å over the root of the frames and the corners.
    assert steps_of(walk)[-1] == pytest.approx(gone, abs=0.05)
    assert len(walk.time) == 1 + found.n_events
    assert walk.carrier.max() == 0


def test_vacancy_goes_against_the_atoms():
    walker, n_frames = vacancy_walk(4, 40)
    found, walk = walk_of(walker, n_frames)
    assert set(kinds_of(found, walk)) == {'vacancy'}
    assert set(walk.kind.tolist()) == {1}
    assert steps_of(walk)[-1] == pytest.approx(-(walker.places - walker.initial).sum(axis=0), abs=1e-6)


@pytest.mark.parametrize('seed', [5, 6, 7])
def test_walk_ends_at_the_defect_of_the_last_frame(seed):
    walker, n_frames = interstitial_walk(seed, 40, 0.5)
    found, walk = walk_of(walker, n_frames)
    apart = (walk.position[-1] - found.path_position[-1]) @ np.linalg.inv(CELL[0])
    assert apart == pytest.approx(np.rint(apart), abs=1e-6)


def slow_exchange(first: str) -> tuple[Hopping, DefectWalk]:
    """Return a knock-off that takes 1 ps with a window of 200 fs; the interstitial comes or the other atom goes first.

    :param first: ``'comes'`` or ``'goes'``.
    """
    walker = Walker(8, transit_frames=2)
    pushed, atom = walker.occupant(LATTICE_SITE), walker.interstitials()[0]
    comes, goes = (100, 150) if first == 'comes' else (150, 100)
    walker.move(comes, atom, LATTICE_SITE)
    walker.move(goes, pushed, LATTICE_SITE + np.array([1, 1, 1]))
    return walk_of(walker, 250, window=200.0, other_windows=())


def test_site_that_is_shared_for_longer_than_the_window_is_on_the_way():
    found, walk = slow_exchange('comes')
    assert kinds_of(found, walk) == ['other', 'other']
    assert walk.kind.tolist() == [0, 2, 0]
    assert steps_of(walk) == pytest.approx(np.array([[0, 0, 0], [1, -1, -1], [2, 0, 0]]), abs=1e-6)


def test_interstitial_goes_on_where_the_atom_is_that_left_its_site_before():
    found, walk = slow_exchange('goes')
    assert kinds_of(found, walk) == ['recombination']
    assert steps_of(walk)[-1] == pytest.approx(np.array([2, 0, 0]), abs=1e-6)
    assert walk.is_end.tolist() == [carrier > 0 and event > 0 for carrier, event in zip(walk.carrier, walk.event)]
    assert walk.carrier[walk.is_end].tolist() == [1, 2]  # the pair


def test_pair_that_recombines_with_itself_vanishes():
    walker = Walker(9, n_interstitials=0, transit_frames=2)
    atom = walker.occupant(LATTICE_SITE)
    walker.move(100, atom, LATTICE_SITE + np.array([1, 1, 1]))
    walker.move(180, atom, LATTICE_SITE)
    found, walk = walk_of(walker, 250, window=200.0, other_windows=())
    assert walk.kind.tolist() == [1, 0, 2, 1]  # the interstitial vanishes on the site
    assert walk.is_end.tolist() == [False, False, True, True]
    assert [found.event_names[kind] for kind in found.event_kind] == ['formation', 'recombination']


def test_event_may_begin_before_its_defect_is_there():
    """The atom that the second knock-off pushes leaves before the first one is complete."""
    walker = Walker(10, transit_frames=2)
    first, second = LATTICE_SITE, LATTICE_SITE + np.array([2, 2, 0])
    atom, pushed, last = walker.interstitials()[0], walker.occupant(first), walker.occupant(second)
    walker.move(98, last, second + np.array([1, 1, -1]))
    walker.move(100, atom, first)
    walker.move(100, pushed, first + np.array([1, 1, 1]))
    walker.move(115, pushed, second)
    found, walk = walk_of(walker, 200)
    assert found.event_target[1] == found.event_source[0]  # listed in the other order
    assert kinds_of(found, walk) == ['knock_off', 'knock_off']
    assert steps_of(walk)[-1] == pytest.approx(np.array([4, 2, -2]), abs=1e-6)


def test_events_whose_jumps_are_not_all_listed_are_counted():
    walker, n_frames = interstitial_walk(11, 20, 1.0)
    found, walk = walk_of(walker, n_frames, maximum_listed=9)
    assert len(found.event_time) == 9
    n_complete = len(walk.time) - 1
    assert 3 <= n_complete <= 4  # two or three jumps each
    assert walk.unplaced.tolist() == list(range(n_complete, 9))


def test_replicas_begin_again():
    parts = [interstitial_walk(seed, 10, 0.5) for seed in (12, 13)]
    frames = [walker.trajectory(n_frames, vibration=0.0) for walker, n_frames in parts]
    both = defect_walk(hopping(FrameSet.concatenate(frames)), np.repeat(CELL, 2, axis=0), np.zeros(2))
    for replica, single in enumerate(frames):
        alone = defect_walk(hopping(single), CELL, START)
        assert both.position[both.replica == replica] == pytest.approx(alone.position, abs=1e-9)
        assert both.time[both.replica == replica].tolist() == alone.time.tolist()


def test_defect_at_no_site_is_refused():
    found = hopping(Walker(14).trajectory(100, vibration=0.0))
    with pytest.raises(
        ValueError, match=r'^a defect of replica 0 begins at \[.*\] Å, 0\.17\d Å from the nearest site; '
    ):
        defect_walk(replace(found, path_position=found.path_position + 0.1), CELL, START)


def test_record_holds_all_that_is_followed():
    walker, n_frames = interstitial_walk(15, 10, 0.5)
    found, walk = walk_of(walker, n_frames)
    record = HopRecord.from_parts(found.arrays(), found.scalars())
    assert defect_walk(record, CELL, START).position.tolist() == walk.position.tolist()
