"""From one potential to an activation energy and a mechanism: test it, run it at several temperatures, analyse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain, if_
from aiida.orm import ArrayData, Dict, Int

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.arrhenius_settings import ArrheniusSettings, ArrheniusSettingsError
from aiida_edl.science.analysis.error_metrics import EnergyZero
from aiida_edl.workflows.assessment_checks import validate_given_assessment
from aiida_edl.workflows.diffusion_analysis import DiffusionAnalysisMixin
from aiida_edl.workflows.diffusion_settings import DiffusionRunSettings, validate_md_of_runs, validate_runs
from aiida_edl.workflows.evaluation import EvaluationWorkChain, validate_fit
from aiida_edl.workflows.registered_analyses import validate_analyses
from aiida_edl.workflows.tested_potential import GivenPotentialMixin, define_tests

OF_ANOTHER_ZERO = {'energy_zero': EnergyZero.FITTED_PER_ELEMENT.value}
"""How errors are taken where labels have another zero of energy than the potential."""
RESULTS = (ArrayData, Dict)
"""What an analysis may return."""


def validate_assessment(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if the potential could not be tested or run as it is asked for.

    :param inputs: inputs of :class:`DiffusionAssessmentWorkChain`.
    """
    if message := validate_fit(inputs, None):
        return message
    structure, settings = inputs.get('structure'), inputs.get('settings')
    if structure is None or settings is None:
        return None  # the ports say so themselves
    runs = DiffusionRunSettings.from_dict(settings.get_dict()).runs(structure.n_frames)
    for index in sorted({run.frame_index for run in runs}):
        given = {**inputs, 'structures': {'structure': structure}, 'frame_index': Int(index)}
        if message := validate_given_assessment(given, None):
            return message
    return None


def validate_arrhenius(settings: Dict | None, _: Any) -> str | None:
    """Return one sentence if a setting of the activation energy does not exist or has a wrong value."""
    try:
        ArrheniusSettings.from_dict({} if settings is None else settings.get_dict())
    except ArrheniusSettingsError as error:
        return str(error)
    return None


class DiffusionAssessmentWorkChain(GivenPotentialMixin, DiffusionAnalysisMixin, WorkChain):
    """Find out how ions diffuse in a crystal according to one potential: coefficients, activation energy, mechanism.

    The potential is tested on labelled frames, and on those of its parent's training if they are given, which tells
    what it forgot. It is run only if the parity gate allows it. Runs that explode, leave physics or melt do not count;
    they are listed with their reasons. What the others do not determine is reported as such, with what would be needed.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        cls.define_given(spec)
        spec.expose_inputs(EvaluationWorkChain, include=('error_settings',))
        spec.input(
            'holdout',
            valid_type=DatasetData,
            required=False,
            help='Labelled frames of the training of a parent that were not replayed: what was forgotten. Their '
            'energies are compared after a fit of an energy for each element, for their zero is another.',
        )
        spec.input(
            'structure', valid_type=DatasetData, help='Frames of one composition from which the runs begin in turn.'
        )
        spec.input(
            'settings',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_runs,
            help='Fields of `DiffusionRunSettings`: temperatures, replicas, seed; the rest is default.',
        )
        spec.input(
            'md_settings',
            valid_type=Dict,
            validator=validate_md_of_runs,
            help='Fields of `MDSettings` but temperature and seed.',
        )
        spec.input_namespace(
            'analyses',
            valid_type=Dict,
            dynamic=True,
            validator=validate_analyses,
            help='Settings of the analyses by their registered names: `diffusion`, `hopping`, and so on for all runs '
            'at a temperature together, `run_quality` and `lattice_order` for each run.',
        )
        spec.input(
            'arrhenius',
            valid_type=Dict,
            required=False,
            validator=validate_arrhenius,
            help='Fields of `ArrheniusSettings`; the rest is default.',
        )
        define_tests(spec)
        spec.inputs.validator = validate_assessment
        spec.output('holdout_errors', valid_type=Dict, required=False, help='Errors on the hold-out.')
        spec.output_namespace('trajectories', valid_type=DatasetData, dynamic=True, help='Trajectory of each run.')
        spec.output_namespace(
            'analyses',
            valid_type=RESULTS,
            dynamic=True,
            help='Results by analysis, then by temperature, those that judge a run by run.',
        )
        spec.output('arrhenius', valid_type=RESULTS, required=False, help='Activation energy, if there is one.')
        spec.output('report', valid_type=Dict, help='What was found, which runs do not count and why, and the cost.')
        spec.outline(
            cls.take_potential,
            if_(cls.has_holdout)(cls.evaluate_holdout, cls.inspect_holdout),
            *cls.test_steps(),
            if_(cls.should_run)(cls.run_potential, cls.collect_runs),
            if_(cls.should_analyse)(cls.judge_runs, cls.analyse_temperatures, cls.fit_activation_energy),
            cls.draw_up,
            cls.conclude,
        )
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The potential was tested, but parts failed: {failures}')

    def _error_settings(self) -> dict[str, Any]:
        """Return how errors on the test frames are taken."""
        return {'error_settings': self.inputs.error_settings} if 'error_settings' in self.inputs else {}

    def has_holdout(self) -> bool:
        """Return whether there are frames that tell what was forgotten."""
        return 'holdout' in self.inputs

    def evaluate_holdout(self) -> ToContext:
        """Evaluate the potential on the hold-out."""
        inputs = {
            **self._device(),
            'potential': self.ctx.potential,
            'code': self._tested.code,
            'dataset': self.inputs.holdout,
            'metadata': {'options': self._options()},
        }
        child = self.try_submit(
            EvaluationWorkChain,
            'hold-out',
            evaluation=inputs,
            error_settings=Dict(OF_ANOTHER_ZERO),
            max_iterations=self.inputs.max_iterations,
            metadata={'call_link_label': 'holdout'},
        )
        return ToContext(**({} if child is None else {'holdout': child}))

    def inspect_holdout(self) -> None:
        """Take the errors on the hold-out."""
        child = self.ctx.get('holdout')
        if child is None:
            return
        if not has_results(child.exit_status):
            self.note_failed_child(child, 'hold-out')
        if 'errors' in child.outputs:
            self.out('holdout_errors', child.outputs.errors)
