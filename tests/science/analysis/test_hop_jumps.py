"""Visits, jumps and returns by hand."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.analysis.hop_jumps import Jumps, lasting_jumps, without_returns
from aiida_edl.science.analysis.site_assignment import SiteChanges

Rows = list[tuple[int, int, int, int]]


def changes(initial: list[int], rows: list[tuple[int, int, int]]) -> SiteChanges:
    """Return changes from rows of atom, frame and site."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return SiteChanges(np.array(initial), table[:, 0], table[:, 1], table[:, 2])


def rows_of(jumps: Jumps) -> Rows:
    """Return frame, atom, source and target of each jump."""
    columns = (jumps.frame, jumps.atom, jumps.source, jumps.target)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_change_that_lasts_is_a_jump():
    jumps, n_short = lasting_jumps(changes([7, 8], [(0, 10, 9)]), 100, 5)
    assert (rows_of(jumps), n_short) == ([(10, 0, 7, 9)], 0)


def test_a_short_visit_and_back_is_nothing():
    jumps, n_short = lasting_jumps(changes([7], [(0, 10, 9), (0, 14, 7)]), 100, 5)
    assert (rows_of(jumps), n_short) == ([], 1)


def test_a_short_visit_on_the_way_is_left_out():
    jumps, n_short = lasting_jumps(changes([7], [(0, 10, 9), (0, 14, 8)]), 100, 5)
    assert (rows_of(jumps), n_short) == ([(14, 0, 7, 8)], 1)


def test_a_visit_that_the_end_cuts_off_counts_if_it_was_long_enough():
    assert rows_of(lasting_jumps(changes([7], [(0, 95, 9)]), 100, 5)[0]) == [(95, 0, 7, 9)]
    assert rows_of(lasting_jumps(changes([7], [(0, 96, 9)]), 100, 5)[0]) == []


def test_the_first_site_is_the_first_that_lasts():
    jumps, n_short = lasting_jumps(changes([7], [(0, 2, 9), (0, 50, 8)]), 100, 5)
    assert (jumps.initial.tolist(), rows_of(jumps), n_short) == ([9], [(50, 0, 9, 8)], 1)


def test_no_change_is_no_jump():
    jumps, n_short = lasting_jumps(changes([7, 8], []), 100, 5)
    assert (len(jumps), jumps.initial.tolist(), n_short) == (0, [7, 8], 0)


def kept(rows: Rows, window: float) -> tuple[Rows, int]:
    """Return jumps without returns, and the number of these."""
    jumps, n_returns = without_returns(Jumps.sorted(np.array([1, 2]), rows), window)
    return rows_of(jumps), n_returns


def test_an_atom_that_comes_back_within_the_window_has_not_jumped():
    assert kept([(10, 0, 1, 5), (20, 0, 5, 1)], 10) == ([], 1)


def test_one_that_comes_back_later_has():
    rows = [(10, 0, 1, 5), (21, 0, 5, 1)]
    assert kept(rows, 10) == (rows, 0)


def test_a_detour_that_ends_where_it_began_is_none():
    assert kept([(10, 0, 1, 5), (12, 0, 5, 6), (14, 0, 6, 5), (16, 0, 5, 1)], 10) == ([], 2)


def test_returns_are_those_of_one_atom():
    rows = [(10, 0, 1, 5), (12, 1, 5, 1)]
    assert kept(rows, 10) == (rows, 0)


def test_a_return_leaves_the_jump_that_follows():
    assert kept([(10, 0, 1, 5), (12, 0, 5, 1), (14, 0, 1, 6)], 10) == ([(14, 0, 1, 6)], 1)
