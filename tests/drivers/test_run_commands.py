"""The driver is run as it is on a compute node: as a program, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiida_edl.architectures.base import Command
from aiida_edl.drivers import run_commands


def start(
    folder: Path,
    *commands: Command,
    packages: tuple[str, ...] = (),
    threads: int = 1,
    device: str = 'cpu',
    needed_versions: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    document = {
        'device': device,
        'needed_versions': needed_versions or {},
        'threads': threads,
        'packages': list(packages),
        'commands': [c.to_dict() for c in commands],
    }
    (folder / 'commands.json').write_text(json.dumps(document))
    arguments = [sys.executable, run_commands.__file__, 'commands.json']
    return subprocess.Popen(arguments, cwd=folder, start_new_session=True)


def run(folder: Path, *commands: Command, **keywords) -> tuple[int, dict]:
    code = start(folder, *commands, **keywords).wait(timeout=60)
    return code, json.loads((folder / 'run_commands.json').read_text())


def python(program: str, stdout: str = 'out', **keywords) -> Command:
    return Command(('-c', program), stdout, **keywords)


def wait_for(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    raise TimeoutError(f'{path.name} did not appear within 10 s')


def outcomes(report: dict) -> list[str]:
    return [command['outcome'] for command in report['commands']]


def test_commands_run_in_order_with_the_same_interpreter(tmp_path):
    first = python('import sys; open("log", "a").write(sys.executable + "\\n")')
    code, report = run(tmp_path, first, python('open("log", "a").write("second")'))
    assert code == 0
    assert outcomes(report) == ['finished', 'finished']
    interpreter, second = (tmp_path / 'log').read_text().splitlines()
    assert (Path(interpreter).samefile(sys.executable), second) == (True, 'second')


def test_output_and_error_go_to_the_named_file(tmp_path):
    run(tmp_path, python('import sys; print("spoken", flush=True); print("complained", file=sys.stderr)', 'a.out'))
    assert (tmp_path / 'a.out').read_text() == 'spoken\ncomplained\n'


def test_first_failure_stops_the_rest(tmp_path):
    code, report = run(tmp_path, python('raise SystemExit(3)'), python('open("second", "w")'))
    assert code == 1
    assert outcomes(report) == ['failed', 'not_run']
    assert [command['returncode'] for command in report['commands']] == [3, None]
    assert not (tmp_path / 'second').exists()


def test_report_states_costs(tmp_path):
    program = 'import time; block = bytearray(120_000_000); time.sleep(0.3)\nwhile time.process_time() < 0.4: pass'
    _, report = run(tmp_path, python(program))
    cost = report['commands'][0]
    # It burns 0.4 s and sleeps 0.3 s; the interpreter's own start and the 0.02 s between two looks come on top.
    assert 0.4 <= cost['cpu_seconds'] < 5
    assert cost['wall_seconds'] >= 0.55
    assert cost['peak_memory_megabyte'] > 120


def test_report_states_arguments_and_export(tmp_path):
    _, report = run(tmp_path, python('pass', is_export=True))
    assert report['commands'][0]['arguments'] == ['-c', 'pass']
    assert report['commands'][0]['is_export'] is True


def test_report_states_versions_and_platform_but_no_host(tmp_path):
    import platform

    import numpy as np

    _, report = run(tmp_path, python('pass'), packages=('numpy', 'no-such-distribution'), threads=1)
    assert report['versions'] == {'numpy': np.__version__, 'no-such-distribution': None}
    assert report['python'] == platform.python_version()
    assert report['platform'] == platform.machine()
    assert set(report) == {'commands', 'versions', 'python', 'platform', 'threads'}


def test_threads_and_environment_reach_the_command(tmp_path):
    program = 'import os; print(os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"], os.environ["MODE"])'
    run(tmp_path, python(program, environment={'MODE': 'fast', 'MKL_NUM_THREADS': '1'}), threads=3)
    assert (tmp_path / 'out').read_text() == '3 1 fast\n'


def test_environment_of_one_command_does_not_reach_the_next(tmp_path):
    program = 'import os; print(os.environ.get("ONLY_FIRST"))'
    run(tmp_path, python(program, environment={'ONLY_FIRST': '1'}), python(program, 'second.out'))
    assert (tmp_path / 'second.out').read_text() == 'None\n'


def test_kill_from_outside_counts_as_out_of_memory(tmp_path):
    code, report = run(tmp_path, python('import os; os.kill(os.getpid(), 9)'))
    assert code == 1
    assert outcomes(report) == ['out_of_memory']
    assert report['commands'][0]['returncode'] == -9


@pytest.mark.parametrize(
    'line',
    [
        'MemoryError',
        'torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB',
        "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 80 bytes",
        'ResourceExhaustedError: OOM when allocating tensor with shape[80] and type double',
        'Killed',
    ],
)
def test_memory_is_found_in_the_output_of_a_failure(tmp_path, line):
    _, report = run(tmp_path, python(f'print({line!r}, flush=True); raise SystemExit(1)'))
    assert outcomes(report) == ['out_of_memory']


def test_memory_in_the_output_of_a_success_means_nothing(tmp_path):
    _, report = run(tmp_path, python('print("never out of memory")'))
    assert outcomes(report) == ['finished']


def test_real_memory_error_is_found(tmp_path):
    program = 'import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30,) * 2); bytearray(2**31)'
    _, report = run(tmp_path, python(program))
    assert outcomes(report) == ['out_of_memory']


def test_timeout_stops_a_command_and_what_it_started(tmp_path):
    inner = 'import time, pathlib; time.sleep(3); pathlib.Path("survived").touch()'
    program = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {inner!r}])'
    code, report = run(tmp_path, python(program, timeout_seconds=0.5), python('pass'))
    assert code == 1
    assert outcomes(report) == ['timed_out', 'not_run']
    assert report['commands'][0]['returncode'] == -signal.SIGTERM
    time.sleep(3)
    assert not (tmp_path / 'survived').exists()


def test_command_may_end_in_good_order_at_its_timeout(tmp_path):
    program = (
        'import signal, sys, time\n'
        'signal.signal(signal.SIGTERM, lambda *_: (open("checkpoint", "w").write("whole"), sys.exit(0)))\n'
        'time.sleep(30)'
    )
    _, report = run(tmp_path, python(program, timeout_seconds=0.5))
    assert outcomes(report) == ['timed_out']
    assert report['commands'][0]['returncode'] == 0
    assert (tmp_path / 'checkpoint').read_text() == 'whole'


def test_termination_of_the_driver_stops_the_command_and_is_reported(tmp_path):
    program = 'import pathlib, time; pathlib.Path("running").touch(); time.sleep(60)'
    process = start(tmp_path, python(program), python('pass'))
    wait_for(tmp_path / 'running')
    process.terminate()
    assert process.wait(timeout=30) == 1
    report = json.loads((tmp_path / 'run_commands.json').read_text())
    assert outcomes(report) == ['terminated', 'not_run']
    assert report['commands'][0]['returncode'] == -signal.SIGTERM


def test_killed_driver_leaves_a_report(tmp_path):
    program = 'import os, pathlib, time; pathlib.Path("running").write_text(str(os.getpid())); time.sleep(60)'
    process = start(tmp_path, python('pass'), python(program))
    wait_for(tmp_path / 'running')
    time.sleep(0.1)
    process.kill()
    process.wait()
    os.kill(int((tmp_path / 'running').read_text()), signal.SIGKILL)
    report = json.loads((tmp_path / 'run_commands.json').read_text())
    assert outcomes(report) == ['finished', 'running']


def test_only_the_newest_file_is_kept(tmp_path):
    program = (
        'import os\nfor i, name in enumerate(["a.log", "c.log", "b.log"]):\n open(name, "w"); os.utime(name, (i, i))'
    )
    run(tmp_path, python(program, keep_newest=('*.log',)))
    assert [path.name for path in tmp_path.glob('*.log')] == ['b.log']


def test_truncated_archive_is_not_kept(tmp_path):
    program = (
        'import os, zipfile\n'
        'for i, name in enumerate(["1.pt", "2.pt"]):\n'
        '    with zipfile.ZipFile(name, "w") as archive: archive.writestr("data", "x" * 99)\n'
        '    os.utime(name, (i, i))\n'
        'content = open("2.pt", "rb").read()\n'
        'open("2.pt", "wb").write(content[:50])\n'
        'os.kill(os.getpid(), 9)'
    )
    run(tmp_path, python(program, keep_newest=('*.pt',)))
    assert [path.name for path in tmp_path.glob('*.pt')] == ['1.pt']


def test_driver_needs_the_standard_library_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, '-I', '-S', '-c', f'import runpy; runpy.run_path({run_commands.__file__!r})'],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize(
    'line',
    [
        'RuntimeError: CUDA error: unspecified launch failure',
        'RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable',
        'CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered',
        'Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system',
    ],
)
def test_lost_accelerator_is_found_in_the_output_of_a_failure(tmp_path, line):
    _, report = run(tmp_path, python(f'print({line!r}, flush=True); raise SystemExit(1)'))
    assert outcomes(report) == ['device_lost']


def test_environment_without_an_accelerator_has_not_lost_one(tmp_path):
    line = 'RuntimeError: Found no NVIDIA driver on your system.'
    _, report = run(tmp_path, python(f'print({line!r}, flush=True); raise SystemExit(1)'))
    assert outcomes(report) == ['failed']


def torch_that_finds(folder: Path, is_available: bool) -> dict[str, str]:
    """Return the environment of a PyTorch that finds a GPU or none."""
    (folder / 'modules').mkdir()
    source = f'class cuda:\n    is_available = staticmethod(lambda: {is_available})\n'
    (folder / 'modules' / 'torch.py').write_text(source)
    return {'PYTHONPATH': str(folder / 'modules')}


def test_nothing_runs_without_the_gpu_that_is_asked_for(tmp_path):
    command = python('open("ran", "w")', environment=torch_that_finds(tmp_path, is_available=False))
    code, report = run(tmp_path, command, python('pass'), device='cuda')
    assert code == 1
    assert outcomes(report) == ['device_missing', 'not_run']
    assert (tmp_path / 'out').read_text() == (
        "device is 'cuda', but neither PyTorch nor TensorFlow of this environment finds a GPU; use a node and an "
        "environment with one, or device 'cpu'\n"
    )
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(('device', 'is_available'), [('cpu', False), ('cuda', True)])
def test_command_runs_if_the_device_is_there(tmp_path, device, is_available):
    command = python('pass', environment=torch_that_finds(tmp_path, is_available))
    _, report = run(tmp_path, command, device=device)
    assert outcomes(report) == ['finished']


def test_environment_in_which_nothing_could_use_a_gpu_is_left_to_the_command(tmp_path):
    _, report = run(tmp_path, python('pass'), device='cuda')
    assert outcomes(report) == ['finished']


def test_nothing_runs_with_another_version_than_the_one_needed(tmp_path):
    command = python('open("ran", "w")')
    code, report = run(tmp_path, command, python('pass'), needed_versions={'pytest': '0.1'})
    assert code == 1
    assert outcomes(report) == ['version_differs', 'not_run']
    assert (tmp_path / 'out').read_text() == (
        f'needed is pytest 0.1, this environment has {pytest.__version__}; use an environment with 0.1, or leave out '
        'what another version made\n'
    )
    assert not (tmp_path / 'ran').exists()


def test_nothing_runs_without_a_distribution_that_is_needed(tmp_path):
    _, report = run(tmp_path, python('pass'), needed_versions={'no-such-trainer': '0.1'})
    assert outcomes(report) == ['version_differs']
    assert 'needed is no-such-trainer 0.1, this environment has none; ' in (tmp_path / 'out').read_text()


def test_command_runs_with_the_version_that_is_needed(tmp_path):
    _, report = run(tmp_path, python('pass'), needed_versions={'pytest': pytest.__version__})
    assert outcomes(report) == ['finished']
