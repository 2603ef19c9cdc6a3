"""Survival curve over several runs of molecular dynamics."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.calculations.stored_results import result_node
from aiida_edl.science.analysis import survival_of_runs as analysis


@calcfunction
def survival_of_runs(**qualities: ArrayData) -> ArrayData:
    """Estimate how long runs stay physical, after Kaplan and Meier, with runs that outlived their length.

    :param qualities: result of ``edl.run_quality`` for each run, e.g. one for each seed.
    :return: arrays ``time`` [fs], ``survival``, ``survival_error``, ``n_at_risk``; attributes ``n_runs``, ``n_failed``,
        ``median``, ``median_lower``, ``median_upper`` and ``longest`` [fs], ``confidence``, ``sentence``.
    :raises ValueError: if no run is given.
    """
    nodes = [qualities[key] for key in in_natural_order(qualities)]
    result = analysis.survival_of_runs(
        [node.base.attributes.get('survival_time') for node in nodes],
        [node.base.attributes.get('is_censored') for node in nodes],
    )
    return result_node(result)
