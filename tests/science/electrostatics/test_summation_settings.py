"""Settings of a sum: what is refused, and the way to and from JSON types."""

from __future__ import annotations

import pytest

from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError

MESH = (20, 20, 20)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'method': 'p4m', 'mesh': MESH}, "^unknown summation method 'p4m': did you mean 'pme'"),
        ({'cutof_radius': 5.0}, "'cutof_radius'.*did you mean 'cutoff_radius'"),
        ({'method': 'ewald'}, r'^the method ewald needs a k_cutoff \[1/Å\], none was given$'),
        ({'method': 'p3m'}, '^the method p3m needs a mesh of three numbers, none was given$'),
        ({'mesh': MESH, 'smearing': -1.0}, '^smearing is -1.0, it must be positive$'),
        ({'mesh': MESH, 'nodes': 12}, '^nodes is 12, the method p3m takes 3 to 10 interpolation nodes$'),
        ({'method': 'pme', 'mesh': MESH, 'nodes': 8}, '^nodes is 8, the method pme takes 3 to 7 interpolation nodes$'),
        ({'mesh': (20, 4, 20)}, 'has fewer points along a cell vector than the 5 nodes; at least as many are needed$'),
    ],
)
def test_what_cannot_be_summed_is_refused(values, message):
    with pytest.raises(SummationSettingsError, match=message):
        SummationSettings.from_dict(values)


def test_settings_survive_json():
    settings = SummationSettings('p3m', 8.0, 1.6, mesh=(20, 24, 30), nodes=6)
    assert SummationSettings.from_dict(settings.to_dict()) == settings
