"""What a machine is, without its name."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """Return processor, number of cores, memory, accelerator and load of this machine, nothing that names it."""
    accelerator = None
    if shutil.which('nvidia-smi'):
        command = ['nvidia-smi', '--query-gpu=name', '--format=csv,noheader']
        accelerator = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    return {
        'processor': _first('/proc/cpuinfo', 'model name') or platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'cache': _first('/proc/cpuinfo', 'cache size'),
        'memory_gigabyte': round(int((_first('/proc/meminfo', 'MemTotal') or '0 kB').split()[0]) / 1024**2, 1),
        'accelerator': accelerator,
        'load_at_start': os.getloadavg()[0],
    }


def _first(path: str, name: str) -> str | None:
    """Return the first value of a name in a file of the kernel."""
    information = Path(path)
    lines = information.read_text().splitlines() if information.is_file() else []
    values = [line.partition(':')[2].strip() for line in lines if line.startswith(name)]
    return values[0] if values else None
