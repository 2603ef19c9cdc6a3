"""The local-charge model: what must not change its energy, its derivatives, its charges, and what it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch
from scipy.spatial.transform import Rotation

from aiida_edl.science.electrostatics.charge_models.atomic_system import atomic_system
from aiida_edl.science.electrostatics.charge_models.local_charges import LocalChargeModel, energies_and_forces
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings, ModelSettingsError
from aiida_edl.science.electrostatics.charged_system import ChargedSystemError

SMALL = LocalChargeSettings(
    atomic_numbers=(11, 17), atomic_energies=(0.0, 0.0), max_radial=3, max_angular=2, hidden_layers=(8, 8)
)
NUMBERS = np.array([11, 17] * 4)
CRYSTAL, FILM, CLUSTER = (True, True, True), (True, True, False), (False, False, False)
VARIANTS = {
    'predicted': {},
    'species': {'charges': 'species'},
    'none': {'charges': 'none'},
    'with neighbours': {'excludes_neighbours': False},
    'mesh': {'summation': 'p3m', 'resolution': 0.35},
    'learnt smearing': {'learns_smearing': True},
    'free charges': {'neutrality': 'none'},
}
POWERS = {'powers': {'exponents': (1, 3, 6)}}
ROUNDING = 1e-9
"""Of energies of a few eV in double precision, and Ewald sums of 3e-9 [eV, eV/Å]."""


def model_of(**changes) -> LocalChargeModel:
    """Return a model with random weights."""
    torch.manual_seed(3)
    return LocalChargeModel(replace(SMALL, **changes)).double()


def frame(pbc=CRYSTAL, seed=1):
    """Return positions of eight ions, none of them close, and the cell."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing='ij'), axis=-1).reshape(-1, 3)
    positions = 2.7 * corners + np.random.default_rng(seed).uniform(0.0, 0.5, size=(8, 3))
    cell = np.array([[6.1, 0.0, 0.0], [0.7, 5.8, 0.0], [0.0, 0.0, 14.0]])
    if pbc == CRYSTAL:
        cell[2] = [0.4, -0.6, 6.3]
    return positions, cell


def evaluate(model, positions, cell, pbc, numbers=NUMBERS, total_charge=0.0):
    """Return energy [eV], forces [eV/Å] and charges [e]."""
    system = atomic_system(numbers, positions, cell, pbc, model.settings, total_charge=total_charge)
    found, forces = energies_and_forces(model, [system])
    return float(found.energies.detach()[0]), forces.detach().numpy(), found.charges.detach().numpy()


PERIODICITIES = pytest.mark.parametrize('pbc', [CRYSTAL, FILM, CLUSTER], ids=['crystal', 'film', 'cluster'])
MODELS = pytest.mark.parametrize('variant', VARIANTS)


@PERIODICITIES
@MODELS
def test_forces_are_the_negative_gradient(variant, pbc):
    model, (positions, cell) = model_of(**VARIANTS[variant]), frame(pbc)
    _, forces, _ = evaluate(model, positions, cell, pbc)
    step = 1e-4
    for atom, axis in ((0, 0), (3, 2), (5, 1)):
        move = np.zeros_like(positions)
        move[atom, axis] = step
        ahead, behind = (evaluate(model, positions + sign * move, cell, pbc)[0] for sign in (1.0, -1.0))
        # the third derivative times step² is about 1e-7 eV/Å
        assert forces[atom, axis] == pytest.approx(-(ahead - behind) / (2.0 * step), abs=1e-6)


@PERIODICITIES
@MODELS
def test_energy_does_not_change_with_order_and_images(variant, pbc):
    model, (positions, cell) = model_of(**VARIANTS[variant]), frame(pbc)
    energy, forces, charges = evaluate(model, positions, cell, pbc)
    order = np.random.default_rng(5).permutation(8)
    images = np.random.default_rng(6).integers(-1, 2, size=(8, 3)) * np.array(pbc)
    other = (positions + images @ cell)[order]
    found = evaluate(model, other, cell, pbc, NUMBERS[order])
    assert found[0] == pytest.approx(energy, abs=ROUNDING)
    np.testing.assert_allclose(found[1], forces[order], atol=ROUNDING)
    np.testing.assert_allclose(found[2], charges[order], atol=ROUNDING)


@PERIODICITIES
@pytest.mark.parametrize('variant', ['predicted', 'species', 'none', 'with neighbours'])
def test_energy_does_not_change_when_a_frame_is_moved_and_turned(variant, pbc):
    model, (positions, cell) = model_of(**VARIANTS[variant]), frame(pbc)
    energy, forces, _ = evaluate(model, positions, cell, pbc)
    # a film is known by its normal along z
    angles = Rotation.from_euler('z', 40.0, degrees=True) if pbc == FILM else Rotation.random(random_state=2)
    turned = evaluate(model, angles.apply(positions) + 1.3, angles.apply(cell), pbc)
    assert turned[0] == pytest.approx(energy, abs=1e-7)  # an Ewald sum ends at another wave vector: 3e-9 of it
    np.testing.assert_allclose(turned[1], angles.apply(forces), atol=1e-7)


@pytest.mark.parametrize('variant', ['predicted', 'species', 'none', 'with neighbours', 'powers'])
def test_energy_is_extensive(variant):
    model, (positions, cell) = model_of(**{**VARIANTS, **POWERS}[variant]), frame()
    energy, forces, charges = evaluate(model, positions, cell, CRYSTAL)
    doubled = cell * np.array([[2.0], [1.0], [1.0]])
    both = evaluate(model, np.concatenate([positions, positions + cell[0]]), doubled, CRYSTAL, np.tile(NUMBERS, 2))
    assert both[0] == pytest.approx(2.0 * energy, abs=1e-7)
    np.testing.assert_allclose(both[1], np.tile(forces, (2, 1)), atol=1e-7)
    np.testing.assert_allclose(both[2], np.tile(charges, 2), atol=ROUNDING)


@pytest.mark.parametrize('variant', ['predicted', 'species', 'with neighbours'])
def test_a_molecule_has_the_same_energy_in_a_large_box_and_in_none(variant):
    model, (positions, _) = model_of(**VARIANTS[variant]), frame(CLUSTER)
    alone, _, charges = evaluate(model, positions, np.zeros((3, 3)), CLUSTER)
    length = 40.0
    boxed = evaluate(model, positions, length * np.eye(3), CRYSTAL)[0]
    dipole = charges @ positions
    # 2π/(3V) μ² of the conducting surroundings; what is left falls with the fifth power of the length
    expected = -2.0 * np.pi / 3.0 * 14.3996 * float(dipole @ dipole) / length**3
    assert boxed - alone == pytest.approx(expected, abs=2e-4)


def test_a_film_between_thin_vacua_is_summed_as_one_between_wide_ones():
    model, (positions, cell) = model_of(), frame(FILM)
    energies = []
    for height in (4.5, 27.0):
        cell[2, 2] = height
        energies.append(evaluate(model, positions, cell, FILM)[0])
    # the thin one is summed in a cell of 9 Å, whose images see lateral waves weakened by exp(-2π 5.6/5.8)
    assert energies[0] == pytest.approx(energies[1], abs=5e-3 * abs(energies[1]))
    assert energies[0] != energies[1]


@PERIODICITIES
@pytest.mark.parametrize('total_charge', [0.0, -1.5])
@pytest.mark.parametrize('charges', ['species', 'predicted'])
def test_shifted_charges_sum_to_the_total_charge(charges, total_charge, pbc):
    model, (positions, cell) = model_of(charges=charges), frame(pbc)
    _, _, found = evaluate(model, positions, cell, pbc, np.full(8, 11), total_charge=total_charge)
    assert found.sum() == pytest.approx(total_charge, abs=1e-12)


def test_free_charges_do_not_follow_the_total_charge():
    model, (positions, cell) = model_of(neutrality='loss'), frame()
    (energy, _, charges), (other, _, _) = (
        evaluate(model, positions, cell, CRYSTAL, total_charge=charge) for charge in (0.0, 1.0)
    )
    assert abs(charges.sum()) > 1e-3
    assert other == energy


@pytest.mark.parametrize('charges', ['species', 'predicted'])
def test_energy_is_even_in_the_charges(charges):
    model, (positions, cell) = model_of(charges=charges), frame()
    energy, _, before = evaluate(model, positions, cell, CRYSTAL)
    model.reverse_charges()
    found = evaluate(model, positions, cell, CRYSTAL)
    np.testing.assert_allclose(found[2], -before, atol=1e-14)
    assert found[0] == pytest.approx(energy, abs=1e-12)


def test_opposite_point_charges_attract_as_coulomb_says():
    # with no neighbour in sight the network gives constants, and the charges of the beginning are 0.5 and -0.5 e
    model = model_of(charges='species')
    energies = [
        evaluate(model, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, r]]), np.zeros((3, 3)), CLUSTER, NUMBERS[:2])[0]
        for r in (8.0, 12.0)
    ]
    expected = -0.25 * 14.39964548 * (1.0 / 8.0 - 1.0 / 12.0)
    assert energies[0] - energies[1] == pytest.approx(expected, rel=1e-8)


@PERIODICITIES
@pytest.mark.parametrize('excludes', [True, False])
def test_forces_have_derivatives(pbc, excludes):
    """Second derivatives by positions, charges and smearing: what a loss of forces needs."""
    changes = {'exponents': (1, 3, 6)} if pbc != FILM else {}
    model = model_of(charges='species', learns_smearing=True, excludes_neighbours=excludes, **changes)
    positions, cell = frame(pbc)
    numbers, chosen = NUMBERS[:4], positions[:4]
    system = atomic_system(numbers, chosen, cell, pbc, model.settings)
    assert model.long_range is not None

    def energy(positions, charges, log_smearing):
        parameters = {'log_smearing': log_smearing}
        moved = system.moved(positions)
        neutral = charges - charges.mean()
        potentials = torch.func.functional_call(model.long_range, parameters, (moved, neutral))
        return 0.5 * torch.sum(neutral * potentials)

    inputs = (torch.as_tensor(chosen), torch.tensor([0.7, -0.4, 0.1, -0.2]).double(), torch.tensor(0.1).double())
    inputs = tuple(value.clone().requires_grad_() for value in inputs)
    assert torch.autograd.gradcheck(energy, inputs)
    assert torch.autograd.gradgradcheck(energy, inputs)


def test_network_has_derivatives_of_both_orders():
    model = model_of(charges='none', hidden_layers=(4,), max_radial=2, max_angular=1)
    positions, cell = frame()
    system = atomic_system(NUMBERS, positions, cell, CRYSTAL, model.settings)
    place = torch.as_tensor(positions).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model([system.moved(x)]).energies, (place,))
    assert torch.autograd.gradgradcheck(lambda x: model([system.moved(x)]).energies, (place,))


def test_frames_in_a_batch_do_not_see_each_other():
    model = model_of()
    systems = [
        atomic_system(NUMBERS, *frame(pbc, seed), pbc, model.settings) for seed, pbc in ((1, CRYSTAL), (2, CLUSTER))
    ]
    together, forces = energies_and_forces(model, systems)
    apart = [energies_and_forces(model, [system]) for system in systems]
    torch.testing.assert_close(together.energies, torch.cat([found.energies for found, _ in apart]))
    torch.testing.assert_close(forces, torch.cat([found for _, found in apart]))


def test_lonely_atom_has_an_energy():
    model = model_of()
    energy, forces, charges = evaluate(model, np.zeros((1, 3)), np.zeros((3, 3)), CLUSTER, NUMBERS[:1])
    assert np.isfinite(energy)
    np.testing.assert_array_equal(forces, 0.0)
    np.testing.assert_allclose(charges, 0.0, atol=1e-15)


def test_a_film_with_another_exponent_is_refused():
    model, (positions, cell) = model_of(exponents=(1, 6)), frame(FILM)
    with pytest.raises(ChargedSystemError, match='slabs are known for the exponent 1 alone'):
        evaluate(model, positions, cell, FILM)


def test_an_unknown_element_is_refused():
    positions, cell = frame()
    with pytest.raises(ModelSettingsError, match=r'^the model knows the atomic numbers \[11, 17\] and not \[3, 9\]$'):
        atomic_system(np.array([3, 9] * 4), positions, cell, CRYSTAL, SMALL)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'charges': 'specie'}, "unknown charges 'specie': did you mean 'species'"),
        ({'exponents': (1, 7)}, r'exponents is \[1, 7\], it must list whole numbers from 1 to 6, each once'),
        ({'exponents': (1, 1)}, r'exponents is \[1, 1\], it must list whole numbers from 1 to 6, each once'),
        ({'cutoff_width': 4.0}, 'cutoff_width is 4.0 Å, it must be positive and not exceed the cutoff_radius, 3.0 Å'),
        ({'atomic_energies': (0.0,)}, 'there are 1 atomic_energies for 2 elements; give one for each'),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ModelSettingsError, match=f'^{message}'):
        replace(SMALL, **changes)
