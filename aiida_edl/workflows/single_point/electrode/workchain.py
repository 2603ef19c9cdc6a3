"""Labels of the classical reference model: a metal at fixed total charge beside flexible water and ions."""

from __future__ import annotations

from aiida_edl.calculations.single_point_electrode import ElectrodeCalculation
from aiida_edl.workflows.single_point.base import SinglePointWorkChain


class ElectrodeSinglePointWorkChain(SinglePointWorkChain):
    """Label frames with the LAMMPS ELECTRODE package."""

    _process_class = ElectrodeCalculation
