"""What the tests train of each architecture, and with which interpreter: ``fixtures/training/<name>/case.yaml``."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aiida_edl.registry import ARCHITECTURES, registered_names

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / 'tests' / 'fixtures' / 'training'


@dataclass(frozen=True)
class TrainingCase:
    """How one architecture is trained in tests."""

    name: str
    """Entry-point name."""
    environment: str
    """Environment below ``.environments`` that holds its trainer."""
    recording: dict[str, Any]
    """Very small model for the recorded outcomes: ``hyperparameters``, and by outcome what differs."""
    training: dict[str, Any]
    """Small model that learns: ``hyperparameters`` and ``gradient_updates``; ``rmse_tolerance`` if the
    errors in its log are not exact, and ``walltime_seconds`` if 45 s are too short for a training that is stopped to
    have begun, each with the reason beside it."""
    own_evaluation: dict[str, Any] = field(default_factory=dict)
    """What the trainer's own evaluation says of the exported model: ``arguments`` of the interpreter (none if the
    trainer has written it already), ``environment``, ``output`` (glob of the file with the errors on the validation
    set), ``energy_rmse`` and ``force_rmse`` (expressions whose last match holds the value [eV/atom, eV/Å]), ``factor``
    by which these are multiplied; ``program``, a file of ``tests/toy`` that must lie in the folder, and
    ``calculator``, what differs in the recipe of the ASE calculator, for trainers whose precision must be raised."""
    routes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Programs besides its own ASE calculator that can run the model in CI, by MD engine: ``environment``,
    ``executable`` in it, and ``format`` into which the model is converted (none if it is loaded as it is)."""
    absent_packages: tuple[str, ...] = ()
    """Packages whose versions are recorded, but which the tested environment need not have."""

    @property
    def python(self) -> Path:
        """Interpreter of the environment; ``AIIDA_EDL_PYTHON_<ENVIRONMENT>`` names another."""
        default = ROOT / '.environments' / self.environment / 'bin' / 'python'
        return Path(os.environ.get(f'AIIDA_EDL_PYTHON_{self.environment.upper()}', default))

    def executable(self, environment: str, name: str) -> Path:
        """Return a program of another environment."""
        return ROOT / '.environments' / environment / 'bin' / name

    @property
    def missing(self) -> str | None:
        """One sentence if the environment is not there, else None."""
        if self.python.exists():
            return None
        return f'{self.name} is not tested: its environment .environments/{self.environment} is not installed'


def training_case(name: str) -> TrainingCase:
    """Return how an architecture is trained in tests.

    :param name: entry-point name.
    """
    values = yaml.safe_load((FIXTURES / name / 'case.yaml').read_text(encoding='utf-8'))
    return TrainingCase(name=name, **values)


def all_cases() -> tuple[TrainingCase, ...]:
    """Return the cases of all registered architectures."""
    return tuple(training_case(name) for name in registered_names(ARCHITECTURES))
