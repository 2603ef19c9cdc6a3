"""The benchmark of diffusion runs and finds the coefficient; its times are not asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / 'examples' / 'benchmarks' / 'diffusion.py'


def test_coefficient_is_found():
    command = [sys.executable, str(PROGRAM), '--frames', '1000', '--replicas', '2', '--python', '']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found['n_frames'], abs(found['relative_error_of_d']) < 0.02) == (1000, True)
