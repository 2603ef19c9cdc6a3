"""Formation energies as a calcfunction: what it stores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.defect_formation import defect_formation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.structures.silica import SilicaSettings, build_silica

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_states_levels_and_settings_are_stored():
    perfect = build_silica(SilicaSettings(n_vacancies=0)).frames.frame(0)
    vacancy = build_silica(SilicaSettings()).frames.frame(0)
    bulk = DatasetData.from_frames(FrameSet.from_frames([replace(perfect, energy=e) for e in (-999.0, -1000.0)]))
    charged = [replace(vacancy, energy=e, columns={'total_charge': q}) for q, e in ((2.0, -995.0), (0.0, -991.0))]
    settings = {'permittivity': 1e9, 'band_gap': 9.0, 'chemical_potentials': {'O': -5.0}}
    found = defect_formation(DatasetData.from_frames(FrameSet.from_frames(charged)), bulk, Dict(settings)).get_dict()
    assert [state['charge'] for state in found['states']] == [2, 0]
    assert found['states'][1]['energy'] == pytest.approx(4.0)
    assert found['levels'] == [{'fermi_level': pytest.approx(2.0, abs=1e-6), 'lower': 2, 'upper': 0}]
    assert found['settings']['chemical_potentials'] == {'O': -5.0}
