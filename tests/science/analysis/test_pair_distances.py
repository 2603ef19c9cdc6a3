"""Distances by minimum image against all images, and the range within which they are unique."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aiida_edl.science.analysis import pair_distances as module
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.pair_distances import check_range, largest_range, squared_distances

TRICLINIC = np.array([[12.0, 0.0, 0.0], [4.0, 11.0, 0.0], [2.0, -3.0, 13.0]])


def distances(first: np.ndarray, second: np.ndarray, cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    parts = [squares for _, squares in squared_distances(first, second, cells, pbc)]
    return np.sqrt(np.concatenate(parts))


def by_all_images(first: np.ndarray, second: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Shortest distance over 5 x 5 x 5 images."""
    shifts = [np.array(s) @ cell for s in itertools.product(*[range(-2, 3) if p else (0,) for p in pbc])]
    apart = first[:, None] - second[None]
    return np.min([np.linalg.norm(apart + shift, axis=-1) for shift in shifts], axis=0)


@pytest.mark.parametrize('pbc', [(True, True, True), (True, True, False), (False, True, False), (False, False, False)])
def test_triclinic_cells_agree_with_all_images(pbc):
    random = np.random.default_rng(1)
    cells = np.stack([TRICLINIC, TRICLINIC * 1.1])
    first, second = random.uniform(-20, 20, (2, 30, 3)), random.uniform(-20, 20, (2, 40, 3))
    flags = np.tile(pbc, (2, 1))
    found = distances(first, second, cells, flags)
    allowed = largest_range(cells, flags)
    for index in range(2):
        folded = [
            f - np.floor(f @ np.linalg.inv(cells[index])) * pbc @ cells[index] for f in (first[index], second[index])
        ]
        exact = by_all_images(*folded, cells[index], pbc)
        within = exact < min(allowed, 50.0)
        assert within.sum() > 20
        # Single precision of fractional coordinates in open cells of 13 Å.
        assert found[index][within] == pytest.approx(exact[within], abs=2e-5)
        assert np.all(found[index][~within] >= min(allowed, 50.0) - 1e-4)


def test_chunks_do_not_matter(monkeypatch):
    random = np.random.default_rng(2)
    positions, cells, pbc = random.uniform(0, 10, (5, 6, 3)), np.tile(TRICLINIC, (5, 1, 1)), np.ones((5, 3), dtype=bool)
    whole = distances(positions, positions, cells, pbc)
    monkeypatch.setattr(module, 'PAIRS_AT_ONCE', 80)
    assert np.array_equal(distances(positions, positions, cells, pbc), whole)


def test_largest_range_is_half_the_smallest_periodic_height():
    cell = np.array([[[10.0, 0.0, 0.0], [5.0, 8.0, 0.0], [0.0, 0.0, 6.0]]])
    # Faces across a are 10 * 8 / |b| apart; those across b are 8 apart.
    assert largest_range(cell, np.array([[True, True, False]])) == pytest.approx(4.0)
    assert largest_range(cell, np.array([[True, False, False]])) == pytest.approx(40 / np.sqrt(89))
    assert largest_range(cell, np.array([[True, True, True]])) == pytest.approx(3.0)
    assert largest_range(cell, np.zeros((1, 3), dtype=bool)) == np.inf


def test_range_that_is_too_large_is_refused_with_the_largest():
    message = (
        '^rdf_range is 7 Å, but the cell is so small that only distances up to 5.87 Å, half its smallest periodic '
        'height, are unique: set rdf_range to at most that$'
    )
    with pytest.raises(NotAnalysableError, match=message):
        check_range('rdf_range', 7.0, 5.8789)
