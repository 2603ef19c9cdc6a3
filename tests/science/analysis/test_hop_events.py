"""Events of a few jumps by hand: sites 0 to 9 are of the lattice, 10 and above interstitial."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.hop_events import EVENT_KINDS, hop_events
from aiida_edl.science.analysis.hop_jumps import Jumps

A, B, C = 0, 1, 2
IS_LATTICE = np.arange(20) < 10
WINDOW = 10


def events_of(initial: list[int], rows: list[tuple[int, int, int, int]]) -> list[tuple[str, int, int, int]]:
    """Return kind, length, source and target of the events of jumps (frame, atom, source, target)."""
    events = hop_events(Jumps.sorted(np.array(initial), rows), IS_LATTICE, WINDOW)
    assert np.all(events.event_of_jump >= 0)
    columns = (events.length, events.source, events.target)
    return [
        (EVENT_KINDS[kind], *values)
        for kind, *values in zip(events.kind, *(column.tolist() for column in columns), strict=True)
    ]


def test_knock_off():
    assert events_of([10, 1], [(5, A, 10, 1), (8, B, 1, 11)]) == [('knock_off', 2, 10, 11)]


def test_knock_off_in_which_the_occupant_leaves_first():
    assert events_of([10, 1], [(5, B, 1, 11), (8, A, 10, 1)]) == [('knock_off', 2, 10, 11)]


def test_knock_off_at_the_very_window():
    assert events_of([10, 1], [(5, A, 10, 1), (15, B, 1, 11)]) == [('knock_off', 2, 10, 11)]


def test_an_exchange_that_is_slower_than_the_window_is_other():
    assert events_of([10, 1], [(5, A, 10, 1), (16, B, 1, 11)]) == [('other', 1, 10, 1), ('other', 1, 1, 11)]


def test_direct_hop():
    assert events_of([10, 1], [(5, A, 10, 11)]) == [('direct', 1, 10, 11)]


def test_direct_hop_over_a_lattice_site():
    assert events_of([10, 1], [(5, A, 10, 2), (8, A, 2, 11)]) == [('direct', 1, 10, 11)]


def test_a_long_stay_at_a_lattice_site_ends_an_event():
    found = events_of([10, 1], [(5, A, 10, 2), (50, A, 2, 11)])
    assert found == [('recombination', 1, 10, 2), ('formation', 1, 2, 11)]


def test_vacancy_hop():
    assert events_of([0, 1], [(5, A, 0, 2)]) == [('vacancy', 1, 0, 2)]


def test_vacancy_hop_over_an_interstitial_site():
    assert events_of([0, 1], [(5, A, 0, 10), (9, A, 10, 2)]) == [('vacancy', 1, 0, 2)]


def test_two_vacancy_hops_in_a_row_are_two():
    found = events_of([0, 1], [(5, A, 0, 2), (9, B, 1, 0)])
    assert sorted(found) == [('vacancy', 1, 0, 2), ('vacancy', 1, 1, 0)]


def test_chain_of_two():
    """Two lattice atoms are pushed one after another; three atoms move."""
    found = events_of([10, 1, 2], [(5, A, 10, 1), (7, B, 1, 2), (9, C, 2, 11)])
    assert found == [('knock_off', 3, 10, 11)]


def test_frenkel_formation_and_recombination():
    assert events_of([0, 1], [(5, A, 0, 10)]) == [('formation', 1, 0, 10)]
    assert events_of([10, 1], [(5, A, 10, 0)]) == [('recombination', 1, 10, 0)]


def test_recombination_by_a_push():
    assert events_of([10, 1], [(5, A, 10, 1), (8, B, 1, 2)]) == [('recombination', 2, 10, 2)]


def test_ring():
    assert events_of([0, 1], [(5, A, 0, 1), (6, B, 1, 0)]) == [('ring', 2, 0, 0)]


def test_the_nearest_in_time_are_linked():
    """B leaves site 1 for A, and A for C: two knock-offs."""
    rows = [(5, B, 1, 11), (6, A, 10, 1), (13, A, 1, 12), (14, C, 14, 1)]
    assert events_of([10, 1, 14], rows) == [('knock_off', 2, 10, 11), ('knock_off', 2, 14, 12)]


def test_two_interstitials_that_meet_at_an_interstitial_site_hop():
    assert events_of([10, 11], [(5, A, 10, 11), (6, B, 11, 12)]) == [('direct', 1, 10, 11), ('direct', 1, 11, 12)]


@pytest.mark.parametrize('seed', range(5))
def test_each_jump_belongs_to_one_event(seed):
    """Random jumps, of which few make sense: every one is in one event, and atoms are counted once."""
    random = np.random.default_rng(seed)
    places, rows = list(range(8)), []
    for frame in range(0, 400, 2):
        atom, target = int(random.integers(8)), int(random.integers(20))
        if target != places[atom]:
            rows.append((frame, atom, places[atom], target))
            places[atom] = target
    jumps = Jumps.sorted(np.arange(8), rows)
    events = hop_events(jumps, IS_LATTICE, WINDOW)
    counts = np.bincount(events.event_of_jump, minlength=len(events.kind))
    assert counts.min() >= 1
    assert counts.sum() == len(rows)
    # Only a passage has more jumps than atoms, and it has one atom.
    assert np.all((counts == events.length) | ((events.length == 1) & (counts == 2)) | (events.length >= 2))


def test_no_jump_is_no_event():
    assert events_of([0, 1], []) == []
