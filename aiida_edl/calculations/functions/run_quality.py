"""Judge a run of molecular dynamics."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import run_quality as analysis
from aiida_edl.science.analysis.run_quality_settings import RunQualitySettings

KNOWN_OF_TRAJECTORY = ('temperature', 'ensemble')
"""Settings that a trajectory of molecular dynamics tells by its attributes."""


@calcfunction
def run_quality(
    trajectory: DatasetData, settings: Dict, series: ArrayData | None = None, training: DatasetData | None = None
) -> ArrayData:
    """Judge whether a run stayed physical, until when, and whether its temperature is distributed as it should be.

    :param trajectory: frames of one run with the column ``time`` [fs].
    :param settings: fields of ``RunQualitySettings`` that differ from their defaults, the limits of the rule of
        exclusion; ``temperature`` [K] and ``ensemble`` are taken from the trajectory's attributes if not given.
    :param series: thermodynamic series of the same run: time [fs], temperature [K], energies [eV].
    :param training: frames that the model was trained on, beyond whose distances it extrapolates.
    :return: arrays and attributes named as the fields of ``RunQuality``; above all ``is_physical``, ``reasons``,
        ``survival_time`` [fs] and ``is_censored``.
    """
    known = {name: trajectory.base.attributes.get(name, None) for name in KNOWN_OF_TRAJECTORY}
    values = {name: value for name, value in known.items() if value is not None} | settings.get_dict()
    quality = analysis.run_quality(
        trajectory.frames(),
        RunQualitySettings.from_dict(values),
        None if series is None else {name: series.get_array(name) for name in series.get_arraynames()},
        None if training is None else training.frames(),
    )
    return result_node(quality)
