"""Analyse the static structure of the metal/electrolyte interface of a trajectory."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import interface_structure as analysis
from aiida_edl.science.analysis.structure_settings import StructureSettings


@calcfunction
def interface_structure(trajectory: DatasetData, settings: Dict) -> ArrayData:
    """Count pairs by distance, coordination of ions, coverage and hydrogen bonds, each with its standard error.

    Water, ions, metal and surface planes are found from the frames.

    :param trajectory: frames of one composition in the order of time; replicas end to end, told apart by a column
        ``replica`` or by a ``time`` that starts anew.
    :param settings: fields of ``StructureSettings`` that differ from their defaults, e.g. ``pairs``, ``rdf_range`` [Å],
        ``coordination_cutoff`` [Å], ``layer_bounds`` [Å], ``hydrogen_bond_distance`` [Å], ``hydrogen_bond_angle``
        [degree], ``surfaces``, ``ion``, ``equilibration_frames``, ``frame_stride``.
    :return: arrays and attributes named as the parts of ``InterfaceStructure`` and their fields: ``rdf_r`` [Å] and
        ``rdf_g`` (pairs in the attribute ``rdf_pairs``), ``hydrogen_bonds_donated``, ``coverage_per_nm2``,
        ``coordination_mean``; each with an ``<name>_error``; what is absent is said in the attribute ``remarks``.
    """
    result = analysis.interface_structure(trajectory.frames(), StructureSettings.from_dict(settings.get_dict()))
    return result_node(result)
