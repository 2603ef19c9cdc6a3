"""Cells of lithium fluoride as a method of electronic structure sees them: what symmetry demands of their forces."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict
from aiida.plugins import CalculationFactory
from calculation_cases import single_point_inputs

from aiida_edl.calculations.functions.build_lithium_fluoride import build_lithium_fluoride
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb

pytestmark = pytest.mark.slow
NOISE = 1e-3
"""Forces that GFN1-xTB leaves where symmetry demands none, converged as it is here: 3e-5 eV/Å were seen [eV/Å]."""


@pytest.fixture
def code(aiida_profile, aiida_code_installed):
    """Return the interpreter of the tests as a code."""
    return aiida_code_installed(label='python', filepath_executable=sys.executable)


def labelled(code, settings: dict, charge: float):
    """Return a cell of one cube as it was built, and the forces on its atoms [eV/Å]."""
    built = build_lithium_fluoride(Dict({'repeat': [1, 1, 1], **settings}))
    inputs = single_point_inputs(code, dataset=built, model_parameters=gfn1_xtb(charge=charge))
    results, node = run_get_node(CalculationFactory('edl.single_point.ase_calculator'), **inputs)
    assert node.is_finished_ok, node.exit_message
    return built.frame(0), results['labels'].get_array('forces')


def test_forces_vanish_in_the_perfect_crystal(code):
    _, forces = labelled(code, {}, charge=0.0)
    assert np.abs(forces).max() < NOISE


def test_an_interstitial_ion_pushes_lithium_away_and_draws_fluorine_near(code):
    frame, forces = labelled(code, {'defect': 'interstitial', 'charge_convention': 'ionic'}, charge=1.0)
    assert frame.columns['total_charge'] == 1.0
    towards = minimum_image(frame.positions[:-1] - frame.positions[-1], frame.cell, frame.pbc)
    away = towards / np.linalg.norm(towards, axis=1)[:, None]
    radial = np.sum(forces[:-1] * away, axis=1)
    lithium, fluorine = radial[frame.numbers[:-1] == 3], radial[frame.numbers[:-1] == 9]
    # The tetrahedral site has no force, its neighbours have one along the body diagonals, equal for equal ions.
    assert np.abs(forces[-1]).max() < NOISE
    assert np.abs(forces[:-1] - radial[:, None] * away).max() < NOISE
    assert (np.ptp(lithium) < NOISE, np.ptp(fluorine) < NOISE) == (True, True)
    assert lithium.min() > 1.0
    assert fluorine.max() < 0.0
