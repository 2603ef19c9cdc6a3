"""From a trajectory of a metal/electrolyte interface to its profiles, every mean with an error."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, WorkChain
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.interface_profiles import interface_profiles
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.interface_profiles import ProfileSettings
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.workflows.submission import SubmitOnceMixin


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist or has a wrong value."""
    try:
        ProfileSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None


class InterfaceAnalysisWorkChain(SubmitOnceMixin, WorkChain):
    """Density, orientation and ion profiles of one trajectory; water, ions and surface are found by themselves."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline."""
        super().define(spec)
        spec.input('trajectory', valid_type=DatasetData, help='Frames of one composition.')
        spec.input('settings', valid_type=Dict, validator=validate_settings, help='Settings of the profiles.')
        spec.output('profiles', valid_type=ArrayData, help='Profiles along the surface normal with their errors.')
        spec.outline(cls.analyse)
        spec.exit_code(460, 'ERROR_NOT_ANALYSABLE', message='The trajectory cannot be analysed: {detail}')

    def analyse(self) -> ExitCode | None:
        """Compute the profiles."""
        inputs = {'trajectory': self.inputs.trajectory, 'settings': self.inputs.settings}
        try:
            profiles = self.call_once(interface_profiles, 'interface_profiles', **inputs)
        except NotAnalysableError as error:  # no metal or water, an evaporated film, too few frames for an error bar
            exit_code: ExitCode = self.exit_codes.ERROR_NOT_ANALYSABLE
            return exit_code.format(detail=error)
        self.out('profiles', profiles)
        return None
