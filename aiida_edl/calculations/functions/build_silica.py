"""Build cells of alpha-quartz with oxygen vacancies."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.structures.silica import SilicaSettings
from aiida_edl.science.structures.silica import build_silica as build


@calcfunction
def build_silica(settings: Dict) -> DatasetData:
    """Build orthogonal cells of alpha-quartz with oxygen vacancies in a charge state, unrelaxed.

    :param settings: fields of ``SilicaSettings``, among them the seed.
    :return: ``n_frames`` arrangements with the columns ``defect``, ``n_defects`` and ``total_charge`` [e]; what was
        built is in the attribute ``report``.
    """
    built = build(SilicaSettings.from_dict(settings.get_dict()))
    return DatasetData.from_frames(
        built.frames, origin='built on lattice sites', attributes={'report': built.report.to_dict()}
    )
