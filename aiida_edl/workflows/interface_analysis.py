"""From a trajectory of a metal/electrolyte interface to its profiles and what else is asked, with errors."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, WorkChain, if_
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.interface_profiles import interface_profiles
from aiida_edl.calculations.shared_pass import announce
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.interface_profiles import ProfileSettings
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.workflows.partial_failures import PartialFailuresMixin
from aiida_edl.workflows.registered_analyses import analysis_function, inputs_taken, validate_analyses

RESULTS = (ArrayData, Dict)
"""What the calcfunction of an analysis may return."""


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist or has a wrong value."""
    try:
        ProfileSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None


class InterfaceAnalysisWorkChain(PartialFailuresMixin, WorkChain):
    """Density, orientation and ion profiles of one trajectory; water, ions and surface are found by themselves.

    Any registered analysis can be asked for besides. One that finds nothing to analyse is a warning with its reason,
    and the others are done all the same. Observables along the normal share one pass over the trajectory.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline."""
        super().define(spec)
        spec.input('trajectory', valid_type=DatasetData, help='Frames of one composition.')
        spec.input('settings', valid_type=Dict, validator=validate_settings, help='Settings of the profiles.')
        spec.input_namespace(
            'analyses',
            valid_type=Dict,
            dynamic=True,
            required=False,
            validator=validate_analyses,
            help='Settings of further analyses by their registered names.',
        )
        spec.input(
            'series',
            valid_type=ArrayData,
            required=False,
            help='Thermodynamic series of the run, for the analyses that take it.',
        )
        spec.input(
            'training',
            valid_type=DatasetData,
            required=False,
            help='Frames on which the potential was trained, for the analyses that take them.',
        )
        spec.output('profiles', valid_type=ArrayData, help='Profiles along the surface normal with their errors.')
        spec.output_namespace('analyses', valid_type=RESULTS, dynamic=True, help='Results of further analyses by name.')
        spec.outline(cls.analyse, if_(cls.should_go_on)(cls.analyse_further, cls.conclude))
        spec.exit_code(460, 'ERROR_NOT_ANALYSABLE', message='The trajectory cannot be analysed: {detail}')
        spec.exit_code(
            700, 'WARNING_PARTS_FAILED', message='The profiles are there, but analyses found nothing: {failures}'
        )

    def analyse(self) -> ExitCode | None:
        """Compute the profiles."""
        inputs = {'trajectory': self.inputs.trajectory, 'settings': self.inputs.settings}
        further = {name: settings.get_dict() for name, settings in self.inputs.get('analyses', {}).items()}
        announce(self.inputs.trajectory, further | {'interface_profiles': self.inputs.settings.get_dict()})
        try:
            profiles = self.call_once(interface_profiles, 'interface_profiles', **inputs)
        except NotAnalysableError as error:  # no metal or water, an evaporated film, too few frames for an error bar
            exit_code: ExitCode = self.exit_codes.ERROR_NOT_ANALYSABLE
            return exit_code.format(detail=error)
        self.out('profiles', profiles)
        return None

    def should_go_on(self) -> bool:
        """Return whether further analyses are asked for."""
        return bool(self.inputs.get('analyses', {}))

    def analyse_further(self) -> None:
        """Do every analysis that is asked for."""
        for name, settings in sorted(self.inputs.analyses.items()):
            context = {key: self.inputs[key] for key in inputs_taken(name) if key in self.inputs}
            inputs = {'trajectory': self.inputs.trajectory, 'settings': settings, **context}
            result = self.try_call(analysis_function(name), name, f'analysis_{name}', **inputs)
            if isinstance(result, RESULTS):
                self.out(f'analyses.{name}', result)
            elif result is not None:
                known = ' or '.join(kind.__name__ for kind in RESULTS)
                self.note_failure(f'{name} (its result is of type {type(result).__name__}, it must be {known})')

    def conclude(self) -> ExitCode | None:
        """Say whether an analysis found nothing."""
        if not self.failures:
            return None
        exit_code: ExitCode = self.exit_codes.WARNING_PARTS_FAILED
        return exit_code.format(failures='; '.join(self.failures))
