"""Build cells of lithium fluoride with defects."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.structures.lithium_fluoride import build_lithium_fluoride as build
from aiida_edl.science.structures.lithium_fluoride_settings import LithiumFluorideSettings


@calcfunction
def build_lithium_fluoride(settings: Dict) -> DatasetData:
    """Build rocksalt cells of LiF with interstitials, vacancies, Frenkel or Schottky pairs, unrelaxed.

    :param settings: fields of ``LithiumFluorideSettings``, among them the seed.
    :return: ``n_frames`` arrangements with the columns ``defect``, ``n_defects`` and ``total_charge`` [e]; what was
        built is in the attribute ``report``.
    """
    built = build(LithiumFluorideSettings.from_dict(settings.get_dict()))
    return DatasetData.from_frames(
        built.frames, origin='built on lattice sites', attributes={'report': built.report.to_dict()}
    )
