"""Judge whether the framework of a crystal has kept its order over a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import lattice_order as analysis
from aiida_edl.science.analysis.lattice_order_settings import LatticeOrderSettings


@calcfunction
def lattice_order(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Judge whether a crystal has melted: vibration and displacement of its framework, block by block.

    :param trajectory: frames of the same atoms in one order, periodic, best with the column ``time`` [fs]; replicas
        end to end.
    :param settings: fields of ``LatticeOrderSettings`` that differ from their defaults: ``mobile``,
        ``framework``, ``maximum_lindemann_ratio``, ``maximum_off_site_fraction``, ``n_blocks``,
        ``equilibration_frames``, ``replica_column``.
    :return: arrays named as the fields of ``LatticeOrder``, such as ``melting_time`` [fs] and
        ``block_lindemann_ratio``; ``is_crystalline``, ``reasons`` and means with errors as attributes.
    """
    order = analysis.lattice_order(trajectory.frames(), LatticeOrderSettings.from_dict(settings.get_dict()))
    return result_node(order)
