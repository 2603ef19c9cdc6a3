"""Find how water is turned in layers above the metal of a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.shared_pass import fetch
from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import angular_distributions as analysis
from aiida_edl.science.analysis.angular_settings import AngularSettings


@calcfunction
def angular_distributions(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Find the distributions of the angles of water and of its O-H bonds to the normal in layers, with errors.

    :param trajectory: frames of one composition in the order of time; replicas end to end, told apart by a column
        ``replica`` or by a ``time`` that starts anew.
    :param settings: fields of ``AngularSettings`` that differ from their defaults: ``layer_bounds`` [Å],
        ``angle_bin_width`` [degree], ``surfaces``, ``equilibration_frames``, ``replica_column``.
    :return: arrays named as the fields of ``AngularDistributions`` (distributions [1/degree], layer by layer), each
        with an array ``<name>_error``; scalars as attributes.
    """
    given = AngularSettings.from_dict(settings.get_dict())
    found = fetch('angular_distributions', trajectory, given) or analysis.angular_distributions(
        trajectory.frames(), given
    )
    return result_node(found)
