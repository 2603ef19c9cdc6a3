r"""How far a potential sees: changes of local energies and forces against the distance to the atom that was changed.

The energy of a model of :math:`L` layers is a sum of local energies :math:`\varepsilon_i` that depend on the atoms
within the receptive field :math:`R = L\,r_c` of atom i, reached by hops of at most the cutoff radius :math:`r_c`. The
force on atom j is

.. math:: F_j = -\sum_i \partial \varepsilon_i / \partial r_j,

and each term that is not zero has i within R of j and depends on the atoms within R of i. A change of atom k can thus
change the force on j up to a distance of :math:`2R` (for a pair potential up to R, as its local energies are sums of
terms of two atoms each; likewise for a model that predicts forces directly). So a model is as local as stated if local
energies change within R only and forces within 2R only. Distances are measured; that a change just inside the field is
large enough to be seen is not granted, as the smooth cutoff makes the last part of it weak.

What counts as a change is ten times what a rigid translation of the cell does, which is rounding alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.locality_pairs import (
    ADDED,
    CHARGE,
    CONTROL,
    MOVED,
    REMOVED,
    LocalityError,
    LocalitySettings,
    Pair,
    pairs_of,
)

KINDS = (MOVED, REMOVED, ADDED)
"""Kinds of pairs with a distance, in the order of the first axis of the profiles."""
NOISE_FACTOR = 10.0
"""A change counts if it is this many times the largest one of the control; dimensionless."""
NO_VALUE = float('nan')


class Verdict(str, Enum):
    """Whether a potential is as local as it says."""

    LOCAL = 'local'
    """Nothing changes beyond the stated range, and there are atoms beyond it."""
    NOT_LOCAL = 'not_local'
    """Something changes beyond it."""
    UNDECIDED = 'undecided'
    """No pair has an atom beyond it: the cell is too small."""


@dataclass(frozen=True)
class Prediction:
    """What a potential gives for all frames of the pairs; frames that failed hold NaN."""

    energies: Floats
    """Total energies [eV], shape ``(n_frames,)``."""
    forces: Floats
    """Forces [eV/Å], shape ``(n_atoms_total, 3)``."""
    atomic_energies: Floats | None = None
    """Local energies [eV], shape ``(n_atoms_total,)``; None if the potential gives none."""


@dataclass(frozen=True)
class LocalityProfile:
    """Largest changes against distance; bins without an atom hold NaN."""

    distance: Floats
    """Centres of the bins [Å], shape ``(n_bins,)``."""
    max_energy_change: Floats
    """Largest change of a local energy [eV], shape ``(3, n_bins)`` in the order of :data:`KINDS`."""
    max_force_change: Floats
    """Length of the largest change of a force [eV/Å], shape ``(3, n_bins)``."""
    n_atoms: NDArray[np.int64]
    """Atoms that were compared, shape ``(3, n_bins)``."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class LocalityFindings:
    """How far one potential sees; values that do not exist are NaN."""

    stated_field: float
    """Layers times cutoff radius [Å]."""
    has_local_energies: bool
    """Whether the potential gives local energies; if not, forces alone are judged."""
    n_pairs: int
    """Pairs that were compared, all kinds but the control."""
    n_failed_pairs: int
    """Pairs that were left out, as a frame of them has no finite prediction."""
    energy_threshold: float
    """Change of a local energy that counts [eV]."""
    force_threshold: float
    """Change of a force that counts [eV/Å]."""
    largest_distance: float
    """Largest distance between an atom and a changed one [Å]."""
    energy_range: float
    """Largest distance to a moved atom at which a local energy changes [Å]; 0 if none does."""
    force_range: float
    """The same for forces [Å]."""
    practical_energy_range: float
    """Largest distance to a moved atom at which a local energy changes by what matters [Å]."""
    practical_force_range: float
    """The same for forces [Å]."""
    energy_change_beyond: float
    """Largest change of a local energy beyond the stated field, atoms moved [eV]."""
    force_change_beyond: float
    """Largest change of a force beyond twice the stated field, atoms moved [eV/Å]."""
    ion_energy_range: float
    """Largest distance at which a local energy tells whether an ion is there [Å]."""
    ion_force_range: float
    """The same for forces [Å]."""
    ion_largest_distance: float
    """Largest distance between an atom and a removed or added ion [Å]."""
    charge_energy_change: float
    """Largest difference of the total energy of one geometry between charges that the model is told [eV]."""
    charge_force_change: float
    """The same for forces [eV/Å]."""
    verdict: Verdict
    """Whether the potential is as local as stated, by moved atoms."""

    def row(self) -> dict[str, Any]:
        """Return the values as JSON types with units in the names; None where there is no value."""
        units = {'energy_range': 'angstrom', 'force_range': 'angstrom', 'distance': 'angstrom', 'field': 'angstrom'}
        row: dict[str, Any] = {}
        for name, value in dataclasses.asdict(self).items():
            unit = next((unit for ending, unit in units.items() if name.endswith(ending)), '')
            if not unit and isinstance(value, float):
                unit = 'ev' if 'energy' in name else 'ev_per_angstrom'
            plain = value.value if isinstance(value, Verdict) else value
            key = f'{name}_{unit}' if unit else name
            row[key] = None if isinstance(plain, float) and math.isnan(plain) else plain
        return row


@dataclass(frozen=True)
class _Changes:
    """Changes of all atoms of all pairs of some kinds, laid end to end."""

    distances: Floats
    energies: Floats
    forces: Floats

    @classmethod
    def of(cls, frames: FrameSet, pairs: Sequence[Pair], found: Prediction) -> _Changes:
        """Return changes of local energy [eV] (NaN if there is none) and force [eV/Å] of pairs."""
        parts: list[tuple[Floats, Floats, Floats]] = [(np.zeros(0), np.zeros(0), np.zeros(0))]
        for pair in pairs:
            base, variant = atoms_of_pair(frames, pair)
            forces = np.linalg.norm(found.forces[variant] - found.forces[base], axis=1)
            energies = np.full(len(forces), NO_VALUE)
            if found.atomic_energies is not None:
                energies = np.abs(found.atomic_energies[variant] - found.atomic_energies[base])
            parts.append((pair.distances, energies, forces))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def range_of(self, changes: Floats, threshold: float) -> float:
        """Return the largest distance with a change above a threshold; 0 if there is none, NaN if none is known."""
        if not np.isfinite(changes).any():
            return NO_VALUE
        return float(self.distances[changes > threshold].max(initial=0.0))

    def largest_beyond(self, changes: Floats, distance: float) -> float:
        """Return the largest change beyond a distance, NaN if there is no atom."""
        values = changes[(self.distances > distance) & np.isfinite(changes)]
        return float(values.max()) if len(values) else NO_VALUE


def atoms_of_pair(frames: FrameSet, pair: Pair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which atoms of the whole set are compared, those of the base and those of the variant.

    :param frames: the set.
    :param pair: one of its pairs.
    """
    return frames.offsets[pair.base] + pair.base_atoms, frames.offsets[pair.variant] + pair.variant_atoms


def _is_finite(frames: FrameSet, pair: Pair, found: Prediction) -> bool:
    """Return whether both frames of a pair have a prediction."""
    return bool(np.isfinite(found.energies[[pair.base, pair.variant]]).all())


def locality(
    frames: FrameSet, found: Prediction, stated_field: float, settings: LocalitySettings
) -> tuple[LocalityFindings, LocalityProfile]:
    """Return how far a potential sees, in numbers and against distance.

    :param frames: what :func:`~aiida_edl.science.locality_pairs.locality_pairs` made.
    :param found: what the potential gives for them.
    :param stated_field: layers times cutoff radius [Å].
    :param settings: those the pairs were made with.
    :raises LocalityError: if the shapes do not fit, or there is no control with a prediction.
    """
    if found.forces.shape != frames.positions.shape or found.energies.shape != (len(frames),):
        raise LocalityError(
            f'the predictions are of {len(found.energies)} frames and {len(found.forces)} atoms, the pairs have '
            f'{len(frames)} and {len(frames.positions)}: they belong to another set'
        )
    every = pairs_of(frames)
    usable = [pair for pair in every if _is_finite(frames, pair, found)]
    by_kind = {kind: [pair for pair in usable if pair.kind == kind] for kind in (*KINDS, CONTROL, CHARGE)}
    if not by_kind[CONTROL]:
        raise LocalityError('no control has a finite prediction, so that the noise of the potential is not known')
    thresholds = _thresholds(_Changes.of(frames, by_kind[CONTROL], found), settings)
    moved = _Changes.of(frames, by_kind[MOVED], found)
    ions = _Changes.of(frames, [*by_kind[REMOVED], *by_kind[ADDED]], found)
    energy_change, force_change = _charge_changes(frames, by_kind[CHARGE], found)
    findings = LocalityFindings(
        stated_field=stated_field,
        has_local_energies=found.atomic_energies is not None,
        n_pairs=len(usable) - len(by_kind[CONTROL]),
        n_failed_pairs=len(every) - len(usable),
        energy_threshold=thresholds[0],
        force_threshold=thresholds[1],
        largest_distance=float(moved.distances.max(initial=0.0)),
        energy_range=moved.range_of(moved.energies, thresholds[0]),
        force_range=moved.range_of(moved.forces, thresholds[1]),
        practical_energy_range=moved.range_of(moved.energies, settings.practical_energy),
        practical_force_range=moved.range_of(moved.forces, settings.practical_force),
        energy_change_beyond=moved.largest_beyond(moved.energies, stated_field),
        force_change_beyond=moved.largest_beyond(moved.forces, 2 * stated_field),
        ion_energy_range=ions.range_of(ions.energies, thresholds[0]),
        ion_force_range=ions.range_of(ions.forces, thresholds[1]),
        ion_largest_distance=float(ions.distances.max()) if len(ions.distances) else NO_VALUE,
        charge_energy_change=energy_change,
        charge_force_change=force_change,
        verdict=Verdict.UNDECIDED,
    )
    findings = dataclasses.replace(findings, verdict=_verdict(findings))
    farthest = max([float(pair.distances.max()) for pair in every if pair.kind in KINDS], default=0.0)
    n_bins = int(farthest / settings.bin_width) + 1
    profile = _profile([_Changes.of(frames, by_kind[kind], found) for kind in KINDS], settings.bin_width, n_bins)
    return findings, profile


def _thresholds(control: _Changes, settings: LocalitySettings) -> tuple[float, float]:
    """Return what counts as a change of a local energy [eV] and of a force [eV/Å]."""
    noise = [float(values.max()) if np.isfinite(values).all() else 0.0 for values in (control.energies, control.forces)]
    return (
        max(settings.energy_tolerance, NOISE_FACTOR * noise[0]),
        max(settings.force_tolerance, NOISE_FACTOR * noise[1]),
    )


def _verdict(findings: LocalityFindings) -> Verdict:
    """Return the verdict by local energies, and by forces; those that are not known do not count."""
    judged = (
        (findings.energy_change_beyond, findings.energy_threshold),
        (findings.force_change_beyond, findings.force_threshold),
    )
    known = [(change, threshold) for change, threshold in judged if not math.isnan(change)]
    if any(change > threshold for change, threshold in known):
        return Verdict.NOT_LOCAL
    return Verdict.LOCAL if known else Verdict.UNDECIDED


def _charge_changes(frames: FrameSet, pairs: Sequence[Pair], found: Prediction) -> tuple[float, float]:
    """Return the largest difference of energy [eV] and force [eV/Å] between charges of one geometry; NaN without."""
    members: Mapping[int, list[int]] = {
        base: [pair.variant for pair in pairs if pair.base == base] for base in {pair.base for pair in pairs}
    }
    energy, force = NO_VALUE, NO_VALUE
    for variants in members.values():
        forces = np.stack([found.forces[frames.offsets[v] : frames.offsets[v + 1]] for v in variants])
        spread = np.linalg.norm(forces[:, None] - forces[None], axis=-1).max()
        energy = float(np.fmax(energy, np.ptp(found.energies[variants])))
        force = float(np.fmax(force, spread))
    return energy, force


def _profile(changes: Sequence[_Changes], bin_width: float, n_bins: int) -> LocalityProfile:
    """Return the largest change in each bin of the distance, for each kind of pair."""
    energies, forces = np.full((len(changes), n_bins), NO_VALUE), np.full((len(changes), n_bins), NO_VALUE)
    n_atoms = np.zeros((len(changes), n_bins), dtype=np.int64)
    for row, part in enumerate(changes):
        bins = (part.distances / bin_width).astype(int)
        np.add.at(n_atoms[row], bins, 1)
        np.fmax.at(energies[row], bins, part.energies)
        np.fmax.at(forces[row], bins, part.forces)
    centres = bin_width * np.arange(0.5, n_bins)
    return LocalityProfile(np.asarray(centres, dtype=np.float64), energies, forces, n_atoms)
