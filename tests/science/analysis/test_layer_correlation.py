"""Survival and reorientation against processes whose correlation is known, and against sums over all pairs of times."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.layer_correlation import (
    continuous_sums,
    intermittent_sums,
    reorientation_sums,
    stays,
)

LEAVE, RETURN = 0.05, 0.02
"""Probabilities per frame to leave the layer and to come back."""


def two_states(n_members: int, n_frames: int, seed: int = 1) -> np.ndarray:
    """Return whether each water is in the layer: a Markov chain in its stationary state."""
    random = np.random.default_rng(seed)
    inside = np.zeros((n_members, n_frames), dtype=bool)
    state = random.random(n_members) < RETURN / (RETURN + LEAVE)
    for frame in range(n_frames):
        inside[:, frame] = state
        draw = random.random(n_members)
        state = np.where(state, draw > LEAVE, draw < RETURN)
    return inside


def rotations(n_members: int, n_frames: int, angle: float, seed: int = 2) -> np.ndarray:
    """Return unit vectors that turn by a fixed angle about a random axis at each frame, shape ``(n, n_frames, 3)``."""
    random = np.random.default_rng(seed)
    vectors = np.empty((n_members, n_frames, 3))
    here = random.normal(size=(n_members, 3))
    here /= np.linalg.norm(here, axis=1, keepdims=True)
    for frame in range(n_frames):
        vectors[:, frame] = here
        side = np.cross(here, random.normal(size=here.shape))
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        here = np.cos(angle) * here + np.sin(angle) * side
        here /= np.linalg.norm(here, axis=1, keepdims=True)
    return vectors


def sums_over_all_pairs(inside: np.ndarray, known: np.ndarray, vectors: np.ndarray, n_lags: int) -> np.ndarray:
    """Return C, its origins, S, its origins, P_1 and P_2 by looking at each water, each origin and each lag."""
    result = np.zeros((6, n_lags))
    n_members, n_frames = inside.shape
    for member in range(n_members):
        for origin in np.flatnonzero(inside[member]):
            stayed, was_known = True, True
            for lag in range(min(n_lags, n_frames - origin)):
                now = origin + lag
                was_known &= known[member, now] or not stayed
                stayed &= inside[member, now]
                result[0, lag] += inside[member, now]
                result[1, lag] += known[member, now]
                result[2, lag] += stayed
                result[3, lag] += was_known
                cosine = vectors[member, origin] @ vectors[member, now]
                result[4, lag] += stayed * cosine
                result[5, lag] += stayed * (1.5 * cosine**2 - 0.5)
    return result


@pytest.mark.parametrize(('dissociates', 'n_lags'), [(False, 60), (True, 60), (True, 17)])
def test_agrees_with_sums_over_all_pairs(dissociates, n_lags):
    """Waters that dissociate, stays that reach both ends, lags up to the whole length."""
    inside = two_states(12, 60)
    known = np.ones_like(inside)
    if dissociates:
        known[np.random.default_rng(5).random(inside.shape) < 0.03] = False
    inside &= known
    vectors = rotations(12, 60, 0.4)
    expected = sums_over_all_pairs(inside, known, vectors, n_lags)
    found = stays(inside, known)
    assert np.array(intermittent_sums(inside, known, n_lags)).tolist() == expected[0:2].tolist()
    assert np.array(continuous_sums(found, 60, n_lags)).tolist() == expected[2:4].tolist()
    scale = expected[2, 0]
    assert np.abs(np.array(reorientation_sums(vectors, found, n_lags)) - expected[4:6]).max() < 1e-12 * scale


def test_batches_change_nothing(monkeypatch):
    inside, vectors = two_states(9, 500), rotations(9, 500, 0.2)
    known = np.ones_like(inside)
    whole = reorientation_sums(vectors, stays(inside, known), 250), intermittent_sums(inside, known, 250)
    monkeypatch.setattr('aiida_edl.science.analysis.layer_correlation.NUMBERS_AT_ONCE', 1)
    parts = reorientation_sums(vectors, stays(inside, known), 250), intermittent_sums(inside, known, 250)
    assert np.abs(np.array(parts[0]) - whole[0]).max() < 1e-10
    assert np.array(parts[1]).tolist() == np.array(whole[1]).tolist()


def test_survival_of_a_markov_chain():
    """S = (1 - k)^n, and C = p + (1 - p)(1 - k - k')^n; 10^6 frames tell 1 % at short lags."""
    inside = two_states(200, 5000)
    known = np.ones_like(inside)
    lags = np.array([1, 5, 10, 20, 40])
    again, origins = intermittent_sums(inside, known, 100)
    share = RETURN / (RETURN + LEAVE)
    expected = share + (1 - share) * (1 - LEAVE - RETURN) ** lags
    assert (again / origins)[lags] == pytest.approx(expected, abs=0.008)
    assert (again / origins)[1] == pytest.approx(expected[0], rel=0.001)
    stayed, at_risk = continuous_sums(stays(inside, known), 5000, 100)
    assert (stayed / at_risk)[lags] == pytest.approx((1 - LEAVE) ** lags, abs=0.008)
    assert (stayed / at_risk)[1] == pytest.approx(1 - LEAVE, rel=0.001)


def test_isotropic_rotation():
    """A turn by a fixed angle about a random axis multiplies C_l by P_l(cos angle), the step of exp(-l(l+1) D t)."""
    vectors = rotations(400, 2000, 0.3)
    known = np.ones(vectors.shape[:2], dtype=bool)
    found = stays(known, known)
    first, second = reorientation_sums(vectors, found, 50)
    stayed = continuous_sums(found, 2000, 50)[0]
    lags = np.arange(12)
    assert (first / stayed)[lags] == pytest.approx(np.cos(0.3) ** lags, rel=0.005)
    assert (second / stayed)[lags] == pytest.approx((1.5 * np.cos(0.3) ** 2 - 0.5) ** lags, rel=0.01)


def test_constant_dipole_never_forgets():
    vectors = np.tile([0.6, 0.0, 0.8], (5, 40, 1))
    known = np.ones((5, 40), dtype=bool)
    found = stays(known, known)
    stayed = continuous_sums(found, 40, 40)[0]
    first, second = reorientation_sums(vectors, found, 40)
    assert first / stayed == pytest.approx(np.ones(40), abs=1e-12)
    assert second / stayed == pytest.approx(np.ones(40), abs=1e-12)


def test_rotation_of_all_changes_nothing():
    vectors, inside = rotations(6, 80, 0.5), two_states(6, 80)
    found = stays(inside, np.ones_like(inside))
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    before, after = (np.array(reorientation_sums(item, found, 80)) for item in (vectors, vectors @ turn))
    assert np.abs(after - before).max() < 1e-11


def test_stays():
    inside = np.array([[1, 1, 0, 1, 0, 0, 1]], dtype=bool)
    known = np.array([[1, 1, 1, 1, 0, 1, 1]], dtype=bool)
    found = stays(inside, known)
    assert found.start.tolist() == [0, 3, 6]
    assert found.length.tolist() == [2, 1, 1]
    assert found.has_left.tolist() == [True, False, False]
