"""Files that ``evaluate_model.py`` leaves for two frames of eight atoms, made by hand."""

from __future__ import annotations

import io
import json

import numpy as np

REPORT = {
    'commands': [
        {
            'arguments': ['evaluate_model.py', 'evaluate.json'],
            'stdout': 'evaluate.out',
            'is_export': False,
            'outcome': 'finished',
            'returncode': 0,
            'wall_seconds': 1.5,
            'cpu_seconds': 1.2,
            'peak_memory_megabyte': 80.0,
        }
    ],
    'versions': {'numpy': '2.0.0'},
    'python': '3.11.7',
    'platform': 'x86_64',
    'threads': 1,
}


def npz(**arrays):
    """Return the content of an ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def predictions(converged=(True, True)):
    """Return the arrays of two frames with eight atoms each."""
    flags = np.array(converged)
    energies = np.where(flags, [-1.0, -2.0], np.nan)
    forces = np.where(np.repeat(flags, 8)[:, None], 0.5, np.nan) * np.ones((16, 3))
    return {'energies': energies, 'forces': forces, 'offsets': np.array([0, 8, 16]), 'converged': flags}


def files(failures=None, outcome='finished', **changes):
    """Return the files of a job; those that are None are left out."""
    given = {
        'predictions.npz': npz(**predictions()),
        'failures.json': json.dumps(failures or {}).encode(),
        'evaluation.json': json.dumps({'outcome': outcome, 'frames': 2, 'frames_done': 2}).encode(),
        'evaluate.out': b'',
        'run_commands.json': json.dumps(REPORT).encode(),
        **{name.replace('__', '.'): content for name, content in changes.items()},
    }
    return {name: content for name, content in given.items() if content is not None}
