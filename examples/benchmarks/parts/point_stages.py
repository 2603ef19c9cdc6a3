"""The two stages of a point: its settings and their error, then its times; each runs in a process of its own."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parts.charge_cases import ChargeCase
from parts.lammps_sums import MOST_EWALD_ATOMS, LammpsSum
from parts.timed_sums import (
    NotMeasuredError,
    TimedProgram,
    TimePlan,
    available_megabytes,
    met,
    reference_forces,
)

MEMORY_SHARE = 0.8
"""Share of the free memory that a point may need."""
CHEAPER = {
    'torch_pme_p3m_float64': 'torch-pme in single precision',
    'torch_pme_p3m_float32': 'the compiled P3M',
    'lammps_ewald': 'pppm',
    'own_p3m': 'a shorter cutoff with a finer mesh',
    'lammps_pppm': 'a shorter cutoff',
}
"""What needs less memory or time."""


def _own(lmp: str) -> TimedProgram:
    """Return the compiled sums; imported here, as torch would count in the memory of the others."""
    from parts.own_sums import OwnP3M  # noqa: PLC0415

    return OwnP3M()


def _torch(precision: str) -> Callable[[str], TimedProgram]:
    """Return what makes the program of torch-pme."""

    def make(lmp: str) -> TimedProgram:
        from parts.torch_pme_sums import TorchP3M  # noqa: PLC0415

        return TorchP3M(precision)

    return make


PROGRAMS: dict[str, Callable[[str], TimedProgram]] = {
    'own_p3m': _own,
    'lammps_pppm': lambda lmp: LammpsSum('pppm', lmp),
    'lammps_ewald': lambda lmp: LammpsSum('ewald', lmp),
    'torch_pme_p3m_float64': _torch('float64'),
    'torch_pme_p3m_float32': _torch('float32'),
}
"""What makes a program, given the path of LAMMPS."""


def work_on(case: ChargeCase, program: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a stage gives, or the reason why it gives nothing."""
    folder = Path(f'{arguments.output}.parts')
    folder.mkdir(exist_ok=True)
    made = PROGRAMS[program](arguments.lmp)
    try:
        if arguments.stage == 'tune':
            return tune_point(made, case, program, arguments.target, folder)
        settings = json.loads(_settings_file(folder, case, program, arguments.target).read_text())['settings']
        return made.measure(case, settings, TimePlan(arguments.seconds))
    except NotMeasuredError as error:
        return {'reason': str(error)}
    except MemoryError:
        return {'reason': f'it ran out of memory; {CHEAPER[program]} needs less'}


def tune_point(program: TimedProgram, case: ChargeCase, name: str, target: float, folder: Path) -> dict[str, Any]:
    """Return settings that meet the target on a system and their error; both are kept in a file.

    :raises NotMeasuredError: with the reason.
    """
    if name == 'lammps_ewald' and case.n_atoms > MOST_EWALD_ATOMS:
        raise NotMeasuredError(
            f'the work of Ewald grows as N^1.5; it is measured up to {MOST_EWALD_ATOMS} atoms, pppm is cheaper beyond'
        )
    done = _settings_file(folder, case, name, target)
    if done.is_file():
        return json.loads(done.read_text())
    stand_in, factor = case.stand_in(program.most_tuned_atoms)
    family = re.sub('float32$', 'float64', name)  # both precisions have the same settings
    tuned = _settings_file(folder, stand_in, f'{family}_stand_in', target)
    if not tuned.is_file():
        _write(tuned, program.tune(stand_in, target, reference_forces(stand_in, target, folder)))
    settings = program.scaled(json.loads(tuned.read_text()), factor)
    needed, free = program.needed_megabytes(case, settings), available_megabytes()
    if needed > MEMORY_SHARE * free:
        raise NotMeasuredError(f'it needs about {needed:.0f} MB, {free:.0f} MB are free; {CHEAPER[name]} needs less')
    settings, error = met(program, case, settings, target, reference_forces(case, target, folder))
    found = {'settings': settings, 'error': error, 'needed_megabytes': needed, 'tuned_on': stand_in.name}
    _write(done, found)
    return found


def _settings_file(folder: Path, case: ChargeCase, program: str, target: float) -> Path:
    return folder / f'settings_{case.name}_{program}_{target:g}.json'


def _write(path: Path, values: dict[str, Any]) -> None:
    """Write a file so that no half of it is ever read."""
    unfinished = path.with_suffix('.unfinished')
    unfinished.write_text(json.dumps(values))
    unfinished.rename(path)


def versions(lmp: str) -> dict[str, str]:
    """Return the versions of all that is timed."""
    found = {'python': platform.python_version()}
    for name in ('numpy', 'scipy', 'numba', 'torch', 'torch-pme'):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    try:
        text = subprocess.run([lmp, '-h'], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return found
    release = re.search(r'Simulator - (.+)', text)
    library = re.search(r'FFT library *= *(.+)', text)
    return {**found, 'lammps': release.group(1) if release else '?', 'lammps_fft': library.group(1) if library else '?'}
