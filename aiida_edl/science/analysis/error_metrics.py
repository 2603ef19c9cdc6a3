r"""The one definition of the error of a potential, used wherever one is reported.

.. math::
    \mathrm{RMSE}_E = \sqrt{\Big\langle \Big(\frac{\hat E_i - E_i}{N_i}\Big)^2 \Big\rangle_i}, \qquad
    \mathrm{RMSE}_F = \sqrt{\langle (\hat F_{ia} - F_{ia})^2 \rangle_{ia}}

over frames i with N atoms, and over atoms and Cartesian components (not over the lengths of force vectors, which would
be larger by :math:`\sqrt 3`). The signed energy error is the mean of :math:`(\hat E_i - E_i)/N_i`: a model that cannot
see the charge of the metal shifts the energies of whole charge states. Error bars are standard deviations over
resamples of a block bootstrap, because neighbouring frames of one trajectory are correlated: within each value of the
column ``group`` (else within the whole set) successive frames form blocks of about the cube root of their number, the
length of lowest mean square error (P. Hall, J. L. Horowitz and B.-Y. Jing, Biometrika 82, 561 (1995)).

A model of another level of theory has another zero of energy. :class:`EnergyZero` says whether energies are compared as
they are, or after an energy for each element, the same in all frames, is taken off the predictions:

.. math::
    \hat E_i \to \hat E_i - \sum_e N_{ie} s_e, \qquad
    s = \arg\min \sum_i \Big(\frac{\hat E_i - E_i - \sum_e N_{ie} s_e}{N_i}\Big)^2

What is left is how well energies of frames follow each other, as forces do. The fit takes as many degrees of freedom as
the compositions have independent ones, r of n frames: the error is low by about r/(2n) of itself, and not defined for
:math:`n \le r`. Error bars are taken at the fitted values. With charge states that are compositions the fit also takes
up every error that is linear in the number of ions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.atom_regions import METAL, REGIONS, atom_regions
from aiida_edl.science.atomic_energies import AtomicEnergyFit, atomic_energy_fit
from aiida_edl.science.charge_state import charge_state
from aiida_edl.science.frames import Floats, Frame, FrameSet

GROUP_COLUMN = 'group'
SMALL_GROUP = 8
"""A group of at most this many frames, such as the charge states of one geometry, is one block."""
N_RESAMPLES = 500
"""Bootstrap resamples; the error bar itself is then good to 1/sqrt(2 · 500) = 3 %."""
NO_VALUE = float('nan')


class EnergyZero(str, Enum):
    """To which zero predicted energies are referred before they are compared."""

    AS_PREDICTED = 'as_predicted'
    """That of the model: right if its labels and the reference are of one level of theory."""
    FITTED_PER_ELEMENT = 'fitted_per_element'
    """That of the reference, by an energy for each element fitted to the differences."""


@dataclass(frozen=True)
class ErrorRow:
    """Errors of one scope of frames and atoms; values that do not exist are NaN."""

    scope: str
    """``'all'``, ``'element'``, ``'charge_state'`` or ``'region'``."""
    name: str
    """Member of the scope: ``'all'``, a chemical symbol, a charge label such as ``'2Na'``, or a region; ``'mobile'`` is
    the region of all atoms but the metal."""
    charge_state: str
    """Charge label of the frames; ``'all'`` if they are not told apart."""
    energy_rmse_ev_per_atom: float
    """RMSE of the energy per atom [eV/atom]; only where the scope is of whole frames."""
    energy_rmse_error_ev_per_atom: float
    energy_mae_ev_per_atom: float
    """Mean absolute error of the energy per atom [eV/atom]."""
    energy_mae_error_ev_per_atom: float
    energy_signed_error_ev_per_atom: float
    """Mean of predicted less reference energy per atom [eV/atom]."""
    energy_signed_error_error_ev_per_atom: float
    force_rmse_ev_per_angstrom: float
    """RMSE of force components [eV/Å]."""
    force_rmse_error_ev_per_angstrom: float
    force_mae_ev_per_angstrom: float
    """Mean absolute error of force components [eV/Å]."""
    force_mae_error_ev_per_angstrom: float
    reference_force_rms_ev_per_angstrom: float
    """Root mean square of the reference force components [eV/Å], the scale to which the error compares."""
    n_frames: int
    """Frames that contribute."""
    n_force_components: int
    """Force components that contribute."""


@dataclass(frozen=True)
class ErrorMetrics:
    """Errors of one potential on one set of frames."""

    rows: tuple[ErrorRow, ...]
    """One row for each scope; see :class:`ErrorRow`."""
    n_frames: int
    """Frames that were compared."""
    n_blocks: int
    """Blocks of the bootstrap; with one alone the errors are NaN."""
    failed_frames: tuple[int, ...]
    """Frames without a finite prediction, which were left out; positions in the reference."""
    energy_shifts: AtomicEnergyFit | None = None
    """What was taken off the predicted energies for each atom [eV]; None if they were compared as they are."""

    def row(self, scope: str = 'all', name: str = 'all', charge_state: str = 'all') -> ErrorRow:
        """Return the row of one scope.

        :raises KeyError: if there is none.
        """
        for row in self.rows:
            if (row.scope, row.name, row.charge_state) == (scope, name, charge_state):
                return row
        raise KeyError(f'no errors for scope {scope!r}, name {name!r}, charge state {charge_state!r}')

    def table(self) -> list[dict[str, Any]]:
        """Return the rows as flat dictionaries of JSON types, units in the names; NaN becomes None."""
        rows = [dataclasses.asdict(row) for row in self.rows]
        return [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()} for row in rows]

    def summary(self) -> dict[str, Any]:
        """Return the headline numbers as JSON types."""
        keep = ('energy_rmse_ev_per_atom', 'energy_rmse_error_ev_per_atom')
        forces = ('force_rmse_ev_per_angstrom', 'force_rmse_error_ev_per_angstrom')
        total = dataclasses.asdict(self.row())
        # Frames of metal alone hold no other atoms.
        has_mobile = any((row.scope, row.name) == ('region', 'mobile') for row in self.rows)
        mobile = dataclasses.asdict(self.row('region', 'mobile')) if has_mobile else dict.fromkeys(forces, NO_VALUE)
        summary = {name: total[name] for name in (*keep, *forces)} | {f'mobile_{name}': mobile[name] for name in forces}
        finite = {name: None if np.isnan(value) else value for name, value in summary.items()}
        counts = {'n_frames': self.n_frames, 'n_blocks': self.n_blocks, 'failed_frames': list(self.failed_frames)}
        return finite | counts | self._shifts()

    def _shifts(self) -> dict[str, Any]:
        """Return what was taken off the energies as JSON types; empty if they were compared as they are."""
        if self.energy_shifts is None:
            return {}
        return {
            'energy_zero': EnergyZero.FITTED_PER_ELEMENT.value,
            'energy_shifts_ev': dict(self.energy_shifts.energies),
            'n_fitted_energies': self.energy_shifts.rank,
            'undetermined_energy_shifts': list(self.energy_shifts.undetermined),
        }


@dataclass(frozen=True)
class _Scope:
    """Which frames and atoms belong to one row."""

    scope: str
    name: str
    charge_state: str
    frames: NDArray[np.bool_]
    atoms: NDArray[np.bool_] | None


def error_metrics(
    reference: FrameSet,
    energies: Floats,
    forces: Floats,
    *,
    first_layer_bound: float = 4.0,
    seed: int = 0,
    energy_zero: EnergyZero = EnergyZero.AS_PREDICTED,
) -> ErrorMetrics:
    """Return the errors of predictions against reference labels, with error bars.

    Frames without a finite prediction are left out, counted and listed.

    :param reference: frames with energies and forces.
    :param energies: predicted total energies [eV], shape ``(n_frames,)``; not finite where a prediction failed.
    :param forces: predicted forces [eV/Å], shape ``(n_atoms_total, 3)``.
    :param first_layer_bound: height of the oxygen at which the first water layer ends [Å].
    :param seed: seed of the bootstrap.
    :param energy_zero: whether energies are compared as they are, or after a fitted energy for each element is taken
        off.
    :raises ValueError: if the reference lacks labels, shapes differ, every prediction failed, or a fit leaves nothing.
    """
    if reference.energies is None or reference.forces is None:
        raise ValueError('errors need reference energies and forces, the given frames are not labelled')
    for name, given, expected in (('energies', energies, reference.energies), ('forces', forces, reference.forces)):
        if given.shape != expected.shape:
            raise ValueError(f"predicted '{name}' have shape {given.shape}, the reference has {expected.shape}")
    good = np.isfinite(energies) & np.logical_and.reduceat(np.isfinite(forces).all(axis=1), reference.offsets[:-1])
    failed = tuple(int(index) for index in np.flatnonzero(~good))
    if not good.any():
        raise ValueError(f'not one of {len(reference)} frames has a finite prediction; errors need at least one')
    if failed:
        chosen = np.flatnonzero(good)
        atoms = np.repeat(good, np.diff(reference.offsets))
        reference, energies, forces = reference.select(chosen), energies[good], forces[atoms]
    shifts = None
    if energy_zero is EnergyZero.FITTED_PER_ELEMENT:
        shifts = _fitted_shifts(reference, energies)
        by_number = np.array([shifts.energies.get(symbol, 0.0) for symbol in chemical_symbols])
        energies = energies - np.add.reduceat(by_number[reference.numbers], reference.offsets[:-1])
    labels = charge_labels(reference)
    scopes = _scopes(reference, labels, atom_regions(reference, first_layer_bound))
    draws = _draws(reference, np.random.default_rng(seed))
    rows = _rows(scopes, reference, energies, forces, draws)
    return ErrorMetrics(rows, len(reference), draws.n_blocks, failed, shifts)


def _fitted_shifts(reference: FrameSet, energies: Floats) -> AtomicEnergyFit:
    """Return the energy of each element by which predictions differ from the reference, least squares per atom.

    :raises ValueError: if it leaves nothing to be compared.
    """
    assert reference.energies is not None  # checked by the caller
    shifts = atomic_energy_fit(dataclasses.replace(reference, energies=energies - reference.energies), per_atom=True)
    if len(reference) <= shifts.rank:
        raise ValueError(nothing_left_message(len(reference), shifts.rank))
    return shifts


def nothing_left_message(n_frames: int, rank: int) -> str:
    """Return one sentence on a fit of energies of elements that leaves no error.

    :param n_frames: frames that are compared.
    :param rank: independent compositions among them.
    """
    return (
        f'{n_frames} frames of {rank} independent compositions are fitted exactly by energies of the elements, which '
        f"leaves no error; give more than {rank} frames, or compare energies 'as_predicted'"
    )


def charge_labels(frames: Iterable[Frame]) -> list[str]:
    """Return the charge label of each frame, e.g. ``'2Na'``, from its composition."""
    labels: dict[bytes, str] = {}
    result = []
    for frame in frames:
        key = frame.numbers.tobytes()
        if key not in labels:
            labels[key] = charge_state([chemical_symbols[number] for number in frame.numbers], frame.cell).label
        result.append(labels[key])
    return result


def _scopes(frames: FrameSet, labels: Sequence[str], regions: NDArray[np.int8]) -> list[_Scope]:
    """Return all rows to fill: everything, elements, charge states, regions, and regions in each charge state."""
    every = np.ones(len(frames), dtype=bool)
    mobile = regions != METAL
    scopes = [_Scope('all', 'all', 'all', every, None), _Scope('region', 'mobile', 'all', every, mobile)]
    present = [index for index in range(len(REGIONS)) if np.any(regions == index)]
    scopes += [_Scope('region', REGIONS[index], 'all', every, regions == index) for index in present]
    for symbol in frames.elements:
        atoms = frames.numbers == chemical_symbols.index(symbol)
        scopes.append(_Scope('element', symbol, 'all', every, atoms))
    for label in sorted(set(labels)):
        of_label = np.array([item == label for item in labels])
        scopes.append(_Scope('charge_state', label, label, of_label, None))
        scopes.append(_Scope('region', 'mobile', label, of_label, mobile))
        scopes += [_Scope('region', REGIONS[index], label, of_label, regions == index) for index in present]
    return scopes


@dataclass(frozen=True)
class _Draws:
    """Resamples of a block bootstrap."""

    counts: Floats
    """How often each frame occurs in each resample, shape ``(n_resamples, n_frames)``."""
    n_blocks: int
    """Number of blocks."""
    blocks: Integers
    """Block of each frame, shape ``(n_frames,)``."""


def frame_blocks(frames: FrameSet) -> Integers:
    """Return the bootstrap block of each frame, shape ``(n_frames,)``, numbered from 0.

    :param frames: frames in the order of time within each group.
    """
    column = frames.columns.get(GROUP_COLUMN, np.zeros(len(frames)))
    groups = np.unique(column, return_inverse=True)[1]
    is_grouped = GROUP_COLUMN in frames.columns
    blocks = np.zeros(len(frames), dtype=np.int64)
    n_blocks = 0
    for group in range(int(groups.max()) + 1):
        members = np.flatnonzero(groups == group)
        length = math.ceil(members.size ** (1 / 3) - 1e-9)
        if is_grouped and members.size <= SMALL_GROUP:
            length = members.size
        blocks[members] = n_blocks + np.arange(members.size) // length
        n_blocks = int(blocks[members[-1]]) + 1
    return blocks


def _draws(frames: FrameSet, random: np.random.Generator) -> _Draws:
    """Return resamples of blocks drawn with replacement."""
    blocks = frame_blocks(frames)
    n_blocks = int(blocks.max()) + 1
    picked = random.integers(n_blocks, size=(N_RESAMPLES, n_blocks))
    flat = (np.arange(N_RESAMPLES)[:, None] * n_blocks + picked).ravel()
    counts = np.bincount(flat, minlength=N_RESAMPLES * n_blocks).reshape(N_RESAMPLES, n_blocks)
    return _Draws(counts[:, blocks].astype(np.float64), n_blocks, blocks)


def _rows(
    scopes: Sequence[_Scope], reference: FrameSet, energies: Floats, forces: Floats, draws: _Draws
) -> tuple[ErrorRow, ...]:
    """Return one row for each scope that has atoms."""
    assert reference.energies is not None and reference.forces is not None  # noqa: PT018  # checked by the caller
    starts = reference.offsets[:-1]
    energy_errors = (energies - reference.energies) / np.diff(reference.offsets)
    force_errors = forces - reference.forces
    per_atom = {
        'squared': np.sum(force_errors**2, axis=1),
        'absolute': np.sum(np.abs(force_errors), axis=1),
        'reference': np.sum(reference.forces**2, axis=1),
        'components': np.full(len(force_errors), 3.0),
    }
    rows = []
    for scope in scopes:
        weights = np.ones(len(force_errors)) if scope.atoms is None else scope.atoms.astype(np.float64)
        sums = {name: np.add.reduceat(values * weights, starts) * scope.frames for name, values in per_atom.items()}
        n_components = int(sums['components'].sum())
        if not n_components:
            continue
        # Energies belong to whole frames; a part of the atoms has none.
        selected = scope.frames.astype(np.float64) if scope.atoms is None else np.zeros(len(reference))
        values = {
            'energy_rmse': _with_error(energy_errors**2 * selected, selected, draws, root=True),
            'energy_mae': _with_error(np.abs(energy_errors) * selected, selected, draws),
            'energy_signed_error': _with_error(energy_errors * selected, selected, draws),
            'force_rmse': _with_error(sums['squared'], sums['components'], draws, root=True),
            'force_mae': _with_error(sums['absolute'], sums['components'], draws),
        }
        fields: dict[str, float] = {}
        for name, (value, error) in values.items():
            unit = 'ev_per_atom' if name.startswith('energy') else 'ev_per_angstrom'
            fields |= {f'{name}_{unit}': value, f'{name}_error_{unit}': error}
        rows.append(
            ErrorRow(
                scope=scope.scope,
                name=scope.name,
                charge_state=scope.charge_state,
                reference_force_rms_ev_per_angstrom=float(np.sqrt(sums['reference'].sum() / n_components)),
                n_frames=int(np.count_nonzero(scope.frames & (sums['components'] > 0))),
                n_force_components=n_components,
                **fields,
            )
        )
    return tuple(rows)


def _with_error(sums: Floats, counts: Floats, draws: _Draws, root: bool = False) -> tuple[float, float]:
    """Return the mean (or its root) and its bootstrap error; NaN if nothing is counted, or it all lies in one block."""
    if not counts.sum():
        return NO_VALUE, NO_VALUE
    drawn = draws.counts @ counts
    # Resamples that miss a rare scope altogether have no mean.
    means = (draws.counts @ sums)[drawn > 0] / drawn[drawn > 0]
    value = float(sums.sum() / counts.sum())
    has_spread = len(np.unique(draws.blocks[counts > 0])) > 1
    spread = float(np.std(np.sqrt(means) if root else means)) if has_spread else NO_VALUE
    return (float(np.sqrt(value)) if root else value), spread
