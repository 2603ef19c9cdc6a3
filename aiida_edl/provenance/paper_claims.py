"""The claims of arXiv 2602.22931 beside what the benchmark found: value of the paper, ours, tolerance, verdict.

Only the abstract and summaries of the paper could be read; its numbers are not known, and the sheet says so. A verdict
therefore follows from our numbers and a stated rule alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import pairwise
from typing import Any

from aiida_edl.provenance.results import BenchmarkResults, kind_of
from aiida_edl.science.analysis.locality import Verdict as LocalityVerdict
from aiida_edl.science.analysis.spread_verdict import Decision
from aiida_edl.science.analysis.training_sets import EqualFrames

UNKNOWN = 'not known: no number is in the abstract'
"""What stands for a value of the paper that could not be read."""
MEV = 1000.0
MICROCOULOMB = 'surface_charge_microcoulomb_per_cm2'
FOUNDATION = 'esen'
"""Architecture of the model of OC25."""
SLIGHTLY_BEHIND = 2.0
"""Largest ratio of force errors that counts as slightly behind."""
FALLS, RISES = 'falls', 'rises'


class Verdict(str, Enum):
    """What our numbers say of a claim; the set is closed."""

    REPRODUCED = 'reproduced'
    NOT_REPRODUCED = 'not reproduced'
    UNDECIDED = 'undecided'
    NOT_TESTED = 'not tested'


def claim_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return one row for each claim.

    :param results: what the benchmark has found.
    """
    rows = [
        _surface_charge(results),
        _locality(results),
        _mixed_models(results),
        *_receptive_field(results),
        _single_models(results),
        _foundation_model(results),
        _errors(results),
    ]
    return [
        {'claim': claim, 'paper': paper, 'ours': ours, 'tolerance': tolerance, 'verdict': verdict.value}
        for claim, paper, ours, tolerance, verdict in rows
    ]


Row = tuple[str, str, str, str, Verdict]


def _surface_charge(results: BenchmarkResults) -> Row:
    """Claim 1, first half: the surface charge follows from the number of counter-ions."""
    charges = [(str(state['label']), float(state[MICROCOULOMB])) for state in results.charge_states]
    listed = ', '.join(f'{label}: {value:.1f}' for label, value in charges)
    is_known = len(charges) > 1
    is_ordered = is_known and all(later < earlier for (_, earlier), (_, later) in pairwise(charges))
    verdict = Verdict.REPRODUCED if is_ordered else Verdict.NOT_REPRODUCED if is_known else Verdict.NOT_TESTED
    return (
        '1a. The number of counter-ions sets the surface charge of the metal',
        UNKNOWN + ' (its cell is not given)',
        f'{listed} µC/cm²' if charges else 'no charge states',
        'falls with every ion; by construction of neutral cells',
        verdict,
    )


def _locality(results: BenchmarkResults) -> Row:
    """Claim 1, second half: a strictly local model cannot see that charge."""
    found = [item for item in results.locality if not item.takes_total_charge]
    local = [item for item in found if item.verdict == LocalityVerdict.LOCAL.value]
    seeing = [item for item in local if item.is_charge_blind is False]
    decided = [item for item in found if item.verdict != LocalityVerdict.UNDECIDED.value]
    verdict = Verdict.UNDECIDED if found else Verdict.NOT_TESTED
    if local:
        verdict = Verdict.NOT_REPRODUCED if seeing else Verdict.REPRODUCED
    blind = [item for item in local if item.is_charge_blind]
    measured = (
        f'{len(local)} of {len(decided)} potentials that were tested are as local as they state; '
        f'{len(blind)} of these were shown one geometry at several charges and cannot tell them apart, '
        f'{len(seeing)} can'
    )
    return (
        '1b. A strictly local model cannot see the charge of the whole cell',
        UNKNOWN,
        '; '.join(part for part in (measured if found else 'no locality test', _reach(results)) if part),
        'potentials that are told no charge and that the locality test finds local: none may tell charges apart',
        verdict,
    )


def _reach(results: BenchmarkResults) -> str:
    """Return how far architectures say that they see, against the film; empty if one of both is not known."""
    thickness = [value for label in results.charge_labels if (value := results.water_thickness(label)) is not None]
    fields = sorted({(item.architecture, item.receptive_field) for item in results.potentials})
    if not thickness or not fields:
        return ''
    blind = [name for name, reach in fields if reach < max(thickness)]
    return (
        f'{len(blind)} of {len(fields)} architectures state to see less far than the film of {max(thickness):.1f} Å '
        f'({", ".join(f"{name} {reach:g} Å" for name, reach in fields)})'
    )


def _comparisons(results: BenchmarkResults) -> list[Mapping[str, Any]]:
    """Return mixed against single over all architectures, for what the paper names: orientation and ions."""
    return [
        row
        for row in results.answer.get('comparisons', [])
        if row['architecture'] == 'all'
        and row['observable'] in ('mean_cosine', 'ion_number_density')
        and row.get('equal_frames', EqualFrames.IN_ALL.value) == EqualFrames.IN_ALL.value
        and row['decision'] != Decision.NOTHING_TO_COMPARE.value
    ]


def _mixed_models(results: BenchmarkResults) -> Row:
    """Claim 2: mixed models disagree with one another."""
    rows = _comparisons(results)
    more = [row for row in rows if row['decision'] == Decision.MIXED_SPREADS_MORE.value]
    less = [row for row in rows if row['decision'] == Decision.SINGLE_SPREADS_MORE.value]
    differences = '; '.join(
        f'{row["observable"].replace("_", " ")} at {row["charge_state"]}: {_interval(row, "variance_ratio")}'
        for row in rows
    )
    ours = f'mixed spreads more in {len(more)}, less in {len(less)}, undecided in {len(rows) - len(more) - len(less)}'
    verdict = Verdict.UNDECIDED if rows else Verdict.NOT_TESTED
    if more and not less:
        verdict = Verdict.REPRODUCED if 2 * len(more) > len(rows) else Verdict.UNDECIDED
    elif less and not more:
        verdict = Verdict.NOT_REPRODUCED if 2 * len(less) > len(rows) else Verdict.UNDECIDED
    return (
        '2. Models trained on mixed charges disagree on water orientation and ions, more than single-charge ones',
        UNKNOWN,
        f'{ours} of {len(rows)} comparisons ({differences})' if rows else 'nothing was compared',
        'ratio of the variances among seeds of one architecture: corrected p below 5 % in most comparisons, in one '
        'direction, for these training frames',
        verdict,
    )


def _interval(row: Mapping[str, Any], name: str) -> str:
    """Return a value with its interval."""
    value, low, high = row.get(name), row.get(f'{name}_low'), row.get(f'{name}_high')
    if value is None:
        return 'no value'
    return f'{value:.2g}' if low is None else f'{value:.2g} ({low:.2g} to {high:.2g})'


def _receptive_field(results: BenchmarkResults) -> list[Row]:
    """Claim 3: a larger receptive field suffers less; one row for each cost."""
    claim = '3. Message passing (a larger receptive field) suffers less from mixed training'
    tolerance = 'exact p of the rank correlation below 2.5 % and the sign in 95 % of the draws within the errors'
    correlations = results.ranking.get('correlations', [])
    if not correlations:
        return [(claim, UNKNOWN, 'no ranking', tolerance, Verdict.NOT_TESTED)]
    verdicts = {FALLS: Verdict.REPRODUCED, RISES: Verdict.NOT_REPRODUCED}
    return [
        (
            f'{claim}: {row["quantity"]}',
            UNKNOWN,
            f'{row["n_architectures"]} architectures, no order'
            if row['tau'] is None
            else f'τ = {row["tau"]:.2f}, p = {row["p_falls"]:.2g} with {row["n_architectures"]} architectures '
            f'(smallest possible p: {row["smallest_p"]:.2g})',
            tolerance,
            verdicts.get(row['trend'], Verdict.UNDECIDED),
        )
        for row in correlations
    ]


def _single_models(results: BenchmarkResults) -> Row:
    """Claim 4: single-charge models agree with one another."""
    groups = [
        row
        for row in results.answer.get('groups', [])
        if row['architecture'] == 'all'
        and row['observable'] in ('mean_cosine', 'ion_number_density')
        and kind_of(row['training_set']) == 'single'
        and row['spread_rms'] is not None
    ]
    findings = [_agreement(row) for row in groups]
    counts = {verdict: findings.count(verdict) for verdict in Verdict}
    numbers = '; '.join(
        f'{row["observable"].replace("_", " ")} at {row["charge_state"]}: spread {row["spread_rms"]:.2g}, noise '
        f'{"not known" if row["noise_rms"] is None else format(row["noise_rms"], ".2g")}, excess variance '
        f'{_interval(row, "excess_variance")}'
        for row in groups
    )
    verdict = Verdict.UNDECIDED if groups else Verdict.NOT_TESTED
    if counts[Verdict.NOT_REPRODUCED]:
        verdict = Verdict.NOT_REPRODUCED
    elif groups and counts[Verdict.REPRODUCED] == len(groups):
        verdict = Verdict.REPRODUCED
    return (
        '4. Models trained on one charge state agree on equilibrium structure',
        UNKNOWN,
        f'{counts[Verdict.REPRODUCED]} of {len(groups)} groups agree, {counts[Verdict.NOT_REPRODUCED]} disagree '
        f'({numbers})'
        if groups
        else 'no group of single-charge models has a spread',
        'agree: 95 % interval of the excess variance holds zero and ends below the noise variance; disagree: it lies '
        'above zero, with models of one architecture counted as one; undecided where the noise of the MD is not known',
        verdict,
    )


def _agreement(row: Mapping[str, Any]) -> Verdict:
    """Return whether one group of models agrees within the noise of its runs."""
    low, high = row['excess_variance_low'], row['excess_variance_high']
    if low is None or row['noise_rms'] is None:
        return Verdict.UNDECIDED
    if low > 0.0:
        return Verdict.NOT_REPRODUCED
    return Verdict.REPRODUCED if high < row['noise_rms'] ** 2 else Verdict.UNDECIDED


def _foundation_model(results: BenchmarkResults) -> Row:
    """Claim 5: eSEN of OC25 out of the box."""
    tested = [item for item in results.given if item.force_rmse_ev_per_angstrom is not None]
    given = [item for item in tested if item.architecture == FOUNDATION]
    best = min(
        (row['force_rmse_ev_per_angstrom'] for row in _mixed_errors(results)),
        default=None,
    )
    listed = '; '.join(
        f'{item.architecture} ({item.origin or "origin not stated"}): '
        f'{MEV * float(item.force_rmse_ev_per_angstrom or 0.0):.0f} meV/Å on {item.n_frames} frames'
        for item in tested
    )
    against = f'; best model trained here on all charge states: {MEV * best:.0f} meV/Å' if best and tested else ''
    verdict = Verdict.UNDECIDED if given else Verdict.NOT_TESTED
    if given and best:
        ratio = min(float(item.force_rmse_ev_per_angstrom or 0.0) for item in given) / best
        verdict = Verdict.REPRODUCED if 1.0 < ratio <= SLIGHTLY_BEHIND else Verdict.NOT_REPRODUCED
    head = '' if given else f'no {FOUNDATION} from elsewhere was tested on these frames (its checkpoint is gated)'
    return (
        '5. eSEN trained on OC25 is decent out of the box, slightly behind specialised models',
        'about 0.1 eV (energy) for eSEN on OC25; no number for these interfaces',
        '; '.join(part for part in (head, f'{listed}{against}') if part),
        f'the same test frames; slightly behind: force RMSE above that of the best model trained here, and at most '
        f'{SLIGHTLY_BEHIND:g} times it (chosen here)',
        verdict,
    )


def _mixed_errors(results: BenchmarkResults) -> list[Mapping[str, Any]]:
    """Return the errors on all test frames of models that were trained on all charge states."""
    return [row for row in results.errors if row['scope'] == 'all' and kind_of(row['training_set']) == 'mixed']


def _errors(results: BenchmarkResults) -> Row:
    """Errors of the models, for which the paper's table could not be read."""
    rows = _mixed_errors(results)
    best: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        known = best.get(row['architecture'])
        if known is None or row['force_rmse_ev_per_angstrom'] < known['force_rmse_ev_per_angstrom']:
            best[row['architecture']] = row
    listed = ', '.join(_force_error(name, row) for name, row in sorted(best.items()))
    return (
        'Force RMSE of each architecture, mixed training, all charge states',
        UNKNOWN,
        f'{listed} meV/Å' if listed else 'no model was tested',
        'none: no value to compare with',
        Verdict.NOT_TESTED,
    )


def _force_error(name: str, row: Mapping[str, Any]) -> str:
    error = row['force_rmse_error_ev_per_angstrom'] or 0.0
    return f'{name} {MEV * row["force_rmse_ev_per_angstrom"]:.0f} ± {MEV * error:.0f}'
