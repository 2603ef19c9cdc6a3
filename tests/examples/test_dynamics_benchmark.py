"""The benchmark of residence and reorientation runs and agrees with double sums; its times are not asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / 'examples' / 'benchmarks' / 'interface_dynamics.py'


def test_sums_agree_with_double_sums():
    command = [sys.executable, str(PROGRAM), '--frames', '2000', '--waters', '10', '--direct-lags', '100']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found['n_lags'], found['largest_deviation'] < 1e-9) == (1001, True)
