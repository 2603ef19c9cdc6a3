"""Settings of the structure: round trip, and what is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from aiida_edl.science.analysis.structure_settings import StructureSettings, StructureSettingsError


def test_settings_go_through_json():
    settings = StructureSettings(pairs=('Na-O',), layer_bounds=(0.0, 3.5), frame_stride=3)
    assert StructureSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'rdf_rang': 3.0}, "unknown structure setting 'rdf_rang'"),
        ({'pairs': 'Na-O'}, "structure setting 'pairs' is 'Na-O', expected list of str"),
        ({'surfaces': 'uper'}, "unknown choice of surfaces 'uper'"),
        ({'hydrogen_bond_vertex': 'oxigen'}, "unknown vertex of a hydrogen bond 'oxigen'"),
        ({'hydrogen_bond_angle': 0}, 'hydrogen_bond_angle is 0, it must be positive'),
        ({'frame_stride': 0}, 'frame_stride is 0, it must be at least 1'),
        ({'pointing_cosine': 1.0}, 'pointing_cosine is 1.0, it must be at least 0 and below 1'),
        ({'layer_bounds': [4.0]}, r'layer_bounds is \[4.0\], a layer needs two bounds'),
        ({'layer_bounds': [4.0, 0.0]}, r'layer_bounds is \[4.0, 0.0\], it must ascend from 0 Å or above'),
        ({'ion_bounds': [0.0, 5.0]}, r'ion_bounds is \[0.0, 5.0\], it must ascend from 0 Å or above'),
        ({'rdf_range': 5.01}, 'range 5.01 Å is not a whole multiple of the bin width 0.05 Å'),
        ({'z_max': 14.5}, 'range 14.5 Å is not a whole multiple of the bin width 1.0 Å'),
    ],
)
def test_wrong_settings_are_refused(values, message):
    with pytest.raises(StructureSettingsError, match=f'^{message}'):
        StructureSettings.from_dict(values)
