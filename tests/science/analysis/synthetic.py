"""Interfaces with known answers: flat metal layers, waters of given place and direction, ions of given place."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.frames import Frame, FrameSet

WIDTH = 12.0
"""Lateral edge of the cell [Å]."""
HEIGHT = 30.0
"""Height of the cell [Å]."""
LAYERS = (1.0, 3.0, 5.0)
"""Heights of the metal layers [Å]; the surface planes are the first and the last."""
TOP, BOTTOM = LAYERS[-1], LAYERS[0]
BOND, HALF_ANGLE = 0.96, np.radians(104.5 / 2)


def metal() -> np.ndarray:
    """Return positions of the metal, 3 layers of 9 atoms."""
    places = np.arange(3) * WIDTH / 3
    return np.array([(x, y, z) for z in LAYERS for x in places for y in places])


def water(oxygen: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return positions of O, H, H of waters whose dipole points along ``direction``, shape ``(..., 3, 3)``."""
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    # Any vector that is not parallel gives a plane for the molecule.
    helper = np.where(np.abs(direction[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    side = np.cross(direction, helper)
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    along, across = BOND * np.cos(HALF_ANGLE) * direction, BOND * np.sin(HALF_ANGLE) * side
    return np.stack([oxygen, oxygen + along + across, oxygen + along - across], axis=-2)


def directions(cosine: np.ndarray) -> np.ndarray:
    """Return unit vectors with the given z component."""
    return np.stack([np.sqrt(1 - cosine**2), np.zeros_like(cosine), cosine], axis=-1)


def frame(oxygen: np.ndarray, direction: np.ndarray, ions: np.ndarray | None = None, is_film: bool = False) -> Frame:
    """Return one frame: metal, waters at ``oxygen`` (absolute positions), Na at ``ions``."""
    ions = np.zeros((0, 3)) if ions is None else ions
    fluid = water(oxygen, direction).reshape(-1, 3)
    return Frame(
        numbers=np.array([79] * 27 + [8, 1, 1] * len(oxygen) + [11] * len(ions), dtype=np.uint8),
        positions=np.concatenate([metal(), fluid, ions]),
        cell=np.diag([WIDTH, WIDTH, HEIGHT]),
        pbc=np.array([True, True, not is_film]),
    )


def lattice(n: int = 3) -> np.ndarray:
    """Return lateral places far enough from each other that waters do not touch, shape ``(n * n, 2)``."""
    places = (np.arange(n) + 0.5) * WIDTH / n
    return np.array([(x, y) for x in places for y in places])


def film(n_frames: int, seed: int, n_ions: int = 2, is_film: bool = True, columns: dict | None = None) -> FrameSet:
    """Return a seeded trajectory: 3 x 3 x 4 sites with jitter, random directions, ``n_ions`` of the sites with Na."""
    random = np.random.default_rng(seed)
    sites = np.array([(x, y, z) for z in TOP + np.array([3.0, 6.2, 9.4, 12.6]) for x, y in lattice()])
    sites = sites[random.permutation(len(sites))]
    frames = []
    for index in range(n_frames):
        places = sites + random.uniform(-0.4, 0.4, sites.shape)
        vectors = random.normal(size=(len(sites) - n_ions, 3))
        item = frame(places[n_ions:], vectors, places[:n_ions], is_film)
        values = {name: column[index] for name, column in (columns or {}).items()}
        frames.append(Frame(item.numbers, item.positions, item.cell, item.pbc, columns=values))
    return FrameSet.from_frames(frames)
