"""Time sums over charges against LAMMPS and torch-pme, at equal measured error of the forces.

Each program is tuned on each system until the root mean square error of its forces is at most ``--target``, and then
runs on one core. Each point is measured in a process of its own, which gives its peak of memory, and stands in the file
of ``--output`` as soon as it is there: a run that is stopped goes on where it was. What is not measured stands there
with its reason::

    python examples/benchmarks/long_range.py --quick
    python examples/benchmarks/long_range.py --output long_range.json --render docs/source/topics/long_range_speed

Needs what the environment ``engines`` has: numba, torch-pme and LAMMPS. Processor time is disturbed less than
wall time by what else runs on a machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the environment of the engines need not hold this package

from parts.charge_cases import QUICK_ATOMS, ChargeCase, case_named, cases  # noqa: E402
from parts.long_range_points import evaluation_seconds  # noqa: E402
from parts.long_range_report import render  # noqa: E402
from parts.point_stages import PROGRAMS, versions, work_on  # noqa: E402
from parts.this_machine import hardware  # noqa: E402

NEEDED = ('numba', 'torchpme', 'matplotlib')
LARGEST = 300000
"""Atoms of the largest system by default."""
ONE_THREAD = dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'NUMBA_NUM_THREADS'), '1')
REPEATED = ('processor_seconds', 'wall_seconds')
"""Times of each repeat."""
SEARCHES = ('search_processor_seconds', 'search_wall_seconds')
"""Times of a search in each round."""
TIME_IS_UP = 'the time given to the benchmark was up; the same command goes on'


class Results:
    """Points in a file, which is written anew for each of them."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.document: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {'points': []}
        if self.document.get('target', header['target']) != header['target']:
            raise SystemExit(f'{path} holds points for a target of {self.document["target"]} eV/Å: give another file')
        self.document = {**header, **self.document, 'versions': header['versions']}
        self._lock = Lock()

    def has(self, system: str, program: str) -> bool:
        """Return whether a point is done: measured, or left out for a reason that lasts."""
        return any(self._is(row, system, program) and row.get('reason') != TIME_IS_UP for row in self.points)

    def add(self, row: dict[str, Any]) -> None:
        """Store a point in place of an earlier one."""
        with self._lock:
            kept = [each for each in self.points if not self._is(each, row['system'], row['program'])]
            self.document['points'] = [*kept, row]
            unfinished = self.path.with_name(f'{self.path.name}.unfinished')
            unfinished.write_text(json.dumps(self.document, indent=1) + '\n')
            unfinished.rename(self.path)

    @property
    def points(self) -> list[dict[str, Any]]:
        """All points so far."""
        return self.document['points']

    @staticmethod
    def _is(row: dict[str, Any], system: str, program: str) -> bool:
        return row['system'] == system and row['program'] == program


def run_stage(arguments: argparse.Namespace, row: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return what one stage of a point gives, in a process of its own, or the reason why it gives nothing."""
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        '--stage',
        stage,
        '--point',
        row['system'],
        row['program'],
    ]
    command += ['--target', str(arguments.target), '--output', str(arguments.output), '--lmp', arguments.lmp]
    command += ['--seconds', str(arguments.seconds)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, check=False, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    last = done.stderr.strip().splitlines()[-1:] or ['no message']
    return {'reason': f'the program ended with status {done.returncode}: {last[0]}'}


def measure_case(arguments: argparse.Namespace, case: ChargeCase, programs: list[str], results: Results) -> None:
    """Measure programs on a system: each is tuned, then they take turns, so that a busy machine disturbs all alike."""
    rows = {}
    for program in programs:
        row = {'system': case.name, 'family': case.family, 'atoms': case.n_atoms, 'program': program}
        row['is_orthorhombic'] = case.is_orthorhombic
        rows[program] = row | ({'reason': TIME_IS_UP} if is_over(arguments) else run_stage(arguments, row, 'tune'))
    for _ in range(arguments.rounds):
        for row in rows.values():
            if 'reason' in row or (is_over(arguments) and 'evaluations' in row):
                continue
            row.update(
                {'reason': TIME_IS_UP} if is_over(arguments) else with_round(row, run_stage(arguments, row, 'time'))
            )
    for row in rows.values():
        results.add(row)
        print(describe(row), flush=True)


def is_over(arguments: argparse.Namespace) -> bool:
    """Return whether the time given to the benchmark is up."""
    return arguments.stop_at is not None and time.time() > arguments.stop_at


def with_round(row: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what a round gives, its times after those of the rounds before."""
    if 'reason' in found:
        return found
    repeats = {name: [*row.get(name, []), *found[name]] for name in REPEATED}
    searches = {name: [*row.get(name, []), found[name]] for name in SEARCHES}
    memory = max(found['peak_megabytes'] or 0.0, row.get('peak_megabytes', 0.0))
    return {**found, **repeats, **searches, 'peak_megabytes': memory}


def describe(row: dict[str, Any]) -> str:
    """Return one line for a point."""
    head = f'{row["system"]:<20} {row["program"]:<20}'
    if 'reason' in row:
        return f'{head} not measured: {row["reason"]}'
    given, searched = (1e3 * evaluation_seconds(row, has_search) for has_search in (False, True))
    return (
        f'{head} {given:10.2f} ms  with search {searched:10.2f} ms  error {row["error"]:.2e} eV/Å'
        f'  {row["peak_megabytes"]:.0f} MB'
    )


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure all points that are not there yet, and return the document."""
    header = {'target': arguments.target, 'hardware': hardware(), 'versions': versions(arguments.lmp)}
    header['hardware']['jobs_at_once'] = arguments.jobs
    results = Results(arguments.output, header)
    todo = []
    for case in cases(arguments.systems.split(','), arguments.largest):
        programs = [name for name in arguments.programs.split(',') if not results.has(case.name, name)]
        todo.append((case, programs))
    with ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        list(pool.map(lambda each: measure_case(arguments, *each, results), todo))
    return results.document


def find_lammps() -> str | None:
    """Return the program ``lmp`` beside the interpreter, else on the search path."""
    beside = Path(sys.executable).with_name('lmp')
    return str(beside) if beside.is_file() else shutil.which('lmp')


def parsed() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--target', type=float, default=1e-3, help='force error [eV/Å] (default 0.001)')
    parser.add_argument('--systems', default='water,crystals', help='water, crystals or names (default both)')
    parser.add_argument('--programs', default=','.join(PROGRAMS), help='programs (default all)')
    parser.add_argument('--largest', type=int, default=LARGEST, help=f'atoms of the largest system (default {LARGEST})')
    parser.add_argument('--rounds', type=int, default=3, help='rounds in which programs take turns (default 3)')
    parser.add_argument('--seconds', type=float, default=10.0, help='time of a point in a round [s] (default 10)')
    parser.add_argument('--stop-after', type=float, help='time after which no point is begun [s]')
    parser.add_argument('--jobs', type=int, default=1, help='systems measured at once; they disturb each other')
    parser.add_argument('--quick', action='store_true', help='two boxes of water and one round')
    parser.add_argument('--output', type=Path, default=Path('long_range.json'), help='file of all points')
    parser.add_argument('--render', type=Path, help='folder that takes tables and figures')
    parser.add_argument('--lmp', help='the program of LAMMPS')
    parser.add_argument('--stage', choices=('tune', 'time'), help=argparse.SUPPRESS)
    parser.add_argument('--point', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.lmp = arguments.lmp or find_lammps() or 'lmp'
    arguments.stop_at = None if arguments.stop_after is None else time.time() + arguments.stop_after
    if arguments.quick:
        arguments.systems, arguments.largest, arguments.rounds = 'water', QUICK_ATOMS, 1
    return arguments


def main() -> int:
    """Measure, or do one stage of one point."""
    arguments = parsed()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f'{", ".join(missing)} not found; run this by the interpreter of the environment engines')
        return 0
    if arguments.stage:
        print(json.dumps(work_on(case_named(arguments.point[0]), arguments.point[1], arguments)))
        return 0
    document = measure(arguments)
    if arguments.render:
        render(document, arguments.render)
    return 0


if __name__ == '__main__':
    sys.exit(main())
