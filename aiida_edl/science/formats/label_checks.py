"""Checks that labels mean what the reader was told: finite, of physical size, and energies that fit the forces.

A wrong unit is not seen in training, where it is learnt without complaint; it is seen here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science import units
from aiida_edl.science.close_contacts import CloseContact, closest_contact
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.minimum_image import minimum_image

FACTORS = {
    units.HARTREE / units.BOHR: 'forces in Ha/Bohr: read them with the unit force=hartree/bohr',
    units.BOHR / units.HARTREE: 'forces already converted from Ha/Bohr once: divide them by 51.42',
    1.0 / units.HARTREE: 'energies in Ha: read them with the unit energy=hartree',
    1.0 / units.KILOCALORIE_PER_MOL: 'energies in kcal/mol: read them with the unit energy=kcal/mol',
    1.0 / units.BOHR: 'forces in eV/Bohr: read them with the unit force=eV/bohr',
    units.BOHR: 'positions in Bohr: read them with the unit length=bohr',
    -1.0: 'gradients instead of forces: read them with the unit force=-eV/angstrom',
}
"""What it means if energies change this many times as much as the work of the forces."""


@dataclass(frozen=True)
class LabelLimits:
    """Bounds on labels of thermal frames in house units, chosen by the project; widen one to accept what is refused."""

    maximum_median_force: float = 15.0
    """Largest median norm of the forces [eV/Å]; metal/water frames at 300 to 350 K have 0.1 to 1.5."""
    minimum_median_force: float = 0.03
    """Smallest median norm of the forces in a set of more than one frame [eV/Å]; 0 accepts relaxed structures."""
    maximum_energy_spread: float = 1.0
    """Largest spread of the energy per atom (80 % of the frames) within one composition [eV/atom]; kT at 330 K is
    0.028 eV."""
    maximum_energy_per_atom: float = 1e6
    """Largest absolute energy per atom [eV/atom]; all-electron gold has 5e5."""
    maximum_stress: float = 0.5
    """Largest stress component [eV/Å³]; 80 GPa."""
    maximum_charge: float = 9.0
    """Largest absolute atomic charge [e]."""
    minimum_distance: float = 0.5
    """Smallest distance of two atoms that a file in Å can hold [Å]; the bond of H2 is 0.74."""
    maximum_work_deviation: float = 1.5
    """Largest factor between energy change and work of the forces where they can be compared; infinity compares
    nothing."""

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> LabelLimits:
        """Return limits from those that differ from the defaults.

        :raises FormatError: for an unknown name, with the nearest.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise FormatError(unknown_name_message('limit of labels', name, known))
        return cls(**{name: float(value) for name, value in values.items()})


@dataclass(frozen=True)
class WorkComparison:
    """Energy changes between neighbouring frames of a trajectory against the work of the forces."""

    slope: float
    """Energy change per work; 1 if energies, forces and positions fit together."""
    correlation: float
    """Correlation of the two, without an offset; near 1 if frames are close enough for the slope to mean anything."""
    n_pairs: int
    """Pairs of frames that were compared."""


def check_labels(frames: FrameSet, source: str, limits: LabelLimits) -> None:
    """Refuse labels that cannot be what they are said to be.

    :param frames: frames in house units, with or without labels.
    :param source: name of the file, for the message.
    :param limits: the bounds.
    :raises FormatError: at the first check that fails.
    """
    _check_finite(frames, source)
    _check_forces(frames, source, limits)
    _check_energies(frames, source, limits)
    bounds = {
        'stresses': (
            limits.maximum_stress,
            'eV/Å³',
            'read it with the unit stress=GPa or stress=kbar if it is in these',
        ),
        'charges': (limits.maximum_charge, 'e', 'these are no atomic charges, leave the key out'),
    }
    for name, (limit, unit, remedy) in bounds.items():
        array = getattr(frames, name)
        if array is not None and (largest := float(np.abs(array).max())) > limit:
            raise FormatError(f'{source}: {name} reach {largest:.4g} {unit}, beyond {limit:g} {unit}; {remedy}')
    _check_work(frames, source, limits)


def check_distances(frames: FrameSet, source: str, limits: LabelLimits) -> None:
    """Refuse positions that put atoms on top of each other in the first frame: wrong unit or broken file.

    :param frames: frames in house units.
    :param source: name of the file, for the message.
    :param limits: the bounds.
    :raises FormatError: if two atoms of the first frame are closer than the bound.
    """
    if contact := closest_contact(frames.frame(0), limits.minimum_distance):
        raise FormatError(f'{source}: {_too_close(contact, " of frame 0", limits)}')


def fault_of_frame(frame: Frame, where: str, limits: LabelLimits) -> str | None:
    """Return why one frame cannot be used whatever the others are: not finite, or atoms on top of each other.

    :param frame: the frame in house units.
    :param where: name of the file and the frame, for the message.
    :param limits: the bounds.
    """
    for name in ('positions', 'cell', 'energy', 'forces', 'stress', 'charges', 'velocities'):
        value = getattr(frame, name)
        if value is not None and not np.isfinite(value).all():
            return f'{where} has values in {name} that are not finite'
    if contact := closest_contact(frame, limits.minimum_distance):
        return f'{where}: {_too_close(contact, "", limits)}'
    return None


def _too_close(contact: CloseContact, of_frame: str, limits: LabelLimits) -> str:
    """Return in words that two atoms are too close."""
    return (
        f'atoms {contact}{of_frame} are {contact.distance:.4g} Å apart, below {limits.minimum_distance:g} Å; '
        'check the unit of length and the cell'
    )


def compare_work(frames: FrameSet, maximum_displacement: float = 0.3) -> WorkComparison:
    r"""Compare energy changes of neighbouring frames with the work of the forces, by the trapezoidal rule.

    .. math:: E_{i+1} - E_i \approx -\tfrac12 (F_i + F_{i+1}) \cdot (r_{i+1} - r_i)

    holds for frames of one trajectory a few fs apart, whatever the ensemble, if the forces are minus the gradient of
    this energy.

    :param frames: frames with energies and forces.
    :param maximum_displacement: pairs in which an atom moves farther are left out [Å].
    :raises FormatError: if energies or forces are absent.
    """
    if frames.energies is None or frames.forces is None:
        raise FormatError('energies and forces are both needed to compare them; label the frames first')
    groups = frames.columns.get('group')
    changes, works = [], []
    for index in range(len(frames) - 1):
        one, two = frames.frame(index), frames.frame(index + 1)
        same_group = groups is None or groups[index] == groups[index + 1]
        if not same_group or not np.array_equal(one.numbers, two.numbers) or not np.array_equal(one.cell, two.cell):
            continue
        step = minimum_image(two.positions - one.positions, one.cell, one.pbc)
        if 0.0 < np.linalg.norm(step, axis=1).max() <= maximum_displacement:
            works.append(-0.5 * float(np.sum((one.forces + two.forces) * step)))  # type: ignore[operator]
            changes.append(float(frames.energies[index + 1] - frames.energies[index]))
    change, work = np.array(changes), np.array(works)
    squares = float(change @ change), float(work @ work)
    if min(squares) == 0.0:
        return WorkComparison(slope=math.nan, correlation=0.0, n_pairs=len(changes))
    product = float(change @ work)
    return WorkComparison(product / squares[1], product / math.sqrt(squares[0] * squares[1]), len(changes))


def _check_finite(frames: FrameSet, source: str) -> None:
    """Refuse NaN and infinity, naming the first frame that has one."""
    for name in ('positions', 'cells', 'energies', 'forces', 'stresses', 'charges'):
        array = getattr(frames, name)
        if array is None or np.isfinite(array).all():
            continue
        row = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
        is_per_atom = name in ('positions', 'forces', 'charges')
        frame = int(np.searchsorted(frames.offsets, row, side='right')) - 1 if is_per_atom else row
        raise FormatError(f'{source}: {name} of frame {frame} hold values that are not finite; remove that frame')


def _median_force(frames: FrameSet) -> float:
    """Return the median over frames of the median norm of the forces [eV/Å]."""
    norms: NDArray[np.float64] = np.linalg.norm(frames.forces, axis=1) if frames.forces is not None else np.zeros(1)
    pairs = zip(frames.offsets[:-1], frames.offsets[1:])
    return float(np.median([np.median(norms[start:stop]) for start, stop in pairs]))


def _check_forces(frames: FrameSet, source: str, limits: LabelLimits) -> None:
    """Refuse forces that are no thermal forces in eV/Å."""
    if frames.forces is None:
        return
    median = _median_force(frames)
    if median > limits.maximum_median_force:
        raise FormatError(
            f'{source}: the median force is {median:.4g} eV/Å, thermal frames stay below '
            f'{limits.maximum_median_force:g} eV/Å; divide by 51.42 if Ha/Bohr was converted twice, '
            'or accept it with the limit maximum_median_force=inf'
        )
    if len(frames) > 1 and median < limits.minimum_median_force:
        raise FormatError(
            f'{source}: the median force is {median:.4g} eV/Å, thermal frames stay above '
            f'{limits.minimum_median_force:g} eV/Å; read it with the unit force=hartree/bohr if it is in Ha/Bohr, '
            'or accept it with the limit minimum_median_force=0 if these are relaxed structures'
        )


def _check_energies(frames: FrameSet, source: str, limits: LabelLimits) -> None:
    """Refuse energies per atom that no unit of energy explains, or that differ too much within one composition."""
    if frames.energies is None:
        return
    per_atom = frames.energies / np.diff(frames.offsets)
    if (largest := float(np.abs(per_atom).max())) > limits.maximum_energy_per_atom:
        raise FormatError(
            f'{source}: the energy of frame {int(np.argmax(np.abs(per_atom)))} is {largest:.4g} eV/atom, beyond '
            f'{limits.maximum_energy_per_atom:g} eV/atom; check the unit of energy'
        )
    by_composition: dict[bytes, list[float]] = {}
    for frame, value in zip(frames, per_atom.tolist()):
        by_composition.setdefault(np.bincount(frame.numbers).tobytes(), []).append(value)
    for values in by_composition.values():
        low, high = np.quantile(values, [0.1, 0.9])
        if high - low > limits.maximum_energy_spread:
            raise FormatError(
                f'{source}: energies of one composition spread over {high - low:.4g} eV/atom, beyond '
                f'{limits.maximum_energy_spread:g} eV/atom; check the unit of energy and that one level of theory made '
                'all labels'
            )


def _check_work(frames: FrameSet, source: str, limits: LabelLimits) -> None:
    """Refuse energies that do not change as the forces say, where neighbouring frames are close enough to tell."""
    if frames.energies is None or frames.forces is None or math.isinf(limits.maximum_work_deviation):
        return
    comparison = compare_work(frames)
    if comparison.n_pairs < 4 or abs(comparison.correlation) < 0.9:
        return
    slope = comparison.slope
    if 1.0 / limits.maximum_work_deviation < slope < limits.maximum_work_deviation:
        return
    candidates = [factor for factor in FACTORS if factor * slope > 0.0]
    nearest = min(candidates, key=lambda factor: abs(math.log(slope / factor)))
    meaning = FACTORS[nearest] if abs(math.log(slope / nearest)) < math.log(1.3) else 'check both units'
    raise FormatError(
        f'{source}: between {comparison.n_pairs} pairs of neighbouring frames the energy changes {slope:.4g} times as '
        f'much as the work of the forces; this looks like {meaning}'
    )
