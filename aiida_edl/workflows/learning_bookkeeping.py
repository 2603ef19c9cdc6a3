"""What learning in rounds reads off its runs and its children, and how it puts into words why it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida.orm import CalcJobNode, Dict, ProcessNode

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.science.analysis.error_metrics import charge_labels
from aiida_edl.science.analysis.uncertainty_window import UncertaintyWindow
from aiida_edl.science.learning_rounds import MeanError, OwnErrorRule, StopRule, mean_error
from aiida_edl.workflows.learning_settings import Run

STAGES = {
    'committee': 'training',
    'training': 'training',
    'md': 'dynamics',
    'prediction': 'prediction',
    'evaluation': 'evaluation',
    'labelling': 'labelling',
}
"""Stage of the cost by the first word of the label of a child."""
SUMMARIES = ('training_summary', 'evaluation_summary', 'md_summary', 'label_summary')
"""Outputs in which engines state their times."""
CLASSES = ('accurate', 'candidate', 'failed')
"""Keys of a selection with the numbers of frames of each class."""


def members_of(ensemble: ProcessNode) -> tuple[dict[str, PotentialData], dict[str, Dict]]:
    """Return the potentials that were trained and tested, and their errors, by seed as in ``seed_01``.

    :param ensemble: an ensemble of one size that has ended.
    """
    potentials, errors = (
        {key[key.index('seed_') :]: node for key, node in sorted(ensemble.outputs[name].items())}
        if name in ensemble.outputs
        else {}
        for name in ('potentials', 'errors')
    )
    return {name: node for name, node in potentials.items() if name in errors}, errors


def mean_force_error(errors: Mapping[str, Dict]) -> MeanError | None:
    """Return the force RMSE on the test frames [eV/Å], averaged over a committee; None without any.

    :param errors: results of ``edl.error_metrics`` by member.
    """
    values = [node['summary']['force_rmse_ev_per_angstrom'] for node in errors.values()]
    known = [value for value in values if value is not None]
    return mean_error(known) if known else None


def trajectory_label(run: Run) -> str:
    """Return the label of the run, and of its trajectory.

    :param run: one run of a round.
    """
    return f'md_{run.key}'


def frames_of_runs(runs: Sequence[tuple[Run, ProcessNode | None]]) -> dict[str, DatasetData]:
    """Return the trajectories that there are, those of runs that failed among them, by label.

    :param runs: runs with their processes; None for one that was refused.
    """
    return {
        trajectory_label(run): child.outputs.trajectory
        for run, child in runs
        if child is not None and 'trajectory' in child.outputs
    }


def planned_frames(runs: Sequence[Run], structures: Mapping[str, DatasetData], md: Mapping[str, Any]) -> dict[str, int]:
    """Return how many frames of each charge label the runs store unless they end early.

    :param runs: the runs of a round.
    :param structures: frames from which they begin, by label.
    :param md: inputs of all runs, with ``settings`` and ``stored_every``.
    """
    settings = MDSettings.from_dict(md['settings'].get_dict())
    stored = settings.stored_frames // md['stored_every'].value
    planned: dict[str, int] = {}
    for run in runs:
        (label,) = charge_labels([structures[run.structure].frame(run.frame_index)])
        planned[label] = planned.get(label, 0) + stored
    return planned


def total_charge_columns(
    runs: Sequence[Run], structures: Mapping[str, DatasetData], committee: Mapping[str, PotentialData]
) -> dict[str, dict[str, float]]:
    """Return the total charge of each trajectory [e] by label and column; empty if the potentials take none.

    :param runs: the runs of a round.
    :param structures: frames from which they begin, by label.
    :param committee: potentials by name; they take the same column.
    """
    column = next(iter(committee.values())).total_charge_column
    if column is None:
        return {}
    starts = {trajectory_label(run): structures[run.structure].frame(run.frame_index) for run in runs}
    # What follows from the atoms needs no column, and the frames that they join have none.
    return {label: {column: float(frame.columns[column])} for label, frame in starts.items() if column in frame.columns}


def wall_seconds(children: Mapping[str, ProcessNode]) -> dict[str, float]:
    """Return the time that the programs of a round state for themselves, by stage [s].

    :param children: children of the round by what their labels say after its number.
    """
    times: dict[str, float] = {}
    for label, child in children.items():
        stage = STAGES[label.partition('_')[0]]
        for job in child.called_descendants:
            if isinstance(job, CalcJobNode):
                stated = [job.outputs[name].get('wall_seconds') for name in SUMMARIES if name in job.outputs]
                times[stage] = times.get(stage, 0.0) + sum(value or 0.0 for value in stated)
    return {stage: round(time, 2) for stage, time in sorted(times.items())}


def counts_in_words(selection: Mapping[str, Any]) -> str:
    """Return how many frames there are of each class.

    :param selection: output of ``edl.select_candidates``.
    """
    counts = ', '.join(f'{selection[name]} {name}' for name in CLASSES)
    return f'{selection["n_frames"]} of {selection["n_planned"]} planned frames, {counts}'


def why_no_candidate(selection: Mapping[str, Any], window: UncertaintyWindow) -> str:
    """Return why there is nothing to learn from, with what helps to see what is wrong.

    :param selection: output of ``edl.select_candidates``.
    :param window: limits of the deviation.
    """
    quantiles = ', '.join(f'{key}: {value:.3g}' for key, value in selection['deviation_quantiles'].items())
    return (
        f'{counts_in_words(selection)}, for a window from {window.lower:g} to {window.upper:g} eV/Å and quantiles of '
        f'the deviation {quantiles or "none"}; begin with more data, explore more gently, or change the window'
    )


def why_not_converged(maximum_rounds: int, shares: Sequence[float], rule: StopRule) -> str:
    """Return why the last round that is allowed was not enough.

    :param maximum_rounds: rounds that are allowed.
    :param shares: lowest share of accurate frames of each round.
    :param rule: the rule that was to be met.
    """
    wishes = []
    if rule.accurate_rounds:
        last = ', '.join(f'{100 * share:.1f}' for share in shares[-rule.accurate_rounds :])
        wishes.append(
            f'the share of accurate frames was {last} % in the last of them, where {rule.accurate_rounds} in a row '
            f'with {100 * rule.accurate_share:g} % are asked for'
        )
    if rule.stagnant_rounds:
        wishes.append('the error on the test frames still falls')
    return f'{maximum_rounds} rounds are done; ' + (
        ', and '.join(wishes) or 'there is no rule that could end it before'
    )


def why_own_error_too_large(maximum_rounds: int, errors: Sequence[MeanError], rule: OwnErrorRule) -> str:
    """Return why the last round that is allowed was not enough for a potential that finds its own frames.

    :param maximum_rounds: rounds that are allowed.
    :param errors: force RMSE on the own frames [eV/Å] of each round.
    :param rule: the rule that was to be met.
    """
    wishes = []
    if rule.rounds:
        last = ', '.join(map(str, errors[-rule.rounds :]))
        wishes.append(
            f'the force error on its own frames was {last} eV/Å in the last of them, where {rule.rounds} in a row '
            f'below {rule.force_error:g} are asked for'
        )
    if rule.stagnant_rounds:
        wishes.append('that error still falls' if rule.rounds else 'the force error on its own frames still falls')
    return f'{maximum_rounds} rounds are done; ' + (
        ', and '.join(wishes) or 'there is no rule that could end it before'
    )
