"""Whether labels agree with each other: forces and stress are what the energy changes by when a frame is deformed.

A wrong sign or unit, or an energy that is not the one whose gradient the forces are, is not seen in any single label.
It is seen in the energies of a frame whose atoms were moved along their forces, and of one that was strained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import numpy as np
from ase.geometry import complete_cell

from aiida_edl.science.frames import Floats, Frame, FrameSet
from aiida_edl.typed_fields import checked_fields

REFERENCE_SCALE = 'reference_scale'
"""Column with the factor by which the periodic cell vectors of a frame were multiplied; dimensionless. An engine takes
its mesh of k-points from the cell before that, so that all probes have the same."""
N_FORCE_PROBES = 2
"""Frames that are computed to check the forces of one that is labelled."""
N_STRESS_PROBES = 3
"""Frames that are computed to check a stress: a compressed one, and both its neighbours."""


class Verdict(str, Enum):
    """What a check found."""

    PASSED = 'passed'
    INEXACT = 'inexact'
    FAILED = 'failed'
    UNDECIDED = 'undecided'


@dataclass(frozen=True)
class GradientSettings:
    """How far a frame is deformed, and how well its labels must agree; the numbers are choices of the project."""

    displacement: float = 0.01
    """How far the atom with the largest force is moved [Å]; the others in proportion to their forces."""
    compression: float = 0.02
    """By how much a frame is compressed along its periodic cell vectors, so that its stress is large; dimensionless."""
    strain: float = 0.005
    """By how much the compressed frame is strained to both sides; dimensionless."""
    force_tolerance: float = 0.05
    """Largest relative difference between work of the forces and change of the energy; dimensionless."""
    stress_tolerance: float = 0.15
    """Largest relative difference between work of the stress and change of the energy; dimensionless. The basis of a
    plane-wave or grid calculation changes with the cell, so this is wider, and beyond it a stress is inexact."""
    stress_factor: float = 2.0
    """Factor between work of the stress and change of the energy from which the stress is wrong, as it is if the signs
    differ; dimensionless."""
    minimum_work: float = 0.005
    """Below this change of the energy nothing is decided, as the noise of a label may be as large [eV]."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ValueError: with the name and the value.
        """
        for setting in fields(self):
            if not getattr(self, setting.name) > 0:
                value = getattr(self, setting.name)
                raise ValueError(f"setting '{setting.name}' of the gradient check is {value}, it must be positive")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GradientSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ValueError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting', ValueError, ' of the gradient check'))


@dataclass(frozen=True)
class WorkCheck:
    """Work of a label along a deformation against the change of the energy."""

    verdict: Verdict
    """What was found."""
    work: float | None = None
    """Work, which the energy should fall or rise by [eV]."""
    energy_change: float | None = None
    """Change of the energy, by a central difference [eV]."""
    reason: str = ''
    """Why nothing is decided, or what is wrong."""


def probe_frames(frame: Frame, settings: GradientSettings) -> FrameSet:
    """Return the frames whose energies tell whether the labels of a frame are right.

    The first two have their atoms moved along the forces, there and back; if the frame has a stress and is periodic,
    three more are compressed along the periodic cell vectors, the last two of these strained a little more and less.
    All carry the column ``reference_scale``: by which factor the cell was scaled, 1 for the first two.

    :param frame: with forces; at least one of them not zero.
    :param settings: how far it is deformed.
    :raises ValueError: if it has no forces.
    """
    columns = {REFERENCE_SCALE: 1.0, **frame.columns}
    bare = replace(frame, energy=None, forces=None, stress=None, charges=None, velocities=None, columns=columns)
    step = displacement_of(frame, settings)
    probes = [replace(bare, positions=frame.positions + sign * step) for sign in (1.0, -1.0)]
    if frame.stress is not None and frame.pbc.any():
        compressed = scaled(bare, 1.0 - settings.compression)
        probes += [compressed, scaled(compressed, 1.0 + settings.strain), scaled(compressed, 1.0 - settings.strain)]
    return FrameSet.from_frames(probes)


def displacement_of(frame: Frame, settings: GradientSettings) -> Floats:
    """Return by how much each atom is moved along its force [Å], shape ``(n_atoms, 3)``; zero without any force.

    :param frame: with forces.
    :param settings: how far the atom with the largest force is moved.
    :raises ValueError: if it has no forces.
    """
    if frame.forces is None:
        raise ValueError('the frame has no forces, so there is nothing to check; label it first')
    largest = float(np.linalg.norm(frame.forces, axis=1).max())
    return np.zeros_like(frame.positions) if largest == 0.0 else frame.forces * (settings.displacement / largest)


def scaled(frame: Frame, factor: float) -> Frame:
    """Return a frame whose periodic cell vectors, and all positions along them, are longer by a factor.

    The column ``reference_scale`` holds the factor, times that by which the frame was scaled before.
    """
    complete = complete_cell(frame.cell)
    factors = np.where(frame.pbc, factor, 1.0)[:, None]
    fractions = frame.positions @ np.linalg.inv(complete)
    columns = {**frame.columns, REFERENCE_SCALE: factor * float(frame.columns.get(REFERENCE_SCALE, 1.0))}
    return replace(frame, cell=frame.cell * factors, positions=fractions @ (complete * factors), columns=columns)


def check_forces(frame: Frame, energies: Floats, settings: GradientSettings) -> WorkCheck:
    r"""Compare the work of the forces with the change of the energy.

    .. math:: \tfrac12 [E(r + u) - E(r - u)] = -F \cdot u + O(u^3)

    :param frame: with forces.
    :param energies: of the first two frames of :func:`probe_frames` [eV], shape ``(2,)``.
    :param settings: the limits.
    """
    work = -float(np.sum(frame.forces * displacement_of(frame, settings)))  # type: ignore[operator]
    change = 0.5 * float(energies[0] - energies[1])
    return _compare('forces', work, change, settings.force_tolerance, settings.minimum_work)


def check_stress(probes: FrameSet, energies: Floats, stress: Floats, settings: GradientSettings) -> WorkCheck:
    r"""Compare the work of the stress of the compressed frame with the change of the energy.

    .. math:: \tfrac12 [E(+\varepsilon) - E(-\varepsilon)] = V \sigma : \varepsilon + O(\varepsilon^3)

    :param probes: all frames of :func:`probe_frames`.
    :param energies: of its last three frames [eV], shape ``(3,)``.
    :param stress: of the compressed frame [eV/Å³], positive in tension, shape ``(3, 3)``.
    :param settings: the limits.
    """
    compressed, stretched = probes.frame(N_FORCE_PROBES), probes.frame(N_FORCE_PROBES + 1)
    complete = complete_cell(compressed.cell)
    gradient = np.linalg.inv(complete) @ complete_cell(stretched.cell) - np.eye(3)
    strain = 0.5 * (gradient + gradient.T)
    work = abs(float(np.linalg.det(complete))) * float(np.sum(stress * strain))
    change = 0.5 * float(energies[1] - energies[2])
    found = _compare('stress', work, change, settings.stress_tolerance, settings.minimum_work)
    is_near = 1.0 / settings.stress_factor < change / work < settings.stress_factor if work else False
    return replace(found, verdict=Verdict.INEXACT) if found.verdict is Verdict.FAILED and is_near else found


def _compare(what: str, work: float, change: float, tolerance: float, minimum: float) -> WorkCheck:
    """Return whether two energies that should be equal are [eV]."""
    if not np.isfinite([work, change]).all():
        return WorkCheck(Verdict.UNDECIDED, reason='a deformed frame has no label')
    if max(abs(work), abs(change)) < minimum:
        reason = f'the work is {work:.3g} eV and the energy changes by {change:.3g} eV, too little to compare'
        return WorkCheck(Verdict.UNDECIDED, work, change, reason)
    if abs(change - work) <= tolerance * max(abs(work), abs(change)):
        return WorkCheck(Verdict.PASSED, work, change)
    reason = (
        f'the work of the {what} is {work:.4g} eV where the energy changes by {change:.4g} eV, a difference of at most '
        f'{100 * tolerance:g} % is allowed; check sign and unit of the {what}, and which energy it is'
    )
    return WorkCheck(Verdict.FAILED, work, change, reason)
