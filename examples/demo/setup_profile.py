"""Make or refresh the AiiDA profile of the demo: no service, no root, nothing in the home directory.

Run after ``source examples/demo/activate``::

    python examples/demo/setup_profile.py [--slots 2] [--workers 2] [--architectures NAME,NAME]

The profile keeps its database in SQLite and its message broker inside the daemon. It gets one computer, `localhost`,
and the codes of the environments on it: `engines-python` (the interpreter of the engine environment), `lmp` (LAMMPS),
and those of further architectures, e.g. `grace-python`. Running it again changes only what differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aiida.common.exceptions import NotExistent
from aiida.manage.configuration import Profile, create_profile, get_config, load_profile
from aiida.manage.configuration.config import Config
from aiida.orm import Computer

from aiida_edl.environments.recipes import Recipe, UnknownEnvironmentError, recipes_for
from aiida_edl.workflows.environments.codes import CodeError, register_codes

PROFILE = 'aiida-edl'
ENGINES = 'engines'
"""Environment that the demo always needs."""

SLOTS = """\
# This computer has no batch system: a job waits here until one of {slots} slots is free. A slot is a locked file; the
# kernel drops the lock when the last process of the job ends, however it ends. Only the first in the queue looks for a
# free slot, the others sleep on the lock of the queue and cost nothing.
mkdir -p ../../../slots
exec 8> ../../../slots/queue
flock 8
slot=
while [ -z "$slot" ]; do
    for number in $(seq {slots}); do
        exec 9> "../../../slots/$number"
        if flock --nonblock 9; then
            slot=$number
            break
        fi
    done
    [ -n "$slot" ] || sleep 0.2
done
exec 8>&-
"""
"""Prepended to every job. The directory of a job lies three levels below the working directory of its computer."""


class SetUpError(RuntimeError):
    """What is missing or in the way, and the remedy, in one sentence."""


def main() -> None:
    """Make the profile, the computer and the codes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--slots', type=int, default=2, help='jobs that may run at once (default 2)')
    parser.add_argument('--workers', type=int, default=2, help='workers of the daemon (default 2)')
    parser.add_argument('--architectures', default='', help='further architectures, separated by commas')
    arguments = parser.parse_args()
    try:
        recipes = recipes_for([ENGINES, *filter(None, arguments.architectures.split(','))])
        root = checkout(recipes)
        work_directory = make_work_directory(root, recipes)
        config = get_config(create=True)
        set_up_profile(config, arguments.workers)
        set_up_computer(work_directory, arguments.slots)
        set_up_codes(work_directory, recipes)
    except (SetUpError, CodeError, UnknownEnvironmentError) as error:
        sys.exit(f'error: {error}')


def checkout(recipes: Sequence[Recipe]) -> Path:
    """Return the checkout, and make sure that the profile will lie in it.

    :param recipes: environments that are needed.
    :raises SetUpError: if ``AIIDA_PATH`` points elsewhere or an environment is missing.
    """
    root = Path(__file__).resolve().parents[2]
    expected = root / '.aiida-edl'
    given = os.environ.get('AIIDA_PATH', '')
    if not given or Path(given).resolve() != expected:
        raise SetUpError(f"AIIDA_PATH is '{given}', run 'source examples/demo/activate' first")
    for recipe in recipes:
        if not (root / '.environments' / recipe.name / 'bin/python').exists():
            command = f'examples/demo/install.sh engines {"" if recipe.name == ENGINES else recipe.name}'.rstrip()
            raise SetUpError(f"the environment '{recipe.name}' is missing, run '{command}' first")
    return root


def make_work_directory(root: Path, recipes: Sequence[Recipe]) -> Path:
    """Return the directory in which jobs run: a neutral place, so that no path in the graph names a person.

    Links in it lead to the environments; the codes are reached through them.

    :param root: the checkout.
    :param recipes: environments that are needed.
    :raises SetUpError: if somebody else owns a directory of that name.
    """
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    directory = Path(os.environ.get('AIIDA_EDL_SCRATCH', f'/var/tmp/aiida-edl-{digest}'))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise SetUpError(f'{directory} belongs to another user, name a directory of yours in AIIDA_EDL_SCRATCH')
    for recipe in recipes:
        link, target = directory / recipe.name, root / '.environments' / recipe.name
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return directory


def set_up_profile(config: Config, workers: int) -> None:
    """Make the profile if there is none, load it, and set its options."""
    if PROFILE not in config.profile_names:
        create_profile(
            config,
            name=PROFILE,
            email='demo@aiida-edl.invalid',
            storage_backend='core.sqlite_dos',
            storage_config={},
            broker_backend='core.zeromq',
            broker_config={},
        )
        config.set_default_profile(PROFILE, overwrite=True)
    options = {
        # s; a parent hears of the end of a child at once, and looks only in case the message was lost.
        'runner.poll.interval': 10,
        'daemon.timeout': 30,  # s; the default of 2 s is too short on a busy machine
        'daemon.default_workers': workers,
        'caching.enabled_for': ['aiida.calculations:edl.*'],  # a run that was stopped goes on where it was
    }
    for name, value in options.items():
        if config.get_option(name, scope=PROFILE) != value:
            config.set_option(name, value, scope=PROFILE)
    config.store()
    log_ahead(load_profile(PROFILE))


def log_ahead(profile: Profile) -> None:
    """Let readers of an SQLite database not keep the daemon from writing: it logs ahead (mode WAL).

    In the mode that SQLite begins with, a query of many seconds makes a worker's writing fail, and its session with it.
    The file keeps the mode. It is for local file systems: profiles on others need PostgreSQL.

    :param profile: profile with the storage ``core.sqlite_dos``.
    """
    with closing(sqlite3.connect(Path(profile.storage_config['filepath']) / 'database.sqlite')) as database:
        database.execute('PRAGMA journal_mode=WAL')


def set_up_computer(work_directory: Path, slots: int) -> None:
    """Make the computer if there is none, and set how many jobs it runs at once."""
    try:
        computer = Computer.collection.get(label='localhost')
    except NotExistent:
        computer = Computer(
            label='localhost',
            hostname='localhost',
            description='This machine, without a batch system',
            transport_type='core.local',
            scheduler_type='core.direct',
            workdir=str(work_directory),
        )
    computer.set_default_mpiprocs_per_machine(1)
    # Jobs wait for slots anyway, and each look writes to the database: more often costs more than it finds.
    computer.set_minimum_job_poll_interval(10)
    computer.set_prepend_text(SLOTS.format(slots=slots))
    computer.store()
    computer.configure(safe_interval=0, use_login_shell=False)


def set_up_codes(work_directory: Path, recipes: Sequence[Recipe]) -> None:
    """Make those codes that are missing."""
    computer = Computer.collection.get(label='localhost')
    for recipe in recipes:
        register_codes(recipe, computer, work_directory / recipe.name / 'bin')


if __name__ == '__main__':
    main()
