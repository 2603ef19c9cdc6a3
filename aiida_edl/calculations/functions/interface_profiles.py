"""Profile the metal/electrolyte interface of a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.shared_pass import fetch
from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import interface_profiles as analysis
from aiida_edl.science.analysis.profile_settings import ProfileSettings


@calcfunction
def interface_profiles(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Profile density, water orientation and ions along the surface normal, each with its standard error.

    Water, ions, metal and surface planes are found from the frames.

    :param trajectory: frames of one composition in the order of time; replicas end to end, told apart by a column
        ``replica`` or by a ``time`` that starts anew.
    :param settings: fields of ``ProfileSettings`` that differ from their defaults: ``bin_width`` [Å],
        ``coarse_bin_width`` [Å], ``z_max`` [Å], ``first_layer_bound`` [Å], ``angle_bin_width`` [degree], ``surfaces``,
        ``ion``, ``equilibration_frames``, ``replica_column``.
    :return: arrays named as the fields of ``InterfaceProfiles`` (number densities [1/Å³], mass densities [g/cm³],
        ``z`` [Å], ``angle`` [degree]), each with an array ``<name>_error``; scalars, such as ``first_layer_count`` and
        ``irregular_oxygen_fraction``, as attributes.
    """
    given = ProfileSettings.from_dict(settings.get_dict())
    profiles = fetch('interface_profiles', trajectory, given) or analysis.interface_profiles(trajectory.frames(), given)
    return result_node(profiles)
