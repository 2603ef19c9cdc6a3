"""What VASP is told: settings, protocols, tags, meshes, and the frames it is not given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from cp2k_cases import frame_of

from aiida_edl.dft.protocols import protocol_document
from aiida_edl.dft.vasp_input import incar, k_point_mesh, site_order
from aiida_edl.dft.vasp_settings import TAGS_OF_SITES, VaspSettings, VaspSettingsError, check_frame
from aiida_edl.science.gradient_check import GradientSettings, probe_frames


def water_on_gold(vacuum: float = 12.0, **columns):
    """Return a film with one sodium, its elements in no order."""
    positions = [[1, 1, 5], [0, 0, 1], [1, 1.8, 5.6], [3, 0, 1], [1, 0.2, 5.6], [3, 3, 5]]
    atoms = Atoms(['O', 'Au', 'H', 'Au', 'H', 'Na'], positions, cell=[6, 6, 4.6 + vacuum], pbc=[True, True, False])
    return frame_of(atoms, **columns)


def box(symbols: str, sides=(14.0, 14.5, 15.0), distance: float = 1.2):
    """Return an atom or a diatomic molecule in a box."""
    n_atoms = len(Atoms(symbols))
    return frame_of(Atoms(symbols, [[0, 0, distance * n] for n in range(n_atoms)], cell=sides, pbc=False))


def test_sites_are_grouped_by_element_and_keep_their_order_within():
    assert site_order(water_on_gold()).tolist() == [1, 3, 2, 4, 5, 0]


@pytest.mark.parametrize(
    ('cell', 'pbc', 'mesh'),
    [
        ([6.0, 6.2, 22.0], (True, True, False), (6, 6, 1)),
        ([6.0, 6.2, 22.0], (True, True, True), (6, 6, 2)),
        ([60.0, 60.0, 60.0], (True, True, True), (1, 1, 1)),
        ([6.0, 6.2, 22.0], (False, False, False), (1, 1, 1)),
        ([2 * np.pi / 0.18 / 4, 6.2, 22.0], (True, True, False), (4, 6, 1)),
    ],
)
def test_mesh_by_the_rule_of_vasp(cell, pbc, mesh):
    """With 0.18/Å: 2π/6 Å is 1.047/Å and makes 5.8 spacings, so 6; a cell of just four spacings has 4."""
    frame = frame_of(Atoms('Au', cell=cell, pbc=pbc))
    assert k_point_mesh(frame, VaspSettings()) == mesh


def test_mesh_of_a_skew_cell_is_that_of_its_reciprocal_vectors():
    """The primitive vectors of fcc gold: |b| = √3 2π/a, 2.609/Å for 4.172 Å, 14.5 spacings."""
    half = 4.172 / 2
    frame = frame_of(Atoms('Au', cell=[[0, half, half], [half, 0, half], [half, half, 0]], pbc=True))
    assert k_point_mesh(frame, VaspSettings()) == (15, 15, 15)


@pytest.mark.parametrize('pbc', [(True, True, False), (True, True, True)], ids=['film', 'bulk'])
def test_probes_of_the_gradient_check_have_the_mesh_of_their_frame(pbc):
    """The first cell vector is just short enough for five spacings, the second just too long for seven."""
    cell = np.array([[2 * np.pi / 0.18 / 5, 0.0, 0.0], [1.0, 2 * np.pi / 0.18 / 6 * 1.001, 0.0], [0.0, 0.0, 22.0]])
    labels = {'forces': np.eye(6, 3), 'stress': np.eye(3)}
    frame, settings = replace(water_on_gold(), cell=cell, pbc=np.array(pbc), **labels), VaspSettings()
    probes = probe_frames(frame, GradientSettings())
    meshes = {k_point_mesh(probe, settings) for probe in probes}
    bare = {k_point_mesh(probe, settings) for probe in probes.replaced_columns({})}
    assert meshes == {k_point_mesh(frame, settings)}
    assert len(probes) == 5
    assert len(bare) > 1


@pytest.mark.parametrize(
    ('functional', 'dispersion', 'expected'),
    [
        ('RPBE', 'd3_zero', ('RP', 11)),
        ('PBE', 'd3_bj', ('PE', 12)),
        ('revPBE', 'none', ('RE', None)),
    ],
)
def test_functional_and_damping(functional, dispersion, expected):
    tags = incar(water_on_gold(), VaspSettings.from_dict({'functional': functional, 'dispersion': dispersion}), 31.0)
    assert (tags['gga'], tags.get('ivdw')) == expected


def test_dipole_correction_is_for_films_only():
    film, settings = water_on_gold(), VaspSettings()
    tags = incar(film, settings, 31.0)
    middle = (1.0 + 5.6) / 2 / 16.6
    assert (tags['ldipol'], tags['idipol'], tags['dipol']) == (True, 3, f'0.5 0.5 {middle:.6f}')
    for pbc in ((True, True, True), (False, False, False)):
        tags = incar(replace(film, pbc=np.array(pbc)), settings, 31.0)
        assert not {'ldipol', 'idipol', 'dipol'} & set(tags)


def test_potential_is_written_for_films_only_and_only_if_asked_for():
    settings = VaspSettings(reports_vacuum_level=True)
    assert incar(water_on_gold(), settings, 31.0)['lvhar'] is True
    assert 'lvhar' not in incar(box('O'), settings, 6.0)
    assert 'lvhar' not in incar(water_on_gold(), VaspSettings(), 31.0)


@pytest.mark.parametrize(('charge', 'nelect'), [(0.0, None), (-1.0, 32.0), (0.25, 30.75)])
def test_electrons_of_charged_cells_alone_are_written(charge, nelect):
    """VASP counts those of neutral cells itself, and only then takes its warning of a wrong count for an error."""
    settings = VaspSettings(total_charge_column='charge')
    assert incar(water_on_gold(charge=charge), settings, 31.0).get('nelect') == nelect


def test_atom_is_spin_polarised_without_symmetry_and_dispersion():
    tags = incar(box('O'), VaspSettings(smearing=VaspSettings.from_dict({'smearing': 'fermi_dirac'}).smearing), 6.0)
    assert (tags['ispin'], tags['isym'], tags['ismear']) == (2, 0, 0)
    assert 'ivdw' not in tags


def test_molecule_is_treated_as_the_films_are():
    tags = incar(box('OH'), VaspSettings(), 7.0)
    assert (tags['ispin'], tags['ivdw']) == (1, 11)


def test_tags_of_ones_own():
    settings = VaspSettings(tags={'AMIX': 0.1, 'LUSE_VDW': True}, n_cores_per_orbital=8, n_k_point_groups=2)
    tags = incar(water_on_gold(), settings, 31.0)
    assert (tags['amix'], tags['luse_vdw'], tags['ncore'], tags['kpar']) == (0.1, True, 8, 2)


def test_tags_by_element_follow_the_order_of_the_poscar():
    tags = {'MAGMOM': {'Na': 5.0, 'O': 0.6}, 'LDAUL': {'Au': 2}, 'LDAUU': {'Au': 3.5}, 'ldauj': {'Cu': 1}}
    written = incar(water_on_gold(), VaspSettings(tags=tags), 31.0)
    assert written['magmom'] == '2*0.0 2*0.0 1*5.0 1*0.6'
    assert [written[tag] for tag in ('ldaul', 'ldauu', 'ldauj')] == ['2 -1 -1 -1', '3.5 0.0 0.0 0.0', '0.0 0.0 0.0 0.0']


@pytest.mark.parametrize(('symbol', 'moment'), [('O', '1*0.6'), ('Au', None)])
def test_atom_without_a_moment_of_its_own_keeps_that_of_vasp(symbol, moment):
    settings = VaspSettings(tags={'MAGMOM': {'Fe': 5.0, 'O': 0.6}})
    assert incar(box(symbol), settings, 6.0).get('magmom') == moment


def test_level_of_theory_names_values_by_element_in_one_order():
    for moments in ({'Fe': 5.0, 'O': 0.6}, {'O': 0.6, 'Fe': 5.0}):
        assert VaspSettings(tags={'MAGMOM': moments}).level_of_theory().endswith(', MAGMOM = {Fe: 5.0, O: 0.6}')


@pytest.mark.parametrize('tag', TAGS_OF_SITES)
def test_tags_in_an_order_of_sites_are_refused(tag):
    with pytest.raises(VaspSettingsError) as error:
        VaspSettings(tags={tag.upper(): '1.0 2.0'})
    assert str(error.value) == (
        f'the tag {tag.upper()} is in the order of sites or elements of a POSCAR, which differs from that of the '
        'frames; leave it out'
    )


def test_level_of_theory_names_all_that_changes_energies_and_nothing_else():
    settings = VaspSettings(tags={'amix': 0.1, 'metagga': 'R2SCAN'}, algorithm='Normal', n_cores_per_orbital=4)
    assert settings.level_of_theory(['PAW_PBE O 08Apr2002', 'PAW_PBE H 15Jun2001']) == (
        'VASP RPBE, D3 with zero damping, PAW PAW_PBE H 15Jun2001 + PAW_PBE O 08Apr2002, 450 eV, k-points every '
        '0.18/Å, one along z of films, gaussian smearing of 0.1 eV, free energy, PREC Accurate, projectors in real '
        'space, dipole correction along z of films, METAGGA = R2SCAN'
    )


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'functional': 'RPB'}, "unknown functional 'RPB': did you mean 'RPBE'? Known: PBE, RPBE, revPBE."),
        ({'dispersion': 'd3'}, "unknown dispersion 'd3': did you mean 'd3_bj'? Known: d3_bj, d3_zero, none."),
        ({'cut_off': 450}, "unknown setting of VASP 'cut_off': did you mean 'cutoff'? Known: "),
        ({'cutoff': -1.0}, 'cutoff is -1.0, it must be positive'),
        ({'maximum_active_jobs': 0}, 'maximum_active_jobs is 0, it must be positive'),
        ({'precision': 'Low'}, "unknown precision 'Low': Known: Accurate, Normal."),
        (
            {'tags': {'NELECT': 344}},
            'the tag NELECT follows from the settings and the frame; leave it out, and change the setting it '
            'belongs to',
        ),
        (
            {'tags': {'MAGMOM': '0 0 0 5'}},
            "the tag MAGMOM is '0 0 0 5', but the sites of a POSCAR are in another order than those of the frames; "
            "give it by element, for example {'Fe': 5.0}",
        ),
        (
            {'tags': {'ldaul': [2, -1]}},
            'the tag LDAUL is [2, -1], but the sites of a POSCAR are in another order than those of the frames; give '
            "it by element, for example {'Fe': 2}",
        ),
        (
            {'tags': {'MAGMOM': {'fe': 5.0}}},
            "the tag MAGMOM names 'fe', which is no element; give it by chemical symbol",
        ),
        ({'tags': {'MAGMOM': {'Fe': 'up'}}}, "the tag MAGMOM of Fe is 'up', expected a finite number"),
        ({'tags': {'LDAUL': {'Fe': 2.5}}}, 'the tag LDAUL of Fe is 2.5, expected an integer'),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(VaspSettingsError) as error:
        VaspSettings.from_dict(values)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ('frame', 'message'),
    [
        (
            water_on_gold(vacuum=8.7),
            'the film has 8.7 Å of vacuum, it needs 10 Å; lengthen the cell along z',
        ),
        (
            water_on_gold(charge_state=2),
            'the column charge_state says 2 ions, but the frame holds 1 (1 Na), so that its electrons would not be '
            'those of that charge state; correct the column',
        ),
        (
            water_on_gold(reference_scale=0.0),
            'the column reference_scale is 0, it must be positive, 1 for a cell that was not scaled',
        ),
        (
            replace(water_on_gold(), pbc=np.array([True, False, False])),
            'the frame is periodic along (True, False, False); periodic along all, along none, or a film with vacuum '
            'along the third cell vector can be computed',
        ),
        (
            replace(water_on_gold(), cell=np.diag([6.0, 6.0, -16.6])),
            'the cell vectors are left-handed, which VASP refuses; exchange two of them',
        ),
        (replace(water_on_gold(), cell=np.zeros((3, 3))), 'the cell has no volume; put a molecule into a box'),
        (
            replace(water_on_gold(), cell=np.array([[6.0, 0, 0], [0, 6, 0], [1, 0, 30]])),
            'the film is open along a cell vector that is not along z; turn it so that it is',
        ),
        (
            replace(water_on_gold(), positions=np.full((6, 3), np.nan)),
            'positions or cell are not finite; leave the frame out',
        ),
        (
            box('O', sides=(9.0, 14.0, 15.0)),
            'the atom has 9 Å to its image, it needs 10 Å; enlarge its box',
        ),
        (
            box('O', sides=(14.0, 14.0, 15.0)),
            'the box of the atom has sides of 14, 14, 15 Å; make all three differ by 0.1 Å, so that an open shell '
            'can break the symmetry',
        ),
        (
            box('OH', sides=(14.0, 14.0, 11.0)),
            'the molecule has 9.8 Å to its image, it needs 10 Å; enlarge its box',
        ),
        (
            replace(box('O'), cell=np.array([[14.0, 1, 0], [0, 14.5, 0], [0, 0, 15]])),
            'the box of the atom is not rectangular; give one along x, y and z',
        ),
    ],
)
def test_frames_that_are_not_run(frame, message):
    with pytest.raises(VaspSettingsError) as error:
        check_frame(frame, VaspSettings())
    assert str(error.value) == message


@pytest.mark.parametrize(
    'frame', [water_on_gold(), water_on_gold(charge_state=1), box('O'), box('OH', sides=(14.0, 14.0, 14.0))]
)
def test_frames_that_are_run(frame):
    check_frame(frame, VaspSettings())


def test_protocols_state_all_of_the_level_of_theory_alike():
    names = [set(protocol['settings']) for protocol in protocol_document('vasp')['protocols'].values()]
    assert names[0] == names[1] == names[2]
