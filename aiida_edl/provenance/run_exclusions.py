"""Which runs of a benchmark count in no average, why, and by which rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aiida_edl.provenance.analysed_runs import QUALITY, AnalysedRun
from aiida_edl.provenance.results import BenchmarkResults, kind_of
from aiida_edl.provenance.rows import Failure
from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.analysis.run_quality_settings import RunQualitySettings
from aiida_edl.science.analysis.run_quality_words import rule_in_words

DYNAMICS = 'MolecularDynamicsWorkChain'
"""Process label of a run."""
CALL = re.compile(r'(?P<model>.+)/md_(?P<state>.+?)(?:_replica_(?P<replica>\d+))?$')
"""How the run of a model is called: model and charge state, and the number of the run if it is not the first."""
REFERENCE_CALL = re.compile(r'reference_md_(?P<state>.+)_(?P<replica>\d+)$')
"""How a run of the reference is called."""
UNLIMITED = ('temperature', 'ensemble', 'outcome')
"""Settings of the quality of a run that tell what was run, and are no limits."""


def tag_columns(tag: ModelTag) -> dict[str, Any]:
    """Return what a run was made with.

    :param tag: its tag.
    """
    return {
        'charge_state': tag.charge_state,
        'architecture': tag.architecture,
        'training_set': tag.training_set,
        'kind': 'reference' if tag.is_reference else kind_of(tag.training_set),
        'seed': tag.seed,
    }


def excluded_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return every run that counts in no average, and why: exploded and unfinished runs included.

    :param results: what the benchmark has found.
    """
    judged = results.runs_of(QUALITY)
    rows = [_row(run.tag, run.replica, _reason(run)) for run in judged if run.scalars.get('is_physical') is False]
    known = {(run.tag, max(run.replica, 1)) for run in judged}
    rows += [
        _row(tag, replica, failure.message)
        for failure, tag, replica in failed_runs(results)
        if (tag, max(replica, 1)) not in known
    ]
    listed = {(row['charge_state'], row['architecture'], row['training_set'], row['seed']) for row in rows}
    for row in results.answer.get('excluded', []):
        tag = ModelTag.from_dict({name: value for name, value in row.items() if name != 'reason'})
        if (tag.charge_state, tag.architecture, tag.training_set, tag.seed) not in listed:
            rows.append(_row(tag, 0, str(row['reason'])))
    return rows


def _row(tag: ModelTag, replica: int, reason: str) -> dict[str, Any]:
    """Return one run that does not count."""
    return {**tag_columns(tag), 'run': replica or None, 'reason': reason}


def _reason(run: AnalysedRun) -> str:
    """Return why a run left physics."""
    sentences = [str(reason['sentence']) for reason in run.scalars.get('reasons') or []]
    return '; '.join(sentences) or 'no reason was stored'


def failed_runs(results: BenchmarkResults) -> Iterator[tuple[Failure, ModelTag, int]]:
    """Yield the runs that ended without success, with what they were made with and their number.

    :param results: what the benchmark has found.
    """
    models = {f'{item.architecture}_{item.training_set}_seed_{item.seed:02d}': item for item in results.potentials}
    for failure in results.failures:
        if failure.process_label != DYNAMICS:
            continue
        if found := REFERENCE_CALL.fullmatch(failure.name):
            replica = int(found['replica'])
            yield failure, ModelTag('reference', 'reference', replica, found['state'], is_reference=True), 0
        elif (found := CALL.fullmatch(failure.name)) and found['model'] in models:
            item = models[found['model']]
            tag = ModelTag(item.training_set, item.architecture, item.seed, found['state'])
            yield failure, tag, int(found['replica'] or 0)


def rule_sentences(results: BenchmarkResults) -> list[str]:
    """Return the rule of exclusion with its limits, as they stand in the graph; one sentence for each set of limits.

    :param results: what the benchmark has found.
    """
    found = []
    for run in results.runs_of(QUALITY):
        stated = run.scalars.get('settings')
        if stated is None:
            continue
        limits = RunQualitySettings.from_dict({k: v for k, v in stated.items() if k not in UNLIMITED})
        if limits not in found:
            found.append(limits)
    return [rule_in_words(limits) for limits in found]


def count_sentence(results: BenchmarkResults) -> str:
    """Return how many runs were judged, how many left physics, and how many ended without being judged."""
    judged = results.runs_of(QUALITY)
    bad = sum(run.scalars.get('is_physical') is False for run in judged)
    unjudged = len(excluded_rows(results)) - bad
    if not judged:
        return f'No run was judged; {unjudged} ended early and count in no average.' if unjudged else ''
    tail = f' {unjudged} more ended early or left nothing to judge.' if unjudged else ''
    return (
        f'{len(judged) - bad} of {len(judged)} runs that were judged stayed within physics; the others count in no '
        f'average.{tail}'
    )
