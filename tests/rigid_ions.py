"""Lithium fluoride of rigid ions: Coulomb by Ewald, repulsion and dispersion of M. P. Tosi and F. G. Fumi.

Parameters: J. Phys. Chem. Solids 25, 45 (1964), as in M. J. L. Sangster and M. Dixon, Adv. Phys. 25, 247 (1976).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import erfc

from aiida_edl.science import units
from aiida_edl.science.frames import Floats, Frame

COULOMB = 1 / (4 * np.pi * units.VACUUM_PERMITTIVITY)
"""Energy of two elementary charges at unit distance [eV Å]."""
ELECTRONVOLT = units.ELEMENTARY_CHARGE_COULOMB
"""In Joule; the parameters are tabulated in SI units."""
REPULSION = 0.338e-19 / ELECTRONVOLT
"""Energy b [eV]."""
RANGE = 0.299
"""Decay length [Å]."""
RADII = {3: 0.816, 9: 1.179}
"""Radii of the ions [Å] by atomic number."""
PAULING = {(3, 3): 2.0, (3, 9): 1.375, (9, 9): 0.75}
"""Factors of Pauling."""
DIPOLE = {(3, 3): 0.073, (3, 9): 0.8, (9, 9): 14.5}
"""Dispersion of sixth order [1e-79 J m⁶]."""
QUADRUPOLE = {(3, 3): 0.03, (3, 9): 0.6, (9, 9): 17.0}
"""Dispersion of eighth order [1e-99 J m⁸]."""
CHARGES = {3: 1.0, 9: -1.0}
"""Charges [e]."""
REACH = 5.87
"""End of the sums over pairs [Å], between the eighth and the ninth shell of the crystal."""
SCREENING = 0.6
"""Of the sum by Ewald [1/Å]; erfc is 6e-7 at the end of the sums."""
LARGEST_WAVE = 4.4
"""Wave vectors of the sum [1/Å]; the last has a weight of 1e-6."""


class RigidIons:
    """Energy of one cell with right angles, whose edges are at least 12 Å long."""

    def __init__(self, frame: Frame) -> None:
        """Gather what does not change when ions move."""
        self.lengths = np.diag(frame.cell)
        self.charges = np.array([CHARGES[int(number)] for number in frame.numbers])
        self.first, self.second = np.triu_indices(len(frame.numbers), 1)
        pairs = [tuple(sorted((int(frame.numbers[i]), int(frame.numbers[j])))) for i, j in zip(self.first, self.second)]
        radii = np.array([RADII[int(number)] for number in frame.numbers])
        factors = np.array([PAULING[pair] for pair in pairs])
        self.strengths = REPULSION * factors * np.exp((radii[self.first] + radii[self.second]) / RANGE)
        self.sixth = np.array([DIPOLE[pair] for pair in pairs]) * 1e-19 / ELECTRONVOLT
        self.eighth = np.array([QUADRUPOLE[pair] for pair in pairs]) * 1e-19 / ELECTRONVOLT
        most = np.ceil(LARGEST_WAVE * self.lengths / (2 * np.pi)).astype(int)
        waves = np.array(list(np.ndindex(*(2 * most + 1)))) - most
        waves = 2 * np.pi * waves / self.lengths
        squares = np.sum(waves**2, axis=1)
        # Of each wave vector and its opposite one is enough.
        is_kept = (squares <= LARGEST_WAVE**2) & (waves @ np.array([1.0, 1e-3, 1e-6]) > 0)
        self.waves, squares = waves[is_kept], squares[is_kept]
        volume = float(np.prod(self.lengths))
        self.weights = COULOMB * 4 * np.pi / volume * np.exp(-squares / (4 * SCREENING**2)) / squares
        net = self.charges.sum()
        self.constant = -COULOMB * (
            SCREENING / np.sqrt(np.pi) * np.sum(self.charges**2) + np.pi * net**2 / (2 * volume * SCREENING**2)
        )

    def energy_and_gradient(self, flat: Floats) -> tuple[float, Floats]:
        """Return energy [eV] and gradient [eV/Å] at flattened positions [Å]."""
        positions = flat.reshape(-1, 3)
        apart = positions[self.first] - positions[self.second]
        apart -= np.rint(apart / self.lengths) * self.lengths
        distances = np.linalg.norm(apart, axis=1)
        near = np.flatnonzero(distances < REACH)
        r, product = distances[near], self.charges[self.first[near]] * self.charges[self.second[near]]
        screened = COULOMB * product * erfc(SCREENING * r) / r
        gauss = COULOMB * product * 2 * SCREENING / np.sqrt(np.pi) * np.exp(-((SCREENING * r) ** 2))
        repulsion = self.strengths[near] * np.exp(-r / RANGE)
        sixth, eighth = self.sixth[near] / r**6, self.eighth[near] / r**8
        slopes = -(screened + gauss) / r - repulsion / RANGE + 6 * sixth / r + 8 * eighth / r
        along = (slopes / r)[:, None] * apart[near]
        gradient = np.zeros_like(positions)
        np.add.at(gradient, self.first[near], along)
        np.add.at(gradient, self.second[near], -along)
        phases = positions @ self.waves.T
        cosines, sines = np.cos(phases), np.sin(phases)
        real, imaginary = self.charges @ cosines, self.charges @ sines
        energy = float(np.sum(screened + repulsion - sixth - eighth) + self.weights @ (real**2 + imaginary**2))
        parts = 2 * self.weights * (cosines * imaginary - sines * real)
        gradient += self.charges[:, None] * (parts @ self.waves)
        return energy + float(self.constant), gradient.ravel()

    def relax(self, positions: Floats) -> Floats:
        """Return positions at a minimum near the given ones [Å], to a force of 1e-3 eV/Å."""
        found = minimize(
            self.energy_and_gradient,
            positions.ravel(),
            jac=True,
            method='L-BFGS-B',
            options={'gtol': 1e-3, 'ftol': 1e-13, 'maxiter': 2000},
        )
        return np.asarray(found.x).reshape(-1, 3)
