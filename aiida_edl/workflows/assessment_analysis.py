"""What an assessment does with the trajectories of its potential: profiles, and whatever analysis is asked."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain, validate_settings
from aiida_edl.workflows.partial_failures import PartialFailuresMixin
from aiida_edl.workflows.registered_analyses import validate_analyses


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
    spec.output_namespace('profiles', valid_type=ArrayData, dynamic=True, help='Profiles by charge label.')
    spec.output_namespace(
        'analyses', valid_type=(ArrayData, Dict), dynamic=True, help='Further analyses by name and charge label.'
    )


class AssessmentAnalysisMixin(PartialFailuresMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain."""

    inputs: Any
    out: Any

    def should_analyse(self) -> bool:
        """Return whether there is a trajectory and it is to be analysed."""
        return bool(self.ctx.labels) and 'analysis_settings' in self.inputs

    def analyse(self) -> ToContext:
        """Compute the profiles of each trajectory, and what else is asked for."""
        children = {}
        for label in self.ctx.labels:
            run = self.ctx[f'md_{label}'].outputs
            children[f'analysis_{label}'] = self.submit(
                InterfaceAnalysisWorkChain,
                trajectory=run.trajectory,
                settings=self.inputs.analysis_settings,
                **self._further_analyses(run),
                metadata={'call_link_label': f'analysis_{label}'},
            )
        return ToContext(**children)

    def _further_analyses(self, run: Any) -> dict[str, Any]:
        """Return the further analyses that are asked for, and what they may take besides the trajectory."""
        if not (analyses := dict(self.inputs.get('analyses', {}))):
            return {}
        given: dict[str, Any] = {'analyses': analyses}
        if 'series' in run:
            given['series'] = run.series
        if 'training_frames' in self.inputs:
            given['training'] = self.inputs.training_frames
        return given

    def collect_profiles(self) -> None:
        """Take the profiles of what finished; an analysis that found nothing is remembered."""
        for label in self.ctx.labels:
            child = self.ctx[f'analysis_{label}']
            if not child.is_finished_ok:
                self.note_failed_child(child, f'analysis at {label}')
            if not has_results(child.exit_status):
                continue
            self.out(f'profiles.{label}', child.outputs.profiles)
            for name, result in child.outputs.analyses.items() if 'analyses' in child.outputs else []:
                self.out(f'analyses.{name}.{label}', result)
