"""Ask a potential about labelled frames and say how wrong it is, by one driver and one definition of every error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, if_, while_
from aiida.orm import Dict

from aiida_edl.calculations.evaluation import FRAMES_DONE, EvaluationCalculation, chosen_frames
from aiida_edl.calculations.functions.error_metrics import error_metrics
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.error_metrics import EnergyZero, nothing_left_message
from aiida_edl.science.analysis.error_settings import ErrorSettings, ErrorSettingsError
from aiida_edl.science.atomic_energies import composition_rank
from aiida_edl.workflows.restart import InterruptibleWorkChain


def validate_error_settings(settings: Dict | None, _: Any) -> str | None:
    """Return one sentence if there is no such way to take errors."""
    try:
        ErrorSettings.from_dict({} if settings is None else settings.get_dict())
    except ErrorSettingsError as error:
        return str(error)
    return None


def validate_fit(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if energies of elements are to be fitted to so few frames that no error is left."""
    settings, evaluation = inputs.get('error_settings'), inputs.get('evaluation') or {}
    is_fitted = settings is not None and settings.get_dict().get('energy_zero') == EnergyZero.FITTED_PER_ELEMENT.value
    if not is_fitted or 'dataset' not in evaluation or not has_labels(evaluation['dataset']):
        return None
    frames = evaluation['dataset'].frames().select(chosen_frames(evaluation))
    rank = composition_rank(frames)
    return nothing_left_message(len(frames), rank) if len(frames) <= rank else None


def has_labels(dataset: DatasetData) -> bool:
    """Return whether frames have energies and forces to compare with.

    :param dataset: the frames.
    """
    return {'energies', 'forces'} <= set(dataset.base.attributes.get(dataset.KEY_LABELS))


class EvaluationWorkChain(InterruptibleWorkChain):
    """Evaluate one potential on frames of a data set; without labels to compare with, it gives predictions alone."""

    _process_class = EvaluationCalculation
    _input_namespace = 'evaluation'
    _progress = FRAMES_DONE

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs, and the comparison after the evaluation."""
        super().define(spec)
        spec.input(
            'error_settings',
            valid_type=Dict,
            required=False,
            validator=validate_error_settings,
            help='Fields of ``ErrorSettings`` that differ from the defaults: `energy_zero: fitted_per_element` for a '
            'potential whose labels have another zero of energy.',
        )
        spec.inputs.validator = validate_fit
        spec.expose_outputs(EvaluationCalculation)
        spec.output(
            'errors',
            valid_type=Dict,
            required=False,  # attached after the outputs of the calculation, which the base class wants complete
            help='Errors of energies [eV/atom] and forces [eV/Å] with error bars; absent if the frames lack either.',
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
            if_(cls.has_labels)(cls.compare),
        )
        spec.exit_code(
            700,
            'WARNING_FRAMES_FAILED',
            message='{n_failed} of {n_frames} frames have no finite prediction; the errors are those of the others',
        )

    def has_labels(self) -> bool:
        """Return whether the frames have energies and forces to compare with."""
        return has_labels(self.ctx.inputs.dataset)

    def compare(self) -> ExitCode | None:
        """Compare the predictions with the labels; say so if frames failed."""
        inputs = {'dataset': self.ctx.inputs.dataset, 'predictions': self.outputs['predictions']}
        if 'error_settings' in self.inputs:
            inputs['settings'] = self.inputs.error_settings
        errors = self.call_once(error_metrics, 'error_metrics', **inputs)
        self.out('errors', errors)
        summary = errors.get_dict()['summary']
        if n_failed := len(summary['failed_frames']):
            exit_code: ExitCode = self.exit_codes.WARNING_FRAMES_FAILED
            return exit_code.format(n_failed=n_failed, n_frames=n_failed + summary['n_frames'])
        return None
