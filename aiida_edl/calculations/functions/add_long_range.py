"""Put a short-range potential and the electrostatics that was taken off its labels together."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.calculations.functions.subtract_electrostatics import LESS_ELECTROSTATICS
from aiida_edl.data.potential import PotentialData, checksum_with
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel


@calcfunction
def add_long_range(potential: PotentialData, long_range: Dict) -> PotentialData:
    """Return a potential with the same files to whose energy that of fixed charges is added wherever it is used.

    :param potential: trained on labels less that energy.
    :param long_range: the fields of ``LongRangeModel`` by which it was taken off.
    """
    if not potential.level_of_theory.endswith(LESS_ELECTROSTATICS):
        raise ValueError(
            f"the potential was trained on '{potential.level_of_theory}', which is not less any electrostatics; train "
            'it on the result of edl.subtract_electrostatics'
        )
    files = {path: potential.base.repository.get_object_content(path, mode='rb') for path in potential.model_files}
    whole = potential.with_files(files, potential.format)
    values = LongRangeModel.from_dict(long_range.get_dict()).to_dict()
    whole.base.attributes.set_many(
        {
            PotentialData.KEY_LONG_RANGE: values,
            PotentialData.KEY_SHA256: checksum_with(files, values),
            PotentialData.KEY_LEVEL_OF_THEORY: potential.level_of_theory.removesuffix(LESS_ELECTROSTATICS),
        }
    )
    return whole
