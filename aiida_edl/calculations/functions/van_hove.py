"""Analyse how far mobile atoms go in given times, and whose place they take."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import van_hove as analysis
from aiida_edl.science.analysis.van_hove_settings import VanHoveSettings


@calcfunction
def van_hove(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Find the van Hove functions of mobile atoms: displacements of each after a lag, and places of the others then.

    :param trajectory: frames of one composition at equal intervals with the column ``time`` [fs]; replicas end to end.
    :param settings: fields of ``VanHoveSettings`` that differ from their defaults: ``mobile``, ``drift_reference``,
        ``lags`` [fs], ``bin_width`` and ``maximum_distance`` [Å], ``n_origins``, ``equilibration_frames``,
        ``replica_column``.
    :return: arrays ``lag_time`` [fs], ``distance`` [Å], ``self_part`` [1/Å] and ``distinct_part``, with
        ``<name>_error``, and ``beyond``; counts as attributes.
    """
    return result_node(analysis.van_hove(trajectory.frames(), VanHoveSettings.from_dict(settings.get_dict())))
