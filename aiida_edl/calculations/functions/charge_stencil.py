"""Make copies of geometries whose metals carry different charges."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science import charge_stencil as science


@calcfunction
def charge_stencil(dataset: DatasetData, settings: Dict) -> DatasetData:
    """Return every geometry at several charges of its metal, to be labelled; nothing else of it changes.

    :param dataset: the geometries; labels they carry are left out.
    :param settings: fields of ``StencilSettings`` that differ from their defaults: ``offsets`` (charges added to that
        of the metal [e]) and ``n_geometries`` (frames taken, evenly spaced; all without it).
    :return: frames with the columns ``geometry`` (to be kept together by a split), ``metal_charge`` [e],
        ``total_charge`` (of the cell without counter charge [e]) and ``source_index``.
    """
    chosen = science.StencilSettings.from_dict(settings.get_dict())
    return DatasetData.from_frames(
        science.charge_stencil(dataset.frames(), chosen),
        origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
        n_wet_sides=dataset.n_wet_sides,
    )
