"""Which sums over images a power of the distance allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from electrostatics_cases import PERIODIC, slab

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.power_law import PowerLaw
from aiida_edl.science.electrostatics.summation_settings import SummationSettings

SETTINGS = SummationSettings('ewald', k_cutoff=3.0)
POSITIVE = ChargedSystem(np.zeros((1, 3)), np.eye(3), np.ones(1), PERIODIC)


@pytest.mark.parametrize('exponent', [0, 7, -1])
def test_other_exponents_are_refused(exponent):
    message = f'^the exponent is {exponent}, it must be a whole number from 1 to 6$'
    with pytest.raises(ChargedSystemError, match=message):
        PowerLaw(exponent)


@pytest.mark.parametrize('exponent', [4, 5, 6])
def test_short_ranged_interactions_need_no_neutrality(exponent):
    PowerLaw(exponent).check(POSITIVE, SETTINGS)


@pytest.mark.parametrize('exponent', [1, 2])
def test_long_ranged_interactions_need_a_background(exponent):
    PowerLaw(exponent).check(POSITIVE, replace(SETTINGS, has_background=True))
    with pytest.raises(ChargedSystemError, match=r'^the charges sum to 1 e, a periodic cell must be neutral: add'):
        PowerLaw(exponent).check(POSITIVE, SETTINGS)


def test_no_background_helps_the_third_power():
    message = (
        r'^the charges sum to 1 and the exponent is 3, for which no background makes the sum converge: make them sum '
        r'to zero$'
    )
    with pytest.raises(ChargedSystemError, match=message):
        PowerLaw(3).check(POSITIVE, replace(SETTINGS, has_background=True))


@pytest.mark.parametrize('exponent', [2, 3, 6])
def test_slabs_are_those_of_charges_alone(exponent):
    message = (
        rf'^the system is periodic along \[True, True, False\] and the exponent is {exponent}; slabs are known for the '
        r'exponent 1 alone: make the system periodic in all directions$'
    )
    with pytest.raises(ChargedSystemError, match=message):
        PowerLaw(exponent).check(slab(), SETTINGS)


@pytest.mark.parametrize('exponent', [1, 6])
def test_sums_over_images_of_an_open_system_are_refused(exponent):
    with pytest.raises(ChargedSystemError, match=r'^the system is open in all directions, the method ewald sums over'):
        PowerLaw(exponent).check(replace(slab(), pbc=~PERIODIC), SETTINGS)
