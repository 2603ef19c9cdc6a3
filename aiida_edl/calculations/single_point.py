"""What all calculations share that label frames: frames in, what is known of their labels out."""

from __future__ import annotations

from aiida.engine import CalcJobProcessSpec
from aiida.orm import Dict

from aiida_edl.calculations.base import EdlCalculation
from aiida_edl.data.dataset import DatasetData


class SinglePointCalculation(EdlCalculation):
    """A calculation that labels the frames of a data set; a subclass adds its model and the output ``labels``."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define the ports of all engines."""
        super().define(spec)
        spec.input('dataset', valid_type=DatasetData, help='Frames to be labelled; labels they carry are not read.')
        spec.output(
            'label_summary', valid_type=Dict, help='Level of theory, failed frames with reasons, versions, wall time.'
        )
