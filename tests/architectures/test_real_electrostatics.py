"""What must hold of the electrostatics of PolarMACE whatever it has learnt, tried on films that are charged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from architectures.test_real_training import make_job, own_errors, predictions
from architectures.test_total_charge import COLUMN, charged_frames
from ase import units
from toy.training import film_frames, train
from toy.training_cases import training_case

from aiida_edl.architectures.base import TrainingOutcome
from aiida_edl.architectures.mace_polar import MacePolar
from aiida_edl.science.analysis.error_metrics import error_metrics
from aiida_edl.science.frames import FrameSet

CASE = training_case('mace_polar')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CASE.missing is not None, reason=str(CASE.missing))]

LOCAL = {'n_recursions': 0}
"""Charges that depend on the neighbourhood alone; the total charge is added to them in fixed parts."""
WHOLE = {
    'max_l': 1,
    'multipole_max_l': 1,
    'field_max_l': 1,
    'field_widths': [1.5, 3.0],
    'n_recursions': 2,
    'has_local_electron_energy': True,
}
"""All there is: equivariant features, dipoles, fields, charges that respond twice, energies of charges."""


class Trained:
    """A model that was trained on charged films."""

    def __init__(self, folder, hyperparameters, gradient_updates):
        self.architecture = MacePolar()
        chosen = {**CASE.training['hyperparameters'], 'charge_column': COLUMN, **hyperparameters}
        self.job = make_job(
            CASE,
            self.architecture,
            training_set=charged_frames(18, seed=1),
            validation_set=charged_frames(6, seed=2),
            hyperparameters=self.architecture.make_hyperparameters(chosen),
            gradient_updates=gradient_updates,
        )
        self.folder = folder
        self.result = train(self.architecture, self.job, folder, str(CASE.python))

    def predictions(self, frames: FrameSet):
        """Return energies [eV], forces [eV/Å] and charges [e], each with one row a frame."""
        energies, forces = predictions(
            CASE, self.architecture, self.folder, self.result.model_path, frames, job=self.job
        )
        with np.load(self.folder / 'evaluation' / 'predictions.npz') as stored:
            charges = stored['charges']
        return energies, forces.reshape(len(frames), -1, 3), charges.reshape(len(frames), -1)


@pytest.fixture(scope='module')
def local(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp('local'), LOCAL, gradient_updates=100)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp('whole'), WHOLE, gradient_updates=40)


def copies(charges: list[float]) -> FrameSet:
    """Return the same film with other total charges."""
    return film_frames(1, seed=5).select(np.zeros(len(charges), dtype=int)).with_columns(**{COLUMN: np.array(charges)})


@pytest.mark.parametrize('name', ['local', 'whole'])
def test_training_finishes_and_its_errors_are_those_of_the_driver(request, name):
    model = request.getfixturevalue(name)
    assert model.result.outcome is TrainingOutcome.FINISHED, model.result.message
    frames = model.job.validation_set
    energies, forces, _ = model.predictions(frames)
    errors, own = error_metrics(frames, energies, forces.reshape(-1, 3)).row(), own_errors(CASE, model.folder)
    assert errors.force_rmse_ev_per_angstrom == pytest.approx(own['force_rmse'], rel=1e-5)
    assert errors.energy_rmse_ev_per_atom == pytest.approx(own['energy_rmse'], rel=1e-5)


@pytest.mark.parametrize('name', ['local', 'whole'])
def test_charges_add_up_to_the_total_charge(request, name):
    totals = [-2.0, -1.0, 0.0, 0.5, 1.0]
    _, _, charges = request.getfixturevalue(name).predictions(copies(totals))
    np.testing.assert_allclose(charges.sum(axis=1), totals, rtol=0, atol=1e-10)


@pytest.mark.parametrize('name', ['local', 'whole'])
def test_forces_of_a_charged_film_are_the_gradient_of_its_energy(request, name):
    model = request.getfixturevalue(name)
    step, atom, axis = 1e-3, 9, 2
    frames = copies([1.0, 1.0, 1.0])
    positions = frames.positions.reshape(3, -1, 3).copy()
    positions[:, atom, axis] += [-step, 0.0, step]
    energies, forces, _ = model.predictions(replace(frames, positions=positions.reshape(-1, 3)))
    # Central differences err by the third derivative, some 100 eV/Å⁴, times a sixth of the square of the step.
    assert forces[1, atom, axis] == pytest.approx(-(energies[2] - energies[0]) / (2 * step), abs=1e-4)


def test_total_charge_acts_on_energy_and_forces_of_charges_that_respond(whole):
    energies, forces, _ = whole.predictions(copies([0.0, 1.0]))
    # Rounding is 1e-9.
    assert abs(energies[1] - energies[0]) > 0.01
    assert np.abs(forces[1] - forces[0]).max() > 0.01


def test_charges_that_do_not_respond_are_linear_and_their_energy_is_quadratic(local):
    energies, _, charges = local.predictions(copies([-2.0, -1.0, 0.0, 1.0, 2.0]))
    np.testing.assert_allclose(np.diff(charges, n=2, axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.diff(energies, n=3), 0.0, atol=1e-9)


def test_charge_spread_over_a_film_costs_energy_of_either_sign(local):
    negative, neutral, positive = local.predictions(copies([-1.0, 0.0, 1.0]))[0]
    # A whole charge spread evenly over a film of this area and cell: Q² L / (24 ε0 A) is 5 eV.
    assert negative + positive - 2 * neutral > 1.0


def slab_energy_difference(charges, heights, lengths, area, width):
    r"""Return by how much the energy of a film changes with the length of its cell [eV].

    Of the Coulomb energy of charges and a uniform background that makes up for them, the part without wave vectors in
    the plane depends on the length ``L``. With the potential of a charged plane and its background, of zero mean,

    .. math:: \phi(z) = \frac{1}{2 \varepsilon_0 A} \left(\frac{z^2}{L} - |z| + \frac{L}{6}\right),

    the sum over pairs of Gaussians of width ``s`` gives, with total charge ``Q`` and moments ``M1`` and ``M2`` along z,

    .. math:: E(L) = \frac{1}{2 \varepsilon_0 A}
        \left(\frac{Q M_2 - M_1^2 + s^2 Q^2}{L} + \frac{Q^2 L}{12}\right) + \mathrm{const.}
    """
    total, first, second = charges.sum(), charges @ heights, charges @ heights**2
    inverse, linear = total * second - first**2 + width**2 * total**2, total**2 / 12
    coulomb = units.Hartree * units.Bohr  # 1 / (4 π ε0)
    before, after = lengths
    return 2 * np.pi * coulomb / area * (inverse * (1 / after - 1 / before) + linear * (after - before))


@pytest.mark.parametrize('charge', [-1.0, 0.0, 1.0])
def test_energy_grows_with_the_cell_as_that_of_a_charged_plane_in_its_background(local, charge):
    frames = copies([charge, charge])
    cells = frames.cells.copy()
    cells[1, 2, 2] += 10.0
    energies, _, charges = local.predictions(replace(frames, cells=cells))
    np.testing.assert_allclose(charges[1], charges[0], atol=1e-12)
    expected = slab_energy_difference(
        charges[0],
        heights=frames.frame(0).positions[:, 2],
        lengths=cells[:, 2, 2],
        area=float(np.linalg.norm(np.cross(cells[0, 0], cells[0, 1]))),
        width=local.job.hyperparameters.multipole_smearing_width,
    )
    # Images see each other's lateral structure by exp(-G d), 1e-8 for the 18 Å between them.
    assert energies[1] - energies[0] == pytest.approx(expected, abs=1e-6)
