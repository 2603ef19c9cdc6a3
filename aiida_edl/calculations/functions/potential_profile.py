"""Find charge density, field and potential along the normal of a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.shared_pass import fetch
from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import potential_profile as analysis
from aiida_edl.science.analysis.potential_settings import PotentialSettings


@calcfunction
def potential_profile(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Solve the Poisson equation for the charges along the surface normal; every mean has its standard error.

    Charges are those of the frames where they carry them, else fixed ones and those that they induce on the metal.

    :param trajectory: frames of one composition in the order of time; replicas end to end, told apart by a column
        ``replica`` or by a ``time`` that starts anew.
    :param settings: fields of ``PotentialSettings`` that differ from their defaults: ``bin_width``, ``z_min``,
        ``z_max``, ``metal_region``, ``bulk_region`` [Å], ``boundary``, ``charge_source``, ``charges`` [e],
        ``surfaces``, ``equilibration_frames``, ``replica_column``.
    :return: arrays named as the fields of ``PotentialProfile`` (charge density [e/Å³], field [V/Å], potential [V]),
        each with an array ``<name>_error``; scalars, such as ``potential_drop`` [V] and ``surface_charge`` [e/Å²], as
        attributes.
    """
    given = PotentialSettings.from_dict(settings.get_dict())
    profile = fetch('potential_profile', trajectory, given) or analysis.potential_profile(trajectory.frames(), given)
    return result_node(profile)
