"""What training on several charge states costs, in words generated from the numbers, and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aiida_edl.science.analysis.energy_shifts import MEV, EnergyShift, contrast_sentences
from aiida_edl.science.analysis.training_penalty import (
    ALL_STATES,
    WHOLE,
    Contrast,
    Finding,
    ForceRatio,
    PenaltySettings,
    TrainingPenalty,
    finding,
)
from aiida_edl.science.analysis.training_sets import TrainingKind, training_kind

FOR_THESE_FRAMES = 'Seeds vary the training alone, so all of this holds for these training frames.'
"""What p values over seeds rest on."""
WORDS = {
    Finding.ABOVE: 'larger',
    Finding.BELOW: 'smaller',
    Finding.UNDECIDED: 'not to be told from one',
    Finding.TOO_FEW_SEEDS: 'without error, as two seeds of each are needed',
}


def ratio_finding(item: ForceRatio, settings: PenaltySettings) -> Finding:
    """Return what a ratio says.

    :param item: the ratio.
    :param settings: level of the intervals.
    """
    return finding(item.logarithm, item.adjusted_p, min(item.n_models, item.n_baseline), settings.confidence)


def shift_finding(item: EnergyShift, settings: PenaltySettings) -> Finding:
    """Return what a shift says.

    :param item: the shift.
    :param settings: level of the intervals.
    """
    return finding(item.shift, item.adjusted_p, item.n_models, settings.confidence)


def ratio_sentence(item: ForceRatio, settings: PenaltySettings) -> str:
    """Return one ratio in words.

    :param item: the ratio.
    :param settings: level of the intervals.
    """
    where = 'over all charge states' if item.charge_state == ALL_STATES else f'at charge state {item.charge_state}'
    size = f' of {item.size} frames' if item.size else ''
    how = ''
    if item.is_interpolation is not None:
        how = ', which lies between the others' if item.is_interpolation else ', which lies beyond the others'
    head = (
        f'{item.architecture} {where}{how}: {item.n_models} models trained on {item.training_set}{size} have '
        f'{item.ratio:.3g} times the force RMSE of {item.n_baseline} trained on {item.baseline} '
        f'({MEV * item.force_rmse:.3g} against {MEV * item.baseline_force_rmse:.3g} meV/Å'
    )
    made = ratio_finding(item, settings)
    if made is Finding.TOO_FEW_SEEDS:
        return f'{head}), {WORDS[made]}.'
    interval = f'{np.exp(item.logarithm.low):.3g} to {np.exp(item.logarithm.high):.3g}'
    return f'{head}; interval of this question alone {interval}, corrected p = {item.adjusted_p:.2g}): {WORDS[made]}.'


def shift_sentence(items: Sequence[EnergyShift], settings: PenaltySettings) -> str:
    """Return the shifts of one architecture and training set in words.

    :param items: shifts at each charge state.
    :param settings: level of the intervals.
    """
    parts = []
    for item in items:
        bar = f' ± {MEV * item.shift.error:.2g}' if np.isfinite(item.shift.error) else ''
        mark = ' (not trained on)' if not item.is_trained_on else ''
        star = ' significantly' if shift_finding(item, settings) in (Finding.ABOVE, Finding.BELOW) else ''
        single = ', single seeds are shifted' if not star and item.seed_p <= 1.0 - settings.confidence else ''
        rms = f' (rms over seeds {MEV * item.rms:.2g}{single})' if item.n_models > 1 else ''
        number = f'{MEV * item.shift.value:+.2g}{bar} meV/atom{rms}'
        parts.append(f'{star} by {number} at {item.charge_state}{mark}'.strip())
    first = items[0]
    head = f'{first.n_models} {first.architecture} models trained on {first.training_set} shift energies'
    return f'{head} {"; ".join(parts)}.'


def penalty_verdict(penalty: TrainingPenalty) -> str:
    """Return the answer in words: what mixed training does to force errors, and what models make of left-out states.

    :param penalty: the numbers.
    """
    sentences = []
    for contrast, lead in (
        (Contrast.MIXED_OVER_SINGLE, 'Mixed training makes force errors'),
        (
            Contrast.MIXED_OVER_SINGLE_PER_STATE,
            'With as many frames of each charge state as single training has, mixed training makes force errors',
        ),
        (Contrast.LEFT_OUT_OVER_MIXED, 'Leaving a charge state out makes the force errors there'),
    ):
        headline = _headline(penalty, contrast)
        if not headline:
            continue
        made = [ratio_finding(item, penalty.settings) for item in headline]
        few = made.count(Finding.TOO_FEW_SEEDS)
        sentences.append(
            f'{lead} larger in {made.count(Finding.ABOVE)} of {len(made)} comparisons, smaller in '
            f'{made.count(Finding.BELOW)}, undecided in {made.count(Finding.UNDECIDED)}'
            + (f', {few} with too few seeds.' if few else '.')
        )
        sentences += [ratio_sentence(item, penalty.settings) for item in headline]
    if not sentences:
        names = sorted({item.training_set for item in penalty.shifts})
        return (
            f'No charge state was tested with models of both kinds of training: the training sets are {names}, and '
            "those to compare must be named 'mixed', 'single_<ions>', 'without_<ions>' or 'pair_<ions>_<ions>'."
        )
    return ' '.join([*sentences, *_shift_sentences(penalty), FOR_THESE_FRAMES])


def _headline(penalty: TrainingPenalty, contrast: Contrast) -> list[ForceRatio]:
    """Return the ratios over all charge states, or those at one where there is but one."""
    items = [item for item in penalty.ratios if item.contrast is contrast and item.region == WHOLE]
    over_all = [item for item in items if item.charge_state == ALL_STATES]
    covered = {(item.architecture, item.size) for item in over_all}
    return over_all + [item for item in items if (item.architecture, item.size) not in covered]


def _shift_sentences(penalty: TrainingPenalty) -> list[str]:
    """Return the energy shifts of mixed models in words."""
    groups: dict[tuple[str, str], list[EnergyShift]] = {}
    for item in penalty.shifts:
        if training_kind(item.training_set) is TrainingKind.MIXED:
            groups.setdefault((item.architecture, item.training_set), []).append(item)
    sentences = []
    for (architecture, training_set), items in groups.items():
        sentences.append(shift_sentence(items, penalty.settings))
        between = [c for c in penalty.contrasts if (c.architecture, c.training_set) == (architecture, training_set)]
        sentences += contrast_sentences(between, penalty.settings.confidence)
    return sentences


def ratio_rows(penalty: TrainingPenalty) -> list[dict[str, Any]]:
    """Return the ratios as flat rows of JSON types, units in the names; NaN becomes None.

    :param penalty: the numbers.
    """
    rows = []
    for item in penalty.ratios:
        row = {
            'contrast': item.contrast.value,
            'architecture': item.architecture,
            'charge_state': item.charge_state,
            'region': item.region,
            'training_set': item.training_set,
            'baseline': item.baseline,
            'size': item.size,
            'n_models': item.n_models,
            'n_baseline_models': item.n_baseline,
            'force_rmse_ev_per_angstrom': item.force_rmse,
            'baseline_force_rmse_ev_per_angstrom': item.baseline_force_rmse,
            'ratio': item.ratio,
            'ratio_low': float(np.exp(item.logarithm.low)),
            'ratio_high': float(np.exp(item.logarithm.high)),
            'log_ratio': item.logarithm.value,
            'log_ratio_error': item.logarithm.error,
            'p_value': item.logarithm.p_value,
            'adjusted_p_value': item.adjusted_p,
            'is_interpolation': item.is_interpolation,
            'finding': ratio_finding(item, penalty.settings).value,
            'sentence': ratio_sentence(item, penalty.settings),
        }
        rows.append({key: json_value(value) for key, value in row.items()})
    return rows


def shift_rows(penalty: TrainingPenalty) -> list[dict[str, Any]]:
    """Return the energy shifts as flat rows of JSON types, units in the names; NaN becomes None.

    :param penalty: the numbers.
    """
    rows = []
    for item in penalty.shifts:
        row = {
            'architecture': item.architecture,
            'training_set': item.training_set,
            'training_kind': training_kind(item.training_set).value,
            'charge_state': item.charge_state,
            'is_trained_on': item.is_trained_on,
            'n_models': item.n_models,
            'energy_signed_error_ev_per_atom': item.shift.value,
            'energy_signed_error_error_ev_per_atom': item.shift.error,
            'energy_shift_ev_per_atom': item.magnitude.value,
            'energy_shift_error_ev_per_atom': item.magnitude.error,
            'energy_shift_rms_ev_per_atom': item.rms,
            'low_ev_per_atom': item.shift.low,
            'high_ev_per_atom': item.shift.high,
            'seed_error_ev_per_atom': item.seed_error,
            'frame_error_ev_per_atom': item.frame_error,
            'p_value': item.shift.p_value,
            'adjusted_p_value': item.adjusted_p,
            'adjusted_p_value_of_seeds': item.seed_p,
            'finding': shift_finding(item, penalty.settings).value,
        }
        rows.append({key: json_value(value) for key, value in row.items()})
    return rows


def contrast_rows(penalty: TrainingPenalty) -> list[dict[str, Any]]:
    """Return how the energy shifts go from charge state to charge state, as flat rows of JSON types; NaN becomes None.

    :param penalty: the numbers.
    """
    rows = []
    for item in penalty.contrasts:
        row = {
            'architecture': item.architecture,
            'training_set': item.training_set,
            'kind': item.kind,
            'charge_states': ', '.join(item.charge_states),
            'n_models': item.n_models,
            'contrast_ev_per_atom': item.contrast.value,
            'contrast_error_ev_per_atom': item.contrast.error,
            'low_ev_per_atom': item.contrast.low,
            'high_ev_per_atom': item.contrast.high,
            'p_value': item.contrast.p_value,
            'adjusted_p_value': item.adjusted_p,
            'finding': finding(item.contrast, item.adjusted_p, item.n_models, penalty.settings.confidence).value,
        }
        rows.append({key: json_value(value) for key, value in row.items()})
    return rows


def json_value(value: Any) -> Any:
    """Return None for what JSON cannot hold."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
