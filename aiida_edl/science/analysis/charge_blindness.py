r"""What a model that is not told the total charge can never learn: frames of one geometry at several charges.

A model whose only input are the atoms gives one energy and one set of forces for all charges of a geometry. The best it
can do is their mean, so on such frames its root mean square error is at least

.. math:: e_\mathrm{min} = \sqrt{\langle (y - \bar y_g)^2 \rangle},

:math:`\bar y_g` being the mean of the labels over the charges of geometry g. This floor follows from the labels alone.
The minimal case are Ag3+ and Ag3-, whose structures of lowest energy differ (T. W. Ko, J. A. Finkler, S. Goedecker and
J. Behler, Nat. Commun. 12, 398 (2021)).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.locality_pairs import LocalityError

GROUP_COLUMN = 'group'
"""Column that tells geometries apart."""


@dataclass(frozen=True)
class ChargeBlindness:
    """Labels and predictions of geometries at several charges."""

    n_geometries: int
    """Geometries with at least two charges."""
    n_frames: int
    """Their frames."""
    n_failed_geometries: int
    """Geometries that were left out, as a frame of them has no finite prediction."""
    label_energy_difference_ev: float
    """Largest difference of labelled energies between charges of a geometry [eV]."""
    label_force_difference_ev_per_angstrom: float
    """Length of the largest difference of a labelled force [eV/Å]."""
    model_energy_difference_ev: float
    """The same for the predictions [eV]."""
    model_force_difference_ev_per_angstrom: float
    """The same for the predictions [eV/Å]."""
    energy_floor_ev: float
    """Least root mean square error of the total energy that a model blind to the charge can have [eV]."""
    force_floor_ev_per_angstrom: float
    """The same for force components [eV/Å]."""
    energy_rmse_ev: float
    """Root mean square error of the predicted total energies [eV]."""
    force_rmse_ev_per_angstrom: float
    """Root mean square error of the predicted force components [eV/Å]."""
    is_blind: bool
    """Whether the predictions for all charges of every geometry are the same to the thresholds."""

    def row(self) -> dict[str, Any]:
        """Return the values as JSON types."""
        return asdict(self)


def geometries(frames: FrameSet, charge_column: str) -> tuple[NDArray[np.int64], ...]:
    """Return the frames of each geometry that comes with at least two charges.

    :param frames: frames with the columns :data:`GROUP_COLUMN` and ``charge_column``.
    :param charge_column: column of the total charge [e].
    :raises LocalityError: if a column is missing, the atoms of a group differ, or no geometry has two charges.
    """
    for name in (GROUP_COLUMN, charge_column):
        if name not in frames.columns:
            raise LocalityError(
                f"the frames at several charges have no column '{name}', but {sorted(frames.columns) or 'none'}; add it"
            )
    groups, charges = frames.columns[GROUP_COLUMN], frames.columns[charge_column]
    found = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(np.unique(charges[members])) < 2:
            continue
        first = frames.frame(int(members[0]))
        for member in members[1:]:
            other = frames.frame(int(member))
            if not (np.array_equal(first.numbers, other.numbers) and np.allclose(first.positions, other.positions)):
                raise LocalityError(
                    f"frames {members[0]} and {member} are both of the {GROUP_COLUMN} '{group}' but have other atoms; "
                    'a group must be one geometry at several charges'
                )
        found.append(members)
    if not found:
        raise LocalityError(f"no {GROUP_COLUMN} has two values of '{charge_column}'; give each geometry at two charges")
    return tuple(found)


def charge_blindness(
    frames: FrameSet,
    energies: Floats,
    forces: Floats,
    charge_column: str,
    thresholds: tuple[float, float],
) -> ChargeBlindness:
    """Compare labels and predictions of geometries at several charges.

    :param frames: frames with labels, see :func:`geometries`.
    :param energies: predicted energies [eV], shape ``(n_frames,)``.
    :param forces: predicted forces [eV/Å], shape ``(n_atoms_total, 3)``.
    :param charge_column: column of the total charge [e].
    :param thresholds: what counts as a difference of predicted energies [eV] and of predicted forces [eV/Å].
    :raises LocalityError: if the frames lack labels or columns, or nothing was predicted.
    """
    if frames.energies is None or frames.forces is None:
        raise LocalityError('the frames at several charges need energies and forces as labels; label them first')
    every = geometries(frames, charge_column)
    usable = [members for members in every if np.isfinite(energies[members]).all()]
    if not usable:
        raise LocalityError('no geometry has finite predictions at all of its charges')
    label_energies, label_forces = _spreads(frames, frames.energies, frames.forces, usable)
    model_energies, model_forces = _spreads(frames, energies, forces, usable)
    indices = np.concatenate(usable)
    atoms = np.concatenate([np.arange(frames.offsets[i], frames.offsets[i + 1]) for i in indices])
    energy_floor, force_floor = _floors(frames, frames.energies, frames.forces, usable)
    return ChargeBlindness(
        n_geometries=len(usable),
        n_frames=len(indices),
        n_failed_geometries=len(every) - len(usable),
        label_energy_difference_ev=label_energies,
        label_force_difference_ev_per_angstrom=label_forces,
        model_energy_difference_ev=model_energies,
        model_force_difference_ev_per_angstrom=model_forces,
        energy_floor_ev=energy_floor,
        force_floor_ev_per_angstrom=force_floor,
        energy_rmse_ev=_rms(energies[indices] - frames.energies[indices]),
        force_rmse_ev_per_angstrom=_rms(forces[atoms] - frames.forces[atoms]),
        is_blind=bool(model_energies <= thresholds[0] and model_forces <= thresholds[1]),
    )


def _rms(values: Floats) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def _stacked(frames: FrameSet, forces: Floats, members: NDArray[np.int64]) -> Floats:
    """Return the forces of the frames of one geometry, shape ``(n_charges, n_atoms, 3)``."""
    return np.stack([forces[frames.offsets[i] : frames.offsets[i + 1]] for i in members])


def _spreads(
    frames: FrameSet, energies: Floats, forces: Floats, groups: list[NDArray[np.int64]]
) -> tuple[float, float]:
    """Return the largest difference of energy [eV] and of force [eV/Å] between charges of a geometry."""
    energy, force = 0.0, 0.0
    for members in groups:
        stacked = _stacked(frames, forces, members)
        energy = max(energy, float(np.ptp(energies[members])))
        force = max(force, float(np.linalg.norm(stacked[:, None] - stacked[None], axis=-1).max()))
    return energy, force


def _floors(frames: FrameSet, energies: Floats, forces: Floats, groups: list[NDArray[np.int64]]) -> tuple[float, float]:
    """Return the root mean square deviation from the mean over charges, of energies [eV] and force components."""
    energy_parts = [energies[members] - energies[members].mean() for members in groups]
    force_parts = []
    for members in groups:
        stacked = _stacked(frames, forces, members)
        force_parts.append((stacked - stacked.mean(axis=0)).ravel())
    return _rms(np.concatenate(energy_parts)), _rms(np.concatenate(force_parts))
