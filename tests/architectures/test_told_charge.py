"""The charge of the metal as a global input: the same hyperparameter for all, refused by name where there is none."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.architectures.base import CHARGE_COLUMN, HyperparameterError, architectures_told_charge
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.frames import FrameSet

TOLD = ('deep_potential', 'deep_potential_mp', 'esen', 'mace', 'pet')
"""Architectures that can be told the charge of the metal in a neutral cell."""
OF_CELLS = ('electrostatic_mace', 'local_charge', 'mace_polar')
"""Architectures whose atomic charges add up to the charge of the cell that they are told."""


def with_ion(frames: FrameSet, n_ions: int) -> FrameSet:
    """Return frames in which some hydrogens are sodium ions."""
    numbers = frames.numbers.copy().reshape(len(frames), -1)
    hydrogens = np.flatnonzero(numbers[0] == 1)
    numbers[:, hydrogens[:n_ions]] = 11
    return replace(frames, numbers=numbers.reshape(-1), columns={})


@pytest.fixture
def sets():
    """Training and validation frames with none, one and two ions, without any column."""
    return {
        'training_set': FrameSet.concatenate([with_ion(example_frames(3, seed=n), n) for n in range(3)]),
        'validation_set': with_ion(example_frames(2, seed=7), 1),
    }


@pytest.mark.parametrize('name', TOLD)
def test_metal_charge_follows_from_the_atoms(name, sets):
    architecture = load_member(ARCHITECTURES, name)
    chosen = architecture.make_hyperparameters({CHARGE_COLUMN: 'metal_charge'})
    derived = example_job(architecture, hyperparameters=chosen, **sets)
    stated = {
        key: frames.with_columns(metal_charge=-np.add.reduceat(frames.numbers == 11, frames.offsets[:-1]))
        for key, frames in sets.items()
    }
    explicit = example_job(architecture, hyperparameters=chosen, **stated)
    files = architecture.training_files(derived)
    assert files == architecture.training_files(explicit)
    assert files != architecture.training_files(example_job(architecture, **sets))


def test_deep_potential_gets_the_metal_charge_as_frame_parameter(sets):
    architecture = load_member(ARCHITECTURES, 'deep_potential')
    chosen = architecture.make_hyperparameters({CHARGE_COLUMN: 'metal_charge'})
    files = architecture.training_files(example_job(architecture, hyperparameters=chosen, **sets))
    charges = {
        path.split('/')[1]: np.load(io.BytesIO(content)).reshape(-1).tolist()
        for path, content in files.items()
        if path.startswith('training/') and path.endswith('fparam.npy')
    }
    assert sorted(charges.values()) == [[-2.0] * 3, [-1.0] * 3, [0.0] * 3]


def test_mace_gets_the_metal_charge_as_total_charge(sets):
    architecture = load_member(ARCHITECTURES, 'mace')
    chosen = architecture.make_hyperparameters({CHARGE_COLUMN: 'metal_charge'})
    text = architecture.training_files(example_job(architecture, hyperparameters=chosen, **sets))[
        'training.xyz'
    ].decode()
    headers = [line for line in text.splitlines() if 'Lattice' in line]
    told = [float(header.split('total_charge=')[1].split()[0]) for header in headers]
    assert told == [0.0] * 3 + [-1.0] * 3 + [-2.0] * 3


@pytest.mark.parametrize('name', ['grace', 'sevennet'])
def test_architecture_that_cannot_be_told_is_refused_by_name(name):
    message = (
        f"^{name} cannot be told a charge, so that it takes no 'charge_column'; architectures that can: "
        'deep_potential, deep_potential_mp, electrostatic_mace, esen, local_charge, mace, mace_polar, pet$'
    )
    with pytest.raises(HyperparameterError, match=message):
        load_member(ARCHITECTURES, name).make_hyperparameters({CHARGE_COLUMN: 'metal_charge'})


@pytest.mark.parametrize('name', OF_CELLS)
def test_charge_of_the_metal_is_not_that_of_the_cell(name):
    message = (
        f"^hyperparameter 'charge_column' of {name} is 'metal_charge', but its atomic charges add up to that of the "
        'whole cell, ions included; leave it out for neutral cells, or name a column with the charge of the cell$'
    )
    with pytest.raises(HyperparameterError, match=message):
        load_member(ARCHITECTURES, name).make_hyperparameters({CHARGE_COLUMN: 'metal_charge'})


def test_architectures_that_can_be_told_are_found_by_their_hyperparameter():
    assert {*TOLD, *OF_CELLS} == set(architectures_told_charge())
