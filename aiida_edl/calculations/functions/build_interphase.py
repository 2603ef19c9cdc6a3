"""Build cells of the solid-electrolyte interphase."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.structures.interphase import InterphaseSettings
from aiida_edl.science.structures.interphase import build_interphase as build


@calcfunction
def build_interphase(settings: Dict) -> DatasetData:
    """Build LiF(001) on Li2CO3(001) in a common cell, or a supercell of Li2CO3, unrelaxed.

    :param settings: fields of ``InterphaseSettings``.
    :return: one frame; strains and distances are in the attribute ``report``.
    """
    built = build(InterphaseSettings.from_dict(settings.get_dict()))
    return DatasetData.from_frames(
        FrameSet.from_frames([built.frame]),
        origin='built on lattice sites',
        attributes={'report': built.report.to_dict()},
    )
