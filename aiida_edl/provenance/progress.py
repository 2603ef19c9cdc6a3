"""How far a running benchmark is: processes done and failed in each stage, and why they failed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TextIO

from aiida.orm import Dict, ProcessNode, load_node

from aiida_edl.provenance.graph import STAGES, CalledProcess, called_processes
from aiida_edl.science.analysis.training_sets import TrainingKind, training_kind

ENDED = ('finished', 'excepted', 'killed')
"""States after which a process does nothing more."""
COMPARISONS = ('model_spread', 'training_penalty', 'receptive_field_ranking')
"""Comparisons that end every benchmark."""
COMPARED_ANALYSES = ('interface_structure', 'potential_profile', 'interface_dynamics')
"""Analyses whose results are compared in one step more."""
QUALITY = 'run_quality'
"""Analysis of single runs, from which a survival curve is made for each kind of model."""


@dataclass(frozen=True)
class StageProgress:
    """How far one stage is."""

    stage: str
    done: int
    """Calculations that ended well."""
    failed: int
    """Calculations that did not."""
    running: int
    """Calculations that have begun and not ended, those that wait for the scheduler included."""
    total: int | None
    """Calculations the settings ask for without restarts; None if they do not say."""
    elapsed_seconds: float
    """From the first beginning to the last end, or to now while the stage runs [s]."""
    reasons: tuple[str, ...]
    """Why calculations failed, each once."""

    @property
    def line(self) -> str:
        """One line for people, e.g. ``training: 3 of 12 done, 1 in progress, 0:02:10``."""
        of_total = f' of {self.total}' if self.total is not None else ''
        parts = [f'{self.done}{of_total} done']
        parts += [f'{self.running} in progress'] if self.running else []
        parts += [f'{self.failed} failed ({"; ".join(self.reasons)})'] if self.failed else []
        return f'{self.stage}: {", ".join(parts)}, {format_seconds(self.elapsed_seconds)}'


def format_seconds(seconds: float) -> str:
    """Return a time as hours, minutes and seconds.

    >>> format_seconds(3725.4)
    '1:02:05'
    """
    whole = round(seconds)
    return f'{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}'


def planned_calculations(settings: dict[str, Any]) -> dict[str, int]:
    """Return how many calculations the settings of a benchmark ask for in each stage, restarts aside.

    :param settings: all settings; empty for a process that has none.
    """
    if not {'charge_states', 'architectures', 'training_sets'} <= set(settings):
        return {}
    n_states = len(settings['charge_states'])
    n_references = n_states * int(settings.get('reference', {}).get('replicas', 1))
    n_seeds = sum(len(values['seeds']) for values in settings['architectures'].values())
    n_of_each = n_seeds * max(1, len(settings.get('set_sizes', ())))  # models of each training set
    n_models = n_of_each * len(settings['training_sets'])
    replicas = int(settings.get('production', {}).get('replicas', 1))
    sets = settings['training_sets'].items()  # leave-one-out models are run at the state left out, too
    runs_of = {name: n_states if training_kind(name) is TrainingKind.WITHOUT else len(states) for name, states in sets}
    n_joined = n_of_each * sum(runs_of.values())
    n_runs = n_joined * replicas
    asked = settings.get('analyses', {})
    n_together = n_joined * (1 + len(set(asked) - {QUALITY})) if replicas > 1 else 0
    n_curves = len(settings['architectures']) * len(settings['training_sets'])
    n_sizes = len(settings.get('set_sizes', ()))
    return {
        'structures': n_states,
        'reference dynamics': n_references,
        'training': n_models,
        'evaluation': 2 * n_models,
        'production dynamics': n_runs,
        'analysis': (n_references + n_runs) * (1 + len(asked)) + n_together,
        'comparison': len(COMPARISONS)
        + sum(name in asked for name in COMPARED_ANALYSES)
        + (n_curves * max(1, n_sizes) if QUALITY in asked else 0)
        + (n_curves if n_sizes else 0),
    }


def plan_in_words(settings: dict[str, Any]) -> str:
    """Return one sentence: how many models, runs and jobs the settings of a benchmark ask for.

    :param settings: all settings, training sets written out.
    """
    planned, labelling = planned_calculations(settings), settings['labelling']
    of_frames = math.ceil(labelling['frames_per_run'] / labelling['frames_per_job']) + 1  # one for the gradient
    n_references, n_models, n_runs = (
        planned[stage] for stage in ('reference dynamics', 'training', 'production dynamics')
    )
    n_jobs = n_references * (1 + of_frames) + 2 * n_models + n_runs
    return (
        f'{n_models} models on {len(settings["training_sets"])} training sets, {n_runs} runs of them and '
        f'{n_references} of the reference: about {n_jobs} jobs; restarts, conversions and parity gates come on top'
    )


def settings_of(process: ProcessNode) -> dict[str, Any]:
    """Return the settings of a benchmark; empty for a process without them."""
    node = process.base.links.get_incoming(link_label_filter='settings').first()
    if node is None or not isinstance(node.node, Dict):
        return {}
    return node.node.get_dict()


def progress(process: ProcessNode) -> list[StageProgress]:
    """Return how far each stage of a benchmark is, in the order of the stages.

    :param process: the benchmark.
    """
    members: dict[str, list[CalledProcess]] = {stage: [] for stage in STAGES}
    for called in called_processes(process):
        if called.is_calculation:
            members[called.stage].append(called)
    planned = planned_calculations(settings_of(process))
    return [
        _stage_progress(stage, members[stage], planned.get(stage))
        for stage in STAGES
        if members[stage] or stage in planned
    ]


def _stage_progress(stage: str, members: list[CalledProcess], total: int | None) -> StageProgress:
    """Return how far one stage is."""
    failed = [member for member in members if member.has_failed]
    running = [member for member in members if not member.has_ended]
    reasons = [member.exit_message or f'{member.process_label} {member.state}' for member in failed]
    begin = min((member.begin for member in members), default=None)
    last = datetime.now(timezone.utc) if running else max((member.end for member in members), default=None)
    return StageProgress(
        stage=stage,
        done=len(members) - len(failed) - len(running),
        failed=len(failed),
        running=len(running),
        total=total,
        elapsed_seconds=(last - begin).total_seconds() if begin and last else 0.0,
        reasons=tuple(dict.fromkeys(reasons)),
    )


def headline(process: ProcessNode) -> str:
    """Return the state of a benchmark in one line."""
    state = process.process_state.value if process.process_state else 'created'
    ended = state in ENDED
    elapsed = ((process.mtime if ended else datetime.now(timezone.utc)) - process.ctime).total_seconds()
    line = f'{process.process_label}<{process.pk}> {state}'
    if process.exit_status is not None:
        line += f' with exit status {process.exit_status}'
        line += f' ({process.exit_message})' if process.exit_message else ''
    return f'{line} after {format_seconds(elapsed)}'


def watch(
    process: ProcessNode, stream: TextIO, interval_seconds: float = 5.0, quiet_seconds: float = 60.0
) -> ProcessNode:
    """Print what changes until the process has ended; one line per change, so that a log file reads well.

    :param process: the benchmark.
    :param stream: where to print.
    :param interval_seconds: time between two looks [s].
    :param quiet_seconds: time without change after which a line says that the benchmark is alive [s].
    :return: the process as it ended.
    """
    shown: dict[str, tuple[int, int, int]] = {}
    printed = time.monotonic()
    while True:
        # A node held in memory does not see what the daemon writes.
        current = load_node(process.pk)
        lines = []
        for row in progress(current):
            counts = (row.done, row.running, row.failed)
            if any(counts) and shown.get(row.stage) != counts:
                shown[row.stage] = counts
                lines.append(row.line)
        if current.is_terminated or (not lines and time.monotonic() - printed >= quiet_seconds):
            lines.append(headline(current))
        if lines:
            stream.write('\n'.join([*lines, '']))
            stream.flush()
            printed = time.monotonic()
        if current.is_terminated:
            return current
        time.sleep(interval_seconds)
