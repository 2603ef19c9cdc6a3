"""Formation energies of a defect in its charge states."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.charged_defect import ChargedDefectSettings, formation_energies


@calcfunction
def defect_formation(defects: DatasetData, bulk: DatasetData, settings: Dict) -> Dict:
    """Find formation energies against the Fermi level, and the levels at which the stable charge changes.

    :param defects: labelled frames of one defect with the column ``total_charge`` [e]; of several frames of a charge,
        that of least energy counts.
    :param bulk: labelled frames of the perfect crystal in the same cell; the one of least energy counts.
    :param settings: fields of ``ChargedDefectSettings``: ``permittivity``, ``valence_band_maximum`` [eV], ``band_gap``
        [eV] and ``chemical_potentials`` [eV].
    :return: ``states`` with charge, formation energy at the valence band maximum and correction [eV], ``levels`` [eV
        from the valence band maximum], ``is_shallow``, and the settings.
    """
    chosen = ChargedDefectSettings.from_dict(settings.get_dict())
    perfect = min(bulk.frames(), key=lambda frame: float('inf') if frame.energy is None else frame.energy)
    found = formation_energies(list(defects.frames()), perfect, chosen)
    return Dict({**found.to_dict(), 'settings': chosen.to_dict()})
