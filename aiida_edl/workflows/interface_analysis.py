"""From a trajectory of a metal/electrolyte interface to its profiles, every mean with an error."""

from __future__ import annotations

from typing import Any

from aiida.engine import WorkChain
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.interface_profiles import interface_profiles
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.interface_profiles import ProfileSettings
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

    def analyse(self) -> None:
        """Compute the profiles."""
        profiles = self.call_once(
            interface_profiles,
            'interface_profiles',
            trajectory=self.inputs.trajectory,
            settings=self.inputs.settings,
        )
        self.out('profiles', profiles)
