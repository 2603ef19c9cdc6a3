"""Take the electrostatics of fixed charges off labels."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel

LESS_ELECTROSTATICS = ', less the electrostatics of fixed charges'
"""End of the level of theory of such labels."""
KEPT = ('differences',)
"""Further attributes that hold for what is left: in what the parts of a joined set differ."""


@calcfunction
def subtract_electrostatics(dataset: DatasetData, long_range: Dict) -> DatasetData:
    """Return the frames with energies, forces and stresses less those of fixed charges and their images.

    :param dataset: labelled frames.
    :param long_range: fields of ``LongRangeModel``: ``charges`` by element [e], ``balanced_by``, ``summation``.
    """
    from aiida_edl.science.electrostatics.labels import subtract_electrostatics as subtract  # noqa: PLC0415  (numba)

    if dataset.level_of_theory.endswith(LESS_ELECTROSTATICS):
        raise ValueError(f"the labels are '{dataset.level_of_theory}' already; give the whole ones")
    model = LongRangeModel.from_dict(long_range.get_dict())
    return DatasetData.from_frames(
        subtract(dataset.frames(), model),
        level_of_theory=f'{dataset.level_of_theory}{LESS_ELECTROSTATICS}',
        origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
        n_wet_sides=dataset.n_wet_sides,
        attributes={key: value for key in KEPT if (value := dataset.base.attributes.get(key, None)) is not None},
    )
