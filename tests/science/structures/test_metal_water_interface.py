"""Cells of metal, water and ions."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.science.charge_state import charge_state
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.science.reference_model import check_frame, find_waters, symbols_of
from aiida_edl.science.structures.metal_water_interface import (
    BuiltInterface,
    InterfaceSettings,
    InterfaceSettingsError,
    PackingError,
    build_interface,
    find_packmol,
)

SMALL = {'repeat': (2, 2, 3), 'n_water': 8, 'ion_window': (3.5, 7.0)}


def build(**settings) -> BuiltInterface:
    """Return the small cell with some settings changed."""
    return build_interface(InterfaceSettings.from_dict({**SMALL, **settings}))


def closest_contact(built: BuiltInterface) -> float:
    """Return the smallest distance between atoms of different molecules [Å], over the nearest periodic images."""
    frame, report = built.frame, built.report
    n_metal, n_water = report.n_metal, report.n_water
    molecules = np.concatenate(
        [np.zeros(n_metal), 1 + np.repeat(np.arange(n_water), 3), 1 + n_water + np.arange(report.n_ions)]
    )
    displacements = frame.positions[:, None] - frame.positions[None]
    distances = np.linalg.norm(minimum_image(displacements, frame.cell, frame.pbc), axis=2)
    return float(distances[molecules[:, None] != molecules[None]].min())


def ion_heights(built: BuiltInterface) -> np.ndarray:
    """Return heights of the ions above the topmost metal atom [Å]."""
    top = built.frame.positions[: built.report.n_metal, 2].max()
    return built.frame.positions[built.frame.numbers == 11, 2] - top


def test_settings_survive_a_round_trip():
    settings = InterfaceSettings(repeat=(4, 4, 4), n_ions=2)
    assert InterfaceSettings.from_dict(settings.to_dict()) == settings


def test_atoms_come_as_metal_then_waters_then_ions():
    assert symbols_of(build(n_ions=2).frame) == ['Au'] * 12 + ['O', 'H', 'H'] * 8 + ['Na'] * 2


def test_lateral_cell_is_that_of_the_111_face():
    # Rows of atoms at the nearest-neighbour distance a/√2, half as far apart times √3
    neighbour = 4.08 / np.sqrt(2)
    cell = build().frame.cell
    np.testing.assert_allclose(np.diag(cell)[:2], [2 * neighbour, np.sqrt(3) * neighbour], atol=1e-12)
    assert build().report.area == pytest.approx(2 * np.sqrt(3) * neighbour**2, abs=1e-12)


@pytest.mark.parametrize('n_ions', [0, 1, 2])
def test_charge_of_the_metal_follows_from_the_ions(n_ions):
    built = build(n_ions=n_ions)
    state = charge_state(symbols_of(built.frame), built.frame.cell)
    assert built.report.metal_charge == -n_ions
    assert built.report.charge_label == state.label
    assert built.report.surface_charge_e_per_angstrom2 == pytest.approx(-n_ions / built.report.area)
    # 1 e/Å² is 1602.176634 µC/cm²
    assert built.report.surface_charge_microcoulomb_per_cm2 == pytest.approx(-n_ions / built.report.area * 1602.176634)
    assert built.frame.columns == {'charge_state': n_ions}


def test_two_wet_sides_share_the_charge():
    one, two = build(n_ions=2), build(n_ions=2, sides=2, ion_window=(3.0, 6.0))
    assert two.report.surface_charge_e_per_angstrom2 == one.report.surface_charge_e_per_angstrom2 / 2


def test_cells_of_different_charge_have_the_same_size():
    np.testing.assert_array_equal(build(n_ions=0).frame.cell, build(n_ions=2).frame.cell)


def test_one_sided_film_is_open_along_the_normal_and_two_sided_is_not():
    assert build().frame.pbc.tolist() == [True, True, False]
    assert build(sides=2).frame.pbc.tolist() == [True, True, True]


def test_one_sided_film_fits_the_reference_model():
    frame = build(n_ions=1).frame
    check_frame(frame)
    np.testing.assert_array_equal(find_waters(frame), np.arange(12, 36).reshape(8, 3))


def test_number_of_waters_follows_from_thickness_and_density():
    built = build(n_water=None, water_thickness=15.0)
    # 18.015 u at 1.66053907 g/cm³ per u/Å³
    assert built.report.n_water == round(15.0 * built.report.area / (18.015 * 1.66053907))
    assert built.report.water_density == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    'settings',
    [
        {'repeat': (3, 4, 3), 'n_water': 28, 'n_ions': 2},
        {'repeat': (3, 3, 3), 'n_water': 20, 'n_ions': 1, 'is_orthogonal': False},
        {'repeat': (3, 4, 3), 'n_water': 40, 'n_ions': 2, 'sides': 2},
    ],
)
def test_packing_leaves_no_bad_contact(settings):
    built = build(**settings)
    # packmol accepts a squared violation of 0.01 Å²
    assert closest_contact(built) > built.report.packmol_tolerance - 0.1


def test_ions_lie_in_their_window():
    heights = ion_heights(build(n_ions=2))
    # packmol accepts a squared violation of 0.01 Å²
    assert np.all((heights >= 3.5 - 0.1) & (heights <= 7.0 + 0.1))


def test_ions_of_a_two_sided_film_are_shared_by_both_faces():
    built = build(n_ions=2, sides=2, n_water=16, ion_window=(3.0, 5.0))
    lower, upper = np.sort(ion_heights(built))
    image = built.frame.cell[2, 2] - built.frame.positions[: built.report.n_metal, 2].max()
    assert 3.0 - 0.1 < lower < 5.0 + 0.1
    assert 3.0 - 0.1 < image - upper < 5.0 + 0.1


def test_same_seed_gives_the_same_atoms_and_another_seed_does_not():
    first = build(n_ions=1, seed=4).frame.positions
    np.testing.assert_array_equal(first, build(n_ions=1, seed=4).frame.positions)
    assert not np.array_equal(first, build(n_ions=1, seed=5).frame.positions)


def test_frozen_atoms_are_the_lowest_layers():
    built = build(n_frozen_layers=2)
    heights = built.frame.positions[:12, 2]
    assert built.report.frozen_atoms == tuple(range(8))
    assert heights[:8].max() < heights[8:].min()


def test_report_says_how_the_film_was_packed():
    report = build(seed=9).report.to_dict()
    assert report['packmol_seed'] == 9
    assert report['packmol_version'].split('.')[0].isdigit()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'metal': 'Fe'}, "unknown fcc metal 'Fe': Known: Ag, Al, Au, Cu, Ni, Pd, Pt."),
        ({'n_ions': -1}, "interface setting 'n_ions' is -1, it must not be negative"),
        ({'n_water': 0}, "interface setting 'n_water' is 0, it must be at least 1"),
        ({'vacuum': 0.0}, "interface setting 'vacuum' is 0.0, it must be positive"),
        ({'sides': 3}, "interface setting 'sides' is 3, it must be 1 or 2"),
        (
            {'repeat': (2, 3, 3)},
            'repeat is (2, 3, 3): an orthogonal fcc(111) cell needs an even second number, such as 4, or is_orthogonal '
            'false',
        ),
        ({'n_frozen_layers': 4}, 'n_frozen_layers is 4, but the slab has 3 layers'),
        (
            {'ion_window': (6.0, 5.0)},
            'ion_window is 6.0 to 5.0 Å, it must be two increasing heights above the metal',
        ),
        (
            {'n_ions': 1, 'ion_window': (20.0, 30.0)},
            'ion_window is 20 to 30 Å above the metal, but the film extends from 2.60 to 10.90 Å: move the window into '
            'the film',
        ),
        (
            {'n_ions': 9, 'ion_window': (4.0, 6.0)},
            '9 ions do not fit between 4.00 and 6.00 Å above the metal, where the film has room for 1: widen '
            'ion_window or the cell',
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(InterfaceSettingsError) as caught:
        build(**settings)
    assert str(caught.value) == message


def test_unknown_setting_is_answered_with_the_nearest():
    with pytest.raises(
        InterfaceSettingsError, match=r"^unknown interface setting 'n_waters': did you mean 'n_water'\?"
    ):
        InterfaceSettings.from_dict({'n_waters': 8})


def test_missing_packmol_is_answered_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'python'))
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(PackingError) as caught:
        find_packmol()
    assert str(caught.value) == (
        "packmol was not found beside the interpreter or on PATH; install it with 'pip install packmol'"
    )


def test_packmol_beside_the_interpreter_comes_first():
    assert Path(find_packmol()).parent == Path(sys.executable).parent


def test_film_that_cannot_be_packed_is_refused(monkeypatch):
    # A program that ends without a word stands for packmol without success
    module = 'aiida_edl.science.structures.metal_water_interface'
    monkeypatch.setattr(f'{module}.find_packmol', lambda: shutil.which('true'))
    with pytest.raises(PackingError) as caught:
        build()
    assert str(caught.value) == (
        'packmol could not pack 8 water molecules and 0 ions with atoms 1.5 Å apart or more: lower water_density or '
        'widen ion_window'
    )
