"""Tuning: the error that is reached is below the one that was asked for, and not by more than a factor of three."""

from __future__ import annotations

import numpy as np
import pytest
from electrostatics_cases import force_error, salt, sheared_salt, slab

pytest.importorskip('numba')

from aiida_edl.science.electrostatics import converged_sum
from aiida_edl.science.electrostatics.charged_system import supercell
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.tuning import TuningError, tune

SYSTEMS = {
    'salt': salt,
    'sheared': sheared_salt,
    'wurtzite': lambda: salt('wurtzite', (2, 2, 2), 3.2),
    'one-component plasma': lambda: salt('wigner_bcc', (3, 3, 3), 2.0),
    'slab': slab,
}


@pytest.mark.parametrize('method', ['p3m', 'ewald'])
@pytest.mark.parametrize('target', [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize('name', SYSTEMS)
def test_the_error_lies_within_a_factor_of_three_on_the_safe_side(name, target, method):
    system = SYSTEMS[name]()
    tuned = tune(system, target, method)
    tight = CompiledSummation(converged_settings(system, 1e-5 * target))(system)
    measured = force_error(CompiledSummation(tuned.settings)(system), tight)
    assert target / 3.0 < measured < target
    assert tuned.error == pytest.approx(measured, rel=1e-2)  # the reference is good to a thousandth of the target


def test_the_same_system_gives_the_same_numbers():
    assert tune(salt(), 1e-3) == tune(salt(), 1e-3)


def test_a_cutoff_that_is_given_is_kept():
    assert tune(salt(), 1e-3, cutoff_radius=6.5).settings.cutoff_radius == 6.5


def test_a_fine_mesh_is_as_good_a_reference_as_ewald(monkeypatch):
    system = salt(repetitions=(3, 3, 3))
    exact = CompiledSummation(converged_settings(system, 1e-12))(system)
    monkeypatch.setattr(converged_sum, 'MOST_ATOMS_OF_EWALD', 0)
    for error in (1e-5, 1e-8):
        settings = converged_settings(system, error)
        assert settings.method == 'p3m'
        assert force_error(CompiledSummation(settings)(system), exact) < 3.0 * error


def test_a_perfect_crystal_is_refused():
    crystal = supercell(REFERENCE_LATTICES['nacl_cubic'].system(2.8), (2, 2, 2))
    with pytest.raises(TuningError, match=r'by symmetry no force can be wrong; displace the atoms first$'):
        tune(crystal, 1e-3)


def test_an_error_below_double_precision_is_refused():
    with pytest.raises(TuningError, match=r'^the target is 1e-20 eV/Å, float64 reaches \d\.\de-\d+ eV/Å'):
        tune(salt(), 1e-20)


def test_an_error_that_is_not_positive_is_refused():
    with pytest.raises(TuningError, match=r'^the target is 0\.0 eV/Å, a force error must be positive$'):
        tune(salt(), 0.0)


def test_a_finer_target_costs_more():
    works = [tune(salt(), target).work for target in (1e-2, 1e-4, 1e-6)]
    assert np.all(np.diff(works) > 0.0)
