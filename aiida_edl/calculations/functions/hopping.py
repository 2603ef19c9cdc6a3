"""Find jumps of atoms between the sites of a crystal, and their mechanism."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import hopping as analysis
from aiida_edl.science.analysis.hopping_settings import HoppingSettings


@calcfunction
def hopping(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Follow atoms through the sites of a crystal: occupation, residence, jumps, and knock-off against direct hops.

    :param trajectory: frames of the same atoms in one order at equal intervals, periodic, with the column ``time``
        [fs]; replicas end to end.
    :param settings: fields of ``HoppingSettings`` that differ from their defaults: ``mobile``,
        ``framework``, ``lattice_kinds``, ``site_positions`` (scaled) and ``site_kinds``, ``merge_distance``,
        ``minimum_hole_radius`` and ``commit_radius`` [Å], ``window`` and ``minimum_residence`` [fs],
        ``other_commit_radii`` [Å], ``other_windows`` [fs], ``maximum_lindemann_ratio``, ``maximum_off_site_fraction``,
        ``n_blocks``, ``maximum_listed``, ``equilibration_frames``, ``replica_column``.
    :return: arrays named as the fields of ``Hopping``: times [fs], rates [1/ps], positions [Å], each mean with an array
        ``<name>_error``; scalars, such as ``knock_off_ratio``, as attributes.
    """
    found = analysis.hopping(trajectory.frames(), HoppingSettings.from_dict(settings.get_dict()))
    return result_node(found)
