"""Labels of any ASE calculator: GFN1-xTB by tblite, or a potential as teacher."""

from __future__ import annotations

from aiida_edl.calculations.single_point_ase_calculator import AseCalculatorCalculation
from aiida_edl.workflows.single_point.base import SinglePointWorkChain


class AseCalculatorSinglePointWorkChain(SinglePointWorkChain):
    """Label frames with an ASE calculator."""

    _process_class = AseCalculatorCalculation
