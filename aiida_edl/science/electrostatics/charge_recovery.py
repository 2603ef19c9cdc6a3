"""Charges of species that explain given energies and forces: the simplest model whose charges are learned.

Every energy of point charges is a quadratic form in them, so q and -q explain it alike: which species is positive is a
convention, which the caller states. The loss is minimised by L-BFGS through the differentiable sum (D. C. Liu and J.
Nocedal, Math. Program. 45, 503 (1989)), in directions stretched so that all change it alike, and by
Gauss-Newton steps at the end. Where the loss is a flat valley, as along the sum of all charges, a minimiser stops at
wrong charges that look right: the fit has arrived where a Gauss-Newton step changes nothing any more, and one that has
not is refused.

Needs torch and torch-pme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs
from aiida_edl.science.electrostatics.torch_summation import TorchSummation
from aiida_edl.science.frames import Floats, Frame

LEAST_SINGULAR_VALUE = 1e-7
"""Share of the largest singular value of the derivatives of the labels below which a combination of charges counts as
undetermined: the root of the precision of the sums."""
LEAST_SCALED = 1e-4
"""The same share down to which directions are stretched to change the loss as the steepest does."""
EVALUATIONS_OF_ONE_SCALING = 20
"""Evaluations of L-BFGS after which a Gauss-Newton step is tried."""
NEARER = 0.5
"""Share of its length to which a Gauss-Newton step must bring the next one, or L-BFGS goes on instead."""
NOTHING = 1e-9
"""Charge that is rounding [e]."""
STEP = 0.5
"""Change of a charge for derivatives [e]; central differences of a quadratic form are exact for any."""


class ChargeRecoveryError(ValueError):
    """Frames that determine no charges, or a fit that has not arrived at them."""


@dataclass(frozen=True)
class RecoverySettings:
    """Numbers of a fit of charges."""

    energy_weight: float = 1.0
    """Weight of the mean square error of energies per atom, in units of their mean square."""
    force_weight: float = 0.0
    """Weight of the mean square error of forces, in units of their mean square; without weight none are read."""
    most_evaluations: int = 200
    """Evaluations of all frames after which the fit is given up."""
    tolerance: float = 1e-6
    """Largest change of a charge that one more Gauss-Newton step may make [e]."""


@dataclass(frozen=True)
class RecoveredCharges:
    """Charges, and how well they are known."""

    charges: Mapping[int, float]
    """Charge by atomic number [e]; that of the first species is positive."""
    remaining_step: float
    """Largest change of a charge that one more Gauss-Newton step would make [e]."""
    energy_error: float
    """Root mean square error of the energies [eV/atom]."""
    force_error: float
    """Root mean square error of the components of the forces [eV/Å]; not a number without forces."""
    evaluations: int
    """Evaluations of all frames."""


def recover_charges(
    frames: Sequence[Frame],
    summation: TorchSummation,
    start: Mapping[int, float],
    settings: RecoverySettings | None = None,
) -> RecoveredCharges:
    """Return the charges of the species with which the energy of point charges comes closest to that of the frames.

    Where the sum states no background, only charges that leave every periodic frame neutral are tried. Energies which
    are not those of point charges must be taken off before.

    :param frames: labelled frames.
    :param summation: the sum, in double precision.
    :param start: charges to start from [e] by atomic number, for all species. The first species ends up positive.
    :param settings: weights and limits.
    :raises ChargeRecoveryError: if the frames lack labels or determine no charges, or the fit does not arrive.
    """
    settings = RecoverySettings() if settings is None else settings
    if summation.dtype != torch.float64:
        raise ChargeRecoveryError(f'the sum is in {summation.dtype}, a fit needs torch.float64')
    fit = _Fit.of(frames, summation, start, settings)
    free, remaining, evaluations = _minimised(fit, settings)
    if not remaining <= settings.tolerance:
        raise ChargeRecoveryError(
            f'after {evaluations} evaluations one more step would still change a charge by {remaining:.1e} e, allowed '
            f'is {settings.tolerance:.1e} e: start closer, or raise most_evaluations'
        )
    charges = (fit.basis @ free).cpu().numpy()
    sign = -1.0 if charges[0] < 0.0 else 1.0
    energy_error, force_error = fit.errors(free)
    return RecoveredCharges(
        charges={species: sign * float(charge) for species, charge in zip(start, charges)},
        remaining_step=remaining,
        energy_error=energy_error,
        force_error=force_error,
        evaluations=evaluations,
    )


@dataclass(frozen=True)
class _LabelledFrame:
    """A frame as tensors."""

    positions: torch.Tensor
    cell: torch.Tensor
    species: torch.Tensor
    """One where an atom is of a species, shape ``(n_atoms, n_species)``."""
    pbc: tuple[bool, ...]
    pairs: TorchPairs
    energy: float
    """Energy per atom [eV]."""
    forces: torch.Tensor | None


@dataclass(frozen=True)
class _Fit:
    """What is fitted: free parameters of order one, and residuals of order one."""

    summation: TorchSummation
    frames: tuple[_LabelledFrame, ...]
    basis: torch.Tensor
    """Charges of the species by the free parameters [e], shape ``(n_species, n_free)``; orthonormal columns."""
    start: torch.Tensor
    settings: RecoverySettings
    energy_scale: float
    """Root mean square of the energies per atom [eV]."""
    force_scale: float
    """Root mean square of the components of the forces [eV/Å]."""

    @classmethod
    def of(
        cls, frames: Sequence[Frame], summation: TorchSummation, start: Mapping[int, float], settings: RecoverySettings
    ) -> _Fit:
        """Return the fit of labelled frames.

        :raises ChargeRecoveryError: if labels are missing, or no charges can be told from the frames.
        """
        _check_labels(frames, start, settings)
        basis = _neutral_basis(frames, summation, list(start))
        free = basis.T @ np.array(list(start.values()))
        if np.max(np.abs(basis @ free)) < NOTHING:
            raise ChargeRecoveryError(
                f'the charges {dict(start)} to start from are zero but for what charges the frames: start with signs '
                'as they are expected'
            )
        labelled = tuple(_labelled(frame, summation, list(start), settings) for frame in frames)
        if settings.force_weight == 0.0 and len(frames) < len(free):
            raise ChargeRecoveryError(
                f'{len(frames)} energies do not determine {len(free)} charges: give more frames, or forces'
            )
        forces = [frame.forces.ravel() for frame in labelled if frame.forces is not None]
        return cls(
            summation=summation,
            frames=labelled,
            basis=summation.tensor(basis),
            start=summation.tensor(free),
            settings=settings,
            energy_scale=math.sqrt(sum(frame.energy**2 for frame in labelled) / len(labelled)) or 1.0,
            force_scale=float(torch.sqrt(torch.mean(torch.cat(forces) ** 2))) or 1.0 if forces else math.nan,
        )

    def residuals(self, free: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return errors of the energies per atom [eV] and of the components of the forces [eV/Å].

        :param free: free parameters, shape ``(n_free,)``.
        """
        is_followed = free.requires_grad
        energies, forces = [], [torch.zeros(0, dtype=free.dtype, device=free.device)]
        for frame in self.frames:
            charges = frame.species @ (self.basis @ free)
            positions = frame.positions.clone().requires_grad_(frame.forces is not None)
            energy = self.summation.energy(positions, frame.cell, charges, frame.pbc, frame.pairs)
            energies.append(energy / len(charges) - frame.energy)
            if frame.forces is not None:
                (gradient,) = torch.autograd.grad(energy, positions, create_graph=is_followed, retain_graph=is_followed)
                forces.append((-gradient - frame.forces).ravel())
        return torch.stack(energies), torch.cat(forces)

    def scaled(self, free: torch.Tensor) -> torch.Tensor:
        """Return residuals of order one, half of the sum of whose squares is the loss.

        :param free: free parameters, shape ``(n_free,)``.
        """
        energies, forces = self.residuals(free)
        parts = [energies * (math.sqrt(self.settings.energy_weight / len(energies)) / self.energy_scale)]
        if len(forces):
            parts.append(forces * (math.sqrt(self.settings.force_weight / len(forces)) / self.force_scale))
        return torch.cat(parts)

    def errors(self, free: torch.Tensor) -> tuple[float, float]:
        """Return the root mean square errors of energies [eV/atom] and forces [eV/Å]."""
        energies, forces = (residuals.detach() for residuals in self.residuals(free))
        force_error = float(torch.sqrt(torch.mean(forces**2))) if len(forces) else math.nan
        return float(torch.sqrt(torch.mean(energies**2))), force_error


@dataclass(frozen=True)
class _Derivatives:
    """How the residuals change with the free parameters, at one place."""

    left: torch.Tensor
    singular: torch.Tensor
    """Singular values of the derivatives, falling."""
    right: torch.Tensor
    residuals: torch.Tensor

    @classmethod
    def at(cls, fit: _Fit, free: torch.Tensor) -> _Derivatives:
        """Return the derivatives at a place.

        :param free: free parameters, shape ``(n_free,)``.
        """
        units = STEP * torch.eye(len(free), dtype=free.dtype, device=free.device)
        columns = [(fit.scaled(free + unit) - fit.scaled(free - unit)).detach() / (2.0 * STEP) for unit in units]
        left, singular, right = torch.linalg.svd(torch.stack(columns, dim=1), full_matrices=False)
        return cls(left, singular, right, fit.scaled(free).detach())

    def check_determined(self) -> None:
        """Refuse labels which some combination of charges leaves as they are.

        :raises ChargeRecoveryError: with how much the weakest and the strongest combination change.
        """
        least, largest = float(self.singular[-1]), float(self.singular[0])
        if not least > LEAST_SINGULAR_VALUE * largest:
            raise ChargeRecoveryError(
                f'the frames do not determine the charges: a combination of them changes the labels by {least:.1e} of '
                f'what another does by {largest:.1e}; give more frames, frames of other compositions, or forces'
            )

    @property
    def step(self) -> torch.Tensor:
        """The Gauss-Newton step of the free parameters [e], along what is determined."""
        is_determined = self.singular > LEAST_SINGULAR_VALUE * self.singular[0]
        along = torch.where(is_determined, (self.left.T @ self.residuals) / self.singular, 0.0)
        return -self.right.T @ along

    @property
    def scales(self) -> torch.Tensor:
        """Directions of the free parameters that change the loss alike, as columns [e]."""
        singular = torch.clamp(self.singular, min=LEAST_SCALED * float(self.singular[0]))
        return self.right.T * (float(self.singular[0]) / singular)


def _minimised(fit: _Fit, settings: RecoverySettings) -> tuple[torch.Tensor, float, int]:
    """Return the free parameters with the least loss, the step that remains [e] and the number of evaluations.

    :raises ChargeRecoveryError: if some combination of charges changes nothing.
    """
    free, derivatives = fit.start, _Derivatives.at(fit, fit.start)
    of_derivatives = 2 * len(free) + 1
    evaluations, is_far = of_derivatives, True
    while True:
        remaining = float(torch.max(torch.abs(fit.basis @ derivatives.step)))
        if remaining <= settings.tolerance or evaluations >= settings.most_evaluations:
            derivatives.check_determined()
            return free, remaining, evaluations
        if is_far:
            free, used = _descended(fit, free, derivatives.scales, settings.most_evaluations - evaluations)
            derivatives = _Derivatives.at(fit, free)
            evaluations += used + of_derivatives
        tried = free + derivatives.step
        there = _Derivatives.at(fit, tried)
        evaluations += of_derivatives
        is_far = bool(torch.sum(there.step**2) > NEARER**2 * torch.sum(derivatives.step**2))
        if not is_far:
            free, derivatives = tried, there


def _descended(fit: _Fit, free: torch.Tensor, scales: torch.Tensor, most_evaluations: int) -> tuple[torch.Tensor, int]:
    """Return free parameters with a smaller loss, and the number of evaluations.

    :param free: where to start, shape ``(n_free,)``.
    :param scales: directions in which the parameters are of order one, as columns.
    :param most_evaluations: evaluations that are left.
    """
    place = torch.zeros_like(free).requires_grad_()
    most = min(EVALUATIONS_OF_ONE_SCALING, most_evaluations)
    optimiser = torch.optim.LBFGS(
        [place],
        max_iter=most,
        max_eval=most,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn='strong_wolfe',
    )
    evaluations = 0

    def loss() -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        value = 0.5 * torch.sum(fit.scaled(free + scales @ place) ** 2)
        (place.grad,) = torch.autograd.grad(value, place)
        return value

    optimiser.step(loss)
    return (free + scales @ place).detach(), evaluations


def _check_labels(frames: Sequence[Frame], start: Mapping[int, float], settings: RecoverySettings) -> None:
    """Refuse frames from which nothing can be fitted.

    :raises ChargeRecoveryError: with the number of the frame and what it lacks.
    """
    if not frames:
        raise ChargeRecoveryError('there are no frames, at least one is needed')
    for number, frame in enumerate(frames):
        if frame.energy is None:
            raise ChargeRecoveryError(f'frame {number} has no energy, all need one')
        if settings.force_weight > 0.0 and frame.forces is None:
            raise ChargeRecoveryError(
                f'frame {number} has no forces, which force_weight {settings.force_weight:g} asks for: give them, or '
                'the weight zero'
            )
        unknown = sorted(set(frame.numbers.tolist()) - set(start))
        if unknown:
            raise ChargeRecoveryError(
                f'frame {number} has atoms of the atomic numbers {unknown}, for which start gives no charge'
            )


def _neutral_basis(frames: Sequence[Frame], summation: TorchSummation, species: Sequence[int]) -> Floats:
    """Return orthonormal charges of the species that leave periodic frames neutral, shape ``(n_species, n_free)``.

    :raises ChargeRecoveryError: if there are none.
    """
    periodic = [frame for frame in frames if frame.pbc.any()]
    if summation.settings.has_background or not periodic:
        return np.eye(len(species))
    shares = np.array([[np.mean(frame.numbers == number) for number in species] for frame in periodic])
    _, singular, right = np.linalg.svd(shares)
    rank = int(np.sum(singular > LEAST_SINGULAR_VALUE * singular[0]))
    if rank == len(species):
        raise ChargeRecoveryError(
            f'only charges of zero leave all frames neutral, whose compositions differ in {rank} ways: state a '
            'background, or give frames of neutral formula units'
        )
    return np.asarray(right[rank:].T)


def _labelled(
    frame: Frame, summation: TorchSummation, species: Sequence[int], settings: RecoverySettings
) -> _LabelledFrame:
    """Return a frame as tensors, with its pairs."""
    assert frame.energy is not None  # checked before
    system = ChargedSystem(frame.positions, frame.cell, np.zeros(len(frame.numbers)), frame.pbc)
    is_followed = settings.force_weight > 0.0 and frame.forces is not None
    return _LabelledFrame(
        positions=summation.tensor(frame.positions),
        cell=summation.tensor(frame.cell),
        species=summation.tensor(frame.numbers[:, None] == np.array(species)),
        pbc=tuple(frame.pbc.tolist()),
        pairs=summation.pairs_of(system),
        energy=frame.energy / len(frame.numbers),
        forces=summation.tensor(frame.forces) if is_followed else None,
    )
