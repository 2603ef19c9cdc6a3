"""A Slurm of one host and one partition, started and stopped by the tests: ``python one_host.py FOLDER`` tries it out.

Needs root and the Debian packages ``slurmctld``, ``slurmd``, ``slurm-client`` and ``munge``. Configuration, keys, ports
and state are its own: a Slurm that is there already is not touched. There is no accounting database.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'sinfo', 'scancel')
START_SECONDS = 60.0
"""Time within which the node must be ready for jobs [s]."""
STOP_SECONDS = 15.0
"""Time a daemon has to end before it is killed [s]."""
CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
ReturnToService=2
KillWait=5
SchedulerParameters=batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=01:00:00 State=UP
"""


class SlurmError(RuntimeError):
    """A Slurm that cannot be started; the message says why."""


def missing() -> str | None:
    """Return one sentence if Slurm cannot be started here, else None."""
    if os.geteuid() != 0:
        return 'Slurm is not tested: its daemons must be started by root'
    if absent := [program for program in PROGRAMS if shutil.which(program) is None]:
        return (
            f'Slurm is not tested: {", ".join(absent)} not found; apt-get install slurmctld slurmd slurm-client munge'
        )
    return None


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def one_host_slurm(folder: Path) -> Iterator[Path]:
    """Start Slurm, give its configuration file, which is also in ``SLURM_CONF``, and stop it.

    :param folder: empty folder for everything it writes.
    :raises SlurmError: if it does not come up.
    """
    if reason := missing():
        raise SlurmError(reason)
    for name in ('controller', 'node'):
        (folder / name).mkdir(parents=True)
    configuration = folder / 'slurm.conf'
    values = {'host': socket.gethostname().split('.')[0], 'folder': folder, 'cpus': os.cpu_count()}
    configuration.write_text(
        CONFIGURATION.format(**values, controller_port=free_port(), node_port=free_port()), encoding='utf-8'
    )
    key = folder / 'munge.key'
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    before = os.environ.get('SLURM_CONF')
    os.environ['SLURM_CONF'] = str(configuration)
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        files = {f'--{name}-file={folder}/munge.{name}' for name in ('pid', 'log', 'seed')}
        munge = ['munged', '--foreground', '--force', f'--socket={folder}/munge.socket', f'--key-file={key}', *files]
        daemons.append(_start(munge))
        _wait_for((folder / 'munge.socket').exists, 'munged', folder)
        daemons.append(_start(['slurmctld', '-D']))
        daemons.append(_start(['slurmd', '-D']))
        _wait_for(_is_idle, 'the node', folder)
        yield configuration
    finally:
        subprocess.run(['scancel', '--user=root'], check=False, capture_output=True)
        for daemon in reversed(daemons):
            _stop(daemon)
        if before is None:
            del os.environ['SLURM_CONF']
        else:
            os.environ['SLURM_CONF'] = before


def _start(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a daemon in the foreground of a process of its own."""
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    """Stop a daemon."""
    daemon.terminate()
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _is_idle() -> bool:
    """Return whether the node takes jobs."""
    answer = subprocess.run(['sinfo', '--noheader', '--format=%T'], check=False, capture_output=True, text=True)
    return answer.stdout.strip() == 'idle'


def _wait_for(is_ready: Callable[[], bool], what: str, folder: Path) -> None:
    """Wait until something is ready.

    :raises SlurmError: if it is not in time, with the last lines of the logs.
    """
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            logs = [path.read_text(errors='replace')[-1000:] for path in sorted(folder.glob('*.log'))]
            raise SlurmError(f'{what} was not ready after {START_SECONDS:.0f} s: {" ".join(logs)}')
        time.sleep(0.2)


if __name__ == '__main__':
    with one_host_slurm(Path(sys.argv[1])):
        subprocess.run(['srun', 'hostname'], check=True)
