r"""What a charge of the metal does to energy and forces: electrode potential and effective charges from stencils.

.. math::
    U = \frac{\mathrm{d}E}{\mathrm{d}q}, \qquad
    Z^*_i = A \varepsilon_0 \frac{\mathrm{d}F_{z,i}}{\mathrm{d}q}

at fixed atoms, with the lateral area A and the force along the normal of the film. An atom of charge Z in the field
:math:`q / (A \varepsilon_0)` of a charged metal has :math:`Z^* = Z` exactly, if all of the field is on its side, as
with the sheet of :mod:`aiida_edl.science.counter_sheet`; a counter charge elsewhere gives another field (a uniform
background one that depends on z). U is the potential of the metal over that of the counter charge. The relation of
force and charge is that of the charge-conditioned model of L. de Kam (repository lorem-jax), tested there on the data
of N. Bergmann, K. Reuter and N. G. Hörmann, J. Chem. Phys. 164, 174110 (2026).

Derivatives are those of the polynomial through all charges, at their median: central differences if they are evenly
spaced. Their error is the difference from the polynomial without the outermost two, an estimate of what curvature and
noise do; three charges or fewer give none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science import units
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.frame_columns import composition_numbers
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.group_splitting import GEOMETRY, groups_of
from aiida_edl.science.metal_charge import metal_charges_of
from aiida_edl.typed_fields import checked_fields

SAME_POSITION = 1e-4
"""Largest difference of a coordinate between frames of one geometry [Å]."""
SAME_CHARGE = 1e-9
"""Charges closer than this are one [e]."""
MINIMUM_CHARGES = 2
"""Charges that a derivative needs."""
CHARGES_WITH_ERROR = 4
"""Charges that an error of it needs."""


class ChargeResponseError(ValueError):
    """Settings that do not exist, or frames of one geometry that do not belong together."""


@dataclass(frozen=True)
class ChargeResponseSettings:
    """How derivatives are taken."""

    maximum_charges: int = 5
    """Charges of a geometry that are used at most, the innermost; polynomials through more of them are steep."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises ChargeResponseError: with the value and the remedy.
        """
        if self.maximum_charges < MINIMUM_CHARGES:
            raise ChargeResponseError(
                f'maximum_charges is {self.maximum_charges}, a derivative needs at least {MINIMUM_CHARGES}'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChargeResponseSettings:
        """Return checked settings.

        :param values: fields that differ from their defaults.
        :raises ChargeResponseError: for an unknown name, with the nearest, or a value of a wrong type or range.
        """
        return cls(**checked_fields(cls, values, 'setting of the charge response', ChargeResponseError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ChargeResponse(StoredResult):
    """Derivatives by the charge of the metal; geometries in the order of their first frame, atoms laid end to end."""

    stored_subject: ClassVar[str] = 'a charge response needs'
    settings_type: ClassVar[type[ChargeResponseSettings]] = ChargeResponseSettings

    frame_indices: NDArray[np.int64]
    """First frame of each geometry, shape ``(n_geometries,)``."""
    metal_charges: Floats
    """Charge of the metal at which the derivative is taken [e], shape ``(n_geometries,)``."""
    n_charges: NDArray[np.int64]
    """Charges it was taken from, shape ``(n_geometries,)``."""
    potentials: Floats
    """dE/dq [V], shape ``(n_geometries,)``."""
    potential_errors: Floats
    """Its error [V], shape ``(n_geometries,)``; NaN for fewer than four charges."""
    areas: Floats
    """Lateral area of the cell [Å²], shape ``(n_geometries,)``."""
    offsets: NDArray[np.int64]
    """First atom of each geometry and the total, shape ``(n_geometries + 1,)``."""
    numbers: NDArray[np.uint8]
    """Atomic numbers, shape ``(n_atoms_total,)``."""
    heights: Floats
    """Coordinate z [Å], shape ``(n_atoms_total,)``."""
    effective_charges: Floats
    """Z* [e], shape ``(n_atoms_total,)``."""
    effective_charge_errors: Floats
    """Its error [e], shape ``(n_atoms_total,)``; NaN for fewer than four charges."""
    n_skipped: int
    """Geometries with fewer than two charges that have labels."""
    settings: ChargeResponseSettings
    """What it was made with."""

    def __len__(self) -> int:
        """Return the number of geometries."""
        return len(self.potentials)

    def scalars(self) -> dict[str, Any]:
        """Return the other fields as JSON types, and the number of geometries, by name."""
        return {'n_geometries': len(self), **super().scalars()}


def derivative_weights(points: Floats, at: float) -> Floats:
    r"""Return weights w with :math:`f'(x) \approx \sum_k w_k f(x_k)`, exact for polynomials through all points.

    >>> derivative_weights(np.array([-1.0, 0.0, 1.0]), 0.0).round(12).tolist()
    [-0.5, 0.0, 0.5]

    :param points: the points, none twice, shape ``(n_points,)``.
    :param at: where the derivative is taken.
    """
    scale = float(np.abs(points - at).max())
    powers = np.vander((points - at) / scale, increasing=True).T
    first = np.zeros(len(points))
    first[1] = 1.0 / scale
    return np.asarray(np.linalg.solve(powers, first))


def charge_response(frames: FrameSet, settings: ChargeResponseSettings | None = None) -> ChargeResponse:
    """Return electrode potentials and effective charges of the geometries of charge stencils.

    :param frames: stencils with energies and forces, in any order; column ``geometry`` (else geometries are found from
        the positions) and the charge of the metal (column ``metal_charge``, else it follows from the atoms). Frames
        without finite energy and forces are left out.
    :param settings: how derivatives are taken; None for the defaults.
    :raises NotAnalysableError: if there are no labels, or no geometry has two charges.
    :raises ChargeResponseError: if frames of one geometry differ in more than charge, or two have the same.
    """
    settings = settings or ChargeResponseSettings()
    if frames.energies is None or frames.forces is None:
        raise NotAnalysableError(f'the {len(frames)} frames have no energies and forces; label the stencil first')
    charges = metal_charges_of(frames)
    is_labelled = np.isfinite(frames.energies)
    is_labelled &= np.isfinite(np.add.reduceat(frames.forces.sum(axis=1), frames.offsets[:-1]))
    members = _members(frames)
    kept = [own[is_labelled[own]] for own in members]
    kept = [own[np.argsort(charges[own], kind='stable')] for own in kept if len(own) >= MINIMUM_CHARGES]
    if not kept:
        raise NotAnalysableError(
            f'none of the {len(members)} geometries has labels at two charges of the metal; make a stencil of them by '
            'edl.charge_stencil and label it'
        )
    return _assembled(frames, [_Slopes.of(frames, own, charges[own], settings) for own in kept], members, settings)


def _members(frames: FrameSet) -> list[NDArray[np.int64]]:
    """Return the indices of the frames of each geometry and composition, in the order of their first frames."""
    both = np.stack([groups_of(frames, GEOMETRY), composition_numbers(frames)], axis=1)
    owners = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    found = [np.flatnonzero(owners == owner) for owner in range(owners.max() + 1)]
    return sorted(found, key=lambda own: int(own[0]))


@dataclass(frozen=True)
class _Slopes:
    """Derivatives of one geometry."""

    first: int
    charge: float
    n_charges: int
    potential: tuple[float, float]
    """dE/dq and its error [V]."""
    effective: tuple[Floats, Floats]
    """Z* and its error [e], each of shape ``(n_atoms,)``."""
    area: float

    @classmethod
    def of(cls, frames: FrameSet, own: NDArray[np.int64], charges: Floats, settings: ChargeResponseSettings) -> _Slopes:
        """Return the derivatives of the frames of one geometry, in the order of their charges."""
        _check_geometry(frames, own, charges)
        first = int(own.min())
        drop = max(0, len(own) - settings.maximum_charges)
        inner = slice((drop + 1) // 2, len(own) - drop // 2)
        own, charges = own[inner], charges[inner]
        at, cell = float(np.median(charges)), frames.cells[first]
        across = np.cross(cell[0], cell[1])
        area = float(np.linalg.norm(across))
        if area <= 0.0:
            raise ChargeResponseError(f'the lateral area of the cell of frame {first} is {area} Å²; give a cell')
        given = np.asarray(frames.energies)[own]
        energies = given - given.mean()  # large totals would lose digits
        starts = frames.offsets[own]
        n_atoms = int(frames.offsets[own[0] + 1] - starts[0])
        all_forces = np.asarray(frames.forces)
        forces = np.stack([all_forces[start : start + n_atoms] @ (across / area) for start in starts])
        potential = _slope_with_error(charges, energies, at)
        slopes = _slope_with_error(charges, forces, at)
        factor = area * units.VACUUM_PERMITTIVITY
        return cls(
            first=first,
            charge=at,
            n_charges=len(own),
            potential=(float(potential[0]), float(potential[1])),
            effective=(factor * slopes[0], factor * slopes[1]),
            area=area,
        )


def _slope_with_error(points: Floats, values: Floats, at: float) -> tuple[Floats, Floats]:
    """Return the derivative of each column of values, and by how much it changes without the outermost points."""
    slope = np.asarray(np.tensordot(derivative_weights(points, at), values, axes=1))
    if len(points) < CHARGES_WITH_ERROR:
        return slope, np.full_like(slope, np.nan)
    inner = np.tensordot(derivative_weights(points[1:-1], at), values[1:-1], axes=1)
    return slope, np.asarray(np.abs(slope - inner))


def _check_geometry(frames: FrameSet, own: NDArray[np.int64], charges: Floats) -> None:
    """Check that frames differ in their charge alone, each from all others.

    :raises ChargeResponseError: with the indices of two frames.
    """
    first = frames.frame(int(own[0]))
    for index in own[1:].tolist():
        other = frames.frame(index)
        same_atoms = np.array_equal(first.numbers, other.numbers)
        if not same_atoms or np.abs(first.positions - other.positions).max() > SAME_POSITION:
            raise ChargeResponseError(
                f'frames {int(own[0])} and {index} are of one geometry, but their atoms differ; name the geometries '
                f"apart in the column '{GEOMETRY}', and keep the order of atoms"
            )
    close = np.flatnonzero(np.diff(charges) < SAME_CHARGE)
    if len(close):
        raise ChargeResponseError(
            f'frames {int(own[close[0]])} and {int(own[close[0] + 1])} are of one geometry, and the metal of both '
            f'carries {charges[close[0]]:g} e; leave one of them out'
        )


def _assembled(
    frames: FrameSet, found: list[_Slopes], members: list[NDArray[np.int64]], settings: ChargeResponseSettings
) -> ChargeResponse:
    """Return the derivatives of all geometries laid end to end."""
    atoms = [frames.frame(item.first) for item in found]
    return ChargeResponse(
        frame_indices=np.array([item.first for item in found], dtype=np.int64),
        metal_charges=np.array([item.charge for item in found]),
        n_charges=np.array([item.n_charges for item in found], dtype=np.int64),
        potentials=np.array([item.potential[0] for item in found]),
        potential_errors=np.array([item.potential[1] for item in found]),
        areas=np.array([item.area for item in found]),
        offsets=np.concatenate([[0], np.cumsum([len(frame.numbers) for frame in atoms])]).astype(np.int64),
        numbers=np.concatenate([frame.numbers for frame in atoms]),
        heights=np.concatenate([frame.positions[:, 2] for frame in atoms]),
        effective_charges=np.concatenate([item.effective[0] for item in found]),
        effective_charge_errors=np.concatenate([item.effective[1] for item in found]),
        n_skipped=len(members) - len(found),
        settings=settings,
    )
