"""The cache must not give results of an earlier version of what is run.

A calculation comes from the cache if its inputs are the same; what this package makes of them is not part of the
comparison. If this test fails, ask whether the same inputs now give other results. If so, raise
``EdlCalculation.CACHE_VERSION``; in both cases record the new state with ``pytest --force-regen`` and commit it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import aiida_edl.drivers
from aiida_edl.architectures.testing import described, example_job
from aiida_edl.calculations import long_range_validation
from aiida_edl.calculations.base import EdlCalculation
from aiida_edl.md_engines import long_range
from aiida_edl.registry import ARCHITECTURES, load_member, registered_names
from aiida_edl.shipped_modules import shipped_modules

SHIPPED = (*long_range.MODULES, *long_range_validation.MODULES, *long_range_validation.TORCH_MODULES)
"""Modules that jobs ship; those of an architecture are among its input files."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def test_programs_and_inputs_are_those_of_this_cache_version(data_regression):
    drivers = sorted(Path(aiida_edl.drivers.__file__).parent.glob('*.py'))
    architectures = {name: load_member(ARCHITECTURES, name) for name in registered_names(ARCHITECTURES)}
    data_regression.check(
        {
            'cache_version': EdlCalculation.CACHE_VERSION,
            'drivers': {path.name: digest(path.read_bytes()) for path in drivers},
            'input files': {name: digest(described(example_job(a), a)) for name, a in architectures.items()},
            'shipped modules': {path: digest(content) for path, content in shipped_modules(SHIPPED).items()},
        }
    )
