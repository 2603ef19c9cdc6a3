"""Cells of lithium fluoride: what the perfect crystal is, what each defect changes, and what is refused."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import Spacegroup

from aiida_edl.science.metal_charge import metal_charges_of
from aiida_edl.science.structures.lithium_fluoride import BuiltLithiumFluoride, build_lithium_fluoride
from aiida_edl.science.structures.lithium_fluoride_settings import LithiumFluorideError, LithiumFluorideSettings

CONSTANT = 4.0
"""Lattice constant of these tests [Å], for round numbers."""
ALL = ('none', 'interstitial', 'vacancy', 'frenkel', 'schottky')


def build(**settings) -> BuiltLithiumFluoride:
    """Return cells with some settings changed."""
    return build_lithium_fluoride(LithiumFluorideSettings.from_dict({'lattice_constant': CONSTANT, **settings}))


def atoms_of(built: BuiltLithiumFluoride, index: int = 0) -> Atoms:
    """Return a frame in the form of an independent library."""
    frame = built.frames.frame(index)
    return Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)


def missing_and_added(built: BuiltLithiumFluoride, index: int = 0) -> tuple[list, list]:
    """Return what a frame lacks and has beyond the perfect crystal, as symbols and positions [Å]."""
    frame = built.frames.frame(index)
    perfect = bulk('LiF', 'rocksalt', a=CONSTANT, cubic=True).repeat(
        tuple(np.rint(np.diag(frame.cell) / CONSTANT).astype(int))
    )
    keys = [
        Counter(
            (symbol, *np.round(position, 6) % np.round(frame.cell.diagonal(), 6))
            for symbol, position in zip(a.symbols, a.positions)
        )
        for a in (perfect, atoms_of(built, index))
    ]
    return list((keys[0] - keys[1]).elements()), list((keys[1] - keys[0]).elements())


def distance(built: BuiltLithiumFluoride, first: tuple, second: tuple) -> float:
    """Return the distance of two points to the nearest image [Å]."""
    pair = Atoms('H2', positions=[first[1:], second[1:]], cell=built.frames.cells[0], pbc=True)
    return float(pair.get_distance(0, 1, mic=True))


def test_settings_survive_a_round_trip():
    settings = LithiumFluorideSettings(repeat=(2, 3, 4), defect='frenkel', concentration=0.05, separation=6.0)
    assert LithiumFluorideSettings.from_dict(settings.to_dict()) == settings


def test_perfect_crystal_is_rocksalt():
    assert missing_and_added(build(repeat=(2, 3, 2))) == ([], [])


def test_sites_of_the_crystal_have_the_symmetry_of_its_space_group():
    """Fm-3m makes the eight atoms out of one Li and one F."""
    frame = build(repeat=(1, 1, 1)).frames.frame(0)
    for number, first in ((3, (0.0, 0.0, 0.0)), (9, (0.5, 0.0, 0.0))):
        sites, _ = Spacegroup(225).equivalent_sites([first])
        found = {tuple(site) for site in np.round(frame.positions[frame.numbers == number] / CONSTANT, 6).tolist()}
        assert found == {tuple(site) for site in np.round(sites, 6).tolist()}


def test_density_at_room_temperature_is_that_of_the_crystal():
    report = build_lithium_fluoride(LithiumFluorideSettings()).report
    # CRC Handbook: 2.640 g/cm³, to its last digit but one.
    assert report.density == pytest.approx(2.640, abs=0.005)
    assert report.smallest_distance == pytest.approx(4.027 / 2)


@pytest.mark.parametrize(
    ('defect', 'n_lithium', 'n_fluorine'),
    [('none', 32, 32), ('interstitial', 34, 32), ('vacancy', 30, 32), ('frenkel', 32, 32), ('schottky', 30, 30)],
)
def test_numbers_of_atoms(defect, n_lithium, n_fluorine):
    report = build(repeat=(2, 2, 2), defect=defect, n_defects=None if defect == 'none' else 2).report
    assert (report.n_lithium, report.n_fluorine, report.n_atoms) == (n_lithium, n_fluorine, n_lithium + n_fluorine)


@pytest.mark.parametrize(
    ('defect', 'missing', 'added'),
    [('interstitial', [], ['Li']), ('vacancy', ['Li'], []), ('frenkel', ['Li'], ['Li']), ('schottky', ['F', 'Li'], [])],
)
@pytest.mark.parametrize('seed', [0, 1])
def test_each_defect_changes_the_crystal_by_what_it_is(defect, missing, added, seed):
    lacks, has = missing_and_added(build(repeat=(2, 2, 3), defect=defect, seed=seed))
    assert (sorted(item[0] for item in lacks), [item[0] for item in has]) == (missing, added)


def test_tetrahedral_interstitial_has_four_neighbours_of_each_kind():
    atoms = atoms_of(build(repeat=(2, 2, 2), defect='interstitial'))
    distances = atoms.get_distances(len(atoms) - 1, range(len(atoms) - 1), mic=True)
    nearest = np.flatnonzero(np.isclose(distances, CONSTANT * np.sqrt(3) / 4, atol=1e-9))
    assert Counter(atoms.symbols[nearest]) == {'Li': 4, 'F': 4}
    assert distances.min() == pytest.approx(CONSTANT * np.sqrt(3) / 4)


@pytest.mark.parametrize('seed', range(6))
def test_dumbbell_shares_a_site_along_a_body_diagonal(seed):
    built = build(repeat=(2, 2, 2), defect='interstitial', interstitial_site='dumbbell', dumbbell_length=1.8, seed=seed)
    lacks, has = missing_and_added(built)
    assert ([item[0] for item in lacks], [item[0] for item in has]) == (['Li'], ['Li', 'Li'])
    ends = [np.array(item[1:]) for item in has]
    apart = Atoms('Li2', positions=ends, cell=built.frames.cells[0], pbc=True).get_distance(0, 1, mic=True, vector=True)
    np.testing.assert_allclose(np.abs(apart), 1.8 / np.sqrt(3), atol=1e-5)
    for end in has:
        assert distance(built, end, lacks[0]) == pytest.approx(0.9, abs=1e-5)


def test_all_four_directions_of_a_dumbbell_are_drawn():
    built = build(repeat=(2, 2, 2), defect='interstitial', interstitial_site='dumbbell', n_frames=40)
    signs = set()
    for number in range(40):
        ends = [np.array(item[1:]) for item in missing_and_added(built, number)[1]]
        pair = Atoms('Li2', positions=ends, cell=built.frames.cells[number], pbc=True)
        vector = pair.get_distance(0, 1, mic=True, vector=True)
        signs.add(tuple(np.sign(vector * np.sign(vector[0])).astype(int).tolist()))
    assert signs == {(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)}


@pytest.mark.parametrize(
    ('settings', 'separation'),
    [
        # Beyond 1.25 lattice constants: √27/4 of them for tetrahedral sites, √2 for lattice sites.
        ({'defect': 'frenkel'}, np.sqrt(27)),
        ({'defect': 'frenkel', 'interstitial_site': 'dumbbell'}, CONSTANT * np.sqrt(2)),
        ({'defect': 'frenkel', 'separation': 3.0}, np.sqrt(11)),
        # A separation that is a shell takes it, whatever the last bit says.
        ({'defect': 'frenkel', 'separation': np.sqrt(19)}, np.sqrt(19)),
        ({'defect': 'schottky'}, CONSTANT / 2),
        ({'defect': 'schottky', 'separation': 5.0}, 6.0),
        ({'defect': 'schottky', 'separation': 2.1}, np.sqrt(12)),
    ],
)
def test_parts_of_a_pair_are_on_the_nearest_shell_beyond_the_separation(settings, separation):
    built = build(**settings)
    assert built.report.pair_separation == pytest.approx(separation)
    lacks, has = missing_and_added(built)
    if settings.get('interstitial_site') != 'dumbbell':
        first, second = (*lacks, *has)
        assert distance(built, first, second) == pytest.approx(separation, abs=1e-5)


@pytest.mark.parametrize('defect', ['interstitial', 'vacancy', 'frenkel', 'schottky'])
@pytest.mark.parametrize('seed', range(3))
def test_different_defects_keep_their_distance_from_each_other_and_all_images(defect, seed):
    built = build(repeat=(3, 3, 2), defect=defect, n_defects=4, minimum_distance=3.9, seed=seed)
    lacks, has = missing_and_added(built)
    points = [*lacks, *has]
    distances = sorted(distance(built, a, b) for number, a in enumerate(points) for b in points[:number])
    n_pairs = 4 if defect in ('frenkel', 'schottky') else 0
    between = [value for value in distances if n_pairs == 0 or abs(value - built.report.pair_separation) > 1e-5]
    assert min(between) >= 3.9 - 1e-5
    assert built.report.smallest_defect_distance >= 3.9 - 1e-9
    if not n_pairs:
        assert built.report.smallest_defect_distance == pytest.approx(min(distances), abs=1e-5)


@pytest.mark.parametrize(('concentration', 'number'), [(0.05, 5), (1 / 108, 1), (0.02, 2)])
def test_concentration_is_rounded_to_whole_defects_and_reported(concentration, number):
    report = build(defect='vacancy', concentration=concentration, minimum_distance=2.0).report
    assert (report.n_defects, report.concentration) == (number, pytest.approx(number / 108))


@pytest.mark.parametrize(
    ('defect', 'convention', 'charge', 'electrons'),
    [
        ('none', 'ionic', 0, 'The cell has the electrons of its neutral atoms.'),
        (
            'interstitial',
            'neutral',
            0,
            'The cell has the electrons of its neutral atoms. Each interstitial leaves one electron in the conduction '
            'band.',
        ),
        (
            'interstitial',
            'ionic',
            2,
            'The cell lacks one electron for each interstitial, against a uniform background: Li+ in an insulator.',
        ),
        (
            'vacancy',
            'ionic',
            -2,
            'The cell has one electron more for each vacancy, against a uniform background: no hole in an insulator.',
        ),
        ('frenkel', 'ionic', 0, 'The cell has the electrons of its neutral atoms.'),
        ('schottky', 'ionic', 0, 'The cell has the electrons of its neutral atoms.'),
    ],
)
def test_charge_of_the_cell_and_what_it_means(defect, convention, charge, electrons):
    built = build(defect=defect, n_defects=None if defect == 'none' else 2, charge_convention=convention)
    assert (built.report.total_charge, built.report.charge_meaning) == (charge, electrons)
    assert built.frames.columns['total_charge'].tolist() == [charge]


@pytest.mark.parametrize('defect', ALL)
def test_charge_of_ions_leaves_no_electron_over(defect):
    """Cells of the ionic convention hold ions alone: what is not on Li+ and F- vanishes."""
    assert metal_charges_of(build(defect=defect, charge_convention='ionic').frames).tolist() == [0.0]


def test_columns_tell_the_defect():
    columns = build(defect='vacancy', n_defects=3, n_frames=2).frames.columns
    assert {name: column.tolist() for name, column in columns.items()} == {
        'defect': ['vacancy', 'vacancy'],
        'n_defects': [3, 3],
        'total_charge': [0.0, 0.0],
    }


def test_frames_come_from_successive_seeds():
    together = build(defect='interstitial', n_frames=3, seed=5, displacement=0.05).frames
    for number in range(3):
        alone = build(defect='interstitial', seed=5 + number, displacement=0.05).frames
        np.testing.assert_array_equal(together.frame(number).positions, alone.positions)


def test_same_seed_gives_the_same_atoms_and_another_does_not():
    first = build(defect='frenkel', seed=4).frames.positions
    np.testing.assert_array_equal(first, build(defect='frenkel', seed=4).frames.positions)
    assert not np.array_equal(first, build(defect='frenkel', seed=5).frames.positions)


def test_displacements_have_the_width_that_was_asked_for_and_leave_the_defects_in_place():
    built, still = (build(defect='interstitial', displacement=size, n_frames=4) for size in (0.1, 0.0))
    moved = built.frames.positions - still.frames.positions
    # 2604 numbers: the standard error of their width is 1.4 %, four of which are allowed.
    assert moved.std() == pytest.approx(0.1, rel=0.056)


def test_repeated_frames_are_counted():
    assert build(defect='none', n_frames=4).report.n_repeated_frames == 3
    assert build(defect='none', n_frames=4, displacement=0.01).report.n_repeated_frames == 0


def test_every_site_is_drawn_alike():
    """Chi square of 640 vacancies on 32 sites: 31 degrees of freedom, exceeded by chance once in a million seeds."""
    frames = build(repeat=(2, 2, 2), defect='vacancy', n_frames=640).frames
    perfect = build(repeat=(2, 2, 2)).frames.positions[:32]
    counts = Counter()
    for frame in frames:
        kept = {tuple(position) for position in np.round(frame.positions[frame.numbers == 3], 6).tolist()}
        counts[next(k for k, site in enumerate(np.round(perfect, 6).tolist()) if tuple(site) not in kept)] += 1
    assert sum((counts[site] - 20) ** 2 / 20 for site in range(32)) < 86.0


def test_interstitial_atoms_are_the_last():
    report = build(defect='frenkel', n_defects=2).report
    assert report.interstitial_atoms == (214, 215)


def test_a_near_image_and_a_charge_are_warned_of():
    report = build(repeat=(3, 1, 2), defect='interstitial', charge_convention='ionic').report
    assert report.image_distance == 4.0
    assert report.warnings == (
        'a defect is 4.00 Å from its own periodic image, nearer than 8 Å; its energy and its barriers are those of a '
        'periodic array',
        "the cell has a charge of +1 e: labels need a method that takes the column 'total_charge', and energies "
        'contain the interaction with the background',
    )
    assert build(repeat=(2, 2, 2), defect='interstitial').report.warnings == ()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (
            {'defect': 'interstital'},
            "unknown defect 'interstital': did you mean 'interstitial'? Known: frenkel, interstitial, none, schottky, "
            'vacancy.',
        ),
        ({'n_defect': 2}, "unknown setting of lithium fluoride 'n_defect': did you mean 'n_defects'?"),
        ({'repeat': (0, 1, 1)}, 'repeat is [0, 1, 1], it must be three positive integers'),
        ({'lattice_constant': 0.0}, "setting 'lattice_constant' is 0.0, it must be positive"),
        ({'displacement': -0.1}, "setting 'displacement' is -0.1, it must not be negative"),
        ({'defect': 'frenkel', 'separation': 0.0}, "setting 'separation' is 0.0, it must be positive"),
        (
            {'defect': 'vacancy', 'n_defects': 1, 'concentration': 0.1},
            'n_defects is 1 and concentration is 0.1; give one of them',
        ),
        (
            {'n_defects': 1},
            "a number of defects is given, but the defect is 'none'; name the defect, e.g. 'interstitial'",
        ),
        (
            {'defect': 'vacancy', 'concentration': 0.004},
            'a concentration of 0.004 in 108 Li sites is 0.43 defects; give at least 0.00926 or a larger cell',
        ),
        (
            {'defect': 'vacancy', 'n_defects': 108},
            "108 defects 'vacancy' are asked for in a cell of 108 Li sites; give 1 to 107 or a larger cell",
        ),
        (
            {'defect': 'vacancy', 'n_defects': 0},
            "0 defects 'vacancy' are asked for in a cell of 108 Li sites; give 1 to 107 or a larger cell",
        ),
        (
            {'defect': 'vacancy', 'separation': 3.0},
            "separation is 3 Å, but the defect 'vacancy' is no pair; leave it out",
        ),
        (
            {'dumbbell_length': 3.0},
            'dumbbell_length is 3 Å, it must be below that of Li sites, 2.83 Å',
        ),
        (
            {'defect': 'frenkel', 'repeat': (1, 1, 1)},
            "the parts of a 'frenkel' pair are to be 5 Å apart or more, but at most 1.73 Å are possible in this cell; "
            'give a larger cell or a smaller separation',
        ),
        (
            {'defect': 'schottky', 'repeat': (2, 2, 2), 'separation': 9.0},
            "the parts of a 'schottky' pair are to be 9 Å apart or more, but at most 6.00 Å are possible in this cell; "
            'give a larger cell or a smaller separation',
        ),
        (
            {'defect': 'frenkel', 'separation': 1.5},
            'a separation of 1.5 Å puts the interstitial 1.73 Å from the vacancy, where the pair recombines at once; '
            'give more than that',
        ),
        (
            {'defect': 'vacancy', 'repeat': (1, 2, 2), 'minimum_distance': 5.0},
            'a defect is 4.00 Å from its own image, minimum_distance is 5 Å; give a larger cell or a smaller distance',
        ),
        (
            {'defect': 'vacancy', 'n_defects': 2, 'repeat': (2, 2, 2), 'minimum_distance': 7.0},
            "2 defects 'vacancy' do not fit 7 Å apart in a cell of 8.00 x 8.00 x 8.00 Å, at most 1 were placed; lower "
            'minimum_distance or take a larger cell',
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(LithiumFluorideError, match=f'^{re.escape(message)}'):
        build(**settings)


def test_atoms_on_top_of_each_other_are_refused():
    message = (
        r'^\w+ \d+ and \w+ \d+ of frame 0 are \d\.\d\d Å apart, less than 1\.3 Å; lower displacement or raise '
        'minimum_distance, lattice_constant or dumbbell_length$'
    )
    with pytest.raises(LithiumFluorideError, match=message):
        build(displacement=1.0)
