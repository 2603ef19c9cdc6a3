"""The sentences of a report, each made from the numbers it states."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from aiida_edl.provenance.curves import CURVE_FIGURES
from aiida_edl.provenance.methods import contents
from aiida_edl.provenance.progress import format_seconds
from aiida_edl.provenance.results import BenchmarkResults, kind_of, model_name
from aiida_edl.provenance.table_text import shown
from aiida_edl.provenance.tables import receptive_field_rows
from aiida_edl.science.analysis.spread_verdict import Decision

MEV = 1000.0
PICOSECOND = 1000.0
"""fs in one ps."""


def answer_sentences(results: BenchmarkResults) -> list[str]:
    """Return the answer in words, the summary first.

    :param results: what the benchmark has found.
    """
    if not results.answer:
        return [f'The benchmark has no answer: {state_sentence(results)}']
    sentences = [str(row['sentence']) for row in results.answer['comparisons'] if row['architecture'] == 'all']
    verdict = str(results.answer['verdict'])
    if not sentences:
        return [verdict]
    lead, _, rest = verdict.partition(sentences[0])
    tail = rest.rpartition(sentences[-1])[2] if len(sentences) > 1 else rest
    return [part.strip() for part in (lead, *sentences, tail) if part.strip()]


def state_sentence(results: BenchmarkResults) -> str:
    """Return how the benchmark ended."""
    study = results.study
    status = '' if study.exit_status is None else f' with exit status {study.exit_status}'
    message = f': {study.exit_message}' if study.exit_message else ''
    return f'it is {study.state}{status} after {format_seconds(study.elapsed_seconds)}{message}.'


def title_sentence(results: BenchmarkResults) -> str:
    """Return what was compared, in one sentence."""
    architectures = sorted({potential.architecture for potential in results.potentials})
    n_sets = len({potential.training_set for potential in results.potentials})
    return (
        f'{len(results.potentials)} potentials ({", ".join(architectures) or "none"}; {n_sets} training sets) at '
        f'{len(results.charge_states)} charge states, labelled by {results.level_of_theory or "nothing yet"}.'
    )


def settings_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return what was run as rows of quantity and value.

    :param results: what the benchmark has found.
    """
    settings = results.settings
    reference, production = settings.get('reference', {}), settings.get('production', {})
    rows = [
        ('protocol', settings.get('protocol')),
        ('metal and film', contents(results) if results.compositions else None),
        ('level of theory of the labels', results.level_of_theory),
        ('reference dynamics', _dynamics(reference, f'{reference.get("replicas", 1)} for each charge state')),
        ('labelled frames', f'{results.n_frames} of {results.n_labelled}'),
        ('split', _split(settings.get('split', {}))),
        *(
            (f'training set {name}', _states(results, states))
            for name, states in settings.get('training_sets', {}).items()
        ),
        *(
            (f'architecture {name}', _architecture(values))
            for name, values in settings.get('architectures', {}).items()
        ),
        (
            'dynamics with the potentials',
            _dynamics(production, 'one for each model and charge state it was trained on'),
        ),
    ]
    return [{'quantity': name, 'value': value} for name, value in rows if value]


def _dynamics(part: Mapping[str, Any], number: str) -> str:
    """Return an MD run in words."""
    md = part.get('md', {})
    if not {'steps', 'time_step'} <= set(md):
        return str(part.get('engine', ''))
    length = md['steps'] * md['time_step'] / PICOSECOND
    temperature = f' at {md["temperature"]:g} K' if 'temperature' in md else ''
    return f'{part.get("engine", "")}: {length:g} ps in steps of {md["time_step"]:g} fs{temperature}, {number}'


def _split(values: Mapping[str, Any]) -> str:
    """Return the sizes of the split in words."""
    if not values:
        return ''
    return (
        f'{values.get("n_training")} frames to train on in each set, {values.get("n_validation")} for validation and '
        f'{values.get("n_test")} for the test of each charge state'
    )


def _states(results: BenchmarkResults, states: Sequence[int]) -> str:
    """Return charge states in words."""
    return ', '.join(f'{count}{results.ion}' if count else '0' for count in states)


def _architecture(values: Mapping[str, Any]) -> str:
    """Return how one architecture was trained, in words."""
    parts = [f'{values.get("gradient_updates")} gradient updates', f'seeds {shown(values.get("seeds", []))}']
    parts += [f'protocol {values["protocol"]}'] if 'protocol' in values else []
    parts += [str(values['precision'])] if 'precision' in values else []
    parts += [f'{key} {shown(value)}' for key, value in (values.get('hyperparameters') or {}).items()]
    return ', '.join(parts)


def charge_state_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the charge of the metal at each charge state.

    :param results: what the benchmark has found.
    """
    return [
        {
            'charge state': state['label'],
            'metal charge (e)': state['metal_charge'],
            'area (Å²)': state['area'],
            'surface charge (e/Å²)': state['surface_charge_e_per_angstrom2'],
            'surface charge (µC/cm²)': state['surface_charge_microcoulomb_per_cm2'],
            'water film (Å)': results.water_thickness(str(state['label'])),
        }
        for state in results.charge_states
    ]


def receptive_field_sentences(results: BenchmarkResults) -> list[str]:
    """Return for each architecture whether it sees through the film of water.

    :param results: what the benchmark has found.
    """
    sentences = []
    for row in receptive_field_rows(results):
        reach, film = row['receptive_field_angstrom'], row['water_film_angstrom']
        head = f'{row["architecture"]} sees {reach:.1f} Å'
        at_least = 'at least ' if row['film_reaches_end_of_grid'] else ''
        if film is None:
            sentences.append(f'{head}; the thickness of the film is not known, as there is no reference profile.')
        elif reach >= film:
            sentences.append(
                f'{head}, which is farther than the film of {at_least}{film:.1f} Å: every atom can sense all ions.'
            )
        else:
            sentences.append(
                f'{head} of a film of {at_least}{film:.1f} Å: an atom at the surface cannot tell how many ions lie '
                'beyond.'
            )
    return sentences


def _by_training(results: BenchmarkResults) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return errors at charge states that the model was trained on, and at others."""
    seen = {potential.potential: potential.training_charge_labels for potential in results.potentials}
    rows = [row for row in results.errors if row['scope'] == 'charge_state']
    known = [row for row in rows if row['charge_state'] in seen.get(row['potential'], ())]
    return known, [row for row in rows if row not in known]


def error_sentences(results: BenchmarkResults) -> list[str]:
    """Return which model has the smallest force error, and what errors are on charge states it has not seen.

    :param results: what the benchmark has found.
    """
    known, unknown = _by_training(results)
    if not known:
        return ['No potential was tested.']
    key = 'force_rmse_ev_per_angstrom'
    best = min(known, key=lambda row: row[key])
    error = best['force_rmse_error_ev_per_angstrom']
    bar = f' ± {MEV * error:.0f}' if error is not None else ''
    sentences = [
        f'Among models tested on charge states they were trained on, {model_name(best)} at {best["charge_state"]} has '
        f'the smallest force error: {MEV * best[key]:.0f}{bar} meV/Å, where the forces themselves are '
        f'{MEV * best["reference_force_rms_ev_per_angstrom"]:.0f} meV/Å.'
    ]
    if unknown:
        inside, outside = median(row[key] for row in known), median(row[key] for row in unknown)
        sentences.append(
            f'The median force error is {MEV * inside:.0f} meV/Å on charge states of the training set and '
            f'{MEV * outside:.0f} meV/Å on others, {outside / inside:.1f} times as much.'
        )
    return sentences


def energy_shift_sentences(results: BenchmarkResults) -> list[str]:
    """Return the largest energy shift on charge states a model was and was not trained on.

    :param results: what the benchmark has found.
    """
    sentences = []
    for rows, what in zip(_by_training(results), ('charge states of the training set', 'other charge states')):
        if rows:
            worst = max(rows, key=lambda row: abs(row['energy_signed_error_ev_per_atom']))
            sentences.append(
                f'On {what} the largest shift is {MEV * worst["energy_signed_error_ev_per_atom"]:+.2g} meV/atom '
                f'({model_name(worst)} at {worst["charge_state"]}).'
            )
    return sentences


def penalty_sentences(results: BenchmarkResults) -> list[str]:
    """Return what mixed training costs in forces and energies, in words.

    :param results: what the benchmark has found.
    """
    return [str(results.penalty['verdict'])] if results.penalty else ['Force errors were not compared.']


def ranking_sentences(results: BenchmarkResults) -> list[str]:
    """Return how the cost of mixed training goes with the receptive field, in words.

    :param results: what the benchmark has found.
    """
    return [str(row['sentence']) for row in results.ranking.get('correlations', [])]


def sampling_summary_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return what the length of the MD buys, by charge state and kind of run.

    :param results: what the benchmark has found.
    """
    groups: dict[tuple[str, str], list[Any]] = {}
    for item in results.profiles:
        kind = 'reference' if item.tag.is_reference else kind_of(item.tag.training_set)
        groups.setdefault((item.tag.charge_state, kind), []).append(item.profiles)
    rows = []
    for (label, kind), members in sorted(groups.items()):
        lengths = [profiles.n_frames * profiles.frame_interval / PICOSECOND for profiles in members]
        rows.append(
            {
                'charge state': label,
                'runs': f'{len(members)} {kind}',
                'shortest (ps)': min(lengths),
                'independent samples': min(profiles.n_effective for profiles in members),
                'largest error of ⟨cos θ⟩, first layer': _largest(p.first_layer_mean_cosine_error for p in members),
            }
        )
    return rows


def _largest(values: Iterable[float]) -> float:
    """Return the largest of the values that are known, NaN if none is: a run too short for an error has none."""
    return max((value for value in values if math.isfinite(value)), default=math.nan)


def curve_caption(results: BenchmarkResults, name: str) -> str:
    """Return what the reader of a figure of curves has to know, with the bounds of the layers where it shows some.

    :param results: what the benchmark has found.
    :param name: name in :data:`~aiida_edl.provenance.curves.CURVE_FIGURES`.
    """
    figure = CURVE_FIGURES[name]
    analyses = {curve.analysis for curve in figure.curves if curve.row is not None}
    bounds = [run.setting('layer_bounds') for analysis in analyses for run in results.runs_of(analysis)]
    if not (known := next((value for value in bounds if value), None)):
        return figure.caption
    shown_rows = max(curve.row for curve in figure.curves if curve.row is not None) + 1
    layers = [f'{low:g} to {high:g} Å' for low, high in pairwise(known)][:shown_rows]
    listed = ', '.join(f'layer {number}: {layer}' for number, layer in enumerate(layers, start=1))
    return f'{figure.caption} Heights of the oxygen above the metal: {listed}.'


def survival_sentences(results: BenchmarkResults) -> list[str]:
    """Return how long the runs of each architecture and training set stay physical, in words.

    :param results: what the benchmark has found.
    """
    failed = [item for item in results.survivals if item.scalars.get('n_failed')]
    total = sum(int(item.scalars.get('n_runs') or 0) for item in results.survivals)
    sentences = [f'{item.name}: {item.scalars.get("sentence")}.' for item in failed]
    fine = len(results.survivals) - len(failed)
    tail = (
        f'all runs of the other {fine} kinds of model stayed' if failed else f'each of the {fine} kinds of model stayed'
    )
    return [*sentences, f'Of {total} runs in all, {tail} within physics to their end.'] if fine else sentences


def need_sentences(results: BenchmarkResults) -> list[str]:
    """Return what more MD would be needed to decide what is undecided.

    :param results: what the benchmark has found.
    """
    rows = [
        row
        for row in results.answer.get('comparisons', [])
        if row['architecture'] == 'all' and row['decision'] != Decision.NOTHING_TO_COMPARE.value
    ]
    if not rows:
        return ['Nothing was compared, so nothing can be said of what would be needed.']
    undecided = [row for row in rows if not row['decision'].endswith('spreads_more')]
    sentences = [f'{len(rows) - len(undecided)} of {len(rows)} comparisons are decided by these runs.']
    factors = [row['required_md_factor'] for row in undecided if (row['required_md_factor'] or 0.0) > 1.0]
    if factors:
        sentences.append(
            f'For {len(factors)} of the others the runs would have to be {_range(factors)} times longer, until their '
            'noise is half of what is to be seen.'
        )
    few = [row for row in undecided if row['decision'] == Decision.TOO_FEW_MODELS.value]
    if few:
        sentences.append(f'{len(few)} need more models.')
    sentences.append(
        'Errors fall with the square root of the length: to halve one, the run must be four times as long.'
    )
    return sentences


def cost_sentence(results: BenchmarkResults) -> str:
    """Return what it cost, in one sentence."""
    wall, processor = sum(row.wall_seconds for row in results.cost), sum(row.cpu_seconds for row in results.cost)
    n_calculations = sum(row.calculations for row in results.cost)
    return (
        f'{n_calculations} calculations took {format_seconds(wall)} of engine time and {format_seconds(processor)} of '
        f'processor time; from beginning to end the benchmark took {format_seconds(results.study.elapsed_seconds)}.'
    )


def rejected_sentence(results: BenchmarkResults) -> str:
    """Return how many labels did not pass the gate."""
    return f'{len(results.rejected)} of {results.n_labelled} labels were rejected.'


def failure_sentence(results: BenchmarkResults) -> str:
    """Return how many processes failed."""
    if not results.failures:
        return 'No process failed.'
    return (
        f'{len(results.failures)} processes ended without success; a calculation and the chain that called it count '
        'each.'
    )


def _range(values: Sequence[float]) -> str:
    """Return smallest and largest value, or the one they agree on."""
    low, high = f'{min(values):.2g}', f'{max(values):.2g}'
    return low if low == high else f'{low} to {high}'
