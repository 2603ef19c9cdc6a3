"""Analyse the dynamics of water at the interface of a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import interface_dynamics as analysis
from aiida_edl.science.analysis.dynamics_settings import DynamicsSettings


@calcfunction
def interface_dynamics(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Follow water through layers above a metal: residence, reorientation, and the fluctuation of its total dipole.

    :param trajectory: frames of one composition at equal intervals with the column ``time`` [fs]; replicas end to end.
    :param settings: fields of ``DynamicsSettings`` that differ from their defaults: ``layer_bounds`` [Å],
        ``maximum_lag_time`` [fs], ``hydrogen_charge`` [e], ``volume_per_water`` [Å³], ``n_groups``, ``surfaces``,
        ``equilibration_frames``, ``replica_column``, and ``temperature`` [K], by default the trajectory's attribute.
    :return: arrays named as the fields of ``InterfaceDynamics`` (``lag_time`` and residence and relaxation times [fs]),
        each with an array ``<name>_error``; scalars, such as ``dipole_normal_variance`` [(e Å)²], as attributes.
    """
    values = settings.get_dict()
    if 'temperature' not in values and (known := trajectory.base.attributes.get('temperature', None)) is not None:
        values['temperature'] = known
    dynamics = analysis.interface_dynamics(trajectory.frames(), DynamicsSettings.from_dict(values))
    return result_node(dynamics)
