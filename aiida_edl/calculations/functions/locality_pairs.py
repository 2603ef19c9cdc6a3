"""Make the cells by which a locality test finds out how far potentials see."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science import locality_pairs as science


@calcfunction
def locality_pairs(structure: DatasetData, settings: Dict) -> DatasetData:
    """Make pairs of cells that differ far from most of their atoms: an atom moved, an ion removed, added.

    :param structure: frames to choose from.
    :param settings: fields of ``LocalitySettings`` that differ from their defaults.
    :return: base frames, each followed by its variants; the columns ``locality_kind``, ``locality_base`` and
        ``changed_atom`` say what was done.
    """
    checked = science.LocalitySettings.from_dict(settings.get_dict())
    return DatasetData.from_frames(
        science.locality_pairs(structure.frames(), checked),
        origin='pairs of a locality test',
        n_wet_sides=structure.n_wet_sides,
    )


@calcfunction
def removal_pairs(pairs: DatasetData) -> DatasetData:
    """Choose the frames with and without an ion, which are to be labelled by the reference.

    :param pairs: what ``locality_pairs`` made.
    :return: base frames and those with an ion removed.
    """
    frames = pairs.frames()
    kinds = frames.columns[science.KIND]
    chosen = [index for index, kind in enumerate(kinds) if kind in {science.BASE, science.REMOVED}]
    return DatasetData.from_frames(
        frames.select(chosen), origin='pairs with and without an ion', n_wet_sides=pairs.n_wet_sides
    )
