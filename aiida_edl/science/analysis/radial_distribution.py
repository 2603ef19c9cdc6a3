r"""Radial distribution functions of a film, with running coordination numbers.

.. math:: g_{ab}(r) = \frac{N_{ab}(r, r + \Delta r)}{N_0(r, r + \Delta r)}

counts pairs, by minimum image, over those of independent atoms with the same density profiles along the normal (see
:mod:`~aiida_edl.science.analysis.film_reference`). A film fills its cell in part, and water next to a wall is
layered: over the mean density of the cell, g would depend on the thickness of the vacuum and not tend to 1. The usual
one over the cell volume is given beside it as ``g_cell``, for comparison with other programs; it is NaN where the cell
has no volume. Each unordered pair of equal atoms counts twice. The coordination number n(r) is the mean number of atoms
b within r of an atom a. Errors are those of the counts; that of the density profiles in :math:`N_0`, of which all
distances share, is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import AtomGroups, Integers
from aiida_edl.science.analysis.film_reference import HeightGrid, uncorrelated_pairs
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.pair_distances import squared_distances
from aiida_edl.science.analysis.planar_bins import FrameBlocks, ratio_over_replicas
from aiida_edl.science.analysis.structure_chunk import StructureChunk
from aiida_edl.science.frames import Floats

LARGEST_DEFAULT_RANGE = 8.0
"""Largest distance where the cell would allow more [Å]: beyond the second shell of water."""
STORED_BLOCKS = 16
"""Blocks in which distributions are stored for the error of an error integral."""


@dataclass(frozen=True)
class RadialDistributions:
    """Distributions of all pairs; every ``*_error`` is one standard error, NaN where nothing was ever counted."""

    pairs: tuple[str, ...]
    """Pairs of elements, e.g. ``'Na-O'``."""
    r: Floats
    """Centres of the bins of the distance [Å], shape ``(n_bins,)``."""
    g: Floats
    """Distributions over independent atoms of the same profiles, shape ``(n_pairs, n_bins)``; NaN where such atoms
    never meet."""
    g_error: Floats
    g_cell: Floats
    """Distributions over the mean density of the cell, same shape."""
    g_cell_error: Floats
    coordination: Floats
    """Mean number of second atoms around a first within the *upper edge* of each bin, shape ``(n_pairs, n_bins)``."""
    coordination_error: Floats
    block_g: Floats
    """``g`` of successive blocks of frames, shape ``(n_blocks, n_pairs, n_bins)``."""
    block_frames: Integers
    """Frames of each of these blocks, shape ``(n_blocks,)``."""


@dataclass(frozen=True)
class Pair:
    """Two kinds of atoms whose distances are counted."""

    first: str
    """Chemical symbol of the atoms in the centre."""
    second: str
    """Chemical symbol of the atoms around them."""

    @property
    def name(self) -> str:
        """Both symbols, joined by a hyphen."""
        return f'{self.first}-{self.second}'


@dataclass(frozen=True)
class PairSelection:
    """Which pairs are counted, and how."""

    pairs: tuple[Pair, ...]
    """Pairs of elements."""
    edges: Floats
    """Edges of the bins of the distance [Å], shape ``(n_bins + 1,)``, equally spaced from 0."""
    counts_intramolecular: bool
    """Whether pairs within a molecule count."""


def chosen_pairs(
    numbers: NDArray[np.uint8], groups: AtomGroups, ion: str, wanted: Sequence[str]
) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """Return the pairs to count, and the names of those that are wanted but do not occur.

    :param numbers: atomic numbers of one frame, shape ``(n_atoms,)``.
    :param groups: groups of that frame.
    :param ion: symbol of the ion, ``''`` for none.
    :param wanted: names of pairs; none for all among O, H, ion and metal but metal with metal.
    :raises NotAnalysableError: if a name is no pair of elements, or none of the pairs occurs.
    """
    present = [chemical_symbols[number] for number in np.unique(numbers)]
    metals = [symbol for symbol in present if atomic_numbers[symbol] in numbers[groups.metal]]
    centres = [symbol for symbol in (ion, *metals) if symbol]
    pairs = [Pair('O', 'O'), Pair('O', 'H'), Pair('H', 'H')]
    pairs += [Pair(centre, symbol) for centre in centres for symbol in ('O', 'H')]
    pairs += [Pair(ion, ion)] + [Pair(metal, ion) for metal in metals] if ion else []
    if wanted:
        pairs = []
        for name in wanted:
            symbols = name.split('-')
            if len(symbols) != 2 or any(atomic_numbers.get(symbol, 0) < 1 for symbol in symbols):
                raise NotAnalysableError(
                    f"the setting 'pairs' holds {name!r}; give two elements with a hyphen, e.g. 'Na-O'"
                )
            pairs.append(Pair(*symbols))
    counts = dict(zip(*np.unique(numbers, return_counts=True)))

    def occurs(pair: Pair) -> bool:
        needed = 2 if pair.first == pair.second else 1
        return all(counts.get(atomic_numbers[symbol], 0) >= needed for symbol in (pair.first, pair.second))

    chosen = tuple(pair for pair in pairs if occurs(pair))
    if not chosen:
        raise NotAnalysableError(
            f'none of the pairs {", ".join(wanted)} occurs among the elements {", ".join(present)} of the frames'
        )
    return chosen, tuple(pair.name for pair in pairs if wanted and pair not in chosen)


def molecular_pairs(owners: Integers) -> tuple[Integers, Integers, Integers]:
    """Return frame, first and second of the ordered pairs of hydrogen that belong to one oxygen.

    :param owners: oxygen of each hydrogen, shape ``(n_frames, n_hydrogen)``.
    """
    n_frames, n_hydrogen = owners.shape
    flat = (np.arange(n_frames)[:, None] * (owners.max(initial=0) + 1) + owners).ravel()
    order = np.argsort(flat, kind='stable')
    nothing = np.zeros(0, dtype=np.int64)
    found = [(nothing, nothing)]
    for lag in itertools.count(1):
        same = flat[order[lag:]] == flat[order[:-lag]]
        if not same.any():
            break
        ahead, behind = order[lag:][same], order[:-lag][same]
        found += [(ahead, behind), (behind, ahead)]
    first, second = (np.concatenate(parts) for parts in zip(*found))
    return first // n_hydrogen, first % n_hydrogen, second % n_hydrogen


@dataclass(frozen=True)
class RadialSums:
    """Sums over blocks of frames that grow in place."""

    selection: PairSelection
    """What is counted."""
    grid: HeightGrid
    """Bins of the height."""
    histograms: Floats
    """Ordered pairs, shape ``(n_pairs, n_blocks, n_bins)``."""
    n_counted: Floats
    """Ordered pairs at any distance, summed over frames, shape ``(n_pairs,)``."""
    members: dict[str, int]
    """Atoms of each element in a frame."""
    heights: dict[str, Floats]
    """Atoms of each element by height, summed over frames, shape ``(n_heights,)``."""

    @classmethod
    def empty(cls, selection: PairSelection, grid: HeightGrid, n_blocks: int, numbers: NDArray[np.uint8]) -> RadialSums:
        """Return sums of nothing.

        :param selection: what to count.
        :param grid: bins of the height.
        :param n_blocks: number of blocks.
        :param numbers: atomic numbers of one frame.
        """
        pairs = selection.pairs
        symbols = sorted({symbol for pair in pairs for symbol in (pair.first, pair.second)})
        return cls(
            selection=selection,
            grid=grid,
            histograms=np.zeros((len(pairs), n_blocks, len(selection.edges) - 1)),
            n_counted=np.zeros(len(pairs)),
            members={symbol: int(np.count_nonzero(numbers == atomic_numbers[symbol])) for symbol in symbols},
            heights={symbol: np.zeros(grid.n_bins) for symbol in symbols},
        )

    def add(self, chunk: StructureChunk) -> None:
        """Add the frames of a chunk.

        :param chunk: the frames.
        """
        atoms = {symbol: np.flatnonzero(chunk.numbers == atomic_numbers[symbol]) for symbol in self.members}
        for symbol, indices in atoms.items():
            self.heights[symbol][:] += self.grid.counts(chunk.heights[0][:, indices])
        for index, pair in enumerate(self.selection.pairs):
            first, second = chunk.positions[:, atoms[pair.first]], chunk.positions[:, atoms[pair.second]]
            is_same = pair.first == pair.second
            self.n_counted[index] += len(first) * first.shape[1] * (second.shape[1] - is_same)
            excluded = self._excluded(pair, chunk)
            for span, squares in squared_distances(first, second, chunk.cells, chunk.pbc):
                if is_same:
                    diagonal = np.arange(first.shape[1])
                    squares[:, diagonal, diagonal] = np.inf
                if excluded is not None:
                    low, high = np.searchsorted(excluded[0], [span.start, span.stop])
                    frame, *places = (part[low:high] for part in excluded)
                    squares[frame - span.start, places[0], places[1]] = np.inf
                self._count(index, squares, chunk, span)
            if excluded is not None:
                self.n_counted[index] -= len(excluded[0])

    def _excluded(self, pair: Pair, chunk: StructureChunk) -> tuple[Integers, Integers, Integers] | None:
        """Return frame and places of pairs within a molecule, ordered by frame; None if all count."""
        if self.selection.counts_intramolecular or {pair.first, pair.second} not in ({'O', 'H'}, {'H'}):
            return None
        owners = chunk.hydrogen.owners
        if pair.first == pair.second:
            found = molecular_pairs(owners)
            order = np.argsort(found[0], kind='stable')
            return found[0][order], found[1][order], found[2][order]
        frame, hydrogen = (part.ravel() for part in np.indices(owners.shape))
        oxygen = owners.ravel()
        return (frame, oxygen, hydrogen) if pair.first == 'O' else (frame, hydrogen, oxygen)

    def _count(self, index: int, squares: NDArray[np.float32], chunk: StructureChunk, span: slice) -> None:
        """Add the histogram of some distances."""
        n_bins = len(self.selection.edges) - 1
        inside = squares < self.selection.edges[-1] ** 2
        bins = (np.sqrt(squares[inside]) * np.float32(n_bins / self.selection.edges[-1])).astype(np.int64)
        np.minimum(bins, n_bins - 1, out=bins)
        rows = chunk.rows.of_frame[span] - chunk.rows.of_frame[span.start]
        bins += np.repeat(rows * n_bins, np.count_nonzero(inside, axis=(1, 2)))
        n_rows = int(rows[-1]) + 1
        start = chunk.blocks.start + int(chunk.rows.of_frame[span.start])
        sums = np.bincount(bins, minlength=n_rows * n_bins).reshape(n_rows, n_bins)
        self.histograms[index, start : start + n_rows] += sums

    def distributions(self, blocks: FrameBlocks, area: float, volume: float) -> RadialDistributions:
        """Return distributions and coordination numbers with their errors.

        :param blocks: blocks of all analysed frames.
        :param area: mean lateral area [Å²].
        :param volume: mean volume of the cell [Å³]; NaN if it has none.
        """
        frames = blocks.frames_in_block[:, None].astype(np.float64)
        n_frames, centres = frames.sum(), 0.5 * (self.selection.edges[1:] + self.selection.edges[:-1])
        shells = 4.0 / 3.0 * np.pi * np.diff(self.selection.edges**3)
        stored, coarse_frames = _stored_blocks(blocks)
        values: dict[str, list[Floats]] = {
            f'{name}{suffix}': [] for name in ('g', 'g_cell', 'coordination') for suffix in ('', '_error')
        }
        block_g = []
        for pair, counts, n_counted in zip(self.selection.pairs, self.histograms, self.n_counted):
            share = n_counted / n_frames / (self.members[pair.first] * self.members[pair.second])
            first, second = (self.heights[symbol] / n_frames for symbol in (pair.first, pair.second))
            film = share * uncorrelated_pairs(first, second, self.grid, area, self.selection.edges)
            cell = n_counted / n_frames * shells / volume
            central = np.full(len(shells), float(self.members[pair.first]))
            running = np.cumsum(counts, axis=1)
            for name, sums, per_frame in (
                ('g', counts, film),
                ('g_cell', counts, cell),
                ('coordination', running, central),
            ):
                is_known = np.isfinite(per_frame)
                estimate = ratio_over_replicas(
                    sums, np.where(is_known, per_frame, 0.0) * frames, blocks.replica_of_block
                )
                values[name].append(estimate.mean)
                values[f'{name}_error'].append(estimate.error)
            summed = np.stack([counts[stored == block].sum(axis=0) for block in range(len(coarse_frames))])
            expected = film * coarse_frames[:, None]
            block_g.append(np.divide(summed, expected, out=np.full_like(summed, np.nan), where=expected > 0))
        return RadialDistributions(
            pairs=tuple(pair.name for pair in self.selection.pairs),
            r=centres,
            block_g=np.stack(block_g, axis=1),
            block_frames=coarse_frames,
            **{name: np.stack(rows) for name, rows in values.items()},
        )


def _stored_blocks(blocks: FrameBlocks) -> tuple[Integers, Integers]:
    """Return the stored block of each block, and the frames of each stored block."""
    lengths = np.bincount(blocks.replica_of_block)
    coarse = FrameBlocks.of_lengths([int(length) for length in lengths], STORED_BLOCKS).block_of_frame
    return coarse, np.bincount(coarse, blocks.frames_in_block).astype(np.int64)
