"""What a single point of CP2K is told: which physics, and how its equations are solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.dft.functionals import Dispersion, Functional
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.vacuum import vacuum_widths
from aiida_edl.typed_fields import checked_fields

VALENCE_ELECTRONS = {
    'H': 1, 'He': 2, 'Li': 3, 'Be': 4, 'B': 3, 'C': 4, 'N': 5, 'O': 6, 'F': 7, 'Ne': 8, 'Na': 9, 'Mg': 10, 'Al': 3,
    'Si': 4, 'P': 5, 'S': 6, 'Cl': 7, 'Ar': 8, 'K': 9, 'Ca': 10, 'Sc': 11, 'Ti': 12, 'V': 13, 'Cr': 14, 'Mn': 15,
    'Fe': 16, 'Co': 17, 'Ni': 18, 'Cu': 11, 'Zn': 12, 'Ga': 13, 'Ge': 4, 'As': 5, 'Se': 6, 'Br': 7, 'Kr': 8, 'Rb': 9,
    'Sr': 10, 'Y': 11, 'Zr': 12, 'Nb': 13, 'Mo': 14, 'Tc': 15, 'Ru': 16, 'Rh': 17, 'Pd': 18, 'Ag': 11, 'Cd': 12,
    'In': 13, 'Sn': 4, 'Sb': 5, 'Te': 6, 'I': 7, 'Xe': 8, 'Cs': 9, 'Ba': 10, 'Hf': 12, 'Ta': 13, 'W': 14, 'Re': 15,
    'Os': 16, 'Ir': 17, 'Pt': 18, 'Au': 11, 'Hg': 12, 'Tl': 13, 'Pb': 4, 'Bi': 5, 'Po': 6, 'At': 7, 'Rn': 8,
}  # fmt: skip
"""Electrons that the pseudopotential GTH-PBE leaves to each element: S. Goedecker, M. Teter and J. Hutter, Phys. Rev. B
54, 1703 (1996), and M. Krack, Theor. Chem. Acc. 114, 145 (2005), as in the file GTH_POTENTIALS of CP2K."""
BASIS_SETS = ('SZV-MOLOPT-SR-GTH', 'DZVP-MOLOPT-SR-GTH')
"""J. VandeVondele and J. Hutter, J. Chem. Phys. 127, 114105 (2007), in the file BASIS_MOLOPT of CP2K."""
MINIMUM_VACUUM = 10.0
"""Least vacuum of a film between its periodic images [Å]; chosen here. CP2K refuses a dipole correction with 8.7 Å."""
MINIMUM_MARGIN = 4.0
"""Least distance of an isolated film from the end of its cell, where its density has vanished [Å]; chosen here."""


FILMS = {
    'isolated': 'isolated along z',
    'periodic': 'between periodic images',
    'dipole_corrected': 'between periodic images with dipole correction',
}
"""How the level of theory calls a boundary of films."""


class Cp2kSettingsError(ValueError):
    """Settings that CP2K could not be run with; one sentence: the setting, its value, the remedy."""


class FilmBoundary(str, Enum):
    """What lies beyond a film that is not periodic along z."""

    ISOLATED = 'isolated'
    """Nothing: the Poisson equation is solved without images along z."""
    PERIODIC = 'periodic'
    """Its images; a dipole of the film makes a field between them."""
    DIPOLE_CORRECTED = 'dipole_corrected'
    """Its images, with a dipole layer in the vacuum that cancels that field."""


class Solver(str, Enum):
    """How the self-consistent field is found."""

    DIAGONALIZATION = 'diagonalization'
    ORBITAL_TRANSFORMATION = 'orbital_transformation'


@dataclass(frozen=True)
class Cp2kSettings:
    """A single point of the GPW method. The first block is the level of theory, the second how it is reached."""

    functional: Functional = Functional.RPBE
    """Exchange-correlation functional: ``PBE``, ``RPBE`` or ``revPBE``; dimensionless."""
    dispersion: Dispersion = Dispersion.D3_ZERO
    """``none``, ``d3_zero`` or ``d3_bj``; dimensionless."""
    basis_set: str = 'DZVP-MOLOPT-SR-GTH'
    """Basis set of all elements, see :data:`BASIS_SETS`; dimensionless."""
    basis_sets: Mapping[str, str] = field(default_factory=dict)
    """Basis set of single elements, where it is another; dimensionless."""
    cutoff: float = 400.0
    """Cutoff of the finest grid [Ry]."""
    relative_cutoff: float = 50.0
    """Cutoff of the grid that a Gaussian is mapped on [Ry]."""
    electronic_temperature: float | None = 1000.0
    """Temperature of the Fermi distribution [K]; None for integer occupations, which a metal does not converge with."""
    k_points: tuple[int, int, int] = (1, 1, 1)
    """Monkhorst-Pack grid; dimensionless."""
    is_spin_polarized: bool = False
    """Whether both spins have orbitals of their own; dimensionless."""
    multiplicity: int | None = None
    """Spin multiplicity 2S + 1, of spin-polarised calculations; None for the lowest; dimensionless."""
    total_charge_column: str | None = None
    """Column of the frames with the total charge of the cell [e]; None for neutral cells."""
    film_boundary: FilmBoundary = FilmBoundary.ISOLATED
    """What lies beyond a film: ``isolated``, ``periodic`` or ``dipole_corrected``; dimensionless. A charged film of 37
    atoms between images under 14 Å of vacuum feels 0.14 V/Å; corrected, its SCF does not converge in 120 steps."""

    solver: Solver = Solver.DIAGONALIZATION
    """``diagonalization``, for metals, or ``orbital_transformation``, for insulators; dimensionless."""
    scf_threshold: float = 1e-6
    """Change of the density matrix, or gradient of the orbitals, at which the SCF is converged [a.u.]."""
    maximum_scf_steps: int = 100
    """SCF steps after which a frame has failed; dimensionless."""
    density_threshold: float = 1e-10
    """Precision of all integrals, EPS_DEFAULT; dimensionless."""
    n_added_orbitals: int = 60
    """Empty orbitals for the Fermi distribution; dimensionless."""
    mixing_fraction: float = 0.1
    """Part of the new density that is mixed in, ALPHA of the Broyden mixing; dimensionless."""
    mixing_history: int = 8
    """Densities that the Broyden mixing remembers; dimensionless."""

    def __post_init__(self) -> None:
        """Check the settings.

        :raises Cp2kSettingsError: with the name, the value and the remedy.
        """
        for name in ('cutoff', 'relative_cutoff', 'scf_threshold', 'density_threshold', 'maximum_scf_steps'):
            if not getattr(self, name) > 0:
                raise Cp2kSettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        if not 0.0 < self.mixing_fraction <= 1.0:
            raise Cp2kSettingsError(f'mixing_fraction is {self.mixing_fraction}, it must be above 0 and at most 1')
        for basis in (self.basis_set, *self.basis_sets.values()):
            if basis not in BASIS_SETS:
                raise Cp2kSettingsError(unknown_name_message('basis set', basis, BASIS_SETS))
        if min(self.k_points) < 1:
            raise Cp2kSettingsError(f'k_points is {list(self.k_points)}, it must be three positive integers')
        if self.multiplicity is not None and not self.is_spin_polarized:
            raise Cp2kSettingsError(f'multiplicity is {self.multiplicity}; it needs is_spin_polarized')
        if self.solver is Solver.ORBITAL_TRANSFORMATION:
            self._check_orbital_transformation()

    def _check_orbital_transformation(self) -> None:
        """Check that what orbital transformation cannot do is not asked for."""
        if self.electronic_temperature is not None:
            raise Cp2kSettingsError(
                f'electronic_temperature is {self.electronic_temperature:g} K, but orbital_transformation has integer '
                'occupations; set it to null, or take the solver diagonalization'
            )
        if self.k_points != (1, 1, 1):
            raise Cp2kSettingsError(
                f'k_points is {list(self.k_points)}, but orbital_transformation knows the Gamma point only; '
                'take the solver diagonalization'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cp2kSettings:
        """Return settings from those that differ from the defaults.

        :param values: by the names of the fields, enumerations by their values.
        :raises Cp2kSettingsError: for an unknown name or value, with the nearest.
        """
        given = dict(values)
        kinds: dict[str, type[Enum]] = {
            'functional': Functional,
            'dispersion': Dispersion,
            'solver': Solver,
            'film_boundary': FilmBoundary,
        }
        for name, kind in kinds.items():
            if name in given:
                choices = [str(member.value) for member in kind]
                if given[name] not in choices:
                    raise Cp2kSettingsError(unknown_name_message(name, str(given[name]), choices))
                given[name] = kind(given[name])
        return cls(**checked_fields(cls, given, 'setting of CP2K', Cp2kSettingsError))

    @property
    def level_of_theory(self) -> str:
        """What the energies are, in words: all that changes them, and nothing that only helps to find them."""
        temperature = (
            'integer occupations'
            if self.electronic_temperature is None
            else f'electronic temperature {self.electronic_temperature:g} K'
        )
        others = ''.join(f', {basis} on {symbol}' for symbol, basis in sorted(self.basis_sets.items()))
        spins = 'spin-polarised, ' if self.is_spin_polarized else ''
        multiplicity = '' if self.multiplicity is None else f'multiplicity {self.multiplicity}, '
        mesh = 'x'.join(str(n) for n in self.k_points)
        charge = '' if self.total_charge_column is None else ', total charge against a uniform background'
        return (
            f'CP2K {self.functional.value}, {self.dispersion.in_words}, {self.basis_set}{others}, GTH-PBE, '
            f'{self.cutoff:g}/{self.relative_cutoff:g} Ry, {mesh} k-points, {spins}{multiplicity}{temperature}'
            f', films {FILMS[self.film_boundary]}{charge}'
        )

    def is_isolated_film(self, frame: Frame) -> bool:
        """Return whether a frame is computed as a film without images.

        :param frame: accepted by :func:`check_frame`.
        """
        return is_film(frame) and self.film_boundary is FilmBoundary.ISOLATED

    def basis_of(self, symbol: str) -> str:
        """Return the basis set of an element."""
        return self.basis_sets.get(symbol, self.basis_set)

    def total_charge(self, frame: Frame) -> float:
        """Return the total charge of the cell of a frame [e].

        :param frame: with the column that the settings name, if they name one.
        """
        return 0.0 if self.total_charge_column is None else float(frame.columns[self.total_charge_column])

    def n_electrons(self, frame: Frame) -> float:
        """Return the number of valence electrons of a frame; the pseudopotentials hold the others.

        :param frame: of elements in :data:`VALENCE_ELECTRONS`.
        """
        return sum(VALENCE_ELECTRONS[chemical_symbols[number]] for number in frame.numbers) - self.total_charge(frame)


def check_frame(frame: Frame, settings: Cp2kSettings) -> None:
    """Refuse a frame that CP2K could not compute, or would compute as something else.

    :param frame: the frame.
    :param settings: how it would be computed.
    :raises Cp2kSettingsError: one sentence: what is wrong, and the remedy.
    """
    symbols = sorted({chemical_symbols[number] for number in frame.numbers})
    if absent := [symbol for symbol in symbols if symbol not in VALENCE_ELECTRONS]:
        raise Cp2kSettingsError(f'there is no pseudopotential of {", ".join(absent)}; those known are of H to Rn')
    if abs(np.linalg.det(frame.cell)) < 1e-6:
        raise Cp2kSettingsError('the cell has no volume; put a molecule into a box')
    charge = settings.total_charge(frame)
    if charge != round(charge):
        raise Cp2kSettingsError(f'the total charge is {charge:g} e; CP2K takes whole charges')
    periodicity = tuple(bool(value) for value in frame.pbc)
    if periodicity == (False, False, False):
        _check_box(frame)
    if periodicity in ((True, True, True), (False, False, False)):
        return
    if periodicity != (True, True, False):
        raise Cp2kSettingsError(
            f'the frame is periodic along {periodicity}; periodic along all, along none, or a film with vacuum along '
            'the third cell vector can be computed'
        )
    if np.abs(frame.cell[2, :2]).max() > 1e-6 or np.abs(frame.cell[:2, 2]).max() > 1e-6:
        raise Cp2kSettingsError('the film is open along a cell vector that is not along z; turn it so that it is')
    vacuum = float(vacuum_widths(FrameSet.from_frames([frame]))[0, 2])
    least = 2 * MINIMUM_MARGIN if settings.film_boundary is FilmBoundary.ISOLATED else MINIMUM_VACUUM
    if vacuum < least:
        raise Cp2kSettingsError(
            f'the film has {vacuum:.3g} Å of vacuum, it needs {least:g} Å; lengthen the cell along z'
        )
    if settings.film_boundary is FilmBoundary.ISOLATED:
        _check_isolated(frame, charge)


def _check_box(frame: Frame) -> None:
    """Check that an atom or a molecule is far from its images, as CP2K computes it in a periodic box.

    :raises Cp2kSettingsError: if it is not.
    """
    heights = frame.positions @ np.linalg.inv(frame.cell)
    normals = np.linalg.norm(np.linalg.inv(frame.cell), axis=0)
    vacuum = float(((1.0 - np.ptp(heights, axis=0)) / normals).min())
    if vacuum < MINIMUM_VACUUM:
        raise Cp2kSettingsError(
            f'the frame is not periodic, but has only {vacuum:.3g} Å to its image in the box that CP2K repeats, it '
            f'needs {MINIMUM_VACUUM:g} Å; enlarge its box'
        )


def is_film(frame: Frame) -> bool:
    """Return whether a frame is periodic along its first two cell vectors only."""
    return tuple(bool(value) for value in frame.pbc) == (True, True, False)


def _check_isolated(frame: Frame, charge: float) -> None:
    """Check that the Poisson equation of a film can be solved without images.

    :raises Cp2kSettingsError: if it cannot.
    """
    remedy = "take a rectangular cell, or film_boundary 'periodic'"
    if np.abs(frame.cell - np.diag(np.diag(frame.cell))).max() > 1e-6:
        raise Cp2kSettingsError(f'the cell of the film is not rectangular along x, y and z, as CP2K wants it; {remedy}')
    if charge != 0:
        raise Cp2kSettingsError(
            f'the film has a total charge of {charge:g} e, so that its field fills all space; balance it by ions, or '
            "take film_boundary 'periodic' with its uniform background"
        )
