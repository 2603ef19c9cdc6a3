"""What the figures of a fine-tuning study show of errors that are not known."""

from __future__ import annotations

import pytest
from matplotlib.colors import same_color

from aiida_edl.provenance.figures_fine_tuning import (
    draw_arrhenius,
    draw_learning_curves,
    draw_mechanism,
    draw_rates,
)

QUANTITY = 'activation_energy_ev'


def comparison_with(errors, n_frames=50):
    """Return a comparison of a family at as many sizes or temperatures as there are errors."""
    about = {'family': 'naive', 'system': 'interstitial', 'model': 'naive_1'}
    curves = [
        {
            **about,
            'quantity': QUANTITY,
            'n_frames': n_frames * 2**index,
            'n_replay': 0,
            'mean': 0.25,
            'error': error,
        }
        for index, error in enumerate(errors)
    ]
    diffusion = [
        {
            **about,
            'n_frames': 50,
            'round_number': 0,
            'temperature_kelvin': 700.0 + 100.0 * index,
            'tracer_diffusion_angstrom2_per_fs': 1e-4,
            'tracer_diffusion_error_angstrom2_per_fs': None if error is None else 1e-4 * error,
            'migration_rate_per_ps': 0.2,
            'migration_rate_error_per_ps': None if error is None else 0.2 * error,
            'knock_off_share': 0.5,
            'knock_off_share_error': error,
        }
        for index, error in enumerate(errors)
    ]
    return {'models': [{**about, 'n_frames': 50}], 'learning_curves': curves, 'diffusion': diffusion}


def markers_of(figure):
    """Return the places of hollow and of full markers, and of the bars."""
    (axes,) = figure.axes
    hollow, full = [], []
    for line in axes.lines:
        if line.get_marker() in ('None', '', None):
            continue
        places = hollow if same_color(line.get_markerfacecolor(), 'none') else full
        places += [float(place) for place in line.get_xdata()]
    segments = [segment for container in axes.containers for segment in container[2][0].get_segments()]
    return hollow, full, segments


@pytest.mark.parametrize(
    ('draw', 'places'),
    [
        (draw_learning_curves, [50.0, 100.0, 200.0]),
        (draw_arrhenius, [1000.0 / 700.0, 1000.0 / 800.0, 1000.0 / 900.0]),
        (draw_rates, [1000.0 / 700.0, 1000.0 / 800.0, 1000.0 / 900.0]),
        (draw_mechanism, [700.0, 800.0, 900.0]),
    ],
)
def test_point_whose_error_is_not_known_is_hollow_and_has_no_bar(draw, places):
    hollow, full, segments = markers_of(draw(comparison_with([0.1, None, 0.2])))
    assert hollow == pytest.approx([places[1]])
    assert full == pytest.approx([places[0], places[2]])
    assert [float(segment[0][0]) for segment in segments] == pytest.approx([places[0], places[2]])
    assert all(segment[1][1] > segment[0][1] for segment in segments)


def test_coefficients_are_drawn_in_square_centimetres_per_second():
    (axes,) = draw_arrhenius(comparison_with([0.1])).axes
    assert list(axes.lines[0].get_ydata()) == pytest.approx([1e-5])  # 1 Å²/fs is 0.1 cm²/s
    (segment,) = axes.containers[0][2][0].get_segments()
    assert [float(end[1]) for end in segment] == pytest.approx([0.9e-5, 1.1e-5])


def test_error_of_zero_is_known():
    hollow, full, _ = markers_of(draw_mechanism(comparison_with([0.0])))
    assert (hollow, full) == ([], [700.0])


def test_line_of_a_model_that_learnt_no_frame_is_dotted_without_a_band_if_its_error_is_not_known():
    def dashes_and_bands(error):
        (axes,) = draw_learning_curves(comparison_with([error], n_frames=0)).axes
        (line,) = axes.lines
        on, off = line._unscaled_dash_pattern[1]
        return (on, off), len(axes.patches)

    assert dashes_and_bands(0.1) == ((4, 1.5), 1)
    assert dashes_and_bands(None) == ((1, 2), 0)


def test_all_models_of_the_last_round_are_drawn_however_many_frames_they_found():
    comparison = comparison_with([0.1])
    (row,) = comparison['diffusion']
    comparison['diffusion'] = [
        {**row, 'model': f'own_{number}_{n_frames}', 'round_number': number, 'n_frames': n_frames}
        for number, n_frames in ((1, 60), (2, 53), (2, 54))
    ]
    (axes,) = draw_rates(comparison).axes
    assert len(axes.containers) == 2


def test_rate_without_an_event_is_not_drawn():
    comparison = comparison_with([0.1, None])
    comparison['diffusion'][1]['migration_rate_per_ps'] = 0.0
    hollow, full, _ = markers_of(draw_rates(comparison))
    assert (hollow, full) == ([], pytest.approx([1000.0 / 700.0]))
