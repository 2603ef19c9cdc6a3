"""The figure of the paths of defects: which models, which steps, and what is said of them."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from path_cases import model

from aiida_edl.provenance import figures_defect_paths
from aiida_edl.provenance.figure_style import PAPER_INK, render
from aiida_edl.provenance.figures_defect_paths import STEPS, defect_panels, draw_defect_paths, projection
from aiida_edl.provenance.rows import DefectPoint


def points(*steps, about=None, replica=0, temperature=700.0, first='interstitial'):
    """Return a path from (1, 2, 3); steps are vectors with their mechanism."""
    about = about or model('naive', 50)
    place, rows = np.array([1.0, 2.0, 3.0]), []
    for number, (step, mechanism) in enumerate([((0, 0, 0), ''), *steps]):
        place = place + step
        rows.append(
            DefectPoint(
                system=about['system'],
                model=about['model'],
                family=about['family'],
                temperature_kelvin=temperature,
                replica=replica,
                carrier=0,
                kind=first,
                time_fs=1000.0 * number,
                x_angstrom=place[0],
                y_angstrom=place[1],
                z_angstrom=place[2],
                is_end=False,
                mechanism=mechanism,
                n_atoms=None,
                hopping='uuid',
            )
        )
    return rows


def panels_of(*rows, models=None):
    return defect_panels({'models': models or [model('naive', 50)]}, list(itertools.chain(*rows)))


KNOCK_OFF, DIRECT = ((3.0, 0.0, 0.0), 'knock_off'), ((0.0, 4.0, 0.0), 'direct')


def test_most_frames_then_the_last_round_then_the_smallest_seed():
    models = [model('own', 40, 1, 1), model('own', 60, 2, 2), model('own', 60, 1, 2), model('own', 60, 1, 1)]
    (panel,) = panels_of(*[points(about=row) for row in models], models=models)
    assert panel.model == 'own_60_2_1'


def test_model_without_a_path_is_not_chosen():
    models = [model('naive', 50), model('naive', 100)]
    (panel,) = panels_of(points(about=models[0]), models=models)
    assert panel.model == 'naive_50_0_1'


def test_highest_temperature_is_chosen():
    (panel,) = panels_of(points(temperature=700.0), points(KNOCK_OFF, temperature=900.0))
    assert (panel.temperature_kelvin, len(panel.points)) == (900.0, 2)


def test_family_has_a_panel_for_each_system():
    models = [model('naive', 50), {**model('naive', 50), 'system': 'vacancy'}]
    panels = panels_of(*[points(about=row) for row in models], models=models)
    assert [(panel.family, panel.system) for panel in panels] == [('naive', 'interstitial'), ('naive', 'vacancy')]


def test_words_count_steps_and_give_the_net_displacement():
    (panel,) = panels_of(points(KNOCK_OFF, DIRECT), points(KNOCK_OFF, replica=1))
    assert panel.words == (
        'naive_50_0_1\ninterstitial, 700 K\n2 paths, 3 steps\n2 knock-offs, 1 direct hop\nnet displacement 3.0 to 5.0 Å'
    )


def test_long_names_stay_in_their_panel():
    row = model('half_interstitials_of_a_long_name_that_goes_on', 50)
    panels = panels_of(points(DIRECT, about=row), models=[row])
    assert max(len(line) for line in panels[0].words.splitlines()) <= 40
    (axes,) = draw_defect_paths(panels).axes
    assert axes.get_title() == 'half interstitials of a long…'


def test_what_is_not_drawn_is_counted():
    formed = [
        DefectPoint(**{**vars(row), 'carrier': number + 1, 'mechanism': 'formation'})
        for number, row in enumerate(points()[:1] * 2)
    ]
    lost = DefectPoint(**{**vars(points()[0]), 'carrier': None, 'mechanism': 'direct', 'x_angstrom': None})
    (panel,) = panels_of(points(KNOCK_OFF), formed, [lost])
    assert len(panel.paths) == 1
    assert panel.words.splitlines()[-2:] == [
        'not drawn: 2 defects formed on the way',
        'not drawn: 1 event without its defect',
    ]


def test_steps_are_drawn_by_mechanism_from_the_origin():
    (axes,) = draw_defect_paths(panels_of(points(KNOCK_OFF, DIRECT, ((0, 0, 1.0), 'recombination')))).axes
    lines = {item.get_label(): item.get_segments() for item in axes.collections}
    assert list(lines) == ['knock_off', 'direct', 'other']
    matrix = projection()
    assert lines['knock_off'][0] == pytest.approx(np.array([[0, 0, 0], [3, 0, 0]]) @ matrix)
    assert lines['direct'][0] == pytest.approx(np.array([[3, 0, 0], [3, 4, 0]]) @ matrix)
    assert lines['other'][0] == pytest.approx(np.array([[3, 4, 0], [3, 4, 1]]) @ matrix)


def test_legend_names_what_occurs():
    figure = draw_defect_paths(panels_of(points(DIRECT)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['direct hop', 'beginning', 'end']


def test_arms_are_as_long_as_they_say():
    (axes,) = draw_defect_paths(panels_of(points(*[KNOCK_OFF] * 10))).axes
    (label,) = [text.get_text() for text in axes.texts if text.get_text().endswith('each')]
    arms = [np.diff(line.get_xydata(), axis=0)[0] for line in axes.lines[:0:-1] if len(line.get_xydata()) == 2]
    length = float(label.removesuffix(' Å each'))
    assert np.array(arms[::-1]) == pytest.approx(length * projection())


def test_no_direction_of_a_cubic_crystal_vanishes_or_covers_another():
    directions = [np.array(item) for item in itertools.product((-1, 0, 1), repeat=3) if any(item)]
    seen = [item / np.linalg.norm(item) @ projection() for item in directions]
    assert min(np.linalg.norm(item) for item in seen) > 0.4
    angles = sorted(float(np.arctan2(item[1], item[0])) for item in seen)
    assert min(np.diff(angles)) > np.radians(4.0)


def test_z_points_up_and_the_projection_shrinks_nothing_in_the_plane():
    matrix = projection()
    assert matrix.T @ matrix == pytest.approx(np.eye(2))
    assert matrix[2, 0] == pytest.approx(0.0)
    assert matrix[2, 1] > 0.9


def test_panels_have_one_scale():
    models = [model('naive', 50), model('zero_shot', 0), model('scratch', 50)]
    paths = [points(*[KNOCK_OFF] * n_steps, about=row) for row, n_steps in zip(models, (10, 0, 1))]
    figure = draw_defect_paths(panels_of(*paths, models=models))
    assert len({round(float(np.diff(axes.get_xlim())[0]), 6) for axes in figure.axes[:3]}) == 1


def test_letters_take_the_colour_of_the_page():
    panels = panels_of(points(KNOCK_OFF, DIRECT))
    figure = render('defect_paths', lambda: draw_defect_paths(panels))
    ET.fromstring(figure.svg)
    assert PAPER_INK not in figure.svg
    assert 'currentColor' in figure.svg
    assert figure.svg == render('defect_paths', lambda: draw_defect_paths(panels)).svg


def test_many_steps_become_an_image(monkeypatch):
    monkeypatch.setattr(figures_defect_paths, 'MOST_LINES', 5)
    panels = panels_of(points(*[KNOCK_OFF] * 6))
    svg = render('defect_paths', lambda: draw_defect_paths(panels)).svg
    assert 'data:image/png' in svg
    assert STEPS['knock_off'][1] in svg  # in the legend
