"""Long-distance equivariant descriptors of all atoms of a data set."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData


@calcfunction
def lode_descriptors(dataset: DatasetData, settings: Dict) -> ArrayData:
    """Return descriptors of atoms that see the field of all other atoms, images included.

    :param dataset: frames that are periodic along all cell vectors; their labels are not read.
    :param settings: fields of :class:`~aiida_edl.science.electrostatics.lode.LodeSettings`, and ``elements``, the order
        of the columns (that of the data set without it).
    :return: ``descriptors``, shape ``(n_atoms, n_features)``, frame by frame, with ``offsets`` of the frames, and the
        attribute ``features``: elements of neighbours and field, l, and both radial indices of each column.
    """
    from aiida_edl.science.electrostatics.lode import LodeSettings  # noqa: PLC0415  (another extra)
    from aiida_edl.science.electrostatics.lode import lode_descriptors as describe  # noqa: PLC0415

    values = settings.get_dict()
    elements = values.pop('elements', [])
    found = describe(dataset.frames(), LodeSettings.from_dict(values), elements)
    node = ArrayData()
    node.set_array('descriptors', found.values)
    node.set_array('offsets', dataset.get_array('offsets'))
    node.base.attributes.set('features', [list(feature) for feature in found.features])
    return node
