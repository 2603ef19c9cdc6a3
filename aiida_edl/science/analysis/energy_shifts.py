r"""Energies shifted as a whole, charge state by charge state, and what of that the composition cannot take up.

The signed energy error of a charge state is the mean of predicted less reference energy per atom. Its error joins the
scatter over seeds and the bootstrap over the test frames, which all seeds share. Shifts of opposite sign over seeds
cancel in the mean though each model is wrong, so the mean of their absolute values and their root mean square stand
beside it, and the largest shift of a single seed is held against the error that its test frames leave (Bonferroni over
the seeds, which is right however they depend on each other).

That no state is shifted does not show that a model sees the charge of the metal. A model learns an energy for each
element, and with charge states that are compositions, :math:`n` ions each, every error of the form
:math:`a + b\,n` in the total energy is taken up by those energies: all there can be between two states. Two contrasts
tell the parts apart, each taken for every seed before the mean, so that what the states share cancels:

.. math::
    s_{n_2} - s_{n_1}, \qquad s_{n_2} - \frac{(n_3 - n_2)\,s_{n_1} + (n_2 - n_1)\,s_{n_3}}{n_3 - n_1}

the difference between neighbouring states, which a common offset leaves alone, and the deviation of the middle of three
from the line through its neighbours, which no energy of an atom takes up; up to a share of n over the number of atoms,
by which energies per atom differ from energies. Whether a model knows the charge at one composition, frames of one
geometry and several charges tell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import norm

from aiida_edl.science.analysis.small_samples import TestedMean, holm_adjusted, mean_test
from aiida_edl.science.analysis.training_sets import TrainingSet, ion_count
from aiida_edl.science.frames import Floats

VALUE, ERROR = 'energy_signed_error_ev_per_atom', 'energy_signed_error_error_ev_per_atom'
"""Columns of the table of errors."""
MEV = 1000.0
"""meV in one eV."""
DIFFERENCE, CURVATURE = 'difference', 'curvature'
"""Kinds of contrast between charge states."""

Rows = Mapping[int, Mapping[str, Any]]
"""Rows of errors of one training set at one charge state, by seed."""


@dataclass(frozen=True)
class EnergyShift:
    """Mean signed energy error of the models of one training at one charge state."""

    architecture: str
    training_set: str
    charge_state: str
    is_trained_on: bool
    """Whether the training set holds this charge state."""
    n_models: int
    shift: TestedMean
    """Mean over seeds of predicted less reference energy [eV/atom], with the joint error."""
    seed_error: float
    """Part of the error that is the scatter over seeds [eV/atom]."""
    frame_error: float
    """Part of the error that is the choice of test frames [eV/atom]; NaN if it is not known."""
    magnitude: TestedMean
    """Mean over seeds of the absolute shift [eV/atom], with the joint error; noise makes it larger, never smaller."""
    rms: float
    """Root of the mean over seeds of the squared shift [eV/atom]."""
    adjusted_p: float
    """p value of the signed mean, corrected for the number of shifts."""
    seed_p: float
    """p value of the largest shift of a single seed, corrected for the numbers of seeds and of shifts; NaN if the
    errors by the test frames are not known."""


@dataclass(frozen=True)
class ShiftContrast:
    """How the shift goes from one charge state to others, which were all trained on."""

    architecture: str
    training_set: str
    kind: str
    """``'difference'`` of two neighbouring states, or ``'curvature'`` of three."""
    charge_states: tuple[str, ...]
    """In the order of the number of ions."""
    n_models: int
    """Seeds that were tested on all of them."""
    contrast: TestedMean
    """Mean over seeds [eV/atom], with the joint error of seeds and test frames."""
    adjusted_p: float
    """p value corrected for the number of contrasts of this kind."""


def energy_shifts(table: Mapping[tuple[str, str], Rows], architecture: str, confidence: float) -> list[EnergyShift]:
    """Return the signed energy errors of one architecture; p values are not corrected yet.

    :param table: rows of errors by training set and charge state.
    :param architecture: its name.
    :param confidence: level of the intervals.
    """
    found = []
    for training_set, state in sorted(table, key=lambda key: (key[0], _order(key[1]))):
        rows = table[training_set, state]
        values = np.array([row[VALUE] for row in rows.values()], dtype=np.float64)
        frame_error = _frame_error(rows)
        known = float(np.nan_to_num(frame_error))
        found.append(
            EnergyShift(
                architecture=architecture,
                training_set=training_set,
                charge_state=state,
                is_trained_on=TrainingSet.from_name(training_set).holds(state),
                n_models=len(values),
                shift=mean_test(values, known, confidence),
                seed_error=mean_test(values).error,
                frame_error=frame_error,
                magnitude=mean_test(np.abs(values), known, confidence),
                rms=float(np.sqrt(np.mean(values**2))),
                adjusted_p=float('nan'),
                seed_p=_seed_p(rows),
            )
        )
    return found


def shift_contrasts(table: Mapping[tuple[str, str], Rows], architecture: str, confidence: float) -> list[ShiftContrast]:
    """Return differences and curvatures of the shifts of one architecture; p values are not corrected yet.

    :param table: rows of errors by training set and charge state.
    :param architecture: its name.
    :param confidence: level of the intervals.
    """
    found = []
    for training_set in sorted({key[0] for key in table}):
        holds = TrainingSet.from_name(training_set).holds
        states = {ion_count(key[1]): key[1] for key in table if key[0] == training_set and holds(key[1])}
        counts = sorted(count for count in states if count is not None)
        groups: list[tuple[str, tuple[int, ...]]] = [(DIFFERENCE, pair) for pair in pairwise(counts)]
        groups += [(CURVATURE, counts_of_three) for counts_of_three in zip(counts, counts[1:], counts[2:])]
        for kind, chosen in groups:
            labels = tuple(states[count] for count in chosen)
            rows = [table[training_set, label] for label in labels]
            seeds = sorted(set.intersection(*(set(item) for item in rows)))
            factors = _factors(chosen)
            values = np.array([[item[seed][VALUE] for item in rows] for seed in seeds], dtype=np.float64)
            errors = np.nan_to_num([_frame_error(item) for item in rows])
            tested = mean_test(
                values.reshape(-1, len(rows)) @ factors, float(np.sqrt(np.sum((factors * errors) ** 2))), confidence
            )
            found.append(ShiftContrast(architecture, training_set, kind, labels, len(seeds), tested, float('nan')))
    return found


def corrected_shifts(shifts: Sequence[EnergyShift]) -> tuple[EnergyShift, ...]:
    """Return the shifts with p values corrected for their number.

    :param shifts: those of all architectures.
    """
    adjusted = holm_adjusted([item.shift.p_value for item in shifts])
    of_seeds = holm_adjusted([item.seed_p for item in shifts])
    return tuple(
        dataclasses.replace(item, adjusted_p=value, seed_p=of_seed)
        for item, value, of_seed in zip(shifts, adjusted, of_seeds)
    )


def corrected_contrasts(contrasts: Sequence[ShiftContrast]) -> tuple[ShiftContrast, ...]:
    """Return the contrasts with p values corrected for the number of each kind.

    :param contrasts: those of all architectures.
    """
    result: list[ShiftContrast] = []
    for kind in (DIFFERENCE, CURVATURE):
        members = [item for item in contrasts if item.kind == kind]
        adjusted = holm_adjusted([item.contrast.p_value for item in members])
        result += [dataclasses.replace(item, adjusted_p=value) for item, value in zip(members, adjusted)]
    return tuple(result)


def contrast_sentences(contrasts: Sequence[ShiftContrast], confidence: float) -> list[str]:
    """Return what the shifts of one architecture and training set say of the charge, in words.

    :param contrasts: its contrasts, corrected.
    :param confidence: level at which a contrast counts as shown.
    """
    if not contrasts:
        return []
    parts: dict[str, list[str]] = {DIFFERENCE: [], CURVATURE: []}
    for item in contrasts:
        bar = f' ± {MEV * item.contrast.error:.2g}' if np.isfinite(item.contrast.error) else ''
        star = 'significantly ' if item.adjusted_p <= 1.0 - confidence else ''
        number = f'{star}{MEV * item.contrast.value:+.2g}{bar} meV/atom'
        first, *_, last = item.charge_states
        places = {
            DIFFERENCE: f'{number} from {first} to {last}',
            CURVATURE: f'{number} at {item.charge_states[1]} off the line from {first} to {last}',
        }
        parts[item.kind].append(places[item.kind])
    sentences = [f'Paired by seed these shifts differ by {"; ".join(parts[DIFFERENCE])}.']
    free = 'energies of the atoms can take up a constant and a term linear in the number of ions'
    if parts[CURVATURE]:
        ending = f'beyond which the shift is {"; ".join(parts[CURVATURE])}'
    else:
        blind = 'that they are not shifted does not show that the models see the charge'
        ending = f'which is all there is between two states: {blind}'
    return [*sentences, f'The {free}, {ending}.']


def _factors(counts: Sequence[int]) -> Floats:
    """Return what the shifts of charge states with these numbers of ions are multiplied by in their contrast."""
    if len(counts) < 3:
        return np.array([-1.0, 1.0])
    first, middle, last = counts
    return np.array([-(last - middle) / (last - first), 1.0, -(middle - first) / (last - first)])


def _frame_error(rows: Rows) -> float:
    """Return the part of the error that all seeds share [eV/atom]; NaN if it is not known."""
    bars = [row[ERROR] for row in rows.values() if row[ERROR] is not None]
    return float(np.sqrt(np.mean(np.square(bars)))) if bars else float('nan')


def _seed_p(rows: Rows) -> float:
    """Return the p value of the largest shift among the seeds whose error by the test frames is known."""
    known = [(row[VALUE], row[ERROR]) for row in rows.values() if row[ERROR]]
    if not known:
        return float('nan')
    largest = max(abs(value) / error for value, error in known)
    return min(1.0, len(known) * 2.0 * float(norm.sf(largest)))


def _order(charge_label: str) -> tuple[int, str]:
    """Return by what charge states are ordered."""
    return ion_count(charge_label) or 0, charge_label
