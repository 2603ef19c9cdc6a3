"""The benchmark of hopping runs and finds the interstitial; its times are not asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / 'examples' / 'benchmarks' / 'hopping.py'


def test_one_interstitial_is_found():
    command = [sys.executable, str(PROGRAM), '--frames', '500', '--site-analysis-python', '']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found['n_atoms'] == 217
    assert found['interstitials'] == pytest.approx(1.0, abs=0.05)
    assert found['n_events'] > 0
