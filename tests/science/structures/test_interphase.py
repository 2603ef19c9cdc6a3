"""Slabs of LiF and Li2CO3 in a common cell."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ase import Atoms

from aiida_edl.science.frames import FrameSet
from aiida_edl.science.metal_charge import ion_charges_of
from aiida_edl.science.structures.interphase import (
    BuiltInterphase,
    InterphaseError,
    InterphaseSettings,
    build_interphase,
)


def build(**settings) -> BuiltInterphase:
    """Return a cell with some settings changed."""
    return build_interphase(InterphaseSettings.from_dict(settings))


def atoms_of(built: BuiltInterphase) -> Atoms:
    """Return the frame in the form of an independent library."""
    frame = built.frame
    return Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)


def test_settings_survive_a_round_trip():
    settings = InterphaseSettings(carbonate_layers=3, shift=(0.1, 0.2), common_cell='fluoride')
    assert InterphaseSettings.from_dict(settings.to_dict()) == settings


def test_numbers_of_atoms_are_those_of_neutral_slabs():
    report = build(fluoride_layers=3, carbonate_layers=1).report
    # 10 cells of LiF have 40 atoms a plane; 4 cells of Li2CO3 have 48 atoms a layer, of which 16 are Li and 8 are C.
    assert report.n_fluoride_atoms == 120
    assert report.counts == {'Li': 60 + 16, 'C': 8, 'O': 24, 'F': 60}


def test_strains_lead_from_each_crystal_to_the_common_cell():
    built = build()
    lengths = np.array(built.report.cell_lengths[:2])
    np.testing.assert_allclose(lengths, [(8.3593 + 2 * 4.027) / 2, (4 * 4.9725 + 5 * 4.027) / 2])
    np.testing.assert_allclose(built.report.fluoride_strain, lengths / [2 * 4.027, 5 * 4.027] - 1)
    np.testing.assert_allclose(built.report.carbonate_strain, lengths / [8.3593, 4 * 4.9725] - 1)


@pytest.mark.parametrize(('side', 'other'), [('fluoride', 'carbonate'), ('carbonate', 'fluoride')])
def test_one_side_can_stay_as_it_is(side, other):
    report = build(common_cell=side, maximum_strain=0.05).report
    assert getattr(report, f'{side}_strain') == pytest.approx((0.0, 0.0), abs=1e-12)
    assert max(np.abs(getattr(report, f'{other}_strain'))) > 0.01


def test_fluoride_is_rocksalt_strained_along_x_and_y_alone():
    built = build(fluoride_layers=4)
    slab = atoms_of(built)[: built.report.n_fluoride_atoms]
    np.testing.assert_allclose(np.unique(np.round(slab.positions[:, 2], 6)), 4.027 / 2 * np.arange(4), atol=1e-6)
    along = (np.array(built.report.fluoride_strain) + 1) * 4.027 / 2
    inner = [atom.index for atom in slab if atom.symbol == 'Li' and 1 < atom.position[2] < 3]
    for index in inner:
        fluorines = [atom.index for atom in slab if atom.symbol == 'F']
        nearest = np.sort(slab.get_distances(index, fluorines, mic=True))[:6]
        np.testing.assert_allclose(nearest, np.sort([*np.repeat(along, 2), 4.027 / 2, 4.027 / 2]))


def test_carbonate_groups_keep_their_bonds_under_strain():
    strained, free = atoms_of(build(carbonate_repeat=[1, 4])), atoms_of(build(kind='lithium_carbonate'))
    bonds = []
    for crystal in (strained, free):
        carbons, oxygens = (np.flatnonzero(crystal.numbers == number) for number in (6, 8))
        bonds.append(np.sort(crystal.get_distances(int(carbons[0]), oxygens, mic=True))[:3])
    np.testing.assert_allclose(bonds[0], bonds[1], atol=1e-9)


def test_slabs_are_the_gap_apart_on_both_sides():
    built = build(gap=2.3)
    fluoride, carbonate = np.split(built.frame.positions[:, 2], [built.report.n_fluoride_atoms])
    assert carbonate.min() - fluoride.max() == pytest.approx(2.3)
    assert fluoride.min() + built.frame.cell[2, 2] - carbonate.max() == pytest.approx(2.3)
    assert built.report.n_interfaces == 2


def test_vacuum_opens_the_cell_along_its_normal():
    built = build(vacuum=12.0)
    assert built.frame.pbc.tolist() == [True, True, False]
    assert built.frame.cell[2, 2] - built.frame.positions[:, 2].max() == pytest.approx(12.0)
    assert built.report.n_interfaces == 1


@pytest.mark.parametrize('settings', [{}, {'shift': [0.25, 0.1]}, {'carbonate_layers': 3, 'fluoride_layers': 5}])
def test_distances_of_the_report_are_those_of_an_independent_code(settings):
    built = build(**settings)
    distances = atoms_of(built).get_all_distances(mic=True)
    n_fluoride = built.report.n_fluoride_atoms
    assert built.report.smallest_distance_across == pytest.approx(distances[:n_fluoride, n_fluoride:].min())
    np.fill_diagonal(distances, np.inf)
    assert built.report.smallest_distance == pytest.approx(distances.min())


def test_atoms_lie_in_the_cell():
    built = build(shift=[0.4, 0.9])
    fractional = built.frame.positions / np.diag(built.frame.cell)
    assert fractional.min() >= 0.0
    assert fractional.max() < 1.0


@pytest.mark.parametrize('settings', [{}, {'kind': 'lithium_carbonate'}])
def test_columns_are_those_of_cells_of_lithium_fluoride(settings):
    assert build(**settings).frame.columns == {'defect': 'none', 'n_defects': 0, 'total_charge': 0.0}


def test_formal_charges_of_fluoride_balance():
    """Ions that are counted are Li and F; two Li stand against each carbonate group."""
    built = build()
    assert ion_charges_of(FrameSet.from_frames([built.frame])).tolist() == [2 * built.report.counts['C']]


def test_crystal_of_carbonate_alone_has_no_interface():
    report = build(kind='lithium_carbonate', repeat=[1, 1, 2]).report
    assert (report.n_atoms, report.n_interfaces, report.fluoride_strain) == (48, 0, None)
    assert report.smallest_distance_across is None


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'kind': 'stacks'}, "unknown kind 'stacks': did you mean 'stack'? Known: lithium_carbonate, stack."),
        ({'carbonate_layers': 0}, "interphase setting 'carbonate_layers' is 0, it must be positive"),
        ({'fluoride_repeat': [2, 0]}, 'fluoride_repeat is [2, 0], its numbers must be positive'),
        ({'vacuum': -1.0}, "interphase setting 'vacuum' is -1.0, it must not be negative"),
        ({'layers': 2}, "unknown interphase setting 'layers': "),
        (
            {'fluoride_repeat': [2, 1], 'carbonate_repeat': [1, 1]},
            'the common cell strains LiF +1.9 % along x and +11.7 % along y, and Li2CO3 -1.8 % along x and -9.5 % '
            'along y, more than 3 %; take fluoride_repeat [2, 5] and carbonate_repeat [1, 4]',
        ),
        (
            {'maximum_strain': 1e-6},
            'the common cell strains LiF +1.9 % along x and -0.6 % along y, and Li2CO3 -1.8 % along x and +0.6 % along '
            'y, more than 0.0001 %; allow more strain',
        ),
        (
            {'gap': 0.8},
            'atoms of LiF and Li2CO3 are 0.84 Å apart, less than 1.5 Å; raise gap, now 0.8 Å, or change shift',
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(InterphaseError, match=f'^{re.escape(message)}'):
        build(**settings)


@pytest.mark.parametrize('common_cell', ['mean', 'fluoride', 'carbonate'])
def test_cells_that_a_refusal_names_do_fit(common_cell):
    settings = {'common_cell': common_cell, 'maximum_strain': 0.012, 'carbonate_layers': 1, 'fluoride_layers': 1}
    with pytest.raises(InterphaseError) as caught:
        build(**settings)
    along = re.search(r'fluoride_repeat (\[.*?\]) and carbonate_repeat (\[.*?\])$', str(caught.value))
    named = {name: json.loads(text) for name, text in zip(('fluoride_repeat', 'carbonate_repeat'), along.groups())}
    report = build(**settings, **named).report
    assert 0.0 < np.abs([report.fluoride_strain, report.carbonate_strain]).max() <= 0.012
