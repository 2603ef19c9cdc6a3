"""Atoms on top of each other, against all pairs and their images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aiida_edl.science.close_contacts import closest_contact
from aiida_edl.science.frames import Frame


def make_frame(positions: object, cell: object, pbc: tuple[bool, bool, bool]) -> Frame:
    """Return hydrogen atoms."""
    array = np.asarray(positions, dtype=np.float64)
    return Frame(np.ones(len(array), dtype=np.uint8), array, np.asarray(cell, dtype=np.float64), np.array(pbc))


def smallest_distance(frame: Frame) -> float:
    """Return the smallest distance by looking at all pairs and the 27 cells around."""
    shifts = [s for s in itertools.product((-1, 0, 1), repeat=3) if all(p or not n for p, n in zip(frame.pbc, s))]
    best = np.inf
    for shift in shifts:
        vectors = frame.positions[:, None] - frame.positions[None] + np.array(shift) @ frame.cell
        distances = np.linalg.norm(vectors, axis=-1)
        if not any(shift):
            np.fill_diagonal(distances, np.inf)
        best = min(best, float(distances.min()))
    return best


def test_contact_across_a_boundary():
    frame = make_frame([[0.1, 5, 5], [9.9, 5, 5]], 10 * np.eye(3), (True, True, True))
    contact = closest_contact(frame, 0.5)
    assert (contact.first, contact.second, str(contact)) == (0, 1, 'H 0 and H 1')
    assert contact.distance == pytest.approx(0.2)


def test_no_contact_across_an_open_boundary():
    frame = make_frame([[0.1, 5, 5], [9.9, 5, 5]], 10 * np.eye(3), (False, True, True))
    assert closest_contact(frame, 0.5) is None


def test_atom_that_meets_its_own_image():
    contact = closest_contact(make_frame([[0, 0, 0]], np.diag([0.4, 9, 9]), (True, True, True)), 0.5)
    assert (contact.first, contact.second) == (0, 0)


@pytest.mark.parametrize('pbc', list(itertools.product((False, True), repeat=3)))
def test_agrees_with_all_pairs(pbc):
    generator = np.random.default_rng(5)
    cell = np.array([[6.0, 0.5, 0.0], [-2.0, 5.0, 0.3], [0.4, 1.0, 7.0]])
    found = 0
    for _ in range(40):
        frame = make_frame(generator.uniform(-1, 2, (6, 3)) @ cell, cell, pbc)
        expected, contact = smallest_distance(wrapped(frame)), closest_contact(frame, 0.9)
        assert (contact is not None) == (expected <= 0.9)
        if contact is not None:
            assert contact.distance == pytest.approx(expected, abs=1e-9)
            found += 1
    assert found > 0 or not any(pbc)


def wrapped(frame: Frame) -> Frame:
    """Return the frame with all atoms in the cell along its periodic directions."""
    fractional = frame.positions @ np.linalg.inv(frame.cell)
    shifts = np.floor(fractional) * frame.pbc
    return make_frame(frame.positions - shifts @ frame.cell, frame.cell, tuple(frame.pbc.tolist()))
