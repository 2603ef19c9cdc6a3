"""Rocksalt crystals whose cations jump as told: walkers with labels, vibrations, drift and folding.

Sites are integer vectors in units of a quarter of the lattice constant: even with an even half sum for the anion, even
with an odd half sum for the octahedral sites of the cation, odd for the tetrahedral ones.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from aiida_edl.science.frames import FrameSet

LATTICE = 4.12
"""Lattice constant [Å]."""
INTERVAL = 20.0
"""Time between frames [fs]."""
CORNERS = np.array(list(itertools.product((-1, 1), repeat=3)))
EDGES = np.array([vector for vector in itertools.product((-2, 0, 2), repeat=3) if np.count_nonzero(vector) == 2])
AXES = np.array([vector for vector in itertools.product((-2, 0, 2), repeat=3) if np.count_nonzero(vector) == 1])


def is_lattice(place: np.ndarray) -> bool:
    """Return whether a place is an octahedral site."""
    return bool(np.all(place % 2 == 0) and (place.sum() // 2) % 2 == 1)


@dataclass
class Walker:
    """Cations that jump one after another; every jump takes some frames."""

    seed: int
    n_cells: int = 2
    n_interstitials: int = 1
    n_vacancies: int = 0
    transit_frames: int = 4
    moves: list[tuple[int, int, np.ndarray]] = field(default_factory=list)
    """First frame of the way, atom and place to which it leads."""
    labels: list[tuple[int, str, int]] = field(default_factory=list)
    """Frame, kind of event and number of atoms."""

    def __post_init__(self) -> None:
        """Fill the lattice."""
        self.random = np.random.default_rng(self.seed)
        grid = np.array(list(itertools.product(range(0, 4 * self.n_cells, 2), repeat=3)))
        is_cation = (grid.sum(axis=1) // 2) % 2 == 1
        self.anions, cations = grid[~is_cation], grid[is_cation]
        cations = cations[self.n_vacancies :]
        tetrahedra = np.array([[1, 1, 1], [5, 5, 5], [5, 1, 1]])[: self.n_interstitials]
        self.initial = np.concatenate([cations, tetrahedra.reshape(-1, 3)])
        self.places = self.initial.copy()

    def occupant(self, place: np.ndarray) -> int:
        """Return the cation at a place, -1 for none."""
        apart = (self.places - place) % (4 * self.n_cells)
        found = np.flatnonzero(np.all(apart == 0, axis=1))
        return int(found[0]) if found.size else -1

    def move(self, frame: int, atom: int, place: np.ndarray) -> None:
        """Let a cation move to a place."""
        self.moves.append((frame, atom, np.array(place)))
        self.places[atom] = place

    def choice(self, vectors: np.ndarray) -> np.ndarray:
        """Return one vector at random."""
        return vectors[self.random.integers(len(vectors))]

    def knock_off(self, frame: int, atom: int, length: int = 2, delay: int = 3) -> None:
        """Let an interstitial take a lattice site, whose atom is pushed on, and so forth."""
        self.labels.append((frame, 'knock_off', length))
        corners = [self.places[atom] + corner for corner in CORNERS if is_lattice(self.places[atom] + corner)]
        target = corners[self.random.integers(4)]
        for step in range(length - 1):
            pushed, before = self.occupant(target), self.places[atom].copy()
            self.move(frame, atom, self.places[atom] + _nearest(target - self.places[atom], 4 * self.n_cells))
            frame += int(self.random.integers(-1, delay + 1))
            atom, place = pushed, self.places[pushed]
            if step < length - 2:
                target = place + self.choice(EDGES)
                continue
            free = [place + corner for corner in CORNERS if self.occupant(place + corner) < 0]
            free = [item for item in free if np.any((item - before) % (4 * self.n_cells))]
            self.move(frame, pushed, free[self.random.integers(len(free))])

    def direct(self, frame: int, atom: int) -> None:
        """Let an interstitial move to the next interstitial site."""
        self.labels.append((frame, 'direct', 1))
        free = [self.places[atom] + axis for axis in AXES if self.occupant(self.places[atom] + axis) < 0]
        self.move(frame, atom, free[self.random.integers(len(free))])

    def vacancy(self, frame: int, hole: np.ndarray) -> np.ndarray:
        """Let a neighbour of an empty site take it through a tetrahedron; return the site that is empty then."""
        self.labels.append((frame, 'vacancy', 1))
        edge = self.choice(EDGES)
        atom = self.occupant(hole + edge)
        left, normal = self.places[atom].copy(), np.where(edge == 0, self.choice(np.array([-1, 1])), 0)
        self.move(frame, atom, left - edge // 2 + normal)
        self.move(frame + self.transit_frames, atom, left - edge)
        return left

    def attempt(self, frame: int, atom: int, share: float = 0.6) -> None:
        """Let an interstitial go part of the way to a neighbour and back: no event."""
        home = self.places[atom].copy()
        self.moves.append((frame, atom, home + share * self.choice(AXES)))
        self.moves.append((frame + self.transit_frames, atom, home))

    def cations(self, n_frames: int) -> np.ndarray:
        """Return the places of cations in all frames in units of the sites, shape ``(n_frames, n_cations, 3)``."""
        frames = np.arange(n_frames)
        result = np.repeat(self.initial[np.newaxis].astype(np.float64), n_frames, axis=0)
        for atom in {atom for _, atom, _ in self.moves}:
            keys, places = [0.0], [self.initial[atom].astype(np.float64)]
            for frame, _, place in sorted((item for item in self.moves if item[1] == atom), key=lambda item: item[0]):
                keys += [max(float(frame), keys[-1]), float(frame + self.transit_frames)]
                places += [places[-1], place]
            for axis in range(3):
                result[:, atom, axis] = np.interp(frames, keys, [place[axis] for place in places])
        return result

    def trajectory(
        self, n_frames: int, vibration: float = 0.15, drift: float = 0.0, is_folded: bool = False, breath: float = 0.0
    ) -> FrameSet:
        """Return the trajectory: Li and F.

        :param n_frames: frames.
        :param vibration: standard deviation of each coordinate [Å].
        :param drift: distance by which everything moves along (1, 2, 3) from frame to frame [Å].
        :param is_folded: whether positions are folded into the cell.
        :param breath: relative amplitude of the changes of the cell.
        """
        cations = self.cations(n_frames)
        anions = np.repeat(self.anions[np.newaxis].astype(np.float64), n_frames, axis=0)
        scaled = np.concatenate([cations, anions], axis=1) / (4.0 * self.n_cells)
        lengths = LATTICE * self.n_cells * (1.0 + breath * np.sin(0.05 * np.arange(n_frames)))
        random = np.random.default_rng(self.seed + 1000)
        positions = scaled * lengths[:, np.newaxis, np.newaxis] + vibration * random.normal(size=scaled.shape)
        positions += drift * np.arange(n_frames)[:, np.newaxis, np.newaxis] * np.array([1.0, 2.0, 3.0])
        if is_folded:
            positions %= lengths[:, np.newaxis, np.newaxis]
        n_atoms = scaled.shape[1]
        numbers = np.repeat([3, 9], [cations.shape[1], anions.shape[1]])
        return FrameSet(
            numbers=np.tile(numbers, n_frames).astype(np.uint8),
            positions=positions.reshape(-1, 3),
            offsets=np.arange(n_frames + 1) * n_atoms,
            cells=lengths[:, np.newaxis, np.newaxis] * np.eye(3),
            pbc=np.ones((n_frames, 3), dtype=bool),
            columns={'time': INTERVAL * np.arange(n_frames)},
        )

    def interstitials(self) -> list[int]:
        """Return the cations at tetrahedral sites."""
        return np.flatnonzero(np.all(self.places % 2 == 1, axis=1)).tolist()


def _nearest(vector: np.ndarray, period: int) -> np.ndarray:
    """Return the shortest image of a vector of sites."""
    return vector - period * np.rint(vector / period).astype(np.int64)


def interstitial_walk(seed: int, n_events: int, knock_off_share: float, pause: tuple[int, float] = (75, 50.0)) -> tuple[
    Walker, int
]:  # fmt: skip
    """Return a walker of knock-off events and direct hops, and its number of frames.

    :param seed: seed.
    :param n_events: events.
    :param knock_off_share: probability of a knock-off.
    :param pause: least number of frames between events, and the mean of the random rest.
    """
    walker, frame = Walker(seed), 50
    for _ in range(n_events):
        atom = walker.interstitials()[0]
        if walker.random.random() < knock_off_share:
            walker.knock_off(frame, atom, length=2 if walker.random.random() < 0.9 else 3)
        else:
            walker.direct(frame, atom)
        frame += pause[0] + int(walker.random.exponential(pause[1]))
    return walker, frame


def vacancy_walk(seed: int, n_events: int) -> tuple[Walker, int]:
    """Return a walker of vacancy hops, and its number of frames."""
    walker = Walker(seed, n_interstitials=0, n_vacancies=1)
    hole, frame = np.array([0, 0, 2]), 50
    for _ in range(n_events):
        hole = walker.vacancy(frame, hole)
        frame += 75 + int(walker.random.exponential(50.0))
    return walker, frame
