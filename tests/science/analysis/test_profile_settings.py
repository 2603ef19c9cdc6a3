"""Settings of the profiles."""

from __future__ import annotations

import re

import pytest

from aiida_edl.science.analysis.profile_settings import ProfileSettings, ProfileSettingsError


def test_settings_survive_a_round_trip():
    settings = ProfileSettings(bin_width=0.2, coarse_bin_width=1.0, z_max=12.0, surfaces='upper', ion='K')
    assert ProfileSettings.from_dict(settings.to_dict()) == settings


def test_grid_follows_from_the_settings_alone():
    settings = ProfileSettings()
    assert (settings.bins.n_bins, settings.coarse_bins.n_bins, settings.angle_bins.n_bins) == (150, 30, 36)
    assert settings.coarsening == 5


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'surfaces': 'uper'},
            "unknown choice of surfaces 'uper': did you mean 'upper'? Known: average, lower, upper.",
        ),
        ({'first_layer_bound': 20.0}, 'first_layer_bound is 20.0 Å, it must lie between 0 and z_max = 15.0 Å'),
        ({'equilibration_frames': -1}, 'equilibration_frames is -1, it must not be negative'),
        ({'z_max': 15.05}, 'range 15.05 Å is not a whole multiple of the bin width 0.1 Å'),
        ({'coarse_bin_width': 0.25}, 'range 0.25 Å is not a whole multiple of the bin width 0.1 Å'),
        ({'angle_bin_width': 7.0}, 'range 180.0 Å is not a whole multiple of the bin width 7.0 Å'),
    ],
)
def test_wrong_values_are_refused_with_the_remedy(values, message):
    with pytest.raises(ProfileSettingsError, match=f'^{re.escape(message)}$'):
        ProfileSettings.from_dict(values)


def test_unknown_key_is_answered_with_the_nearest():
    message = (
        "unknown profile setting 'bin_witdh': did you mean 'bin_width'? Known: angle_bin_width, bin_width, "
        'coarse_bin_width, equilibration_frames, first_layer_bound, ion, replica_column, surfaces, z_max.'
    )
    with pytest.raises(ProfileSettingsError, match=f'^{re.escape(message)}$'):
        ProfileSettings.from_dict({'bin_witdh': 0.1})
