"""Assess whether a run is long enough."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import convergence as analysis
from aiida_edl.science.analysis.convergence_settings import ConvergenceSettings


@calcfunction
def convergence(trajectory: DatasetData, settings: Dict, series: ArrayData | None = None) -> ArrayData:
    """Assess for each observable of an interface whether a run is long enough, and how long would be.

    :param trajectory: frames of one composition with the column ``time`` [fs]; replicas end to end.
    :param settings: fields of ``ConvergenceSettings`` that differ from their defaults: the wanted errors by observable,
        ``minimum_independent``, ``maximum_drift``, ``first_layer_bound`` [Å], ``hydrogen_charge`` [e], ``surfaces``,
        ``equilibration_frames``, ``replica_column``.
    :param series: thermodynamic series of the same run: time [fs], temperature [K], potential_energy [eV].
    :return: arrays with one entry for each observable (``correlation_time``, ``equilibration_time`` [fs],
        ``n_independent``, ``drift``, ``length_factor``, ...); ``observables``, ``units`` and ``statements`` as
        attributes.
    """
    result = analysis.convergence(
        trajectory.frames(),
        ConvergenceSettings.from_dict(settings.get_dict()),
        None if series is None else {name: series.get_array(name) for name in series.get_arraynames()},
    )
    return result_node(result)
