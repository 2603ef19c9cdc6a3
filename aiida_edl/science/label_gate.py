"""The gate every label passes before it may train a model: what is refused is listed with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.typed_fields import checked_fields

MEDIAN_ABSOLUTE_DEVIATION_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class GateSettings:
    """What a label must satisfy; the numbers are choices of the project."""

    force_cap: float = 30.0
    """Largest norm of a force on an atom [eV/Å]; thermal water stays below 10."""
    energy_outlier_sigmas: float = 8.0
    """Largest distance of the energy per atom from the median of its composition, in robust standard deviations."""
    energy_outlier_floor: float = 0.005
    """Deviations of the energy per atom below this are never outliers [eV/atom]; kT at 330 K is 0.028 eV."""
    minimum_frames_for_outliers: int = 8
    """Fewer frames than this of one composition are not screened for energy outliers, and the report says so."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ValueError: with the name, the value and the remedy.
        """
        for name in ('force_cap', 'energy_outlier_sigmas', 'energy_outlier_floor', 'minimum_frames_for_outliers'):
            if not getattr(self, name) > 0:
                raise ValueError(f"gate setting '{name}' is {getattr(self, name)}, it must be positive")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GateSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ValueError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'gate setting', ValueError))


@dataclass(frozen=True)
class GateReport:
    """Which labels passed; accepted and rejected together are all frames."""

    accepted: NDArray[np.int64]
    """Indices of the frames that passed, ascending."""
    rejected: tuple[tuple[int, str], ...]
    """Index and reason of each frame that did not, ascending; several reasons are joined."""
    notes: tuple[str, ...] = ()
    """Checks that could not be made, one sentence each."""


def gate_labels(
    frames: FrameSet,
    converged: ArrayLike | None = None,
    settings: GateSettings | None = None,
) -> GateReport:
    """Return which labels may be used, and why the others may not.

    Checked in this order: the calculation converged; energy, forces, stress and charges are finite; no force exceeds
    the cap; the energy per atom is no outlier among the frames of the same composition that passed so far (distance
    from the median over the median absolute deviation, which outliers do not move).

    :param frames: labelled frames.
    :param converged: whether each calculation converged, shape ``(n_frames,)``; None if the labels carry no such
        record, which the report notes.
    :param settings: the limits; defaults if None.
    :raises ValueError: if energies or forces are absent, or ``converged`` has a wrong length.
    """
    limits = settings or GateSettings()
    if frames.energies is None or frames.forces is None:
        absent = [name for name in ('energies', 'forces') if getattr(frames, name) is None]
        raise ValueError(f'the gate needs labels, the frames have no {" and no ".join(absent)}; label them first')
    reasons: list[list[str]] = [[] for _ in range(len(frames))]
    notes: list[str] = []
    if converged is None:
        notes.append('the labels carry no record of convergence, so it was not checked')
    else:
        flags = np.asarray(converged)
        if flags.shape != (len(frames),):
            raise ValueError(f"'converged' has shape {flags.shape}, expected {(len(frames),)}: one flag per frame")
        for index in np.flatnonzero(~flags.astype(bool)).tolist():
            reasons[index].append('the calculation did not converge')
    _find_not_finite(frames, reasons)
    _find_large_forces(frames.forces, frames.offsets, limits, reasons)
    _find_energy_outliers(frames, frames.energies / np.diff(frames.offsets), limits, reasons, notes)
    return GateReport(
        accepted=np.array([index for index, found in enumerate(reasons) if not found], dtype=np.int64),
        rejected=tuple((index, '; '.join(found)) for index, found in enumerate(reasons) if found),
        notes=tuple(notes),
    )


def _any_per_frame(is_bad: NDArray[np.bool_], frames: FrameSet) -> NDArray[np.bool_]:
    """Return whether any atom of each frame is marked."""
    any_bad: NDArray[np.bool_] = np.logical_or.reduceat(is_bad, frames.offsets[:-1]) if len(frames) else is_bad
    return any_bad


def _find_not_finite(frames: FrameSet, reasons: Sequence[list[str]]) -> None:
    """Note every array of a frame that holds NaN or infinity."""
    for name in ('energies', 'forces', 'stresses', 'charges'):
        array = getattr(frames, name)
        if array is None:
            continue
        is_bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        is_bad_frame = _any_per_frame(is_bad, frames) if name in ('forces', 'charges') else is_bad
        for index in np.flatnonzero(is_bad_frame).tolist():
            reasons[index].append(f'{name} hold values that are not finite')


def _find_large_forces(
    forces: Floats, offsets: NDArray[np.int64], limits: GateSettings, reasons: Sequence[list[str]]
) -> None:
    """Note frames with a force beyond the cap."""
    norms = np.linalg.norm(np.nan_to_num(forces, nan=0.0, posinf=0.0, neginf=0.0), axis=1)
    largest = np.maximum.reduceat(norms, offsets[:-1]) if len(reasons) else norms
    for index in np.flatnonzero(largest > limits.force_cap).tolist():
        reasons[index].append(f'the largest force is {largest[index]:.4g} eV/Å, the cap is {limits.force_cap:g} eV/Å')


def _find_energy_outliers(
    frames: FrameSet, per_atom: Floats, limits: GateSettings, reasons: Sequence[list[str]], notes: list[str]
) -> None:
    """Note frames whose energy per atom lies far from those of the same composition."""
    by_composition: dict[bytes, list[int]] = {}
    for index, found in enumerate(reasons):
        if not found:
            atoms = slice(int(frames.offsets[index]), int(frames.offsets[index + 1]))
            by_composition.setdefault(np.bincount(frames.numbers[atoms]).tobytes(), []).append(index)
    n_unscreened = 0
    for indices in by_composition.values():
        if len(indices) < limits.minimum_frames_for_outliers:
            n_unscreened += len(indices)
            continue
        deviations = np.abs(per_atom[indices] - np.median(per_atom[indices]))
        sigma = MEDIAN_ABSOLUTE_DEVIATION_TO_SIGMA * float(np.median(deviations))
        limit = max(limits.energy_outlier_sigmas * sigma, limits.energy_outlier_floor)
        for index, deviation in zip(indices, deviations):
            if deviation > limit:
                reasons[index].append(
                    f'the energy lies {deviation:.4g} eV/atom from the median of its composition, '
                    f'the limit is {limit:.4g} eV/atom'
                )
    if n_unscreened:
        notes.append(
            f'{n_unscreened} frames were not screened for energy outliers: their composition occurs in fewer than '
            f'{limits.minimum_frames_for_outliers} frames'
        )
