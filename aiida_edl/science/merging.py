"""Join sets of frames that mean the same, and refuse those that do not unless the difference is named."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.atomic_energies import compare_energy_zeros
from aiida_edl.science.frame_columns import charge_columns
from aiida_edl.science.frames import OPTIONAL, FrameSet

PART_COLUMN = 'joined_part'
"""Column that tells the parts of a joined set apart where these differ in meaning: 0 for the first."""

BOOKKEEPING = ('charge_state', 'n_electrons')
"""Columns that follow from the cell and its charge, and state none."""


class Difference(str, Enum):
    """In what sets of frames may differ."""

    LEVEL_OF_THEORY = 'level_of_theory'
    """What made the labels."""
    N_WET_SIDES = 'n_wet_sides'
    """Sides of the slab that touch the liquid: the surface charge of one number of ions differs."""
    CHARGE_CONVENTION = 'charge_convention'
    """How the charge of a cell is stated: by its ions, or by a column."""
    ENERGY_ZERO = 'energy_zero'
    """Energies of one composition differ by more than geometry can explain: the atomic energies are others."""
    LABELS = 'labels'
    """Labels that only some of the sets have; the others lose them."""
    COLUMNS = 'columns'
    """Columns that only some of the sets have; the others lose them."""


IN_MEANING = (
    Difference.LEVEL_OF_THEORY,
    Difference.N_WET_SIDES,
    Difference.CHARGE_CONVENTION,
    Difference.ENERGY_ZERO,
)
"""Differences after which frames of the parts have to be told apart."""


class MergeError(ValueError):
    """Sets that do not fit together; the message names both values."""


@dataclass(frozen=True)
class NamedFrames:
    """A set of frames and what its numbers mean."""

    name: str
    """Name for messages."""
    frames: FrameSet
    """The frames."""
    level_of_theory: str = ''
    """What made the labels, in words."""
    n_wet_sides: int = 1
    """Sides of the slab that touch the liquid, 1 or 2."""
    charge_convention: str = ''
    """How the charge of a cell is stated, in words; from the columns if empty."""

    @property
    def charges_in_words(self) -> str:
        """How the charge of a cell is stated, in words."""
        if self.charge_convention:
            return self.charge_convention
        columns = [name for name in charge_columns(self.frames) if name not in BOOKKEEPING]
        return f'charge of the column {", ".join(columns)}' if columns else 'neutral cells, charged by their ions'


@dataclass(frozen=True)
class MergedFrames:
    """Sets of frames laid end to end."""

    frames: FrameSet
    """The frames, with the labels and columns that all parts have."""
    differences: tuple[Difference, ...]
    """In what the parts differ."""
    dropped: tuple[str, ...]
    """Labels and columns that were left out, sorted."""


def merge(parts: Sequence[NamedFrames], accepted: Collection[str] = ()) -> MergedFrames:
    """Join sets of frames in the order given.

    Zeros of energy are compared where both sets have energies and forces; see
    :func:`~aiida_edl.science.atomic_energies.compare_energy_zeros`.

    :param parts: at least one set.
    :param accepted: values of :class:`Difference` that may occur.
    :raises MergeError: for a difference that is not accepted, with both values, or if an accepted one is unknown.
    """
    known = [member.value for member in Difference]
    if unknown := [name for name in accepted if name not in known]:
        raise MergeError(unknown_name_message('difference', unknown[0], known))
    found: dict[Difference, str] = {}
    for difference, sentence in _differences(parts):
        found.setdefault(difference, sentence)
    refused = [sentence for difference, sentence in found.items() if difference.value not in accepted]
    if refused:
        raise MergeError(refused[0])
    sets, dropped = _with_shared_arrays([part.frames for part in parts])
    joined = FrameSet.concatenate(sets)
    if any(difference in IN_MEANING for difference in found):
        joined = joined.with_columns(**{PART_COLUMN: np.repeat(np.arange(len(sets)), [len(part) for part in sets])})
    return MergedFrames(joined, tuple(found), dropped)


def _differences(parts: Sequence[NamedFrames]) -> Iterator[tuple[Difference, str]]:
    """Yield each difference between the first set and another, with the sentence that refuses it."""
    first, *others = parts
    for other in others:
        both = f"'{first.name}' and '{other.name}'"
        accept = 'or accept the difference'
        if first.level_of_theory != other.level_of_theory:
            yield (
                Difference.LEVEL_OF_THEORY,
                f'data sets of different levels of theory cannot be joined: {both} have {first.level_of_theory!r} and '
                f"{other.level_of_theory!r}; relabel one of them, {accept} 'level_of_theory'",
            )
        if first.n_wet_sides != other.n_wet_sides:
            yield (
                Difference.N_WET_SIDES,
                f'data sets whose surface charges differ in meaning cannot be joined: {both} have {first.n_wet_sides} '
                f"and {other.n_wet_sides} wet sides; keep them apart, {accept} 'n_wet_sides'",
            )
        if first.charges_in_words != other.charges_in_words:
            yield (
                Difference.CHARGE_CONVENTION,
                f'data sets of different charge conventions cannot be joined: {both} have '
                f"'{first.charges_in_words}' and '{other.charges_in_words}'; state the charges of both alike, "
                f"{accept} 'charge_convention'",
            )
        yield from _array_differences(first, other, both, accept)
    yield from _zero_differences(parts)


def _array_differences(
    first: NamedFrames, other: NamedFrames, both: str, accept: str
) -> Iterator[tuple[Difference, str]]:
    """Yield labels and columns that only one of two sets has."""
    for difference, own, others in (
        (Difference.LABELS, _labels(first.frames), _labels(other.frames)),
        (Difference.COLUMNS, set(first.frames.columns), set(other.frames.columns)),
    ):
        if own != others:
            yield (
                difference,
                f'data sets of different {difference.value} cannot be joined: of {both} the first alone has '
                f'{_in_words(own - others)}, the second alone {_in_words(others - own)}; complete them, {accept} '
                f"'{difference.value}' and lose these",
            )


def _zero_differences(parts: Sequence[NamedFrames]) -> Iterator[tuple[Difference, str]]:
    """Yield each labelled set whose zero of energy is not that of an earlier one with which it can be compared."""
    labelled = [part for part in parts if {'energies', 'forces'} <= _labels(part.frames)]
    compared = set()
    for earlier, later in itertools.combinations(labelled, 2):
        if later.name in compared:
            continue
        zeros = compare_energy_zeros(earlier.frames, later.frames)
        if zeros is None:
            continue
        compared.add(later.name)
        if zeros.are_different:
            yield (
                Difference.ENERGY_ZERO,
                f"data sets with different atomic energies cannot be joined: '{later.name}' lies "
                f"{zeros.difference:+.4g} eV/atom from what '{earlier.name}' gives for {zeros.composition}, geometry "
                f'explains {zeros.limit:.2g} eV/atom at most; state the energies of both from one zero, or accept the '
                "difference 'energy_zero'",
            )


def _with_shared_arrays(sets: Sequence[FrameSet]) -> tuple[list[FrameSet], tuple[str, ...]]:
    """Return the sets with the labels and columns that all have, and the names of the others."""
    names = [_labels(item) | set(item.columns) for item in sets]
    shared: set[str] = names[0].intersection(*names[1:])
    dropped = names[0].union(*names[1:]) - shared
    if not dropped:
        return list(sets), ()
    kept = []
    for item in sets:
        arrays = {name: array for name, array in item.to_arrays().items() if name not in set(OPTIONAL) - shared}
        columns = {name: column for name, column in item.columns.items() if name in shared}
        kept.append(FrameSet.from_arrays(arrays).replaced_columns(columns))
    return kept, tuple(sorted(dropped))


def _labels(frames: FrameSet) -> set[str]:
    """Return the optional arrays that are present."""
    return {name for name in OPTIONAL if getattr(frames, name) is not None}


def _in_words(names: set[str]) -> str:
    """Return sorted names, ``nothing`` if there are none."""
    return ', '.join(sorted(names)) or 'nothing'
