"""The gate every label passes before it may train a model: what is refused is listed with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.close_contacts import closest_contact
from aiida_edl.science.frame_columns import charge_classes
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.typed_fields import checked_fields

MEDIAN_ABSOLUTE_DEVIATION_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class GateSettings:
    """What a label must satisfy; the numbers are choices of the project."""

    minimum_distance: float = 0.5
    """Smallest distance of two atoms, images included [Å]; the bond of H2 is 0.74."""
    force_cap: float = 30.0
    """Largest norm of a force on an atom [eV/Å]; thermal water stays below 10."""
    net_force_cap: float = 1.0
    """Largest norm of the sum of all forces of a frame [eV/Å]. It is zero but for a grid that is too coarse, or for an
    external field or wall, which needs a wider limit."""
    electron_tolerance: float = 0.01
    """Largest difference of the electrons of the calculation from those of atoms and total charge; dimensionless."""
    vacuum_field_cap: float = 0.02
    """Largest electric field in the vacuum of a film, on either side [V/Å]: 20 mV over 1 Å. A larger one is the field
    between periodic images of a film whose dipole is not corrected."""
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
        for setting in fields(self):
            if not getattr(self, setting.name) > 0:
                raise ValueError(f"gate setting '{setting.name}' is {getattr(self, setting.name)}, it must be positive")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GateSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ValueError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'gate setting', ValueError))


@dataclass(frozen=True)
class LabelDiagnostics:
    """What an engine says of its labels beside their values. What it does not record is None, and of one frame NaN."""

    converged: NDArray[np.bool_] | None = None
    """Whether the calculation of each frame converged, shape ``(n_frames,)``."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Why a frame has no label, by its index."""
    n_scf_steps: Floats | None = None
    """Steps of the self-consistent field, shape ``(n_frames,)``."""
    maximum_scf_steps: Floats | None = None
    """Step at which the self-consistent field was to be given up, shape ``(n_frames,)``."""
    n_electrons: Floats | None = None
    """Electrons of the calculation, shape ``(n_frames,)``."""
    expected_electrons: Floats | None = None
    """Electrons of the atoms less the total charge, shape ``(n_frames,)``."""
    vacuum_fields: Floats | None = None
    """Electric field along z in the vacuum below and above a film [V/Å], shape ``(n_frames, 2)``."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a label."""

    check: str
    """Name of the setting that refuses it; ``label`` if there is none, ``convergence`` or ``scf_steps``."""
    reason: str
    """What is wrong, in words."""
    value: float | None = None
    """What was found, in the unit of the setting; None where it is no number."""
    limit: float | None = None
    """What is allowed, in the same unit."""


@dataclass(frozen=True)
class Rejection:
    """A label that did not pass."""

    frame: int
    """Index of the frame."""
    findings: tuple[Finding, ...]
    """All that is wrong with it, at least one."""

    @property
    def reason(self) -> str:
        """All reasons, joined."""
        return '; '.join(finding.reason for finding in self.findings)


@dataclass(frozen=True)
class GateReport:
    """Which labels passed; accepted and rejected together are all frames."""

    accepted: NDArray[np.int64]
    """Indices of the frames that passed, ascending."""
    rejected: tuple[Rejection, ...]
    """Those that did not, by ascending index."""
    notes: tuple[str, ...] = ()
    """Checks that could not be made, one sentence each."""


@dataclass
class _Screening:
    """What was found so far."""

    limits: GateSettings
    findings: list[list[Finding]]
    notes: list[str] = field(default_factory=list)

    def note_unrecorded(self, what: str) -> None:
        """Note that something was not checked, as the labels do not say it."""
        self.notes.append(f'the labels carry no record of {what}, so it was not checked')

    def reject(
        self, index: int, check: str, reason: str, value: float | None = None, limit: float | None = None
    ) -> None:
        """Add a finding; its limit is the setting of the name of the check, unless another is given."""
        allowed = getattr(self.limits, check, None) if limit is None else limit
        self.findings[index].append(Finding(check, reason, value, None if allowed is None else float(allowed)))

    def report(self) -> GateReport:
        """Return the sum of it."""
        return GateReport(
            accepted=np.array([index for index, found in enumerate(self.findings) if not found], dtype=np.int64),
            rejected=tuple(Rejection(index, tuple(found)) for index, found in enumerate(self.findings) if found),
            notes=tuple(self.notes),
        )


def gate_labels(
    frames: FrameSet, diagnostics: LabelDiagnostics | None = None, settings: GateSettings | None = None
) -> GateReport:
    """Return which labels may be used, and why the others may not.

    A frame without a label is refused with the reason of the engine alone. Of the others it is checked that the
    calculation converged, in fewer steps than its limit, whatever its flag says; that energy, forces, stress and
    charges are finite; that no two atoms lie on top of each other; that no force and no sum of forces exceeds its cap;
    that the electrons are those of atoms and total charge; that the vacuum of a film is free of field; and, among
    frames of the same composition and charge that passed so far, that the energy per atom is no outlier (distance from
    the median over the median absolute deviation, which outliers do not move).

    :param frames: labelled frames.
    :param diagnostics: what the engine says of its labels; the report notes what it does not say.
    :param settings: the limits; defaults if None.
    :raises ValueError: if energies or forces are absent, or an array of the diagnostics has a wrong shape.
    """
    if frames.energies is None or frames.forces is None:
        absent = [name for name in ('energies', 'forces') if getattr(frames, name) is None]
        raise ValueError(f'the gate needs labels, the frames have no {" and no ".join(absent)}; label them first')
    known = diagnostics or LabelDiagnostics()
    _check_shapes(known, len(frames))
    screening = _Screening(settings or GateSettings(), [[] for _ in range(len(frames))])
    _find_failures(known, screening)
    _find_not_finite(frames, screening, known.failures)
    _find_scf_steps(known, screening)
    _find_close_contacts(frames, screening)
    _find_large_forces(frames.forces, frames.offsets, screening)
    _find_wrong_electrons(known, screening)
    _find_vacuum_fields(frames, known, screening)
    _find_energy_outliers(frames, frames.energies / np.diff(frames.offsets), screening)
    return screening.report()


def _check_shapes(diagnostics: LabelDiagnostics, n_frames: int) -> None:
    """Check that every array has a row for each frame.

    :raises ValueError: for the first that has not.
    """
    for entry in fields(diagnostics):
        array = getattr(diagnostics, entry.name)
        expected = (n_frames, 2) if entry.name == 'vacuum_fields' else (n_frames,)
        if entry.name != 'failures' and array is not None and np.shape(array) != expected:
            raise ValueError(f"'{entry.name}' has shape {np.shape(array)}, expected {expected}: one row per frame")


def _find_failures(diagnostics: LabelDiagnostics, screening: _Screening) -> None:
    """Note frames that have no label, or whose calculation did not converge."""
    for index, reason in diagnostics.failures.items():
        screening.reject(index, 'label', reason)
    if diagnostics.converged is None:
        screening.note_unrecorded('convergence')
        return
    for index in np.flatnonzero(~diagnostics.converged.astype(bool)).tolist():
        if index not in diagnostics.failures:
            screening.reject(index, 'convergence', 'the calculation did not converge')


def _find_scf_steps(diagnostics: LabelDiagnostics, screening: _Screening) -> None:
    """Note calculations that used all steps they had: some programs call these converged."""
    steps, limits = diagnostics.n_scf_steps, diagnostics.maximum_scf_steps
    if steps is None or limits is None:
        screening.note_unrecorded('the steps of the self-consistent field')
        return
    for index in np.flatnonzero(steps >= limits).tolist():
        if index not in diagnostics.failures:
            reason = f'the self-consistent field used {steps[index]:g} steps of at most {limits[index]:g}'
            screening.reject(index, 'scf_steps', reason, float(steps[index]), float(limits[index]))


def _any_per_frame(is_bad: NDArray[np.bool_], frames: FrameSet) -> NDArray[np.bool_]:
    """Return whether any atom of each frame is marked."""
    any_bad: NDArray[np.bool_] = np.logical_or.reduceat(is_bad, frames.offsets[:-1]) if len(frames) else is_bad
    return any_bad


def _find_not_finite(frames: FrameSet, screening: _Screening, failures: Mapping[int, str]) -> None:
    """Note every array of a frame that holds NaN or infinity, unless the frame is known to have no label."""
    for name in ('energies', 'forces', 'stresses', 'charges'):
        array = getattr(frames, name)
        if array is None:
            continue
        is_bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        is_bad_frame = _any_per_frame(is_bad, frames) if name in ('forces', 'charges') else is_bad
        for index in np.flatnonzero(is_bad_frame).tolist():
            if index not in failures:
                screening.reject(index, 'label', f'{name} hold values that are not finite')


def _find_close_contacts(frames: FrameSet, screening: _Screening) -> None:
    """Note frames with atoms on top of each other."""
    limit = screening.limits.minimum_distance
    for index, frame in enumerate(frames):
        if (contact := closest_contact(frame, limit)) is not None:
            reason = f'atoms {contact} are {contact.distance:.3g} Å apart, below {limit:g} Å'
            screening.reject(index, 'minimum_distance', reason, contact.distance)


def _find_large_forces(forces: Floats, offsets: NDArray[np.int64], screening: _Screening) -> None:
    """Note frames with a force, or a sum of forces, beyond its cap."""
    if len(offsets) < 2:
        return
    finite = np.where(np.isfinite(forces), forces, np.nan)  # no cap is exceeded by NaN, which has a reason of its own
    largest = np.maximum.reduceat(np.linalg.norm(finite, axis=1), offsets[:-1])
    net = np.linalg.norm(np.add.reduceat(finite, offsets[:-1]), axis=1)
    for name, values, what in (
        ('force_cap', largest, 'the largest force'),
        ('net_force_cap', net, 'the sum of all forces'),
    ):
        cap = getattr(screening.limits, name)
        for index in np.flatnonzero(values > cap).tolist():
            reason = f'{what} is {values[index]:.4g} eV/Å, the cap is {cap:g} eV/Å'
            screening.reject(index, name, reason, float(values[index]))


def _find_wrong_electrons(diagnostics: LabelDiagnostics, screening: _Screening) -> None:
    """Note calculations with another number of electrons than atoms and total charge ask for."""
    found, expected = diagnostics.n_electrons, diagnostics.expected_electrons
    if found is None or expected is None:
        screening.note_unrecorded('the number of electrons')
        return
    for index in np.flatnonzero(np.abs(found - expected) > screening.limits.electron_tolerance).tolist():
        reason = (
            f'the calculation had {found[index]:g} electrons, atoms and total charge make {expected[index]:g}; '
            'check the total charge'
        )
        screening.reject(index, 'electron_tolerance', reason, float(found[index] - expected[index]))


def _find_vacuum_fields(frames: FrameSet, diagnostics: LabelDiagnostics, screening: _Screening) -> None:
    """Note films with a field in their vacuum."""
    is_film = frames.pbc.any(axis=1) & ~frames.pbc.all(axis=1)
    if diagnostics.vacuum_fields is None:
        if is_film.any():
            screening.note_unrecorded('the field in the vacuum of films')
        return
    is_labelled = ~np.isin(np.arange(len(frames)), list(diagnostics.failures))
    if n_unknown := int((np.isnan(diagnostics.vacuum_fields).all(axis=1) & is_film & is_labelled).sum()):
        screening.note_unrecorded(f'the field in the vacuum of {n_unknown} films')
    cap = screening.limits.vacuum_field_cap
    fields_of_frames = np.nan_to_num(np.abs(diagnostics.vacuum_fields), nan=0.0)
    for index in np.flatnonzero((fields_of_frames > cap).any(axis=1)).tolist():
        below, above = diagnostics.vacuum_fields[index]
        reason = (
            f'the vacuum is not free of field: {below:.3g} V/Å below and {above:.3g} V/Å above the film, the cap is '
            f'{cap:g} V/Å'
        )
        screening.reject(index, 'vacuum_field_cap', reason, float(fields_of_frames[index].max()))


def _find_energy_outliers(frames: FrameSet, per_atom: Floats, screening: _Screening) -> None:
    """Note frames whose energy per atom lies far from those of the same composition."""
    limits = screening.limits
    n_unscreened = 0
    for indices in _by_composition(frames, screening.findings):
        if len(indices) < limits.minimum_frames_for_outliers:
            n_unscreened += len(indices)
            continue
        deviations = np.abs(per_atom[indices] - np.median(per_atom[indices]))
        sigma = MEDIAN_ABSOLUTE_DEVIATION_TO_SIGMA * float(np.median(deviations))
        limit = max(limits.energy_outlier_sigmas * sigma, limits.energy_outlier_floor)
        for index, deviation in zip(indices, deviations):
            if deviation > limit:
                reason = (
                    f'the energy lies {deviation:.4g} eV/atom from the median of its composition, '
                    f'the limit is {limit:.4g} eV/atom'
                )
                screening.reject(index, 'energy_outlier', reason, float(deviation), limit)
    if n_unscreened:
        screening.notes.append(
            f'{n_unscreened} frames were not screened for energy outliers: their composition occurs in fewer than '
            f'{limits.minimum_frames_for_outliers} frames'
        )


def _by_composition(frames: FrameSet, findings: Sequence[Sequence[Finding]]) -> list[list[int]]:
    """Return the indices of frames that passed so far, those of one composition, periodicity and charge together."""
    by_class: dict[int, list[int]] = {}
    for index, (number, found) in enumerate(zip(charge_classes(frames).tolist(), findings)):
        if not found:
            by_class.setdefault(number, []).append(index)
    return list(by_class.values())
