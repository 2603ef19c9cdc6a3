"""Inputs of the calculations on small systems, and how to stage, run and parse them in tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase_cases
import numpy as np
import torch_sim_cases
from aiida.common import LinkType
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import ArrayData, CalcJobNode, Dict, FolderData, Node, QueryBuilder, to_aiida_type
from aiida.plugins import CalculationFactory, ParserFactory
from ase import Atoms
from ase.calculators.lj import LennardJones
from toy.least_squares import SOURCE, LeastSquares

from aiida_edl import registry
from aiida_edl.calculations.functions.parity_verdict import parity_verdict
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import Frame, FrameSet

TESTS = Path(__file__).parent
"""Put on the path of jobs whose calculators are toys."""
ELEMENTS = ('H', 'O', 'Na', 'Au')
ATOMIC_ENERGIES = {'H': -13.0, 'O': -430.0, 'Na': -180.0, 'Au': -900.0}
EMT_PARAMETERS: Mapping[str, Any] = {
    'recipe': {'module': 'ase.calculators.emt', 'attribute': 'EMT', 'keyword_arguments': {}},
    'level_of_theory': 'effective-medium theory',
}
SCHEDULER_FILES = ('_scheduler-stdout.txt', '_scheduler-stderr.txt')
"""Files that AiiDA retrieves from every job."""
SPLIT = {'training': [0, 1, 2, 3, 6, 7], 'validation': [4], 'test': [5, 9]}


class ToyEntryPoint:
    """Entry point of the toy architecture, as ``importlib.metadata`` gives it."""

    name = 'least_squares'

    def load(self) -> type[LeastSquares]:
        """Return the class."""
        return LeastSquares


def register_toy(monkeypatch: Any) -> None:
    """Register the toy architecture beside those of the package."""
    found = registry.entry_points

    def entry_points(group: str) -> list[Any]:
        extra = [ToyEntryPoint()] if group == registry.ARCHITECTURES else []
        return [*found(group=group), *extra]

    monkeypatch.setattr(registry, 'entry_points', entry_points)


def labelled_frames(n_frames: int = 10, seed: int = 0) -> FrameSet:
    """Return small cells with and without two sodium atoms, by turns in pairs, with labels of a Lennard-Jones model."""
    generator = np.random.default_rng(seed)
    grid = 2.6 * np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing='ij'), axis=-1).reshape(-1, 3)
    frames = []
    for index in range(n_frames):
        numbers = [79, 79, 8, 8, 1, 1, *([11, 11] if index % 4 > 1 else [1, 1])]
        atoms = Atoms(numbers, grid + generator.normal(0, 0.1, grid.shape), cell=[9.0, 9.0, 14.0], pbc=[1, 1, 0])
        atoms.calc = LennardJones(sigma=2.3, epsilon=0.05, rc=4.0, smooth=True)
        energy = atoms.get_potential_energy() + sum(ATOMIC_ENERGIES[symbol] for symbol in atoms.symbols)
        frames.append(
            Frame(
                numbers=atoms.numbers.astype(np.uint8),
                positions=atoms.positions,
                cell=np.array(atoms.cell),
                pbc=np.array(atoms.pbc),
                energy=float(energy),
                forces=atoms.get_forces(),
            )
        )
    return FrameSet.from_frames(frames)


_stored: dict[str, str] = {}


def stored_once(key: str, make: Callable[[], Any]) -> Any:
    """Return a node that many tests share, as storing one takes longer than most of what is tested.

    :param key: name of the node.
    :param make: makes it; called again if a test has emptied the profile.
    """
    # A node object dies with the storage it came from, which a test may close; its UUID does not.
    node = QueryBuilder().append(Node, filters={'uuid': _stored.get(key, '')}).first(flat=True)
    if node is None:
        node = make().store()
        _stored[key] = node.uuid
    return node


def dataset(frames: FrameSet | None = None) -> DatasetData:
    """Return a dataset; a stored one if no frames are given."""
    if frames is None:
        return stored_once('dataset', lambda: dataset(labelled_frames()))
    return DatasetData.from_frames(frames, level_of_theory='Lennard-Jones', origin='made by hand')


def split(**changes: Any) -> ArrayData:
    """Return a split of ten frames; a stored one without changes."""
    return _split({**SPLIT, **changes}) if changes else stored_once('split', lambda: _split(SPLIT))


def _split(indices_by_subset: Mapping[str, Any]) -> ArrayData:
    """Return an unstored split."""
    node = ArrayData()
    for name, indices in indices_by_subset.items():
        if indices is not None:
            node.set_array(name, np.array(indices, dtype=None if len(indices) else np.int64))
    return node


def take_films_as_periodic(monkeypatch: Any) -> None:
    """Let the toy calculator take films as periodic along all cell vectors."""
    binding = replace(LeastSquares.bindings['ase'], is_fully_periodic=True)
    monkeypatch.setattr(LeastSquares, 'bindings', {**LeastSquares.bindings, 'ase': binding})


def thin_films(n_frames: int = 10) -> FrameSet:
    """Return :func:`labelled_frames` in a cell so low that the images of a film are about 2 Å from it."""
    frames = labelled_frames(n_frames)
    cells = frames.cells.copy()
    cells[:, 2, 2] = 5.0
    return replace(frames, cells=cells)


def potential(elements: tuple[str, ...] = ELEMENTS, **changes: Any) -> PotentialData:
    """Return a toy potential with small coefficients; a stored one without changes."""
    if elements == ELEMENTS and not changes:
        return stored_once('potential', lambda: _potential(ELEMENTS, {}))
    return _potential(elements, changes)


def _potential(elements: tuple[str, ...], changes: Mapping[str, Any]) -> PotentialData:
    """Return an unstored toy potential."""
    n_pairs = len(elements) * (len(elements) + 1) // 2
    model = {
        'elements': list(elements),
        'cutoff_radius': 4.0,
        'n_radial_functions': 4,
        'coefficients': [0.01] * (4 * n_pairs),
    }
    source = SOURCE.read_text().replace('\nMODEL = None\n', f'\nMODEL = {model!r}\n', 1)
    values: dict[str, Any] = {
        'architecture': 'least_squares',
        'elements': elements,
        'cutoff_radius': 4.0,
        'n_layers': 1,
        'training_charge_labels': ['0', '2Na'],
        'level_of_theory': 'Lennard-Jones',
        'atomic_energies': ATOMIC_ENERGIES,
        'embeds_atomic_energies': False,
        'precision': 'float64',
        'seed': 1,
        'gradient_updates': 5,
        **changes,
    }
    return PotentialData.from_model({'least_squares_calculator.py': source.encode()}, **values)


def verdict(
    route: Mapping[str, Any], frames: FrameSet | None = None, node: PotentialData | None = None, failure: str = ''
) -> Dict:
    """Return the verdict of the parity gate on one route, made by the function that makes all of them.

    :param route: what ``route_of`` returns.
    :param frames: frames that count as compared; those of :func:`labelled_frames` if None.
    :param node: the potential; the toy if None.
    :param failure: why the route does not pass; it passes if empty.
    """
    compared = labelled_frames() if frames is None else frames
    arrays = {name: getattr(compared, name) for name in ('energies', 'forces', 'offsets')}
    reference = ArrayData({**arrays, 'frame_indices': np.arange(len(compared))})
    routes = {'md': {**route, **({'failure': failure} if failure else {})}}
    made: Dict = parity_verdict(dataset(compared), node or potential(), reference, Dict(routes))
    return made


def _as_nodes(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs with plain values turned into nodes; those that are None are left out."""
    given = {name: value for name, value in inputs.items() if value is not None}
    plain = (str, bool, int, list, dict)
    return {
        name: to_aiida_type(value) if isinstance(value, plain) and name != 'metadata' else value
        for name, value in given.items()
    }


def training_inputs(code: Any, **changes: Any) -> dict[str, Any]:
    """Return inputs of a training of the toy architecture."""
    inputs = {
        'code': code,
        'dataset': dataset(),
        'split': split(),
        'architecture': 'least_squares',
        'hyperparameters': {'batch_size': 2, 'n_radial_functions': 6},
        'seed': 3,
        'elements': list(ELEMENTS),
        'atomic_energies': ATOMIC_ENERGIES,
        'gradient_updates': 6,
        **changes,
    }
    return _as_nodes(inputs)


def evaluation_inputs(code: Any, **changes: Any) -> dict[str, Any]:
    """Return inputs of an evaluation of the toy potential on the test frames."""
    inputs = {'code': code, 'dataset': dataset(), 'split': split(), 'potential': potential(), **changes}
    return _as_nodes(inputs)


def md_inputs(code: Any, **changes: Any) -> dict[str, Any]:
    """Return inputs of molecular dynamics with the toy potential."""
    settings = {'steps': 20, 'sampling_interval': 5, 'temperature': 100.0, 'fixed_elements': ['Au']}
    inputs = {
        'code': code,
        'structure': stored_once('structure', lambda: dataset(labelled_frames(4))),
        'engine': 'ase',
        'settings': settings,
        'potential': potential(),
        **changes,
    }
    return _as_nodes(inputs)


def replica_inputs(code: Any, **changes: Any) -> dict[str, Any]:
    """Return inputs of the recorded run of three replicas, one of which explodes."""
    frames = {label: job.frame for label, job in torch_sim_cases.replicas().items()}
    settings = {'ensemble': 'nvt', 'thermostat': 'csvr', 'temperature': 300.0, 'time_step': 2.0, 'steps': 40}
    inputs = {
        'code': code,
        'structures': {
            label: stored_once(
                f'structure {label}',
                lambda frame=frame: DatasetData.from_frames(FrameSet.from_frames([frame]), origin='made by hand'),
            )
            for label, frame in frames.items()
        },
        'replicas': {label: {'structure': label, 'seed': seed} for seed, label in enumerate(frames, start=1)},
        'engine': 'torch_sim',
        'settings': {**settings, 'equilibration_steps': 5, 'sampling_interval': 5, 'maximum_temperature': 1950.0},
        'model_parameters': {'recipe': dict(torch_sim_cases.LENNARD_JONES), 'level_of_theory': 'pair potential'},
        **changes,
    }
    structures = inputs.pop('structures')
    return {**_as_nodes(inputs), 'structures': structures}


def single_point_inputs(code: Any, **changes: Any) -> dict[str, Any]:
    """Return inputs of single points with effective-medium theory, for frames of gold and copper."""
    node = stored_once('metals', lambda: DatasetData.from_frames(ase_cases.frames(), origin='made by hand'))
    inputs = {'code': code, 'dataset': node, 'model_parameters': dict(EMT_PARAMETERS), **changes}
    return _as_nodes(inputs)


INPUTS = {
    'edl.training': training_inputs,
    'edl.evaluation': evaluation_inputs,
    'edl.molecular_dynamics': md_inputs,
    'edl.replica_dynamics': replica_inputs,
    'edl.single_point.ase_calculator': single_point_inputs,
}
"""Inputs of each calculation by entry point."""


def stage(entry_point: str, folder: Path, inputs: Mapping[str, Any]) -> CalcInfo:
    """Write the input files of a calculation into a folder, as is done before submission."""
    process = instantiate_process(get_manager().get_runner(), CalculationFactory(entry_point), **inputs)
    return process.prepare_for_submission(Folder(folder))


def refusal(entry_point: str, inputs: Mapping[str, Any]) -> str:
    """Return what a calculation says of inputs that it refuses, without the name of the port."""
    try:
        instantiate_process(get_manager().get_runner(), CalculationFactory(entry_point), **inputs)
    except ValueError as error:
        text = str(error)
        assert text.startswith("Error occurred validating port '")
        return text.partition("': ")[2]
    raise AssertionError('the inputs were accepted')


def finished_node(
    entry_point: str,
    inputs: Mapping[str, Any],
    files: Path | Mapping[str, bytes],
    scheduler_status: int | None = None,
) -> CalcJobNode:
    """Return a stored node of a calculation with retrieved files, the scheduler's among them, as a parser meets it.

    :param entry_point: entry point of the calculation.
    :param inputs: its inputs; defaults of the ports are filled in.
    :param files: retrieved files, by path or in a folder.
    :param scheduler_status: exit status that the scheduler has put on the node.
    """
    process_class = CalculationFactory(entry_point)
    node = CalcJobNode(computer=inputs['code'].computer, process_type=process_class.build_process_type())
    node.set_option('resources', {'num_machines': 1, 'num_mpiprocs_per_machine': 1})
    if scheduler_status is not None:
        node.set_exit_status(scheduler_status)
    complete = process_class.spec().inputs.pre_process(dict(inputs))
    for name, value in complete.items():
        if name == 'metadata':
            continue
        members = {f'{name}__{key}': member for key, member in value.items()} if name == 'structures' else {name: value}
        for label, member in members.items():
            node.base.links.add_incoming(member.store(), LinkType.INPUT_CALC, label)
    node.store()
    retrieved = FolderData()
    if isinstance(files, Path):
        retrieved.base.repository.put_object_from_tree(str(files))
    else:
        for name, content in files.items():
            retrieved.base.repository.put_object_from_bytes(content, name)
    for name in SCHEDULER_FILES:
        retrieved.base.repository.put_object_from_bytes(b'', name)
    retrieved.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
    retrieved.store()
    return node


def parse(entry_point: str, node: CalcJobNode) -> tuple[dict[str, Any], Any]:
    """Return outputs and exit code of the parser; all files were retrieved to be kept."""
    parser = ParserFactory(entry_point)(node)
    with tempfile.TemporaryDirectory() as name:
        exit_code = parser.parse(retrieved_temporary_folder=name)
    return dict(parser.outputs), exit_code


def without_labels(frames: FrameSet) -> FrameSet:
    """Return frames that keep energies but no forces."""
    return replace(frames, forces=None)
