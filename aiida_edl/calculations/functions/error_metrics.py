"""Measure the errors of a potential against reference labels."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import error_metrics as analysis
from aiida_edl.science.analysis.error_settings import ErrorSettings


@calcfunction
def error_metrics(dataset: DatasetData, predictions: ArrayData, settings: Dict | None = None) -> Dict:
    """Measure energy and force errors in all, by element, charge state and region, with bootstrap error bars.

    :param dataset: frames with reference energies [eV] and forces [eV/Å].
    :param predictions: arrays ``energies`` [eV], ``forces`` [eV/Å], ``offsets`` (first atom of each frame) and
        ``frame_indices`` (positions of the predicted frames in the data set).
    :param settings: fields of ``ErrorSettings``, e.g. ``energy_zero: fitted_per_element`` for a model of another level
        of theory.
    :return: ``rows``, a flat table with units in the names of its columns, and ``summary``, the headline numbers.
        Frames without a finite prediction are left out; ``failed_frames`` of the summary are their positions in
        ``frame_indices``. If energies of the elements were fitted, ``summary`` has them as ``energy_shifts_ev``.
    """
    reference = dataset.frames().select(predictions.get_array('frame_indices'))
    offsets = predictions.get_array('offsets')
    if offsets.tolist() != reference.offsets.tolist():
        raise ValueError(
            f'predictions of {len(offsets) - 1} frames and {int(offsets[-1])} atoms do not fit the {len(reference)} '
            f'frames and {int(reference.offsets[-1])} atoms they are for: they belong to another data set'
        )
    metrics = analysis.error_metrics(
        reference,
        predictions.get_array('energies'),
        predictions.get_array('forces'),
        energy_zero=analysis.EnergyZero(
            ErrorSettings.from_dict({} if settings is None else settings.get_dict()).energy_zero
        ),
    )
    return Dict({'rows': metrics.table(), 'summary': metrics.summary()})
