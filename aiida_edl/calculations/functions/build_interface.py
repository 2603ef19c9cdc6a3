"""Build a metal/water/ion interface."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings
from aiida_edl.science.structures.metal_water_interface import build_interface as build


@calcfunction
def build_interface(settings: Dict) -> DatasetData:
    """Build a metal slab with a film of water and ions, packed without bad contacts.

    :param settings: fields of ``InterfaceSettings``, among them the seed.
    :return: one frame; what was built is in the attribute ``report``.
    """
    values = InterfaceSettings.from_dict(settings.get_dict())
    built = build(values)
    frames = FrameSet.from_frames([built.frame])
    return DatasetData.from_frames(
        frames, origin='built and packed', n_wet_sides=values.sides, attributes={'report': built.report.to_dict()}
    )
