"""The models of a benchmark: one for each architecture, training set, size of the set, and seed."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Model:
    """One model of the matrix."""

    architecture: str
    """Its key in the settings: an entry-point name, or a name of one's own."""
    training_set: str
    """Name of the training set in the settings."""
    seed: int
    """Seed of the training and of its runs."""
    size: int = 0
    """Frames it is trained on, where there are training sets of several sizes; else 0."""
    is_largest: bool = True
    """Whether it is trained on the whole set."""

    @property
    def set_name(self) -> str:
        """Name of the frames it is trained on: that of the training set, with the size where there are several."""
        return f'{self.training_set}_size_{self.size}' if self.size else self.training_set

    @property
    def key(self) -> str:
        """Unique name, used as label of links and outputs."""
        return f'{self.architecture}_{self.set_name}_seed_{self.seed:02d}'

    @property
    def start_key(self) -> str:
        """What the start of its runs is drawn by: it stays the same when smaller training sets join the matrix."""
        return dataclasses.replace(self, size=0).key if self.is_largest else self.key

    def tags(self) -> dict[str, Any]:
        """Return what the comparison of models is told of it."""
        return {'architecture': self.architecture, 'training_set': self.set_name, 'seed': self.seed}


REPLICA = '_replica_'
"""Between what a run is of and its number."""


def replica_suffix(replica: int, is_one_of_several: bool = False) -> str:
    """Return what tells the runs of one model apart; the first run has none.

    >>> replica_suffix(1), replica_suffix(2)
    ('', '_replica_02')

    :param replica: number of the run, from 1.
    :param is_one_of_several: whether the first run has its number, too.
    """
    return '' if replica == 1 and not is_one_of_several else f'{REPLICA}{replica:02d}'


def drawn_start(key: str, n_replicas: int, n_frames: int) -> tuple[int, int]:
    """Return replica of the reference run and frame in it from which a run starts, drawn by a name.

    :param key: name of the run.
    :param n_replicas: runs of the reference.
    :param n_frames: frames in each.
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], 'big')
    return number % n_replicas + 1, number // n_replicas % n_frames
