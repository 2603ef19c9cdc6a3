"""What an assessment does with the trajectories of its potential: profiles, and whatever analysis is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import ToContext
from aiida.orm import ArrayData, Dict, Int

from aiida_edl.calculations.exit_codes import MD_EXPLODED, has_results
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.functions.run_quality import run_quality
from aiida_edl.calculations.molecular_dynamics import validate_settings as validate_md_settings
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.workflows.benchmark_models import REPLICA, replica_suffix
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain, validate_settings
from aiida_edl.workflows.partial_failures import PartialFailuresMixin
from aiida_edl.workflows.registered_analyses import validate_analyses

QUALITY = 'run_quality'
"""Name of the analysis that says whether a run stayed within physics."""
OF_ONE_RUN = (QUALITY,)
"""Analyses that judge one run, and say nothing of several together."""
FIRST_RUN = replica_suffix(1, is_one_of_several=True)
"""After the charge label in the name of the first of several runs."""


def charge_label(label: str) -> str:
    """Return the charge label of a run, without its number.

    >>> charge_label('2Na_replica_02')
    '2Na'
    """
    return label.partition(REPLICA)[0]


def validate_each_settings(settings: Mapping[str, Dict] | None, _: Any) -> str | None:
    """Return one sentence if a setting of a further run does not exist or has a wrong value."""
    found = (validate_md_settings(node, None) for node in (settings or {}).values())
    return next((message for message in found if message is not None), None)


def define_further_runs(spec: Any) -> None:
    """Define the ports of runs besides the first one at each charge state.

    :param spec: specification of the work chain.
    """
    spec.input_namespace(
        'further_structures',
        valid_type=DatasetData,
        dynamic=True,
        required=False,
        help='Frames from which further runs start, by a charge label of `structures` and `_replica_02` and so on.',
    )
    spec.input_namespace(
        'further_frames', valid_type=Int, dynamic=True, required=False, help='The frame of each that is used.'
    )
    spec.input_namespace(
        'further_settings',
        valid_type=Dict,
        dynamic=True,
        required=False,
        validator=validate_each_settings,
        help='Settings of each further run; those of the others without them.',
    )


def define_analysis(spec: Any) -> None:
    """Define the ports of the analysis.

    :param spec: specification of the work chain.
    """
    spec.input(
        'analysis_settings',
        valid_type=Dict,
        required=False,
        validator=lambda value, _: None if value is None else validate_settings(value, None),
        help='Settings of the profiles.',
    )
    spec.input_namespace(
        'analyses',
        valid_type=Dict,
        dynamic=True,
        required=False,
        validator=validate_analyses,
        help='Settings of further analyses of the trajectories, besides the profiles, by their registered names.',
    )
    spec.input(
        'training_frames',
        valid_type=DatasetData,
        required=False,
        help='Training frames of the potential, for the analyses that take them.',
    )
    spec.output_namespace(
        'profiles',
        valid_type=ArrayData,
        dynamic=True,
        help='Profiles by charge label, of all runs there together; and of each run if there are several.',
    )
    spec.output_namespace(
        'analyses',
        valid_type=(ArrayData, Dict),
        dynamic=True,
        help='Further analyses by name and charge label: of all runs there that count, and of each if there are '
        'several; the quality of each run alone.',
    )


class AssessmentAnalysisMixin(PartialFailuresMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain."""

    inputs: Any
    out: Any

    def should_analyse(self) -> bool:
        """Return whether there is a trajectory and it is to be analysed."""
        return bool(self.ctx.get('labels')) and 'analysis_settings' in self.inputs

    def analyse(self) -> ToContext:
        """Compute the profiles of each trajectory, and what else is asked for."""
        children = {}
        for label in self.ctx.labels:
            run = self.ctx[f'md_{label}'].outputs
            children[f'analysis_{label}'] = self.submit(
                InterfaceAnalysisWorkChain,
                trajectory=run.trajectory,
                settings=self.inputs.analysis_settings,
                **self._further_analyses(run, self.inputs.get('analyses', {})),
                metadata={'call_link_label': f'analysis_{label}'},
            )
        return ToContext(**children)

    def _further_analyses(self, run: Mapping[str, Any], asked: Mapping[str, Dict]) -> dict[str, Any]:
        """Return further analyses, and what they may take besides the trajectory.

        :param run: the outputs of the run.
        :param asked: settings of the analyses by name.
        """
        if not asked:
            return {}
        given: dict[str, Any] = {'analyses': dict(asked)}
        if 'series' in run:
            given['series'] = run['series']
        if 'training_frames' in self.inputs:
            given['training'] = self.inputs.training_frames
        return given

    def judge_exploded_run(self, label: str, run: Any) -> None:
        """Judge what an exploded run left, or survivals would be counted of those alone that survived.

        :param label: charge label of the run.
        :param run: the process that ran it.
        """
        settings = self.inputs.get('analyses', {}).get(QUALITY)
        if settings is None or run.exit_status != MD_EXPLODED.status or 'trajectory' not in run.outputs:
            return
        told = {'trajectory': run.outputs.trajectory, 'settings': Dict({**settings.get_dict(), 'outcome': 'exploded'})}
        if 'series' in run.outputs:
            told['series'] = run.outputs.series
        try:
            quality = self.call_once(run_quality, f'quality_of_exploded_{label}', **told)
        except NotAnalysableError as error:
            self.note_failure(f'{QUALITY} of the exploded run at {label} ({error})')
            return
        self.out(f'analyses.{QUALITY}.{self._name_of_run(label)}', quality)

    def collect_profiles(self) -> None:
        """Take the profiles of what finished; an analysis that found nothing is remembered."""
        self.ctx.runs_that_count = {}
        for label in self.ctx.labels:
            child = self.ctx[f'analysis_{label}']
            if not child.is_finished_ok:
                self.note_failed_child(child, f'analysis at {label}')
            if not has_results(child.exit_status):
                continue
            name_of_run = self._name_of_run(label)
            self.out(f'profiles.{name_of_run}', child.outputs.profiles)
            analyses = dict(child.outputs.analyses) if 'analyses' in child.outputs else {}
            for name, result in analyses.items():
                self.out(f'analyses.{name}.{name_of_run}', result)
            if QUALITY not in analyses or analyses[QUALITY].base.attributes.get('is_physical', True):
                self.ctx.runs_that_count.setdefault(charge_label(label), []).append(label)

    def _name_of_run(self, label: str) -> str:
        """Return the name of the results of a run: its charge label, with its number if there are several.

        :param label: charge label, followed by the number of the run if it is not the first.
        """
        several = any(charge_label(other) == charge_label(label) for other in self.inputs.get('further_structures', {}))
        return f'{label}{FIRST_RUN}' if several and label == charge_label(label) else label

    def should_join_runs(self) -> bool:
        """Return whether there were to be several runs at a charge state."""
        return bool(self.inputs.get('further_structures', {}))

    def join_runs(self) -> ToContext:
        """Analyse all runs at a charge state together; those that left physics do not count."""
        asked = {name: node for name, node in self.inputs.get('analyses', {}).items() if name not in OF_ONE_RUN}
        children = {}
        for label in sorted({charge_label(other) for other in self.ctx.labels}):
            runs = self.ctx.runs_that_count.get(label, [])
            if len(runs) > 1:
                joined = self._joined(label, [self.ctx[f'md_{run}'].outputs for run in runs])
                children[f'joined_analysis_{label}'] = self.submit(
                    InterfaceAnalysisWorkChain,
                    trajectory=joined['trajectory'],
                    settings=self.inputs.analysis_settings,
                    **self._further_analyses(joined, asked),
                    metadata={'call_link_label': f'joined_analysis_{label}'},
                )
        return ToContext(**children)

    def _joined(self, label: str, runs: Sequence[Any]) -> dict[str, Any]:
        """Return the trajectories of runs end to end, and their series, if each has them.

        :param label: charge label.
        :param runs: the outputs of the runs.
        """
        parts = {f'run_{place:02d}': run for place, run in enumerate(runs)}
        trajectories = {key: run.trajectory for key, run in parts.items()}
        joined = {'trajectory': self.call_once(join_datasets, f'join_runs_{label}', **trajectories)}
        if all('series' in run for run in runs):
            series = {key: run.series for key, run in parts.items()}
            joined['series'] = self.call_once(join_series, f'join_series_{label}', **series)
        return joined

    def collect_joined_profiles(self) -> None:
        """Take what was found in all runs together; where one run is left, its own results stand for them."""
        several = {charge_label(label) for label in self.inputs.further_structures}
        for label in sorted({charge_label(other) for other in self.ctx.labels} & several):
            runs = self.ctx.runs_that_count.get(label, [])
            if not runs:
                self.note_failure(f'profiles at {label} (no run counts)')
                continue
            child = self.ctx[f'joined_analysis_{label}' if len(runs) > 1 else f'analysis_{runs[0]}']
            if len(runs) > 1 and not child.is_finished_ok:
                self.note_failed_child(child, f'analysis of all runs at {label}')
            if not has_results(child.exit_status):
                continue
            self.out(f'profiles.{label}', child.outputs.profiles)
            for name, result in dict(child.outputs.analyses if 'analyses' in child.outputs else {}).items():
                if name not in OF_ONE_RUN:
                    self.out(f'analyses.{name}.{label}', result)
