"""All structural observables together: invariants, replicas, what is refused, and against MDAnalysis."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_edl.science.analysis import interface_structure as module
from aiida_edl.science.analysis.interface_structure import InterfaceStructure, interface_structure
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.frames import Frame, FrameSet

from . import synthetic


def assert_equal(first: InterfaceStructure, second: InterfaceStructure, without: tuple[str, ...] = ()) -> None:
    """Compare all arrays and numbers; distances are good to 1e-5 Å, so no pair of the seed lies closer to an edge."""
    ours, theirs = ({**s.arrays(), **s.scalars()} for s in (first, second))
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        if isinstance(value, np.ndarray):
            assert np.allclose(value, theirs[name], rtol=1e-6, atol=1e-9, equal_nan=True), name
        elif isinstance(value, float):
            assert value == pytest.approx(theirs[name], rel=1e-9), name
        elif name not in without:
            assert value == theirs[name], name


@pytest.fixture(scope='module')
def trajectory() -> FrameSet:
    return synthetic.film(24, seed=5)


@pytest.fixture(scope='module')
def structure(trajectory: FrameSet) -> InterfaceStructure:
    return interface_structure(trajectory)


def moved(frames: FrameSet, **arrays: Any) -> InterfaceStructure:
    """The structure of frames with other arrays."""
    return interface_structure(dataclasses.replace(frames, **arrays))


def test_shift_and_images_change_nothing(trajectory, structure):
    images = np.random.default_rng(1).integers(-2, 3, (len(trajectory.positions), 2)) * synthetic.WIDTH
    shifted = trajectory.positions + np.column_stack([images, np.zeros(len(images))]) + np.array([5.3, 7.1, 3.7])
    assert_equal(moved(trajectory, positions=shifted), structure)


def test_rotation_about_the_normal_changes_nothing(trajectory, structure):
    turn = np.array([[np.cos(0.3), np.sin(0.3), 0], [-np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    assert_equal(moved(trajectory, positions=trajectory.positions @ turn, cells=trajectory.cells @ turn), structure)


def test_skewed_cell_of_the_same_lattice_changes_nothing():
    # The same lattice of points along z; the height across a shrinks, so the range is given.
    frames, settings = synthetic.film(8, seed=6), StructureSettings(rdf_range=4.0)
    cells = frames.cells.copy()
    cells[:, 1] += cells[:, 0]
    skewed = interface_structure(dataclasses.replace(frames, cells=cells), settings)
    assert_equal(skewed, interface_structure(frames, settings))


def test_cell_vector_that_vanishes_leaves_the_film_alone():
    frames = synthetic.film(24, seed=7)
    cells, structure = frames.cells.copy(), interface_structure(frames)
    cells[:, 2] = 0.0
    flat = moved(frames, cells=cells)
    assert np.allclose(flat.rdf.g, structure.rdf.g, equal_nan=True)
    assert np.isnan(flat.rdf.g_cell).all()


def test_order_of_the_atoms_does_not_matter(trajectory, structure):
    order = np.random.default_rng(2).permutation(int(trajectory.offsets[1]))
    atoms = (trajectory.offsets[:-1, None] + order).ravel()
    shuffled = moved(trajectory, numbers=trajectory.numbers[atoms], positions=trajectory.positions[atoms])
    assert_equal(shuffled, structure)


def test_size_of_the_chunks_does_not_matter(trajectory, structure, monkeypatch):
    monkeypatch.setattr(module, 'ATOMS_AT_ONCE', 5 * int(trajectory.offsets[1]))
    assert_equal(interface_structure(trajectory), structure)


def test_slab_across_the_periodic_boundary_changes_nothing():
    frames = synthetic.film(8, seed=9, is_film=False)
    positions = frames.positions + np.array([0.0, 0.0, -3.3])
    positions[:, 2] %= synthetic.HEIGHT
    assert_equal(moved(frames, positions=positions), interface_structure(frames))


def test_mean_coordination_is_the_running_number_at_the_cutoff(structure):
    pair = structure.rdf.pairs.index('Na-O')
    last = round(3.2 / structure.settings.bin_width) - 1
    assert structure.coordination.mean == pytest.approx(structure.rdf.coordination[pair, last], rel=1e-12)
    assert structure.coordination.mean_error == pytest.approx(structure.rdf.coordination_error[pair, last], rel=1e-9)
    assert structure.coordination.distribution.sum() == pytest.approx(1.0)


def test_default_range_is_what_the_cell_allows(structure):
    assert structure.rdf.r[-1] == pytest.approx(synthetic.WIDTH / 2 - 0.025)


def test_blocks_average_to_the_distribution(structure):
    weights = structure.rdf.block_frames / structure.rdf.block_frames.sum()
    mean = np.einsum('b,bpr->pr', weights, structure.rdf.block_g)
    assert np.allclose(mean, structure.rdf.g, equal_nan=True)


def test_stride_and_equilibration_choose_frames():
    frames = synthetic.film(20, seed=1, columns={'replica': np.repeat([1, 2], 10), 'time': np.tile(np.arange(10.0), 2)})
    settings = StructureSettings(equilibration_frames=1, frame_stride=2)
    strided = interface_structure(frames, settings)
    chosen = interface_structure(frames.select([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]))
    assert_equal(strided, chosen, without=('settings',))
    assert (strided.n_frames, strided.n_replicas, strided.frame_interval) == (10, 2, 2.0)
    assert strided.scalars()['settings']['frame_stride'] == 2


def test_without_ions_their_parts_are_absent_and_said_so():
    result = interface_structure(synthetic.film(5, seed=1, n_ions=0))
    assert result.coordination is None
    assert result.rdf.pairs == ('O-O', 'O-H', 'H-H', 'Au-O', 'Au-H')
    assert result.remarks == ('The frames hold no ions: their distributions and coordination are absent.',)
    assert [name for name in {**result.arrays(), **result.scalars()} if name.startswith('coordination')] == []


def test_ion_that_is_asked_for_but_absent_is_said_so():
    result = interface_structure(synthetic.film(5, seed=1, n_ions=0), StructureSettings(ion='Na'))
    assert (result.ion, result.coordination) == ('', None)


def test_wanted_pair_that_is_absent_is_said_so():
    result = interface_structure(synthetic.film(5, seed=1, n_ions=0), StructureSettings(pairs=('O-O', 'Na-O')))
    assert result.rdf.pairs == ('O-O',)
    assert result.remarks[1] == 'The frames hold no pair Na-O: the distribution is absent.'


def test_dissociated_water_is_counted():
    random = synthetic.film(4, seed=3)
    positions = random.positions.reshape(4, -1, 3).copy()
    positions[1, 28] = positions[1, 30] + [0.0, -0.9, 0.3]  # a hydrogen of the first water goes to the second
    result = moved(random, positions=positions.reshape(-1, 3))
    assert result.irregular_oxygen_counts.tolist() == [0, 2, 0, 0]
    assert result.irregular_oxygen_fraction == pytest.approx(2 / (4 * 34))


@pytest.mark.parametrize('is_without_ions', [False, True])
def test_structure_is_rebuilt_from_arrays_and_json(structure, is_without_ions):
    result = interface_structure(synthetic.film(5, seed=1, n_ions=0)) if is_without_ions else structure
    scalars = json.loads(json.dumps(result.scalars(), allow_nan=False))
    rebuilt = InterfaceStructure.from_parts(result.arrays(), scalars)
    assert_equal(rebuilt, result)
    assert rebuilt.settings == result.settings


def test_missing_fields_are_named(structure):
    arrays = structure.arrays()
    del arrays['rdf_g']
    with pytest.raises(ValueError, match=r"^the fields \['rdf_g'\] of a result were not given$"):
        InterfaceStructure.from_parts(arrays, structure.scalars())


@pytest.mark.parametrize(
    ('settings', 'name', 'value'),
    [
        ({'rdf_range': 6.5}, 'rdf_range', '6.5'),
        ({'hydrogen_bond_distance': 6.2}, 'hydrogen_bond_distance', '6.2'),
        ({'coordination_cutoff': 7.0}, 'coordination_cutoff', '7'),
    ],
)
def test_range_beyond_half_the_cell_is_refused_with_the_largest(settings, name, value):
    message = (
        f'^{name} is {value} Å, but the cell is so small that only distances up to 6.00 Å, half its smallest periodic '
        f'height, are unique: set {name} to at most that$'
    )
    with pytest.raises(NotAnalysableError, match=message):
        interface_structure(synthetic.film(4, seed=1), StructureSettings(**settings))


def test_too_few_frames_for_an_error_are_refused():
    message = (
        r'^a replica gives 3 frames to analyse \(frame_stride is 4\), too few for an error; an error needs at least 4 '
        r'in each replica$'
    )
    with pytest.raises(NotAnalysableError, match=message):
        interface_structure(synthetic.film(10, seed=1), StructureSettings(frame_stride=4))


def test_metal_alone_is_refused():
    frame = synthetic.frame(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(NotAnalysableError, match='no metal surface that touches water'):
        interface_structure(FrameSet.from_frames([frame] * 4))


INDEPENDENT = """
import json, sys, warnings
import numpy as np
warnings.simplefilter('ignore')
import MDAnalysis
from MDAnalysis.analysis.hydrogenbonds.hbond_analysis import HydrogenBondAnalysis
from MDAnalysis.analysis.rdf import InterRDF
from MDAnalysis.coordinates.memory import MemoryReader

data = np.load(sys.argv[1])
numbers, positions = data['numbers'], data['positions'].astype(np.float32)
universe = MDAnalysis.Universe.empty(len(numbers), n_residues=len(numbers), atom_resindex=np.arange(len(numbers)),
                                     trajectory=True)
universe.add_TopologyAttr('types', [{79: 'Au', 8: 'O', 1: 'H', 11: 'Na'}[number] for number in numbers])
box = MDAnalysis.lib.mdamath.triclinic_box(*data['cell'].astype(np.float32))
universe.load_new(positions, format=MemoryReader, dimensions=np.tile(box, (len(positions), 1)), dt=1.0)
result = {}
for first, second, block in (('O', 'O', (1, 1)), ('O', 'H', (1, 2)), ('H', 'H', (2, 2)), ('Na', 'O', None)):
    groups = [universe.select_atoms('type ' + name) for name in (first, second)]
    rdf = InterRDF(*groups, nbins=100, range=(0.0, 5.0), exclusion_block=block).run()
    result[first + '-' + second] = rdf.results.rdf.tolist()
bonds = HydrogenBondAnalysis(universe, donors_sel='type O', hydrogens_sel='type H', acceptors_sel='type O',
                             d_h_cutoff=1.2, d_a_cutoff=3.5, d_h_a_angle_cutoff=150).run()
result['bonds'] = len(bonds.results.hbonds)
print(json.dumps(result))
"""


def liquid(n_frames: int) -> tuple[Frame, np.ndarray, list[Frame]]:
    """Waters at random in a triclinic cell above a slab: hydrogen bonds of all kinds occur."""
    random = np.random.default_rng(12)
    cell = np.array([[12.0, 0.0, 0.0], [3.0, 12.0, 0.0], [0.0, 0.0, 30.0]])
    frames = []
    for _ in range(n_frames):
        sites = np.array([(x, y, z) for z in (8.0, 10.9, 13.8, 16.7) for x, y in synthetic.lattice(4)])
        places = sites + random.uniform(-0.4, 0.4, sites.shape)
        item = synthetic.frame(places[2:], random.normal(size=(len(sites) - 2, 3)), places[:2])
        frames.append(Frame(item.numbers, item.positions, cell, item.pbc))
    return frames[0], cell, frames


@pytest.mark.slow
def test_mdanalysis_gives_the_same(tmp_path):
    """MDAnalysis lives in an environment of its own, or in that of the interpreter named by MAICOS_PYTHON."""
    root = Path(__file__).parents[3]
    python = os.environ.get('MAICOS_PYTHON', str(root / '.environments' / 'crosscheck' / 'bin' / 'python'))
    first, cell, frames = liquid(60)
    stored = {'numbers': first.numbers, 'cell': cell, 'positions': np.stack([frame.positions for frame in frames])}
    np.savez(tmp_path / 'trajectory.npz', **stored)
    command = [python, '-c', INDEPENDENT, str(tmp_path / 'trajectory.npz')]
    theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    settings = StructureSettings(rdf_range=5.0, hydrogen_bond_vertex='hydrogen')
    ours = interface_structure(FrameSet.from_frames(frames), settings)
    n_waters = int(np.count_nonzero(first.numbers == 8))
    assert ours.irregular_oxygen_fraction == 0.0
    assert theirs['bonds'] > 1000
    # Single precision of its positions and boxes may move one pair in 1e5 over an edge.
    assert ours.hydrogen_bonds.per_water * n_waters * 60 == pytest.approx(theirs['bonds'], abs=2)
    for pair in ('O-O', 'O-H', 'H-H', 'Na-O'):
        g = ours.rdf.g_cell[ours.rdf.pairs.index(pair)]
        expected = np.array(theirs[pair])
        assert np.abs(g - expected).sum() < 2e-4 * expected.sum(), pair
