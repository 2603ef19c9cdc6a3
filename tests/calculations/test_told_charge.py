"""The charge of the metal goes from the atoms of a frame into training, evaluation and MD, without any column."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from calculation_cases import (
    dataset,
    evaluation_inputs,
    labelled_frames,
    md_inputs,
    potential,
    refusal,
    stage,
    training_inputs,
)

from aiida_edl.calculations.functions.select_parity_frames import select_parity_frames
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.metal_charge import metal_charges_of

MODEL = {'architecture': 'deep_potential', 'total_charge_column': 'metal_charge', 'cutoff_radius': 1.0}


def charged_frames() -> FrameSet:
    """Return labelled films, in every second of which a hydrogen is a sodium ion."""
    frames = labelled_frames()
    numbers = frames.numbers.copy()
    for index in range(1, len(frames), 2):
        start = frames.offsets[index]
        numbers[start + np.flatnonzero(frames.frame(index).numbers == 1)[0]] = 11
    return replace(frames, numbers=numbers, columns={})


@pytest.fixture
def told_code(aiida_code_installed):
    """Return the interpreter of the tests as a code."""
    return aiida_code_installed(label='told-charge', filepath_executable=sys.executable)


def test_evaluation_tells_the_metal_charge_that_follows_from_the_atoms(told_code, tmp_path):
    inputs = evaluation_inputs(told_code, dataset=dataset(charged_frames()), potential=potential(**MODEL))
    stage('edl.evaluation', tmp_path, inputs)
    assert FrameSet.from_npz(tmp_path / 'frames.npz').columns['total_charge'].tolist() == [-1.0, -1.0]


@pytest.mark.parametrize(('index', 'charge'), [(8, 0.0), (9, -1.0)])
def test_run_keeps_the_metal_charge_of_its_start(told_code, tmp_path, index, charge):
    structure = dataset(charged_frames().select([index]))
    inputs = md_inputs(told_code, potential=potential(**MODEL), structure=structure)
    stage('edl.molecular_dynamics', tmp_path, inputs)
    (initial,) = (path for path in tmp_path.iterdir() if path.suffix == '.npz')
    assert FrameSet.from_npz(initial).columns['total_charge'].tolist() == [charge]


def test_stated_metal_charge_that_is_not_finite_is_refused(told_code):
    frames = labelled_frames().with_columns(metal_charge=np.nan)
    inputs = evaluation_inputs(told_code, dataset=dataset(frames), potential=potential(**MODEL))
    assert refusal('edl.evaluation', inputs) == (
        "the column 'metal_charge' is nan in frame 0, a model needs a finite charge; set it"
    )


def test_training_of_an_architecture_without_conditioning_is_refused_before_submission(told_code):
    inputs = training_inputs(told_code, architecture='grace', hyperparameters={'charge_column': 'metal_charge'})
    assert refusal('edl.training', inputs) == (
        "grace cannot be told a charge, so that it takes no 'charge_column'; architectures that can: deep_potential, "
        'deep_potential_mp, electrostatic_mace, esen, local_charge, mace, mace_polar, pet'
    )


def test_parity_frames_are_told_charges_that_follow_from_the_atoms():
    chosen = select_parity_frames(dataset(charged_frames()), 2, potential(**MODEL)).frames()
    assert set(metal_charges_of(chosen)) == set(metal_charges_of(charged_frames())) == {0.0, -1.0, -2.0, -3.0}
