"""Systems on which summation methods are validated, by name: the same name gives the same system everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from typing import Any

import numpy as np

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, rattled, supercell
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.frames import Floats

NEIGHBOUR_DISTANCE = 2.8
"""Distance of nearest neighbours of all lattices [Å]; about that of Na and Cl."""
AMPLITUDE = 0.1
"""Standard deviation of the displacements of atoms [Å]; about that of thermal motion."""
LATTICE_ATOMS = 200
"""Atoms of a supercell of a lattice, about."""
SEED = 1
SHEAR = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.2, -0.3, 1.0]])
"""Rows of the cell vectors of sheared cells, in those of the cube."""
WATER_VOLUME = 29.9
"""Volume of a molecule of water at 300 K [Å³]."""
OXYGEN_CHARGE = -0.8476
"""Of SPC/E, H. J. C. Berendsen, J. R. Grigera and T. P. Straatsma, J. Phys. Chem. 91, 6269 (1987) [e]."""
HALF_ANGLE = np.deg2rad(109.47 / 2.0)
"""Half of the angle of SPC/E; its bonds are 1 Å long."""


class UnknownCaseError(ValueError):
    """A name that is not among the cases."""


@dataclass(frozen=True)
class ValidationCase:
    """A system, and what is known of it."""

    name: str
    family: str
    """What it stands for, e.g. ``'lattice'``."""
    system: ChargedSystem
    """Charges at positions of little symmetry, on which forces are compared."""
    exact: ChargedSystem | None = None
    """A system like it whose energy is known."""
    exact_energy: float | None = None
    """Its energy [eV]."""


@dataclass(frozen=True)
class ExternalFrame:
    """Charges with energy, forces and strain derivative of another program."""

    system: ChargedSystem
    energy: float
    """[eV]."""
    forces: Floats
    """[eV/Å], shape ``(n_atoms, 3)``."""
    stress: Floats
    """[eV/Å³], positive in tension, shape ``(3, 3)``."""


def external_frames() -> list[ExternalFrame]:
    """Return three frames of eight ions at random in a cube, computed with GROMACS."""
    document = json.loads(files(__package__).joinpath('ion_frames.json').read_text(encoding='utf-8'))
    return [_external_frame(values) for values in document['frames']]


def _external_frame(values: Mapping[str, Any]) -> ExternalFrame:
    """Return one frame of the file."""
    cell = np.eye(3) * values['side']
    charges = np.array(values['charges'], dtype=float)
    system = ChargedSystem(np.array(values['positions']), cell, charges, np.ones(3, dtype=bool))
    strain = 2.0 * np.array(values['half_strain_derivative']).reshape(3, 3)
    return ExternalFrame(system, float(values['energy']), np.array(values['forces']), strain / system.volume)


def water_box(n_molecules: int, seed: int = SEED) -> ChargedSystem:
    """Return rigid SPC/E molecules turned at random about places on a cubic grid, in a cube of the density of water.

    The grid keeps them apart, so that no pair of charges is unphysically close.

    :param n_molecules: number of molecules, e.g. 216; places of the grid that are left over stay empty.
    :param seed: seed of the random numbers.
    """
    generator = np.random.default_rng(seed)
    side = float(np.cbrt(n_molecules * WATER_VOLUME))
    n_places = int(np.ceil(np.cbrt(n_molecules) - 1e-9))
    grid = np.stack(np.meshgrid(*[np.arange(n_places)] * 3, indexing='ij'), axis=-1).reshape(-1, 3)[:n_molecules]
    oxygen = (grid + 0.5) * side / n_places + generator.uniform(-0.15, 0.15, size=(n_molecules, 3))
    frames = np.linalg.qr(generator.normal(size=(n_molecules, 3, 3)))[0]
    along, across = frames[:, :, 0] * np.cos(HALF_ANGLE), frames[:, :, 1] * np.sin(HALF_ANGLE)
    positions = np.stack([oxygen, oxygen + along + across, oxygen + along - across], axis=1).reshape(-1, 3)
    charges = np.tile([OXYGEN_CHARGE, -0.5 * OXYGEN_CHARGE, -0.5 * OXYGEN_CHARGE], n_molecules)
    return ChargedSystem(positions, np.eye(3) * side, charges, np.ones(3, dtype=bool))


def sheared(system: ChargedSystem) -> ChargedSystem:
    """Return a system in a cell with three unlike, oblique angles; every atom has the same fractional coordinates."""
    fractions = system.positions @ np.linalg.inv(system.cell)
    cell = SHEAR @ system.cell
    return replace(system, positions=fractions @ cell, cell=cell)


def _ions(net_charge: float = 0.0) -> ChargedSystem:
    """Return 128 displaced ions of NaCl; the charge of the first differs."""
    lattice = REFERENCE_LATTICES['nacl_cubic'].system(NEIGHBOUR_DISTANCE)
    system = rattled(supercell(lattice, (2, 2, 4)), AMPLITUDE, SEED)
    charges = system.charges.copy()
    charges[0] += net_charge
    return replace(system, charges=charges)


def _film(net_charge: float) -> ChargedSystem:
    """Return three layers of ions of NaCl between vacua, the outermost layer with a charge of the other sign."""
    lattice = REFERENCE_LATTICES['nacl_cubic'].system(NEIGHBOUR_DISTANCE)
    system = rattled(supercell(lattice, (2, 2, 1)), AMPLITUDE, SEED)
    charges = system.charges.copy()
    charges[system.positions[:, 2] > 0.25 * system.cell[2, 2]] += net_charge / 16.0
    cell = system.cell.copy()
    cell[2, 2] = 24.0
    return ChargedSystem(system.positions + np.array([0.0, 0.0, 4.0]), cell, charges, np.array([True, True, False]))


def _lattice(name: str) -> ValidationCase:
    """Return a lattice: a supercell with displaced atoms for forces, the perfect cell for its energy."""
    lattice = REFERENCE_LATTICES[name]
    length = NEIGHBOUR_DISTANCE / lattice.neighbour_distance
    perfect = lattice.system(length)
    n_copies = max(1, round((LATTICE_ATOMS / len(lattice.charges)) ** (1.0 / 3.0)))
    return ValidationCase(
        name=name,
        family='lattice',
        system=rattled(supercell(perfect, (n_copies, n_copies, n_copies)), AMPLITUDE, SEED),
        exact=perfect,
        exact_energy=COULOMB_CONSTANT * lattice.energy / length,
    )


def _eight_ions(number: int) -> ValidationCase:
    """Return one of the frames that another program has computed, from 1."""
    return ValidationCase(f'eight_ions_{number}', 'eight ions', external_frames()[number - 1].system)


def _plain(name: str, family: str, make: Callable[[], ChargedSystem]) -> ValidationCase:
    """Return a case of which nothing is known but what a converged sum gives."""
    return ValidationCase(name, family, make())


CASES: dict[str, Callable[[], ValidationCase]] = {
    **{name: partial(_lattice, name) for name in REFERENCE_LATTICES},
    **{f'eight_ions_{number}': partial(_eight_ions, number) for number in (1, 2, 3)},
    'water': partial(_plain, 'water', 'water', partial(water_box, 64)),
    'water_sheared': partial(_plain, 'water_sheared', 'sheared', lambda: sheared(water_box(64))),
    'nacl_sheared': partial(_plain, 'nacl_sheared', 'sheared', lambda: sheared(_ions())),
    'nacl_elongated': partial(_plain, 'nacl_elongated', 'elongated', _ions),
    'nacl_charged': partial(_plain, 'nacl_charged', 'charged', partial(_ions, 0.5)),
    'film': partial(_plain, 'film', 'slab', partial(_film, 0.0)),
    'film_charged': partial(_plain, 'film_charged', 'slab', partial(_film, 0.5)),
}
"""Builders of the cases by name."""


def validation_case(name: str) -> ValidationCase:
    """Return a case.

    :param name: one of :data:`CASES`.
    :raises UnknownCaseError: for an unknown name, with the nearest known one.
    """
    if name not in CASES:
        raise UnknownCaseError(unknown_name_message('case of the validation', name, list(CASES)))
    return CASES[name]()
