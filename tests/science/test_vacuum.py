"""Gaps with exact widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.frames import FrameSet
from aiida_edl.science.vacuum import thin_vacuum, vacuum_widths


@pytest.fixture
def films():
    """Return two films with atoms from 1 to 4 Å, in cells that are 12 and 9 Å high."""
    positions = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 4.0], [0.5, 0.5, 2.0]])
    return FrameSet(
        numbers=np.full(6, 79, dtype=np.uint8),
        positions=np.concatenate([positions, positions]),
        offsets=np.array([0, 3, 6]),
        cells=np.stack([np.diag([5.0, 5.0, 12.0]), np.diag([5.0, 5.0, 9.0])]),
        pbc=np.array([[True, True, False]] * 2),
    )


def test_gap_is_the_cell_without_the_atoms(films):
    np.testing.assert_allclose(vacuum_widths(films), [[np.inf, np.inf, 9.0], [np.inf, np.inf, 6.0]])


def test_first_thin_gap_is_found(films):
    thin = thin_vacuum(films, 6.5)
    assert (thin.frame, thin.axis) == (1, 2)
    assert str(thin) == (
        '6.00 Å of vacuum along its open cell vector 2, less than the cutoff radius 6.5 Å; '
        'lengthen that cell vector by 0.50 Å'
    )


def test_cell_that_is_lengthened_as_advised_is_accepted(films):
    uneven = replace(films, cells=films.cells - np.diag([0.0, 0.0, 0.0049]))
    advised = float(str(thin_vacuum(uneven, 6.5)).rpartition('by ')[2].removesuffix(' Å'))
    assert thin_vacuum(replace(uneven, cells=uneven.cells + np.diag([0.0, 0.0, advised])), 6.5) is None


def test_gap_is_measured_between_the_faces_of_a_leaning_cell(films):
    leaning = films.cells.copy()
    leaning[:, 2, 0] = 7.0
    np.testing.assert_allclose(vacuum_widths(replace(films, cells=leaning))[:, 2], [9.0, 6.0])


def test_position_in_the_cell_and_turns_do_not_matter(films):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turned = replace(films, positions=(films.positions + 20.0) @ turn, cells=films.cells @ turn)
    np.testing.assert_allclose(vacuum_widths(turned)[:, 2], [9.0, 6.0])


@pytest.mark.parametrize('pbc', [True, False])
def test_without_a_gap_to_images_there_is_no_limit(films, pbc):
    assert thin_vacuum(replace(films, pbc=np.full((2, 3), pbc)), 100.0) is None


def test_cell_vector_that_is_missing_leaves_no_gap(films):
    cells = films.cells.copy()
    cells[:, 2] = 0.0
    thin = thin_vacuum(replace(films, cells=cells), 6.0)
    assert (thin.frame, thin.axis, thin.width) == (0, 2, -3.0)
