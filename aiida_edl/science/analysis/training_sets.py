"""What the name of a training set says: which charge states it holds, and how many frames.

Names are ``mixed`` (all charge states together), ``single_2`` (the charge state of 2 ions alone), ``without_1`` (all
but that of 1 ion, the leave-one-out set) and ``pair_0_2`` (two of them). ``size`` and a number at the end, as in
``mixed_size_96``, tell sets of different size apart. Anything else is a set that is shown but compared with none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

_NAME = re.compile(r'(?P<kind>mixed|single|without|pair)(?P<states>(_\d+)*)(_[a-z]\w*?)??(_size_(?P<size>\d+))?')
_LABEL = re.compile(r'(\d+)([A-Z][a-z]?)?')


class EqualFrames(str, Enum):
    """In what two compared training sets are alike; the set is closed."""

    IN_ALL = 'in_all'
    """As many frames altogether; a mixed set then holds fewer of each charge state."""
    PER_STATE = 'per_state'
    """As many frames of the charge state at which they are compared; a mixed set then holds more in all."""


class TrainingKind(str, Enum):
    """How the frames of a training set were chosen; the set is closed."""

    MIXED = 'mixed'
    """All charge states together."""
    SINGLE = 'single'
    """One charge state."""
    WITHOUT = 'without'
    """All charge states but one, which is left out to test what the model makes of it."""
    PAIR = 'pair'
    """Two or a few charge states."""
    OTHER = 'other'
    """A name that says nothing."""


@dataclass(frozen=True)
class TrainingSet:
    """What is known of a training set by its name."""

    name: str
    kind: TrainingKind
    states: tuple[int, ...]
    """Numbers of ions that the name lists: those inside, for ``without`` those outside; empty if it lists none."""
    size: int | None = None
    """Frames, if the name tells."""

    @classmethod
    def from_name(cls, name: str) -> TrainingSet:
        """Return what a name says.

        >>> TrainingSet.from_name('pair_0_2_size_96').states, TrainingSet.from_name('pair_0_2_size_96').size
        ((0, 2), 96)
        """
        found = _NAME.fullmatch(name)
        if found is None:
            return cls(name, TrainingKind.OTHER, ())
        states = tuple(int(word) for word in found['states'].split('_') if word)
        size = int(found['size']) if found['size'] else None
        return cls(name, TrainingKind(found['kind']), states, size)

    def holds(self, charge_label: str) -> bool:
        """Return whether frames of a charge state are in the set, as far as its name tells.

        :param charge_label: e.g. ``'2Na'``.
        """
        count = ion_count(charge_label)
        if self.kind is TrainingKind.WITHOUT:
            return count not in self.states
        return not self.states or count in self.states

    def leaves_out(self, charge_label: str) -> bool:
        """Return whether the set was made to test a charge state that is not in it.

        :param charge_label: e.g. ``'2Na'``.
        """
        return self.kind is TrainingKind.WITHOUT and ion_count(charge_label) in self.states


def ion_count(charge_label: str) -> int | None:
    """Return the number of ions of a charge label; None if it holds several kinds.

    >>> ion_count('2Na'), ion_count('0'), ion_count('1Cl_2Na')
    (2, 0, None)
    """
    found = _LABEL.fullmatch(charge_label)
    return int(found[1]) if found else None


def training_kind(training_set: str) -> TrainingKind:
    """Return the kind of a training set, from its name.

    >>> training_kind('single_2').value
    'single'
    """
    return TrainingSet.from_name(training_set).kind


@dataclass(frozen=True)
class ComparedSets:
    """A mixed training set, and one of a single charge state that it is compared with."""

    mixed: str
    single: str
    equal: EqualFrames


def compared_sets(names: Iterable[str], charge_label: str, n_states: int) -> list[ComparedSets]:
    """Return which mixed and single training sets are compared at a charge state: those of equal size, in one way.

    :param names: names of all training sets.
    :param charge_label: charge state at which models are compared, e.g. ``'2Na'``.
    :param n_states: charge states that a mixed set holds whose name does not list them.

    >>> [(pair.single, pair.equal.value) for pair in compared_sets(['mixed_size_8', 'single_0_size_4'], '0', 2)]
    [('single_0_size_4', 'per_state')]
    """
    sets = [TrainingSet.from_name(name) for name in sorted(set(names))]
    found = []
    for mixed in sets:
        for single in sets:
            kinds = mixed.kind is TrainingKind.MIXED and single.kind is TrainingKind.SINGLE
            if not kinds or not mixed.holds(charge_label) or not single.holds(charge_label):
                continue
            if mixed.size == single.size:
                found.append(ComparedSets(mixed.name, single.name, EqualFrames.IN_ALL))
            elif mixed.size is not None and mixed.size // (len(mixed.states) or n_states) == single.size:
                found.append(ComparedSets(mixed.name, single.name, EqualFrames.PER_STATE))
    return found
