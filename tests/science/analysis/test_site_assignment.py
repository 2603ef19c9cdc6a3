"""Nearest sites with and without the compiler, and the hysteresis."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis import site_assignment
from aiida_edl.science.analysis.crystal_sites import given_sites
from aiida_edl.science.analysis.site_assignment import SiteSearch, nearest_sites, site_changes
from aiida_edl.science.frames import FrameSet

CELL = np.diag([10.0, 12.0, 14.0])
PLACES = np.array([[0.1, 0.5, 0.5], [0.3, 0.5, 0.5], [0.5, 0.5, 0.5]])
"""Sites along x, 2 Å apart."""


def along_x(coordinates: list[float]) -> FrameSet:
    """Return frames of one Li at given places along x [Å]."""
    positions = np.array([[x, 6.0, 7.0] for x in coordinates])
    n_frames = len(coordinates)
    return FrameSet(
        numbers=np.full(n_frames, 3, dtype=np.uint8),
        positions=positions,
        offsets=np.arange(n_frames + 1),
        cells=np.repeat(CELL[np.newaxis], n_frames, axis=0),
        pbc=np.ones((n_frames, 3), dtype=bool),
    )


def changes_of(coordinates: list[float], radius: float) -> list[tuple[int, int]]:
    """Return frame and new site of each change."""
    search = SiteSearch.of(given_sites(PLACES, ('a',) * 3, CELL))
    n_frames = len(coordinates)
    found = site_changes(
        along_x(coordinates), (0, n_frames), np.array([0]), np.zeros((n_frames, 3)), search=search, radii=[radius]
    )[0]
    return list(zip(found.frame.tolist(), found.site.tolist(), strict=True))


@pytest.mark.parametrize(
    ('radius', 'expected'),
    [
        # Site 1 is at 3 Å; its radius is entered at frame 3 or 2.
        (0.5, [(3, 1)]),
        (0.95, [(2, 1), (4, 0), (5, 1)]),
    ],
)
def test_a_change_is_committed_inside_the_radius_alone(radius, expected):
    assert changes_of([1.0, 1.9, 2.2, 2.9, 1.7, 2.8], radius) == expected


def test_an_atom_between_sites_keeps_its_own():
    assert changes_of([1.0, 2.1, 2.4, 1.8, 2.4, 1.2], 0.5) == []


def test_a_site_that_is_passed_by_far_is_left_out():
    assert changes_of([1.0, 2.3, 3.8, 5.0], 0.5) == [(3, 2)]


def test_images_are_one_site():
    """From 1 Å over the face of the cell to 5 Å at the next image: -5 Å."""
    assert changes_of([1.0, -0.5, -2.8, -4.9, -6.9], 0.5) == [(3, 2), (4, 1)]


@pytest.mark.parametrize('cell', [CELL, np.array([[9.0, 0.0, 0.0], [3.0, 9.0, 0.0], [2.0, -3.0, 10.0]])])
def test_compiler_and_tree_find_the_nearest_sites(cell, monkeypatch):
    """Also where the list of neighbours ends, and for atoms far outside of the cell."""
    random = np.random.default_rng(1)
    sites = given_sites(random.random((80, 3)), ('a',) * 80, cell)
    search = SiteSearch.of(sites)
    scaled = 4.0 * random.random((20, 15, 3)) - 2.0
    monkeypatch.setattr(site_assignment, 'compiled_sites', lambda: None)
    tree = nearest_sites(scaled, search)
    monkeypatch.undo()
    found = nearest_sites(scaled, search)
    assert np.array_equal(found[0], tree[0])
    assert found[1] == pytest.approx(tree[1], abs=1e-12)
    # All images by hand.
    images = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    folded = scaled - np.floor(scaled)
    apart = folded[:, :, np.newaxis, np.newaxis] - sites.scaled[:, np.newaxis] - images
    assert found[1] == pytest.approx(np.linalg.norm(apart @ cell, axis=-1).min(axis=(2, 3)), abs=1e-12)


def test_chunks_do_not_matter(monkeypatch):
    random = np.random.default_rng(2)
    path = list(1.0 + 4.0 * random.random(60))
    whole = changes_of(path, 0.6)
    monkeypatch.setattr('aiida_edl.science.analysis.framework_motion.FRAMES_AT_ONCE', 7)
    assert changes_of(path, 0.6) == whole
    assert len(whole) > 5
