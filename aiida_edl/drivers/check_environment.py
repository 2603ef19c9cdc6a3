"""Say what is in an environment: versions, modules that cannot be imported, and the accelerators its programs can use.

``python - REQUEST < check_environment.py``, with the interpreter of the environment. The request is JSON with
``packages`` (distributions, ``a|b`` for alternatives) and ``modules``. The last line of the output is JSON with
``python``, ``platform``, ``versions`` (null for a distribution that is not there), ``failed_imports`` (the error by
module) and ``devices`` (``name`` and ``memory_gigabyte`` of each accelerator).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from typing import Any

BYTES_PER_GIGABYTE = 1e9
BYTES_PER_MEBIBYTE = 1048576
QUERY = ('nvidia-smi', '--query-gpu=name,memory.total', '--format=csv,noheader,nounits')
"""Prints name and memory [MiB] of each accelerator of NVIDIA."""


def version(name: str) -> str | None:
    """Return the version of a distribution, or of the first of several that is there; None without one."""
    for part in name.split('|'):
        try:
            return importlib.metadata.version(part)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def failed_imports(modules: list[str]) -> dict[str, str]:
    """Return the error of each module that cannot be imported."""
    failures = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module raises is what is asked for
            failures[name] = f'{type(error).__name__}: {error}'.splitlines()[0]
    return failures


def devices() -> list[dict[str, Any]]:
    """Return name and memory [GB] of each accelerator that PyTorch can use, or TensorFlow without it.

    Asked of the modules that have been imported, as neither is needed by this program.
    """
    torch, tensorflow = sys.modules.get('torch'), sys.modules.get('tensorflow')
    if torch is not None:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        properties = [torch.cuda.get_device_properties(index) for index in range(count)]
        return [device(item.name, item.total_memory) for item in properties]
    if tensorflow is not None:
        return nvidia_devices()[: len(tensorflow.config.list_physical_devices('GPU'))]
    return []


def nvidia_devices() -> list[dict[str, Any]]:
    """Return name and memory [GB] of each accelerator that the driver of NVIDIA knows."""
    if shutil.which(QUERY[0]) is None:
        return []
    done = subprocess.run(QUERY, capture_output=True, text=True, check=False)
    rows = [line.rpartition(',') for line in done.stdout.splitlines() if ',' in line]
    return [device(name, float(memory) * BYTES_PER_MEBIBYTE) for name, _, memory in rows]


def device(name: str, memory_byte: float) -> dict[str, Any]:
    """Return the entry of one accelerator."""
    return {'name': name, 'memory_gigabyte': round(memory_byte / BYTES_PER_GIGABYTE, 1)}


def main(arguments: list[str]) -> int:
    """Print the report and return 0.

    :param arguments: the request.
    """
    request = json.loads(arguments[0])
    report = {
        'python': platform.python_version(),
        'platform': platform.machine(),
        'versions': {name: version(name) for name in request['packages']},
        'failed_imports': failed_imports(request['modules']),
        'devices': devices(),
    }
    sys.stdout.write('\n' + json.dumps(report) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
