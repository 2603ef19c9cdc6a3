"""What the plugin costs molecular dynamics: steps per second of its jobs against the bare engines; speed of replicas.

Each engine runs a potential that is trained here in two ways, alternately and on one core: as the job that a
:class:`~aiida_edl.calculations.molecular_dynamics.MolecularDynamicsCalculation` writes, by its own submission script,
and as the plainest script a user would write, see ``parts/bare``. Both store the same number of frames. Compared is the
time of the whole program, start included; the number of steps is chosen for the bare engine to take ``--seconds``. Wall
time is what the user waits for; processor time is less disturbed by whatever else runs on the machine. Where that
cannot be helped, ``--together`` runs both of a pair at once, so that both are disturbed alike::

    python examples/benchmarks/md_engines.py [--pairs 3] [--seconds 65] [--json md_engines.json]
    python examples/benchmarks/md_engines.py --device cuda

Then batches of replicas run in engine ``torch_sim``, up to 4 of them, or 64 with ``--device cuda``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiida import load_profile
from aiida.storage.sqlite_temp import SqliteTempBackend
from parts.md_jobs import CELLS, REPLICA_CELLS, SETTINGS, Bench, hardware, make_benches, timed
from training import Times

LIMIT = 0.97
"""What the package promises: steps per second over those of the bare engine."""
TRIAL_STEPS = (20, 120)
"""Runs whose difference tells how long a step takes."""
NANOSECOND = 1e6
"""One ns in fs."""
DAY = 86400.0
"""One day in s."""
REPLICAS = {'cpu': '1,2,4', 'cuda': '1,2,4,8,16,32,64'}
"""Sizes of batches by device."""
REPORTS = ('md_summary', 'run_commands')
"""JSON files that a job of replicas leaves."""
INTERVAL: int = SETTINGS['sampling_interval']


def time_pair(bench: Bench, steps: int, number: int, is_together: bool) -> tuple[Times, Times]:
    """Return the times of a bare run and of the job of the plugin, one after the other or side by side."""
    runs = bench.bare_run(steps, str(number)), bench.plugin_job(steps, str(number))
    with ThreadPoolExecutor(max_workers=2 if is_together else 1) as pool:
        bare, plugin = pool.map(timed, runs)
    bench.check(runs[1], steps)
    print(
        f'{bench.route.engine} with {bench.route.architecture}: {steps} steps, bare {bare.wall:.1f} s '
        f'({bare.processor:.1f} s on a core), plugin {plugin.wall:.1f} s ({plugin.processor:.1f} s)',
        flush=True,
    )
    return bare, plugin


def measure_pairs(bench: Bench, seconds: float, n_pairs: int, is_together: bool) -> dict[str, Any]:
    """Return what runs of both kinds cost; the bare ones take about the given time [s] on a core."""
    few, many = (timed(bench.bare_run(steps, f'trial_{steps}')).processor for steps in TRIAL_STEPS)
    per_step = max((many - few) / (TRIAL_STEPS[1] - TRIAL_STEPS[0]), 1e-4)
    steps = INTERVAL * max(math.ceil(seconds / per_step / INTERVAL), 1)
    pairs = [time_pair(bench, steps, number, is_together) for number in range(n_pairs)]
    bare, plugin = zip(*pairs)
    ratios = {kind: [getattr(b, kind) / getattr(p, kind) for b, p in pairs] for kind in Times._fields}
    return {
        'engine': bench.route.engine,
        'architecture': bench.route.architecture,
        'atoms': 4 * math.prod(CELLS),
        'steps': steps,
        'bare': [times._asdict() for times in bare],
        'plugin': [times._asdict() for times in plugin],
        'steps_per_second': {
            kind: steps / statistics.median(times.wall for times in runs)
            for kind, runs in {'bare': bare, 'plugin': plugin}.items()
        },
        'ratio': {kind: statistics.median(values) for kind, values in ratios.items()},
        'ratio_spread': {kind: [min(values), max(values)] for kind, values in ratios.items()},
    }


def measure_replicas(bench: Bench, n_replicas: int, seconds: float, repeats: int) -> dict[str, Any]:
    """Return how fast a batch of replicas is; the first run tells how long a step takes, the others count."""
    rates, memory, steps = [], {}, INTERVAL
    for number in range(repeats + 1):
        run = bench.replica_job(n_replicas, steps, str(number))
        timed(run)
        summary, report = (json.loads((run.folder / f'{name}.json').read_text()) for name in REPORTS)
        rates.append(1.0 / summary['seconds_per_step'])
        memory = {
            'host_megabyte': report['commands'][0]['peak_memory_megabyte'],
            'device_megabyte': summary['peak_device_memory_megabyte'],
        }
        if number == 0:
            steps = INTERVAL * max(math.ceil(seconds * rates[0] / INTERVAL), 1)
    rate, n_atoms = statistics.median(rates[1:]), 4 * math.prod(REPLICA_CELLS)
    return {
        'replicas': n_replicas,
        'atoms': n_atoms,
        'steps': steps,
        'atom_steps_per_second': n_replicas * n_atoms * rate,
        'nanoseconds_per_day': n_replicas * rate * SETTINGS['time_step'] / NANOSECOND * DAY,
        'relative_spread': (max(rates[1:]) - min(rates[1:])) / rate,
        'peak_memory': memory,
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
    parser.add_argument('--together', action='store_true', help='run both of a pair at once')
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--updates', type=int, default=200, help='gradient updates of the potentials (default 200)')
    parser.add_argument('--environments', type=Path, default=Path('.environments'), help='folder of environments')
    parser.add_argument('--json', type=Path, help='file that takes all numbers')
    arguments = parser.parse_args()
    arguments.engines = arguments.engines.split(',')
    counts = [int(word) for word in (arguments.replicas or REPLICAS[arguments.device]).split(',')]
    if not (arguments.environments / 'engines/bin/python').exists():
        print(f'{arguments.environments}/engines is not there; run `make install` first')
        return 0
    load_profile(SqliteTempBackend.create_profile(), allow_switch=True)
    report: dict[str, Any] = {'hardware': hardware(), 'device': arguments.device, 'is_together': arguments.together}
    report |= {'settings': SETTINGS, 'pairs': [], 'replicas': []}
    with tempfile.TemporaryDirectory() as name:
        benches = make_benches(arguments, Path(name))
        for bench in benches:
            report['pairs'].append(measure_pairs(bench, arguments.seconds, arguments.pairs, arguments.together))
        for bench in (bench for bench in benches if bench.route.engine == 'torch_sim'):
            for count in counts:
                report['replicas'].append(measure_replicas(bench, count, arguments.replica_seconds, arguments.pairs))
    print_table(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + '\n')
    return int(any(row['ratio']['wall'] < LIMIT for row in report['pairs']))


if __name__ == '__main__':
    sys.exit(main())
