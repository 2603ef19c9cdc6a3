"""Take electrode potential and effective charges from charge stencils."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.charge_response import ChargeResponseSettings
from aiida_edl.science.analysis.charge_response import charge_response as response_of
from aiida_edl.science.analysis.charge_response_errors import compared_responses, response_rows


@calcfunction
def charge_response(dataset: DatasetData, settings: Dict, predictions: ArrayData | None = None) -> ArrayData:
    """Take dE/dq [V] and effective charges Z* [e] from labelled charge stencils, and compare those of a potential.

    :param dataset: labelled stencils, made by ``edl.charge_stencil``.
    :param settings: fields of ``ChargeResponseSettings`` that differ from their defaults: ``maximum_charges``.
    :param predictions: result of an evaluation of a potential on frames of the data set; the response is then taken
        from those frames that have both.
    :return: arrays named as the fields of ``ChargeResponse`` (``potentials`` [V], ``effective_charges`` [e] and their
        errors), those of the potential with the prefix ``model_``; attributes ``rows`` (means, and errors of the
        potential, of the electrode potential and of the effective charges by element), ``n_geometries``, ``n_skipped``.
    """
    chosen = ChargeResponseSettings.from_dict(settings.get_dict())
    frames, model = dataset.frames(), None
    if predictions is None:
        reference = response_of(frames, chosen)
    else:
        frames = frames.select(predictions.get_array('frame_indices'))
        arrays = (predictions.get_array('energies'), predictions.get_array('forces'))
        reference, model = compared_responses(frames, *arrays, chosen)
    node = result_node(reference)
    for name, array in ({} if model is None else model.arrays()).items():
        node.set_array(f'model_{name}', array)
    node.base.attributes.set('rows', [row.to_dict() for row in response_rows(reference, model)])
    return node
