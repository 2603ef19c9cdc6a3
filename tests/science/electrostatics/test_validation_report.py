"""What is said of many rows."""

from __future__ import annotations

import math

import pytest

from aiida_edl.science.electrostatics.validation_report import summarise
from aiida_edl.science.electrostatics.validation_settings import ValidationSettings, ValidationSettingsError

ROW = {
    'case': 'water',
    'method': 'p3m',
    'implementation': 'compiled',
    'precision': 'float64',
    'target': 1e-3,
    'refusal': '',
    'force_error': 8e-4,
    'gradient_error': 1e-8,
    'stress_error': 2e-5,
    'exact_error': None,
}


def test_results_on_the_safe_side_keep_the_word():
    (summary,) = summarise([ROW, {**ROW, 'force_error': 4e-4}])
    assert summary.keeps_its_word
    assert summary.sentence() == (
        'p3m (compiled, float64): 2 results with 0.40 to 0.80 of the force error that was asked for (largest: water at '
        '0.001 eV/Å), every one within a factor of 3 on the safe side.'
    )


@pytest.mark.parametrize('error', [1.01e-3, 3.3e-4])
def test_a_result_beyond_either_side_does_not(error):
    (summary,) = summarise([ROW, {**ROW, 'force_error': error}])
    assert (summary.n_within, summary.keeps_its_word) == (1, False)


def test_forces_that_are_no_gradient_break_the_word():
    (summary,) = summarise([ROW, {**ROW, 'gradient_error': 1e-4}])
    assert (summary.is_safe, summary.keeps_its_word, summary.n_wrong_gradients) == (True, False, 1)
    assert 'forces of 1 are not the gradient of the energy' in summary.sentence()


@pytest.mark.parametrize(('precision', 'error'), [('float64', -2e-9), ('float32', 2e-5)])
def test_a_wrong_energy_of_a_perfect_lattice_breaks_the_word(precision, error):
    row = {**ROW, 'precision': precision}
    lattice = {'method': 'p3m', 'implementation': 'compiled', 'precision': precision, 'relative_error': error}
    (summary,) = summarise([row], [lattice])
    assert (summary.is_safe, summary.keeps_its_word) == (True, False)
    assert f'the energy of a perfect lattice is off by {abs(error):.1e} of itself' in summary.sentence()
    assert summarise([row], [{**lattice, 'relative_error': 0.4 * error}])[0].keeps_its_word


def test_the_largest_error_of_the_stress_is_told():
    (summary,) = summarise([ROW, {**ROW, 'stress_error': 5e-5}, {**ROW, 'stress_error': None}])
    assert summary.largest_stress_error == 5e-5


def test_refusals_are_counted_and_told():
    (summary,) = summarise([{**ROW, 'refusal': 'too fine', 'force_error': None, 'gradient_error': None}])
    assert summary.sentence() == 'p3m (compiled, float64): no target was met; 1 targets were refused.'
    assert math.isnan(summary.largest_ratio)
    assert not summary.keeps_its_word


def test_lattices_count_at_their_smallest_target():
    rows = [{**ROW, 'target': target, 'exact_error': error} for target, error in ((1e-1, 0.5), (1e-8, -1e-9))]
    (summary,) = summarise(rows)
    assert summary.largest_lattice_error == 1e-9


def test_methods_programs_and_precisions_are_kept_apart():
    rows = [ROW, {**ROW, 'method': 'pme'}, {**ROW, 'precision': 'float32'}, {**ROW, 'implementation': 'torch'}]
    assert len(summarise(rows)) == 4


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'cases': ['watre']}, r"^unknown case of the validation 'watre': did you mean 'water'\?"),
        ({'programs': ['compiled_float32']}, r"^unknown program of the validation 'compiled_float32': did you mean"),
        ({'targets': []}, r'^no target is given, name at least one force error \[eV/Å\]$'),
        ({'targets': [1e-12]}, r'^the target 1e-12 eV/Å is below 1e-10 eV/Å, to which a reference is converged$'),
        ({'target': [1e-3]}, r"^unknown setting of the validation 'target': did you mean 'targets'\?"),
    ],
)
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(ValidationSettingsError, match=message):
        ValidationSettings.from_dict(values)


def test_settings_survive_json():
    settings = ValidationSettings(cases=('water',), targets=(1e-2,))
    assert ValidationSettings.from_dict(settings.to_dict()) == settings
