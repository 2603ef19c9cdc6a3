r"""What training on several charge states costs: force errors as ratios, and energies shifted as a whole.

The force error of one training over that of another is compared as the mean of log RMSE over seeds,

.. math::
    \ln r = \langle \ln \mathrm{RMSE}_F \rangle_\mathrm{mixed} - \langle \ln \mathrm{RMSE}_F \rangle_\mathrm{single},

with the interval of Student and Welch over seeds. All models are tested on the same frames, whose choice therefore
hardly enters the ratio and is left out of its error. Seeds vary the training alone, not the draw of its frames: what
is found holds for these training frames. Over charge states the logarithms of each seed are averaged first:
the mixed models are the same ones in each. Sets are compared if they have the same size; a mixed set of that size holds
fewer frames of each charge state than a single one, so a ratio above one holds that dilution too.

For the energies of whole charge states see :mod:`~aiida_edl.science.analysis.energy_shifts`.

A leave-one-out set is tested on the charge state that it lacks, against mixed training, which has it, and against
training on it alone. p values of one family of questions are corrected after Holm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.energy_shifts import (
    EnergyShift,
    ShiftContrast,
    corrected_contrasts,
    corrected_shifts,
    energy_shifts,
    shift_contrasts,
)
from aiida_edl.science.analysis.small_samples import (
    MINIMUM_SAMPLES,
    TestedMean,
    difference_test,
    holm_adjusted,
)
from aiida_edl.science.analysis.training_sets import (
    EqualFrames,
    TrainingKind,
    TrainingSet,
    compared_sets,
    ion_count,
)
from aiida_edl.science.frames import Floats

WHOLE = 'all'
"""Name of the region that holds all atoms."""
ALL_STATES = 'all'
"""Charge state of a mean over charge states."""


class Contrast(str, Enum):
    """Which training is compared with which; the set is closed."""

    MIXED_OVER_SINGLE = 'mixed_over_single'
    """All charge states together against one alone, at that one."""
    MIXED_OVER_SINGLE_PER_STATE = 'mixed_over_single_per_state'
    """The same, with as many frames of that charge state in both; those of mixed training are more in all."""
    PAIR_OVER_SINGLE = 'pair_over_single'
    """A few charge states against one alone, at each of the few."""
    LEFT_OUT_OVER_MIXED = 'left_out_over_mixed'
    """All but one against all, at the one that was left out."""
    LEFT_OUT_OVER_SINGLE = 'left_out_over_single'
    """All but one against the one alone, at the one that was left out."""


SIDES = {
    Contrast.MIXED_OVER_SINGLE: (TrainingKind.MIXED, TrainingKind.SINGLE),
    Contrast.MIXED_OVER_SINGLE_PER_STATE: (TrainingKind.MIXED, TrainingKind.SINGLE),
    Contrast.PAIR_OVER_SINGLE: (TrainingKind.PAIR, TrainingKind.SINGLE),
    Contrast.LEFT_OUT_OVER_MIXED: (TrainingKind.WITHOUT, TrainingKind.MIXED),
    Contrast.LEFT_OUT_OVER_SINGLE: (TrainingKind.WITHOUT, TrainingKind.SINGLE),
}
"""Kinds of training set above and below the line."""
EQUAL = {
    Contrast.MIXED_OVER_SINGLE: EqualFrames.IN_ALL,
    Contrast.MIXED_OVER_SINGLE_PER_STATE: EqualFrames.PER_STATE,
}
"""In what the sets of a contrast of mixed and single training are alike."""


class Finding(str, Enum):
    """What a number says with its interval; the set is closed."""

    ABOVE = 'above'
    """Ratio above one, or shift above zero."""
    BELOW = 'below'
    """Ratio below one, or shift below zero."""
    UNDECIDED = 'undecided'
    TOO_FEW_SEEDS = 'too_few_seeds'


@dataclass(frozen=True)
class ErrorTag:
    """What a potential was trained with."""

    architecture: str
    """Name of the architecture."""
    training_set: str
    """Name of the training set; see :mod:`~aiida_edl.science.analysis.training_sets`."""
    seed: int
    """Seed of the training."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorTag:
        """Return the tag.

        :raises ValueError: for an unknown or missing key.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(unknown_name_message('tag', key, known))
        if missing := [name for name in known if name not in values]:
            raise ValueError(f'tags {missing} are missing, given were {sorted(values)}')
        return cls(**values)


@dataclass(frozen=True)
class ModelErrors:
    """The errors of one potential."""

    tag: ErrorTag
    rows: Sequence[Mapping[str, Any]]
    """Rows of :meth:`~aiida_edl.science.analysis.error_metrics.ErrorMetrics.table`."""


@dataclass(frozen=True)
class PenaltySettings:
    """How sets of seeds are compared."""

    confidence: float = 0.95
    """Level of the intervals."""


@dataclass(frozen=True)
class ForceRatio:
    """Force RMSE of one training over that of another."""

    contrast: Contrast
    architecture: str
    charge_state: str
    """Charge label of the test frames, or ``'all'`` for the mean over them."""
    region: str
    """``'all'`` atoms, or a region of :mod:`~aiida_edl.science.analysis.atom_regions`."""
    training_set: str
    """The set above the line."""
    baseline: str
    """The set below the line; several are joined by commas."""
    size: int | None
    """Frames of each set, if the names tell."""
    n_models: int
    """Models above the line."""
    n_baseline: int
    """Models below the line."""
    force_rmse: float
    """Geometric mean over seeds above the line [eV/Å]."""
    baseline_force_rmse: float
    """Geometric mean over seeds below the line [eV/Å]."""
    logarithm: TestedMean
    """Natural logarithm of the ratio, with its error over seeds."""
    adjusted_p: float
    """p value corrected for the questions of its family: same contrast and region, single states or their mean."""
    is_interpolation: bool | None
    """Of a left-out state: whether sets of fewer and of more ions were trained on; None for other contrasts."""

    @property
    def ratio(self) -> float:
        """The ratio."""
        return float(np.exp(self.logarithm.value))


@dataclass(frozen=True)
class TrainingPenalty:
    """All ratios and shifts."""

    ratios: tuple[ForceRatio, ...]
    shifts: tuple[EnergyShift, ...]
    contrasts: tuple[ShiftContrast, ...]
    """How shifts go from charge state to charge state."""
    settings: PenaltySettings


_Cell = tuple[str, str, str]
"""Charge state, set above and set below the line."""
_Table = dict[tuple[str, str, str], dict[int, Mapping[str, Any]]]
"""Row of errors by seed, by training set, charge state and region."""


def training_penalty(models: Sequence[ModelErrors], settings: PenaltySettings | None = None) -> TrainingPenalty:
    """Return what the training set does to force errors and energies at each charge state.

    :param models: errors of the potentials on the same test frames.
    :param settings: level of the intervals; None for the default.
    :raises ValueError: if no errors are given, or two potentials have the same tag.
    """
    settings = settings or PenaltySettings()
    if not models:
        raise ValueError('no errors are given, a comparison needs those of at least one potential')
    tags = [item.tag for item in models]
    if twice := sorted({f'{tag}' for tag in tags if tags.count(tag) > 1}):
        raise ValueError(f'several errors are given for {", ".join(twice)}; give those of each potential once')
    ratios: list[ForceRatio] = []
    shifts: list[EnergyShift] = []
    contrasts: list[ShiftContrast] = []
    for architecture in sorted({tag.architecture for tag in tags}):
        table = _table(item for item in models if item.tag.architecture == architecture)
        ratios += _ratios(architecture, table, settings)
        whole = {(name, state): rows for (name, state, region), rows in table.items() if region == WHOLE}
        shifts += energy_shifts(whole, architecture, settings.confidence)
        contrasts += shift_contrasts(whole, architecture, settings.confidence)
    return TrainingPenalty(_corrected(ratios), corrected_shifts(shifts), corrected_contrasts(contrasts), settings)


def _table(models: Iterable[ModelErrors]) -> _Table:
    """Return the rows that belong to one charge state, of all atoms and of regions."""
    table: _Table = {}
    for item in models:
        for row in item.rows:
            region = {'charge_state': WHOLE, 'region': row['name']}.get(row['scope'])
            if region is not None and row['charge_state'] != ALL_STATES:
                rows = table.setdefault((item.tag.training_set, row['charge_state'], region), {})
                rows[item.tag.seed] = row
    return table


def _ratios(architecture: str, table: _Table, settings: PenaltySettings) -> list[ForceRatio]:
    """Return the ratios of one architecture: at each charge state, and their mean."""
    found = []
    for region in sorted({key[2] for key in table}, key=lambda name: (name != WHOLE, name)):
        for contrast in Contrast:
            groups: dict[tuple[Any, ...], list[_Cell]] = {}
            of_region = {key: rows for key, rows in table.items() if key[2] == region}
            for cell in _cells(contrast, of_region):
                above = TrainingSet.from_name(cell[1])
                family = above.kind if above.kind is TrainingKind.WITHOUT else above.name
                groups.setdefault((family, above.size), []).append(cell)
            for cells in groups.values():
                chosen = [[cell] for cell in cells] + ([cells] if len(cells) > 1 else [])
                found += [_ratio(architecture, contrast, of_region, part, settings) for part in chosen]
    return found


def _cells(contrast: Contrast, table: _Table) -> list[_Cell]:
    """Return where two sets of these kinds and of one size were tested on the same charge state, in one region."""
    upper, lower = SIDES[contrast]
    cells: list[_Cell] = []
    states = sorted({key[1] for key in table}, key=_order)
    for state in states:
        if contrast in EQUAL:
            pairs = compared_sets([key[0] for key in table if key[1] == state], state, len(states))
            cells += [(state, pair.mixed, pair.single) for pair in pairs if pair.equal is EQUAL[contrast]]
            continue
        here = [TrainingSet.from_name(key[0]) for key in table if key[1] == state]
        for above in sorted(here, key=lambda item: item.name):
            is_asked = above.leaves_out(state) if upper is TrainingKind.WITHOUT else above.holds(state)
            if above.kind is not upper or not is_asked:
                continue
            below = [item for item in here if item.kind is lower and item.size == above.size and item.holds(state)]
            cells += [(state, above.name, item.name) for item in sorted(below, key=lambda item: item.name)]
    return cells


def _order(charge_label: str) -> tuple[int, str]:
    """Return by what charge states are ordered."""
    return ion_count(charge_label) or 0, charge_label


def _ratio(
    architecture: str, contrast: Contrast, table: _Table, cells: Sequence[_Cell], settings: PenaltySettings
) -> ForceRatio:
    """Return the ratio over one or several charge states, in one region."""
    region = next(iter(table))[2]
    above = _logarithms([table[upper, state, region] for state, upper, _ in cells])
    below = _logarithms([table[lower, state, region] for state, _, lower in cells])
    states = [state for state, _, _ in cells]
    is_between = None
    if contrast in (Contrast.LEFT_OUT_OVER_MIXED, Contrast.LEFT_OUT_OVER_SINGLE) and len(cells) == 1:
        others = [ion_count(key[1]) or 0 for key in table if key[1] != states[0]]
        count = ion_count(states[0]) or 0
        is_between = bool(others) and min(others) < count < max(others)
    return ForceRatio(
        contrast=contrast,
        architecture=architecture,
        charge_state=states[0] if len(cells) == 1 else ALL_STATES,
        region=region,
        training_set=', '.join(dict.fromkeys(upper for _, upper, _ in cells)),
        baseline=', '.join(dict.fromkeys(lower for _, _, lower in cells)),
        size=TrainingSet.from_name(cells[0][1]).size,
        n_models=len(above),
        n_baseline=len(below),
        force_rmse=float(np.exp(above.mean())) if above.size else float('nan'),
        baseline_force_rmse=float(np.exp(below.mean())) if below.size else float('nan'),
        logarithm=difference_test(above, below, settings.confidence),
        adjusted_p=float('nan'),
        is_interpolation=is_between,
    )


def _logarithms(rows_by_state: Sequence[Mapping[int, Mapping[str, Any]]]) -> Floats:
    """Return the mean over charge states of log RMSE for each seed that has an error above zero at all of them."""
    named = [{seed for seed, row in rows.items() if row['force_rmse_ev_per_angstrom']} for rows in rows_by_state]
    seeds = sorted(set.intersection(*named))
    values = [[rows[seed]['force_rmse_ev_per_angstrom'] for rows in rows_by_state] for seed in seeds]
    errors = np.array(values, dtype=np.float64).reshape(len(seeds), len(rows_by_state))
    return np.asarray(np.log(errors).mean(axis=1))


def _corrected(ratios: Sequence[ForceRatio]) -> tuple[ForceRatio, ...]:
    """Return the ratios with p values corrected within each family."""
    families: dict[tuple[Any, ...], list[int]] = {}
    for index, item in enumerate(ratios):
        families.setdefault((item.contrast, item.region, item.charge_state == ALL_STATES), []).append(index)
    result = list(ratios)
    for members in families.values():
        adjusted = holm_adjusted([ratios[index].logarithm.p_value for index in members])
        for index, value in zip(members, adjusted):
            result[index] = dataclasses.replace(ratios[index], adjusted_p=value)
    return tuple(result)


def finding(tested: TestedMean, adjusted_p: float, n_models: int, confidence: float) -> Finding:
    """Return what a logarithm or a shift says.

    :param tested: the number with its interval.
    :param adjusted_p: its p value after correction.
    :param n_models: seeds on the side that has fewer.
    :param confidence: level at which it counts as decided.
    """
    if n_models < MINIMUM_SAMPLES or not np.isfinite(adjusted_p):
        return Finding.TOO_FEW_SEEDS
    if adjusted_p > 1.0 - confidence:
        return Finding.UNDECIDED
    return Finding.ABOVE if tested.value > 0.0 else Finding.BELOW
