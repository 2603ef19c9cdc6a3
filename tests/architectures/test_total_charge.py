"""A model that is told the total charge learns from it; every architecture that can be told is trained for real."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from architectures.test_real_training import make_job, predictions
from toy.training import film_frames, train
from toy.training_cases import all_cases

from aiida_edl.architectures.base import TrainingOutcome
from aiida_edl.registry import ARCHITECTURES, load_member

pytestmark = pytest.mark.slow

COLUMN = 'surface_charge'
ENERGY_PER_CHARGE = 3.0
"""Energy by which the labels of otherwise equal frames differ per elementary charge [eV/e]."""
ELECTROSTATIC = ('electrostatic_mace', 'local_charge', 'mace_polar')
"""Architectures in which the charge acts by its Coulomb energy, which is quadratic in it: a short training does not
learn the energies of this test, which are linear. What holds of them is in ``test_real_electrostatics.py``."""


def learns_charge(case) -> bool:
    """Return whether an architecture can be told the total charge, and can learn any energy from it."""
    fields = dataclasses.fields(load_member(ARCHITECTURES, case.name).hyperparameters_class)
    return case.name not in ELECTROSTATIC and 'charge_column' in {field.name for field in fields}


def charged_frames(n_frames: int, seed: int):
    """Return films with charges -1, 0 and 1 in turn; their energies differ by what no local environment tells."""
    frames = film_frames(n_frames, seed)
    charges = np.arange(n_frames) % 3 - 1
    labelled = dataclasses.replace(frames, energies=frames.energies + ENERGY_PER_CHARGE * charges)
    return dataclasses.replace(labelled, columns={**labelled.columns, COLUMN: charges.astype(float)})


@pytest.mark.parametrize('case', [case for case in all_cases() if learns_charge(case)], ids=lambda case: case.name)
def test_energy_follows_the_charge_that_is_told(case, tmp_path):
    if case.missing:
        pytest.skip(case.missing)
    architecture = load_member(ARCHITECTURES, case.name)
    chosen = architecture.make_hyperparameters({**case.training['hyperparameters'], 'charge_column': COLUMN})
    job = make_job(
        case,
        architecture,
        training_set=charged_frames(18, seed=1),
        validation_set=charged_frames(6, seed=2),
        hyperparameters=chosen,
    )
    result = train(architecture, job, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    frames = film_frames(1, seed=5)
    energies = [
        predictions(case, architecture, tmp_path, result.model_path, frames.with_columns(**{COLUMN: charge}), job=job)[
            0
        ]
        for charge in (-1.0, 1.0)
    ]
    both = film_frames(1, seed=5).select([0, 0]).with_columns(**{COLUMN: [-1.0, 1.0]})
    # To rounding: a calculator that gave the second frame the results of the first would be eV off.
    together, _ = predictions(case, architecture, tmp_path, result.model_path, both, job=job)
    np.testing.assert_allclose(together, np.concatenate(energies), rtol=1e-6)
    # A short training gets the sign and at least a quarter of the difference.
    assert energies[1][0] - energies[0][0] > 0.25 * 2 * ENERGY_PER_CHARGE
