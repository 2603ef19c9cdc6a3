"""Every rung of the ladder: derivatives, invariances, conservation, and how a loss reaches the weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('numba')
with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # e3nn and mace-torch warn of each other
    pytest.importorskip('mace.modules')

import torch
from ase.build import fcc111, molecule
from scipy.spatial.transform import Rotation

from aiida_edl.science.electrostatics.charge_models import constrained_solver
from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import Surroundings, electrostatic_frame
from aiida_edl.science.electrostatics.charge_models.electrostatic_mace import RUNGS, UNBOUND, ElectrostaticMace
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.fixed_point import FixedPointError
from aiida_edl.science.electrostatics.charge_models.model_settings import ModelSettingsError
from aiida_edl.science.electrostatics.charged_system import ChargedSystemError

pytestmark = pytest.mark.filterwarnings('ignore')  # of e3nn and mace-torch, while models are made
OPEN, FILM, PERIODIC = (False, False, False), (True, True, False), (True, True, True)
LADDER = ['none', *RUNGS]
SHAPE = {
    'atomic_numbers': (1, 8, 13),
    'atomic_energies': (0.0, 0.0, 0.0),
    'cutoff_radius': 3.0,
    'n_channels': 4,
    'max_ell': 2,
    'correlation': 2,
    'radial_network': (8,),
    'average_neighbours': 6.0,
    'formal_charges': (0.4, -0.8, 0.0),
    'tolerance': 1e-11,
}
WITH_DIPOLES = ('local', 'latent', 'scf', 'functional')


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def settings(rung, **others):
    values = {**SHAPE, 'electrostatics': rung, 'balanced_by': 13 if rung in ('fixed', 'split') else 0}
    return ElectrostaticSettings(**{**values, **others})


def model_of(rung, seed=0, **others):
    """Return a model with random weights, those that begin at zero among them."""
    torch.manual_seed(seed)
    model = ElectrostaticMace(settings(rung, **others))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith('rung') and '_head' in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def atoms(pbc=FILM):
    """Return one aluminium layer of four atoms with two molecules of water, rattled."""
    slab = fcc111('Al', (2, 2, 1), orthogonal=True, vacuum=0.0)
    for shift in ([1.0, 1.2, 3.0], [3.5, 3.3, 3.4]):
        water = molecule('H2O')
        water.rotate(70.0 * shift[0], 'xyz'[int(shift[0]) % 3])
        water.translate(shift)
        slab += water
    slab.cell[2] = [0.0, 0.0, 9.0]
    slab.pbc = pbc
    slab.rattle(0.1, seed=1)
    return slab


def frame_of(found, model, **outside):
    positions, cell = found.positions, found.cell.array
    return electrostatic_frame(
        found.numbers, positions, cell, found.pbc, model.settings, outside=Surroundings(**outside)
    )


def energy_of(found, model, **outside):
    return model([frame_of(found, model, **outside)]).energies.item()


@pytest.mark.parametrize('rung', LADDER)
@pytest.mark.parametrize('pbc', [OPEN, FILM, PERIODIC])
def test_forces_are_those_by_differences(rung, pbc):
    model, start = model_of(rung, has_dipoles=rung in WITH_DIPOLES), atoms(pbc)
    charge = 0.0 if rung in UNBOUND else 0.3
    forces = model([frame_of(start, model, total_charge=charge)]).forces
    for atom, axis in ((0, 2), (5, 0), (9, 1)):
        energies = []
        for step in (-1e-4, 1e-4):
            moved = start.copy()
            moved.positions[atom, axis] += step
            energies.append(energy_of(moved, model, total_charge=charge))
        assert forces[atom, axis].item() == pytest.approx((energies[0] - energies[1]) / 2e-4, abs=1e-6)


@pytest.mark.parametrize('rung', ['fixed', 'local', 'split', 'qeq', 'scf', 'functional'])
@pytest.mark.parametrize('neutrality', ['shift', 'share'])
@pytest.mark.parametrize('total', [0.0, -1.7])
def test_charges_sum_to_the_total_charge(rung, neutrality, total):
    model = model_of(rung, neutrality=neutrality)
    multipoles = model([frame_of(atoms(), model, total_charge=total)]).multipoles
    assert multipoles[:, 0].sum().item() == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize('rung', LADDER)
def test_energy_does_not_depend_on_where_the_frame_lies(rung):
    model, start = model_of(rung), atoms()
    moved = start.copy()
    moved.positions += [1.3, -0.7, 0.4]
    assert energy_of(moved, model) == pytest.approx(energy_of(start, model), abs=1e-7)


@pytest.mark.parametrize('rung', LADDER)
def test_frame_turns_with_its_forces_and_dipoles(rung):
    model, start = model_of(rung, has_dipoles=rung in WITH_DIPOLES), atoms(OPEN)
    turn = Rotation.from_euler('xyz', [0.4, 1.1, -0.7]).as_matrix()
    turned = start.copy()
    turned.positions = start.positions @ turn.T
    before, after = (model([frame_of(found, model)]) for found in (start, turned))
    assert after.energies.item() == pytest.approx(before.energies.item(), abs=1e-9)
    np.testing.assert_allclose(after.forces.detach(), before.forces.detach().numpy() @ turn.T, atol=1e-8)
    if before.multipoles.shape[1] == 4:
        dipoles = before.multipoles[:, 1:].detach().numpy()
        assert np.abs(dipoles).max() > 1e-3
        np.testing.assert_allclose(after.multipoles[:, 1:].detach(), dipoles @ turn.T, atol=1e-9)


@pytest.mark.parametrize('rung', LADDER)
def test_order_of_the_atoms_does_not_matter(rung):
    model, start = model_of(rung), atoms()
    order = np.random.default_rng(0).permutation(len(start))
    before, after = (model([frame_of(found, model)]) for found in (start, start[order]))
    assert after.energies.item() == pytest.approx(before.energies.item(), abs=1e-9)
    np.testing.assert_allclose(after.multipoles.detach(), before.multipoles.detach()[order], atol=1e-9)


@pytest.mark.parametrize('rung', ['none', 'local', 'latent', 'split', 'qeq', 'scf', 'functional'])
def test_frames_of_a_batch_do_not_see_each_other(rung):
    model = model_of(rung)
    frames = [frame_of(atoms(pbc), model) for pbc in (FILM, PERIODIC, OPEN)]
    alone = [model([frame]).energies.item() for frame in frames]
    np.testing.assert_allclose(model(frames).energies.detach(), alone, atol=1e-9)


@pytest.mark.parametrize('rung', LADDER)
@pytest.mark.parametrize('solver', ['direct', 'conjugate_gradient'])
def test_derivatives_of_a_loss_by_weights_are_those_by_differences(rung, solver, monkeypatch):
    monkeypatch.setitem(constrained_solver.TOLERANCES, torch.float64, 1e-13)  # differences see the last digits
    model = model_of(rung, solver=solver, has_dipoles=rung in ('scf', 'functional'))
    charge = 0.0 if rung in UNBOUND else 0.2
    frames = [frame_of(atoms(pbc), model, total_charge=charge) for pbc in (FILM, PERIODIC)]
    n_atoms = len(atoms())
    target = torch.randn(2 * n_atoms, 3, generator=torch.Generator().manual_seed(3))

    def loss():
        found = model(frames, is_followed=True)
        of_charges = torch.sum(found.multipoles**2) if rung != 'none' else 0.0
        potentials = [frame.charges.potential for frame in found.frames if frame.charges.potential is not None]
        of_charges = of_charges + sum(0.1 * potential**2 for potential in potentials)
        return found, torch.mean((found.forces - target) ** 2) + torch.sum(found.energies**2) / 100 + of_charges

    found, value = loss()
    found.backward(value)
    chosen = [(name, weight) for name, weight in model.named_parameters() if weight.grad is not None]
    assert {name.partition('.')[0] for name, _ in chosen} == (
        {'backbone', 'offsets'} if rung in ('none', 'fixed') else {'backbone', 'offsets', 'rung'}
    )
    rng = np.random.default_rng(5)
    for name, weight in [chosen[i] for i in rng.choice(len(chosen), 5, replace=False)] + chosen[-2:]:
        index = tuple(int(rng.integers(n)) for n in weight.shape)
        values = []
        for step in (-1e-4, 1e-4):
            with torch.no_grad():
                weight[index] += step
            values.append(loss()[1].item())
            with torch.no_grad():
                weight[index] -= step
        expected = (values[1] - values[0]) / 2e-4
        assert weight.grad[index].item() == pytest.approx(expected, rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize('rung', ['qeq', 'scf', 'functional'])
def test_charges_at_a_potential_are_those_at_their_sum(rung):
    model = model_of(rung, has_dipoles=rung != 'qeq')
    at_charge = model([frame_of(atoms(PERIODIC), model, total_charge=0.4)])
    potential = at_charge.frames[0].charges.potential.item()
    at_potential = model([frame_of(atoms(PERIODIC), model, potential=potential)])
    np.testing.assert_allclose(at_potential.multipoles.detach(), at_charge.multipoles.detach(), atol=1e-8)
    if rung != 'scf':  # whose energy is not least
        np.testing.assert_allclose(at_potential.forces.detach(), at_charge.forces.detach(), atol=1e-7)


@pytest.mark.parametrize('rung', ['qeq', 'functional'])
def test_potential_is_the_slope_of_the_energy_by_the_charge(rung):
    model = model_of(rung, has_dipoles=rung == 'functional')
    energies = [energy_of(atoms(), model, total_charge=0.4 + step) for step in (-0.01, 0.01)]
    found = model([frame_of(atoms(), model, total_charge=0.4)]).frames[0].charges.potential.item()
    assert (energies[1] - energies[0]) / 0.02 == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize('rung', ['local', 'latent', 'fixed'])
def test_force_of_a_field_is_that_of_charges_and_dipoles(rung):
    """Each atom is pushed by its charge; what the field does to charges that follow from neighbours adds to nothing."""
    model, start = model_of(rung, has_dipoles=rung != 'fixed'), atoms()
    without, within = (model([frame_of(start, model, field=(0.0, 0.0, f))]) for f in (0.0, 0.2))
    charges = without.multipoles[:, 0].detach()
    heights = torch.tensor(start.positions[:, 2])
    moment = charges @ heights + (without.multipoles[:, 3].sum().detach() if rung != 'fixed' else 0.0)
    assert (within.energies - without.energies).item() == pytest.approx(-0.2 * moment.item(), abs=1e-10)
    push = (within.forces - without.forces).detach().sum(dim=0)
    np.testing.assert_allclose(push, [0.0, 0.0, 0.2 * charges.sum().item()], atol=1e-9)


@pytest.mark.parametrize('rung', ['qeq', 'scf', 'functional'])
def test_field_polarises_charges_along_itself(rung):
    model = model_of(rung)
    moments = []
    for field in (0.0, 0.1):
        found = model([frame_of(atoms(), model, field=(0.0, 0.0, field))])
        moments.append(found.multipoles[:, 0].detach().numpy() @ atoms().positions[:, 2])
    assert moments[1] > moments[0] + 1e-3


def test_split_charges_polarise_as_atoms_move():
    """In an open frame the polarisation is the dipole; its derivative by positions sums to the total charge."""
    model, start = model_of('split'), atoms(OPEN)
    frame = frame_of(start, model, total_charge=0.6)
    frame = frame.moved(frame.positions.requires_grad_())
    found = model.rung.polarisation(frame, model.backbone([frame]))
    charges = model([frame]).multipoles[:, 0].detach()
    np.testing.assert_allclose(found.detach(), charges @ frame.positions.detach(), atol=1e-10)
    for axis in range(3):
        (born,) = torch.autograd.grad(found[axis], frame.positions, retain_graph=True)
        expected = 0.6 * np.eye(3)[axis]
        np.testing.assert_allclose(born.sum(dim=0), expected, atol=1e-9)


def test_polarisation_of_a_periodic_cell_does_not_jump():
    model, start = model_of('split'), atoms(PERIODIC)
    found = []
    for shift in (-1e-6, 1e-6):
        moved = start.copy()
        moved.positions[:, 0] += moved.cell[0, 0] - moved.positions[4, 0] + shift  # an atom crosses the boundary
        frame = frame_of(moved, model)
        found.append(model.rung.polarisation(frame, model.backbone([frame])).detach().numpy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_charges_that_do_not_converge_are_refused_with_their_history():
    model = model_of('scf', most_steps=3)
    with pytest.raises(FixedPointError, match=r'the charges of a frame did not converge in 3 steps') as raised:
        model([frame_of(atoms(), model)])
    assert len(raised.value.residuals) == 4


@pytest.mark.parametrize('rung', ['qeq', 'scf', 'functional'])
@pytest.mark.parametrize('pbc', [OPEN, PERIODIC])
def test_potential_rises_with_the_charge(rung, pbc):
    """The capacitance is positive, so that there is a charge for each potential."""
    model = model_of(rung)
    frames = [frame_of(atoms(pbc), model, total_charge=charge) for charge in (-1.0, 0.0, 1.0)]
    low, middle, high = (frame.charges.potential.item() for frame in model(frames).frames)
    assert low < middle < high


def test_potential_of_a_film_is_refused():
    with pytest.raises(ChargedSystemError, match='given for a film: charged against empty space'):
        frame_of(atoms(FILM), model_of('qeq'), potential=1.0)


@pytest.mark.parametrize(
    ('rung', 'outside', 'message'),
    [
        (
            'local',
            {'potential': 1.0},
            "electrostatics 'local', which has none; leave it out, or take qeq or scf or functional",
        ),
        ('none', {'potential': 1.0}, "with electrostatics 'none', which has none"),
        ('latent', {'total_charge': 1.0}, "with electrostatics 'latent', whose charges nothing binds to a total"),
        ('none', {'field': (0.1, 0.0, 0.0)}, 'a field is given to a model without charges'),
    ],
)
def test_what_a_rung_knows_nothing_of_is_refused(rung, outside, message):
    model = model_of(rung)
    with pytest.raises(ChargedSystemError, match=message):
        model([frame_of(atoms(OPEN), model, **outside)])


@pytest.mark.parametrize(
    ('outside', 'message'),
    [
        ({'potential': 1.0, 'total_charge': 1.0}, 'charges follow from one of them'),
        ({'field': (0.0, 0.0, 0.1), 'total_charge': 1.0}, 'the energy depends on the origin; take a neutral frame'),
        ({'field': (0.0, 0.0, 0.1), 'potential': 1.0}, 'the energy depends on the origin; take a neutral frame'),
    ],
)
def test_surroundings_that_contradict_each_other_are_refused(outside, message):
    with pytest.raises(ChargedSystemError, match=message):
        Surroundings(**outside)


def test_field_along_a_periodic_vector_is_refused():
    with pytest.raises(ChargedSystemError, match='along a periodic cell vector'):
        frame_of(atoms(), model_of('qeq'), field=(0.1, 0.0, 0.0))


def test_charges_that_contradict_the_total_are_refused():
    model = model_of('fixed', balanced_by=0)
    with pytest.raises(ChargedSystemError, match='formal charges of a frame sum to 0 e, its total charge is 1 e'):
        model([frame_of(atoms(), model, total_charge=1.0)])


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'electrostatics': 'qequ'}, 'qeq'),
        ({'electrostatics': 'fixed', 'formal_charges': ()}, 'no element has a formal charge'),
        (
            {'electrostatics': 'qeq', 'has_dipoles': True},
            'atoms have dipoles with local or latent or scf or functional alone',
        ),
        ({'electrostatics': 'local', 'has_dipoles': True, 'max_l': 0}, 'needs features that are vectors'),
        ({'formal_charges': (1.0,)}, 'there are 1 formal_charges for 3 elements'),
        ({'charge_width': 0.0}, 'charge_width is 0.0'),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(ModelSettingsError, match=message):
        ElectrostaticSettings(**{**SHAPE, **values})
