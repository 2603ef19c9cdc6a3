"""Charges of species from energies and forces: known ones are found again, and what cannot be known is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from electrostatics_cases import salt

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch

from aiida_edl.science.electrostatics.charge_recovery import ChargeRecoveryError, RecoverySettings, recover_charges
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_summation import TorchSummation
from aiida_edl.science.frames import Frame

LABELS = SummationSettings('ewald', 9.0, 9.0 / 8.5, k_cutoff=8.5**2 / 9.0)
SUMS = {
    'ewald': LABELS,
    'pme': SummationSettings('pme', 9.0, 9.0 / 8.5, mesh=(36, 36, 36), nodes=7),
    'p3m': SummationSettings('p3m', 9.0, 9.0 / 8.5, mesh=(30, 30, 30), nodes=5),
}
SODIUM, CHLORIDE, CALCIUM, FLUORIDE = 11, 17, 20, 9


@cache
def frames(name, cation, anion, length, count=6):
    """Return displaced crystals of growing cells, labelled by an independent program."""
    found = []
    for number in range(count):
        system = salt(name, (1, 1, 1), length * (1.0 + 0.02 * number), amplitude=0.1 + 0.05 * number)
        result = CompiledSummation(LABELS)(system)
        numbers = np.where(system.charges > 0.0, cation, anion).astype(np.uint8)
        labels = {'energy': result.energy, 'forces': result.forces}
        found.append(Frame(numbers, system.positions, system.cell, system.pbc, **labels))
    return tuple(found)


def rock_salt():
    return frames('nacl_cubic', SODIUM, CHLORIDE, 2.8)


def fluorite():
    return frames('fluorite', CALCIUM, FLUORIDE, 5.5)


def recovered(labelled, start, method='p3m', background=False, **settings):
    summation = TorchSummation(replace(SUMS[method], has_background=background))
    return recover_charges(labelled, summation, start, RecoverySettings(**settings))


@pytest.mark.parametrize('method', SUMS)
@pytest.mark.parametrize('force_weight', [0.0, 1.0])
def test_charges_of_rock_salt_are_found(method, force_weight):
    found = recovered(rock_salt(), {SODIUM: 0.3, CHLORIDE: -0.4}, method, force_weight=force_weight)
    # the fit arrives within 1e-8 e, meshes err by 1e-7 of the energies and 1e-6 of the forces
    assert found.charges == pytest.approx({SODIUM: 1.0, CHLORIDE: -1.0}, abs=1e-6)
    assert found.remaining_step < 1e-6
    assert found.energy_error < 1e-5


@pytest.mark.parametrize('force_weight', [0.0, 1.0])
def test_charges_are_found_when_nothing_ties_them(force_weight):
    # the background of a net charge is all that the sum of both charges changes of the energies
    start = {SODIUM: 0.3, CHLORIDE: -0.4}
    found = recovered(rock_salt(), start, background=True, force_weight=force_weight)
    assert found.charges == pytest.approx({SODIUM: 1.0, CHLORIDE: -1.0}, abs=2e-6)


def test_the_ratio_of_charges_of_an_unequal_salt_is_found():
    start = {CALCIUM: 0.5, FLUORIDE: -0.5}
    found = recovered(fluorite(), start, background=True, force_weight=1.0)
    assert found.charges[CALCIUM] / found.charges[FLUORIDE] == pytest.approx(-2.0, abs=2e-6)
    assert found.charges[CALCIUM] == pytest.approx(2.0, abs=2e-6)


def test_charges_that_must_be_neutral_keep_the_ratio_of_the_formula():
    found = recovered(fluorite(), {CALCIUM: 0.5, FLUORIDE: -0.5})
    assert found.charges[CALCIUM] == pytest.approx(-2.0 * found.charges[FLUORIDE], rel=1e-12)
    assert found.charges[CALCIUM] == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_the_first_species_is_the_positive_one(sign):
    found = recovered(rock_salt(), {CHLORIDE: -0.4 * sign, SODIUM: 0.4 * sign})
    assert found.charges == pytest.approx({CHLORIDE: 1.0, SODIUM: -1.0}, abs=1e-6)


def test_errors_tell_labels_that_no_charges_explain():
    off = [replace(frame, energy=frame.energy * (1.0 + 0.02 * (-1) ** i)) for i, frame in enumerate(rock_salt())]
    found = recovered(off, {SODIUM: 0.4, CHLORIDE: -0.4})
    per_atom = np.array([frame.energy / len(frame.numbers) for frame in rock_salt()])
    assert found.energy_error == pytest.approx(0.02 * np.sqrt(np.mean(per_atom**2)), rel=0.05)
    assert np.isnan(found.force_error)


def test_open_systems_are_fitted_by_the_direct_sum():
    generator = np.random.default_rng(2)
    labelled = []
    for _ in range(4):
        positions = 2.5 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]) + generator.normal(scale=0.2, size=(3, 3))
        system = ChargedSystem(positions, np.zeros((3, 3)), np.array([2.0, -1.0, -1.0]), np.zeros(3, dtype=bool))
        energy = CompiledSummation(SummationSettings('direct'))(system).energy
        numbers = np.array([CALCIUM, FLUORIDE, FLUORIDE], dtype=np.uint8)
        labelled.append(Frame(numbers, positions, system.cell, system.pbc, energy=energy))
    summation = TorchSummation(SummationSettings('direct'))
    found = recover_charges(labelled, summation, {CALCIUM: 0.5, FLUORIDE: -0.5})
    assert found.charges == pytest.approx({CALCIUM: 2.0, FLUORIDE: -1.0}, abs=1e-6)


def test_a_fit_that_has_not_arrived_is_refused():
    message = (
        r'^after \d+ evaluations one more step would still change a charge by \d\.\de[+-]0\d e, allowed is 1\.0e-06 e: '
        r'start closer, or raise most_evaluations$'
    )
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered(rock_salt(), {SODIUM: 0.3, CHLORIDE: -0.4}, background=True, most_evaluations=3)


def test_fewer_energies_than_charges_are_refused():
    message = r'^1 energies do not determine 2 charges: give more frames, or forces$'
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered(rock_salt()[:1], {SODIUM: 0.3, CHLORIDE: -0.4}, background=True)


def test_one_frame_many_times_does_not_tell_two_charges():
    message = (
        r'^the frames do not determine the charges: a combination of them changes the labels by \d\.\de-\d+ of what '
        r'another does by \d\.\de[+-]\d+; give more frames, frames of other compositions, or forces$'
    )
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered(rock_salt()[:1] * 3, {SODIUM: 0.3, CHLORIDE: -0.4}, background=True)


def test_a_start_from_nothing_is_refused():
    message = (
        r'^the charges \{11: 0\.5, 17: 0\.5\} to start from are zero but for what charges the frames: start with '
        r'signs as they are expected$'
    )
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered(rock_salt(), {SODIUM: 0.5, CHLORIDE: 0.5})


def test_frames_that_only_zero_charges_keep_neutral_are_refused():
    charged = replace(rock_salt()[0], numbers=np.array([SODIUM, CHLORIDE, *[SODIUM] * 6], dtype=np.uint8))
    message = (
        r'^only charges of zero leave all frames neutral, whose compositions differ in 2 ways: state a background, or '
        r'give frames of neutral formula units$'
    )
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered([*rock_salt(), charged], {SODIUM: 0.5, CHLORIDE: -0.5})


@pytest.mark.parametrize(
    ('label', 'message'),
    [
        ('energy', r'^frame 1 has no energy, all need one$'),
        (
            'forces',
            r'^frame 1 has no forces, which force_weight 1 asks for: give them, or the weight zero$',
        ),
    ],
)
def test_a_frame_without_labels_is_refused(label, message):
    labelled = [rock_salt()[0], replace(rock_salt()[1], **{label: None})]
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered(labelled, {SODIUM: 0.5, CHLORIDE: -0.5}, force_weight=1.0)


def test_a_species_without_start_is_refused():
    message = r'^frame 0 has atoms of the atomic numbers \[17\], for which start gives no charge$'
    with pytest.raises(ChargeRecoveryError, match=message):
        recovered(rock_salt(), {SODIUM: 0.5})


def test_no_frames_are_refused():
    with pytest.raises(ChargeRecoveryError, match=r'^there are no frames, at least one is needed$'):
        recovered([], {SODIUM: 0.5})


def test_a_sum_in_single_precision_is_refused():
    message = r'^the sum is in torch\.float32, a fit needs torch\.float64$'
    with pytest.raises(ChargeRecoveryError, match=message):
        recover_charges(rock_salt(), TorchSummation(LABELS, torch.float32), {SODIUM: 0.5, CHLORIDE: -0.5})
