"""Classical model of a charged gold/water/sodium interface whose energies and forces are known exactly.

Flexible water and ions at a gold slab that is one equipotential: its atoms carry Gaussian charges that minimise the
energy at a given total charge (J. I. Siepmann and M. Sprik, J. Chem. Phys. 102, 511 (1995); constant charge in place
of constant potential as in L. J. V. Ahrens-Iwers et al., J. Chem. Phys. 157, 084801 (2022)). The cell is neutral, so
the metal carries minus the charge of the ions: the question of how models learn charge states can be asked with this
model at no cost for electronic structure.

Here are the parameters, the assignment of atoms to molecules, and their translation into LAMMPS ``units real``
(kcal/mol, Å, fs, e). It is right about screening by water, image charges and the charge that ions set on the metal;
it knows nothing of chemisorption, of charge transfer, of electronic polarisation of water, and no bond can break.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.counter_sheet import CounterSheet
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.metal_charge import METAL_CHARGE, told_charge
from aiida_edl.science.minimum_image import minimum_image

ATOM_TYPES = {'O': 1, 'H': 2, 'Na': 3, 'Au': 4}
"""LAMMPS atom type of each element; all four are declared in every cell, whether they occur or not."""
SHEET_TYPE = 5
"""LAMMPS atom type of the points of the sheet of counter charge, declared only where there is one."""
ION = 'Na'
"""The one ion of the model."""
METAL = 'Au'
"""The one metal of the model."""
MAXIMUM_BOND_LENGTH = 1.5
"""Distance from a hydrogen to its nearest oxygen above which the molecule counts as broken [Å]."""


class ReferenceModelError(ValueError):
    """A parameter that does not exist, or a frame that the model cannot describe."""


@dataclass(frozen=True)
class ReferenceModel:
    """Parameters of the force field.

    Well depths are ε and diameters σ of 4ε[(σ/r)¹² - (σ/r)⁶]. Unlike pairs follow Lorentz (arithmetic mean of σ) and
    Berthelot (geometric mean of ε), but for gold and sodium.
    """

    oxygen_well_depth_kcal_per_mol: float = 0.1554253
    """ε of O [kcal/mol]; SPC/Fw, Y. Wu, H. L. Tepper, G. A. Voth, J. Chem. Phys. 124, 024503 (2006)."""
    oxygen_diameter: float = 3.165492
    """σ of O [Å]; SPC/Fw, Wu et al. 2006."""
    hydrogen_charge: float = 0.41
    """Charge of H [e]; O carries minus twice as much; SPC/Fw, Wu et al. 2006."""
    bond_force_constant_kcal_per_mol: float = 1059.162
    """k of k/2 (r - r0)² for O-H [kcal/mol/Å²]; SPC/Fw, Wu et al. 2006."""
    bond_length: float = 1.012
    """r0 of O-H [Å]; SPC/Fw, Wu et al. 2006."""
    angle_force_constant_kcal_per_mol: float = 75.90
    """k of k/2 (θ - θ0)² for H-O-H [kcal/mol/rad²]; SPC/Fw, Wu et al. 2006."""
    angle_degrees: float = 113.24
    """θ0 of H-O-H [degrees]; SPC/Fw, Wu et al. 2006."""
    sodium_well_depth_kcal_per_mol: float = 0.3526418
    """ε of Na⁺ [kcal/mol]; set for SPC/E, I. S. Joung, T. E. Cheatham, J. Phys. Chem. B 112, 9020 (2008)."""
    sodium_diameter: float = 2.1595
    """σ of Na⁺ [Å]: 2^(5/6) times Rmin/2 = 1.212 Å of Joung and Cheatham 2008."""
    gold_well_depth_kcal_per_mol: float = 5.29
    """ε of Au [kcal/mol]; H. Heinz et al., J. Phys. Chem. C 112, 17281 (2008)."""
    gold_diameter: float = 2.62904
    """σ of Au [Å]: 2^(-1/6) times r0 = 2.951 Å of Heinz et al. 2008."""
    gold_sodium_well_depth_kcal_per_mol: float | None = 0.05
    """ε of the pair Au-Na [kcal/mol]; None takes the Berthelot rule (1.366 kcal/mol). Chosen by the project, see
    :attr:`gold_sodium_diameter`."""
    gold_sodium_diameter: float | None = 3.6
    """σ of the pair Au-Na [Å]; None takes the Lorentz rule (2.394 Å). With the rules, which nobody fitted to this pair,
    Na⁺ sheds part of its water and sits on the bare gold, 2 Å above the top layer, in most of a run of 50 ps with one
    or two ions. The weak, wide well chosen here keeps Na⁺ off the bare metal; with two ions it still
    comes as near as 2.5 Å, inside the first layer of water."""
    gaussian_reciprocal_width: float = 1.805132
    """η of the charge density of a gold atom, proportional to exp(-η² r²) [1/Å]; the value of the gold example that
    LAMMPS ships with its ELECTRODE package (0.955234657 per Bohr)."""
    cutoff_radius: float = 9.0
    """Cutoff of Lennard-Jones (energy shifted to zero there) and of the real-space part of the electrostatics [Å];
    chosen by the project."""
    electrostatic_accuracy: float = 1e-5
    """Error of the particle-mesh forces relative to that between two unit charges 1 Å apart; chosen by the project.
    In cells of 120 atoms forces then differ from the slope of the energy by 2e-3 eV/Å (root mean square, largest
    7e-3); 1e-6 lowers that below 7e-4 and makes a step three times as dear."""
    slab_factor: float = 3.0
    """Height of the cell with added vacuum over that without, for the planar dipole correction; I.-C. Yeh and
    M. L. Berkowitz, J. Chem. Phys. 111, 3155 (1999) find 3 to be safe."""

    def __post_init__(self) -> None:
        """Check signs.

        :raises ReferenceModelError: with the name, the value and the remedy.
        """
        for name, value in dataclasses.asdict(self).items():
            if value is None and name.startswith('gold_sodium'):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ReferenceModelError(f"model parameter '{name}' is {value!r}, it must be a positive number")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReferenceModel:
        """Return a model from the parameters that differ from the defaults.

        :param values: parameters by name.
        :raises ReferenceModelError: for an unknown name, with the nearest known one.
        """
        known = [item.name for item in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise ReferenceModelError(unknown_name_message('model parameter', name, known))
        return cls(**values)

    def to_dict(self) -> dict[str, float | None]:
        """Return all parameters as JSON types."""
        return dataclasses.asdict(self)

    @property
    def level_of_theory(self) -> str:
        """The model in one sentence, for data sets and reports."""
        gold_sodium = 'Lorentz-Berthelot'
        if self.gold_sodium_well_depth_kcal_per_mol is not None or self.gold_sodium_diameter is not None:
            gold_sodium = f'{self.gold_sodium_well_depth:g} kcal/mol and {self.gold_sodium_distance:g} Å'
        return (
            'classical force field: SPC/Fw water (Wu 2006), Na+ of Joung and Cheatham 2008 for SPC/E, Au of Heinz '
            f'2008, Au-Na {gold_sodium}, metal with Gaussian charges (Siepmann and Sprik 1995, '
            f'{self.gaussian_reciprocal_width:g}/Å) at constant total charge, cutoff {self.cutoff_radius:g} Å, '
            f'particle-mesh accuracy {self.electrostatic_accuracy:g}, slab factor {self.slab_factor:g}'
        )

    @property
    def gold_sodium_well_depth(self) -> float:
        """ε of the pair Au-Na that is in force [kcal/mol]."""
        if self.gold_sodium_well_depth_kcal_per_mol is not None:
            return self.gold_sodium_well_depth_kcal_per_mol
        return math.sqrt(self.gold_well_depth_kcal_per_mol * self.sodium_well_depth_kcal_per_mol)

    @property
    def gold_sodium_distance(self) -> float:
        """σ of the pair Au-Na that is in force [Å]."""
        if self.gold_sodium_diameter is not None:
            return self.gold_sodium_diameter
        return (self.gold_diameter + self.sodium_diameter) / 2

    def charges(self, symbols: list[str], excess: float = 0.0) -> Floats:
        """Return fixed charges of water and ions, and for the metal the even spread of its total charge [e].

        :param symbols: chemical symbols of all atoms.
        :param excess: charge of the metal over minus that of the ions [e].
        """
        fixed = {'O': -2 * self.hydrogen_charge, 'H': self.hydrogen_charge, ION: 1.0}
        n_metal, total = symbols.count(METAL), excess - symbols.count(ION)
        return np.array([fixed[symbol] if symbol != METAL else total / n_metal for symbol in symbols])


def symbols_of(frame: Frame) -> list[str]:
    """Return the chemical symbols of a frame."""
    return [chemical_symbols[number] for number in frame.numbers]


def find_waters(frame: Frame) -> NDArray[np.int64]:
    """Return the water molecules of a frame as indices O, H, H, shape ``(n_waters, 3)``.

    Each H belongs to its nearest O or periodic image of one.

    :param frame: the frame; atoms may come in any order.
    :raises ReferenceModelError: if an O does not have exactly two H, or an H is far from every O.
    """
    oxygens, hydrogens = (np.flatnonzero(frame.numbers == atomic_numbers[symbol]) for symbol in 'OH')
    if not len(oxygens):
        raise ReferenceModelError('the frame holds no oxygen, the reference model needs water')
    displacements = frame.positions[hydrogens][:, None] - frame.positions[oxygens][None]
    distances = np.linalg.norm(minimum_image(displacements, frame.cell, frame.pbc), axis=2)
    nearest = distances.argmin(axis=1) if len(hydrogens) else np.zeros(0, dtype=np.int64)
    counts = np.bincount(nearest, minlength=len(oxygens))
    if np.any(counts != 2):
        wrong = int(np.flatnonzero(counts != 2)[0])
        raise ReferenceModelError(
            f'oxygen {oxygens[wrong]} has {counts[wrong]} instead of 2 hydrogens, the reference model needs '
            'whole water molecules'
        )
    far = distances.min(axis=1) > MAXIMUM_BOND_LENGTH
    if np.any(far):
        atom = int(np.flatnonzero(far)[0])
        raise ReferenceModelError(
            f'hydrogen {hydrogens[atom]} is {distances[atom].min():.2f} Å from the nearest oxygen, '
            f'more than {MAXIMUM_BOND_LENGTH} Å: the reference model needs whole water molecules'
        )
    pairs = hydrogens[np.argsort(nearest, kind='stable')].reshape(-1, 2)
    return np.column_stack([oxygens, pairs]).astype(np.int64)


def check_frame(frame: Frame) -> None:
    """Check that the model can describe a frame, except for its molecules (see :func:`find_waters`).

    :param frame: the frame.
    :raises ReferenceModelError: for an unknown element, a cell without metal, a skew cell, a cell that is periodic
        along z, or an atom outside the cell along z.
    """
    elements = set(symbols_of(frame))
    if unknown := sorted(elements - set(ATOM_TYPES)):
        raise ReferenceModelError(
            f'element {unknown[0]} is not in the reference model, known are {", ".join(ATOM_TYPES)}'
        )
    if METAL not in elements:
        raise ReferenceModelError(f'the frame holds no {METAL}, the reference model needs a metal slab')
    if not np.allclose(frame.cell, np.diag(np.diag(frame.cell)), atol=1e-9):
        raise ReferenceModelError('the cell is skew, the reference model needs an orthogonal cell')
    if [bool(flag) for flag in frame.pbc] != [True, True, False]:
        raise ReferenceModelError(
            f'the frame has periodicity {[bool(flag) for flag in frame.pbc]}, the reference model needs a film with '
            'vacuum: [True, True, False]'
        )
    height, lowest, highest = frame.cell[2, 2], frame.positions[:, 2].min(), frame.positions[:, 2].max()
    if lowest < 0 or highest >= height:
        raise ReferenceModelError(
            f'atoms lie between {lowest:.2f} and {highest:.2f} Å, outside the cell from 0 to {height:.2f} Å along z: '
            'shift them or enlarge the cell'
        )


def data_file(frame: Frame, model: ReferenceModel, sheet: CounterSheet | None = None) -> str:
    """Return a LAMMPS data file (``atom_style full``, ``units real``) of a frame; atom ``i`` has number ``i + 1``.

    The box runs from 0 to the cell lengths. Velocities are written if the frame has them. The points of a sheet follow
    the atoms, as one molecule.

    :param frame: the frame.
    :param model: gives the charges.
    :param sheet: the sheet of counter charge, if the metal needs one.
    :raises ReferenceModelError: if the model cannot describe the frame.
    """
    check_frame(frame)
    waters = find_waters(frame)
    symbols = symbols_of(frame)
    molecules = _molecule_numbers(frame, waters)
    points = np.zeros((0, 3)) if sheet is None else sheet.positions
    charges = model.charges(symbols, 0.0 if sheet is None else -sheet.charge)
    lines = ['Interface of the reference model, units real', '']
    lines += [f'{len(symbols) + len(points)} atoms', f'{2 * len(waters)} bonds', f'{len(waters)} angles', '']
    lines += [f'{len(ATOM_TYPES) + (sheet is not None)} atom types', '1 bond types', '1 angle types', '']
    lines += [f'0 {length:.12g} {axis}lo {axis}hi' for axis, length in zip('xyz', np.diag(frame.cell))]
    lines += ['', 'Masses', ''] + [
        f'{number} {atomic_masses[atomic_numbers[s]]:.6g}' for s, number in ATOM_TYPES.items()
    ]
    if sheet is not None:
        lines.append(f'{SHEET_TYPE} 1')
    lines += ['', 'Atoms # full', '']
    for i, (symbol, (x, y, z)) in enumerate(zip(symbols, frame.positions)):
        lines.append(f'{i + 1} {molecules[i]} {ATOM_TYPES[symbol]} {charges[i]:.10g} {x:.12g} {y:.12g} {z:.12g}')
    if sheet is not None:
        each, molecule, number = sheet.charge / len(points), int(molecules.max()) + 1, len(symbols) + 1
        for i, (x, y, z) in enumerate(points, start=number):
            lines.append(f'{i} {molecule} {SHEET_TYPE} {each:.15g} {x:.12g} {y:.12g} {z:.12g}')
    if frame.velocities is not None:
        lines += ['', 'Velocities', '']
        lines += [f'{i + 1} {x:.12g} {y:.12g} {z:.12g}' for i, (x, y, z) in enumerate(frame.velocities)]
    bonds = [(o + 1, h + 1) for o, *hydrogens in waters for h in hydrogens]
    lines += ['', 'Bonds', ''] + [f'{k} 1 {o} {h}' for k, (o, h) in enumerate(bonds, start=1)]
    lines += ['', 'Angles', '']
    lines += [f'{k} 1 {h + 1} {o + 1} {other + 1}' for k, (o, h, other) in enumerate(waters, start=1)]
    return '\n'.join(lines) + '\n'


def _molecule_numbers(frame: Frame, waters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the molecule of each atom: the metal is 1, then the waters, then each ion."""
    molecules = np.zeros(len(frame.numbers), dtype=np.int64)
    molecules[frame.numbers == atomic_numbers[METAL]] = 1
    for number, atoms in enumerate(waters, start=2):
        molecules[atoms] = number
    ions = np.flatnonzero(frame.numbers == atomic_numbers[ION])
    molecules[ions] = 2 + len(waters) + np.arange(len(ions))
    return molecules


def force_field_lines(model: ReferenceModel) -> list[str]:
    """Return the LAMMPS commands that define the interactions, to follow ``read_data`` or ``read_restart``.

    Metal-metal pairs are not excluded: their Coulomb terms are part of the energy that the charges minimise.

    :param model: the parameters.
    """
    return [
        f'pair_style lj/cut/coul/long {model.cutoff_radius:g}',
        'bond_style harmonic',
        'angle_style harmonic',
        'special_bonds lj/coul 0 0 0',
        'pair_modify mix arithmetic shift yes',
        f'pair_coeff 1 1 {model.oxygen_well_depth_kcal_per_mol:.10g} {model.oxygen_diameter:.10g}',
        'pair_coeff 2 2 0.0 1.0',
        f'pair_coeff 3 3 {model.sodium_well_depth_kcal_per_mol:.10g} {model.sodium_diameter:.10g}',
        f'pair_coeff 4 4 {model.gold_well_depth_kcal_per_mol:.10g} {model.gold_diameter:.10g}',
        f'pair_coeff 3 4 {model.gold_sodium_well_depth:.10g} {model.gold_sodium_distance:.10g}',
        f'bond_coeff 1 {model.bond_force_constant_kcal_per_mol / 2:.10g} {model.bond_length:.10g}',
        f'angle_coeff 1 {model.angle_force_constant_kcal_per_mol / 2:.10g} {model.angle_degrees:.10g}',
        f'kspace_style pppm/electrode {model.electrostatic_accuracy:g}',
        f'kspace_modify slab {model.slab_factor:g}',
        'neighbor 1.5 bin',
        'neigh_modify delay 0 every 2 check yes',
    ]


def electrode_lines(frame: Frame, model: ReferenceModel, is_metal_static: bool) -> list[str]:
    """Return the LAMMPS commands that make the metal one equipotential of fixed total charge.

    :param frame: gives the number of ions, hence the charge of the metal, unless its columns state another.
    :param model: gives the width of the charges.
    :param is_metal_static: whether the metal never moves, so that one matrix inverted once gives all charges; else they
        are found by conjugate gradients in every step.
    """
    total = told_charge(frame, METAL_CHARGE) + 0.0  # no negative zero
    algorithm = 'mat_inv' if is_metal_static else 'cg 1e-12'
    return [
        f'group metal type {ATOM_TYPES[METAL]}',
        f'fix electrode metal electrode/conq {total:.12g} {model.gaussian_reciprocal_width:.10g} algo {algorithm}',
    ]
