"""Find the activation energy of diffusion from runs at several temperatures."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.calculations.stored_results import result_node, stored_result
from aiida_edl.science.analysis import arrhenius as analysis
from aiida_edl.science.analysis.arrhenius_settings import ArrheniusSettings
from aiida_edl.science.analysis.diffusion import Diffusion


@calcfunction
def arrhenius(settings: Dict, **runs: ArrayData) -> ArrayData:
    """Find the activation energy and prefactor of diffusion with intervals, or say why the runs do not tell them.

    :param settings: fields of ``ArrheniusSettings`` that differ from their defaults: ``quantity`` (tracer or charge),
        ``confidence``, ``prediction_temperatures`` [K], ``maximum_p_fall``, ``n_samples``, ``seed``.
    :param runs: results of ``edl.diffusion`` at three temperatures or more; several at one temperature count each.
    :return: arrays ``temperature`` [K], ``diffusion`` [Å²/fs] with its error, ``predicted_diffusion`` with its
        interval; attributes ``activation_energy`` [eV] with error and interval, ``prefactor`` [Å²/fs], ``excluded``,
        ``is_determined``, ``reasons`` and ``sentence``.
    """
    chosen = ArrheniusSettings.from_dict(settings.get_dict())
    points = [
        analysis.point_of(label, stored_result(Diffusion, runs[label]), chosen.quantity)
        for label in in_natural_order(runs)
    ]
    return result_node(analysis.arrhenius(points, chosen))
