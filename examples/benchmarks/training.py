"""What the plugin costs a training: gradient updates per second through AiiDA against the bare command of the trainer.

The same small MACE and Deep Potential trainings run alternately, once as the command a user would type and once as a
:class:`~aiida_edl.calculations.training.TrainingCalculation`, each on one core. Compared is the time of the trainer's
process, start included; what AiiDA does before and after it is stated beside it. On a machine that others use,
``--together`` runs both of a pair at once, so that both are disturbed alike::

    source examples/demo/activate
    python examples/benchmarks/training.py [--pairs 3] [--updates 1500] [--python .environments/engines/bin/python]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from aiida import load_profile
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Computer, Dict, InstalledCode, Int, List, Str
from aiida.storage.sqlite_temp import SqliteTempBackend

from aiida_edl.architectures.base import Architecture, TrainingJob
from aiida_edl.architectures.testing import example_frames
from aiida_edl.calculations.training import TrainingCalculation, training_job
from aiida_edl.data.dataset import DatasetData
from aiida_edl.registry import ARCHITECTURES, load_member

LIMIT = 0.97
"""What the package promises: updates per second over those of the bare command."""
SMALL: dict[str, dict[str, Any]] = {
    'mace': {'cutoff_radius': 4.0, 'n_channels': 8, 'max_l': 0, 'correlation': 2, 'batch_size': 1, 'n_evaluations': 4},
    'deep_potential': {'cutoff_radius': 4.0, 'embedding_network': [8, 16], 'n_axis_neurons': 4, 'n_evaluations': 4},
}
"""Hyperparameters of each architecture."""
ELEMENTS = ['H', 'O', 'Au']
N_TRAINING = 40


class Times(NamedTuple):
    """How long a training took."""

    wall: float
    """Wall time [s], for which the user waits."""
    processor: float
    """Processor time [s], which other programs on the machine disturb less."""


def inputs(name: str, updates: int, code: InstalledCode) -> dict[str, Any]:
    """Return the inputs of a training."""
    split = ArrayData()
    for subset, indices in {'training': range(N_TRAINING), 'validation': range(N_TRAINING, 44), 'test': [44]}.items():
        split.set_array(subset, np.array(list(indices)))
    return {
        'code': code,
        'dataset': DatasetData.from_frames(example_frames(45, seed=1), level_of_theory='made up'),
        'split': split,
        'architecture': Str(name),
        'hyperparameters': Dict(SMALL[name]),
        'seed': Int(1),
        'elements': List(ELEMENTS),
        'atomic_energies': Dict(dict.fromkeys(ELEMENTS, 0.0)),
        'gradient_updates': Int(updates),
    }


def bare_seconds(architecture: Architecture, job: TrainingJob, python: Path) -> Times:
    """Return how long the commands of the trainer take, typed by hand."""
    with tempfile.TemporaryDirectory() as name:
        for path, content in architecture.training_files(job).items():
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        begin, processor = time.perf_counter(), 0.0
        for command in architecture.commands(replace(job, walltime_seconds=None)):
            environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', **command.environment}
            with (Path(name) / command.stdout).open('wb') as output:
                arguments = [str(python), *command.arguments]
                process = subprocess.Popen(arguments, cwd=name, env=environment, stdout=output, stderr=output)
                _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                sys.exit(f'the bare training failed:\n{(Path(name) / command.stdout).read_text()[-2000:]}')
            processor += usage.ru_utime + usage.ru_stime
        return Times(time.perf_counter() - begin, processor)


def plugin_seconds(given: dict[str, Any]) -> tuple[Times, float]:
    """Return how long the trainer's commands take through AiiDA, and how long the whole calculation takes [s]."""
    begin = time.perf_counter()
    _, node = run_get_node(TrainingCalculation, **given)
    if not node.is_finished_ok:
        sys.exit(f'the training failed: {node.exit_message}')
    summary = node.outputs.training_summary
    return Times(summary['wall_seconds'], summary['cpu_seconds']), time.perf_counter() - begin


def temporary_code(folder: str, python: Path) -> InstalledCode:
    """Return a code for the interpreter on a computer of a profile that lives in memory."""
    computer = Computer('benchmark', 'localhost', '', 'core.local', 'core.direct', folder).store()
    computer.set_minimum_job_poll_interval(0)
    computer.configure(safe_interval=0)
    return InstalledCode(label='engines', computer=computer, filepath_executable=str(python)).store()


def main() -> int:
    """Print times and ratios; return 1 if the median ratio of one architecture is below the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', type=int, default=3, help='runs of each kind, alternating (default 3)')
    parser.add_argument('--updates', type=int, default=1500, help='gradient updates of a run (default 1500)')
    parser.add_argument('--python', type=Path, default=Path('.environments/engines/bin/python'), help='interpreter')
    parser.add_argument('--together', action='store_true', help='run both of a pair at once')
    arguments = parser.parse_args()
    python = arguments.python.absolute()
    if not python.exists():
        print(f'{arguments.python} is not there; run `make install` first')
        return 0
    load_profile(SqliteTempBackend.create_profile(), allow_switch=True)
    is_slow = False
    with tempfile.TemporaryDirectory() as folder:
        code = temporary_code(folder, python)
        for name in SMALL:
            given = inputs(name, arguments.updates, code)
            architecture = load_member(ARCHITECTURES, name)
            job = training_job({**given, 'precision': Str('float64'), 'device': Str('cpu')}, None)
            pairs = []
            for _ in range(arguments.pairs):
                with ThreadPoolExecutor(max_workers=1) as pool:
                    future = pool.submit(bare_seconds, architecture, job, python)
                    if not arguments.together:
                        future.result()
                    trainer, whole = plugin_seconds(given)
                    bare = future.result()
                pairs.append((bare, trainer))
                print(
                    f'{name}: bare {bare.wall:.1f} s ({bare.processor:.1f} s on a core), trainer in the plugin '
                    f'{trainer.wall:.1f} s ({trainer.processor:.1f} s), calculation {whole:.1f} s',
                    flush=True,
                )
            median, processor = (statistics.median(b[kind] / p[kind] for b, p in pairs) for kind in (0, 1))
            print(
                f'{name}: updates per second over those of the bare command {median:.3f} (limit {LIMIT}), '
                f'per second on a core {processor:.3f}'
            )
            is_slow |= median < LIMIT
    return int(is_slow)


if __name__ == '__main__':
    sys.exit(main())
