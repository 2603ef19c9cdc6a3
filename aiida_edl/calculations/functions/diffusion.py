"""Analyse the diffusion of the mobile atoms of a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import diffusion as analysis
from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings


@calcfunction
def diffusion(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Find diffusion coefficients of atoms and charge with errors, or say how long a run would have to be.

    :param trajectory: frames of one composition at equal intervals with the column ``time`` [fs]; replicas end to end.
    :param settings: fields of ``DiffusionSettings`` that differ from their defaults: ``mobile``, ``drift_reference``,
        ``axes``, ``window`` [fs], ``longest_share``, ``slope_errors``, ``slope_tolerance``, ``maximum_slope_error``,
        ``hop_length`` [Å], ``minimum_hops``, ``n_carriers``, ``charge`` [e], ``viscosity_pascal_second`` [Pa s],
        ``n_lags``, ``equilibration_frames``, ``replica_column``, and ``temperature`` [K], by default the trajectory's
        attribute.
    :return: arrays ``lag_time`` [fs], ``msd`` and ``charge_msd`` [Å²], ``exponent``, with ``<name>_error``; scalars,
        such as ``tracer_diffusion`` and ``charge_diffusion`` [Å²/fs], ``haven_ratio``, ``is_determined`` and
        ``reasons``, as attributes.
    """
    values = settings.get_dict()
    if 'temperature' not in values and (known := trajectory.base.attributes.get('temperature', None)) is not None:
        values['temperature'] = known
    return result_node(analysis.diffusion(trajectory.frames(), DiffusionSettings.from_dict(values)))
