"""The input file of one single point of CP2K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.dft.cp2k_settings import VALENCE_ELECTRONS, Cp2kSettings, FilmBoundary, Solver, is_film
from aiida_edl.dft.functionals import Dispersion, Functional
from aiida_edl.science.frames import Frame

EXCHANGE_CORRELATION: Mapping[Functional, tuple[str, ...]] = {
    Functional.PBE: ('GGA_X_PBE', 'GGA_C_PBE'),
    Functional.RPBE: ('GGA_X_RPBE', 'GGA_C_PBE'),
    Functional.REVPBE: ('GGA_X_PBE_R', 'GGA_C_PBE'),
}
"""Functionals of libxc, exchange and correlation."""
DISPERSION_RANGE = 12.0
"""Cutoff of the D3 correction [Å]; chosen here: energies of 37 atoms of a gold/water film are within 0.3 mHa."""


class Section:
    """A section of an input file: its name, an optional parameter, and what it holds."""

    def __init__(self, name: str, *content: str | Section | None, parameter: str = '') -> None:
        self.name = name
        self.parameter = parameter
        self.content = [entry for entry in content if entry is not None]

    def lines(self, indent: int = 0) -> list[str]:
        """Return the lines of the section, indented by two blanks a level."""
        margin = '  ' * indent
        lines = [f'{margin}&{self.name} {self.parameter}'.rstrip()]
        for entry in self.content:
            lines += entry.lines(indent + 1) if isinstance(entry, Section) else [f'{margin}  {entry}']
        return [*lines, f'{margin}&END {self.name}']


WAVELET_AXES = (1, 2, 0)
"""Which of our axes is x, y and z of CP2K for an isolated film: its wavelet solver wants the open axis to be y. A
rotation, so that nothing is mirrored. L. Genovese, T. Deutsch and S. Goedecker, J. Chem. Phys. 127, 054704 (2007)."""
POTENTIAL_STRIDE = 4
"""Of how many grid points in the plane of a film one is written; across it all are."""
POTENTIAL_FILE = '{}-v_hartree-1_0.cube'
"""Name of the file with the potential, by the prefix of files."""
NO_RESTART_FILES = Section('PRINT', Section('RESTART', parameter='OFF'))
"""Orbitals are large and of no use for the next frame, whose label shall not depend on this one."""


def input_text(frame: Frame, settings: Cp2kSettings, project: str) -> str:
    """Return the input file that computes energy, forces and stress of a frame, and of a film the potential.

    A film is put in the middle of its cell; if it is isolated its axes are exchanged and there is no stress, see
    :func:`axes_of` and :func:`shift_of`.

    :param frame: accepted by :func:`aiida_edl.dft.cp2k_settings.check_frame`.
    :param settings: level of theory and how it is reached.
    :param project: prefix of the files that CP2K writes.
    """
    has_stress = not settings.is_isolated_film(frame)
    main = Section('GLOBAL', f'PROJECT {project}', 'RUN_TYPE ENERGY_FORCE', 'PRINT_LEVEL MEDIUM')
    evaluation = Section(
        'FORCE_EVAL',
        'METHOD QUICKSTEP',
        'STRESS_TENSOR ANALYTICAL' if has_stress else None,
        _electrons(frame, settings),
        _atoms(_as_told(frame, settings), settings, 'XYZ' if has_stress else 'XZ'),
        Section(
            'PRINT',
            Section('FORCES', 'NDIGITS 12', parameter='ON'),
            Section('STRESS_TENSOR', parameter='ON') if has_stress else None,
        ),
    )
    return '\n'.join([*main.lines(), *evaluation.lines()]) + '\n'


def axes_of(frame: Frame, settings: Cp2kSettings) -> tuple[int, int, int]:
    """Return which of our axes is x, y and z of CP2K.

    :param frame: the frame.
    :param settings: how it is computed.
    """
    return WAVELET_AXES if settings.is_isolated_film(frame) else (0, 1, 2)


def shift_of(frame: Frame) -> float:
    """Return by how much a frame is moved along z, so that a film is in the middle of its cell [Å].

    :param frame: the frame.
    """
    if not is_film(frame):
        return 0.0
    heights = frame.positions[:, 2]
    return float(0.5 * (frame.cell[2, 2] - heights.min() - heights.max()))


def _as_told(frame: Frame, settings: Cp2kSettings) -> Frame:
    """Return a frame in the axes of CP2K, a film in the middle of its cell."""
    axes = list(axes_of(frame, settings))
    positions = frame.positions + np.array([0.0, 0.0, shift_of(frame)])
    return replace(frame, positions=positions[:, axes], cell=frame.cell[np.ix_(axes, axes)])


def _electrons(frame: Frame, settings: Cp2kSettings) -> Section:
    """Return the section on the electrons."""
    corrects_dipole = is_film(frame) and settings.film_boundary is FilmBoundary.DIPOLE_CORRECTED
    is_isolated = settings.is_isolated_film(frame)
    mesh = ' '.join(str(settings.k_points[axis]) for axis in axes_of(frame, settings))
    k_points = Section('KPOINTS', f'SCHEME MONKHORST-PACK {mesh}', 'SYMMETRY OFF', 'FULL_GRID F')
    return Section(
        'DFT',
        'BASIS_SET_FILE_NAME BASIS_MOLOPT',
        'POTENTIAL_FILE_NAME GTH_POTENTIALS',
        f'CHARGE {settings.total_charge(frame):.0f}',
        'UKS T' if settings.is_spin_polarized else None,
        None if settings.multiplicity is None else f'MULTIPLICITY {settings.multiplicity}',
        'SURFACE_DIPOLE_CORRECTION T' if corrects_dipole else None,
        'SURF_DIP_DIR Z' if corrects_dipole else None,
        Section('POISSON', 'PERIODIC XZ', 'POISSON_SOLVER WAVELET') if is_isolated else None,
        Section('MGRID', f'CUTOFF {settings.cutoff:g}', f'REL_CUTOFF {settings.relative_cutoff:g}'),
        Section('QS', f'EPS_DEFAULT {settings.density_threshold:.1E}'),
        None if settings.k_points == (1, 1, 1) else k_points,
        _self_consistency(settings),
        Section('XC', *_functional(settings)),
        Section(
            'PRINT',
            Section('MULLIKEN', parameter='ON'),
            Section('HIRSHFELD', parameter='OFF'),
            _potential(frame, settings),
        ),
    )


def _potential(frame: Frame, settings: Cp2kSettings) -> Section | None:
    """Return the section that writes the potential of a film, coarsely in its plane."""
    if not is_film(frame):
        return None
    strides = [POTENTIAL_STRIDE, POTENTIAL_STRIDE, 1]
    return Section('V_HARTREE_CUBE', 'STRIDE ' + ' '.join(str(strides[axis]) for axis in axes_of(frame, settings)))


def _self_consistency(settings: Cp2kSettings) -> Section:
    """Return the section on the self-consistent field."""
    threshold, steps = f'EPS_SCF {settings.scf_threshold:.1E}', settings.maximum_scf_steps
    if settings.solver is Solver.ORBITAL_TRANSFORMATION:
        inner = min(steps, 20)
        return Section(
            'SCF',
            'SCF_GUESS ATOMIC',
            threshold,
            f'MAX_SCF {inner}',
            NO_RESTART_FILES,
            Section('OT', 'MINIMIZER DIIS', 'PRECONDITIONER FULL_SINGLE_INVERSE'),
            Section('OUTER_SCF', threshold, f'MAX_SCF {max(1, steps // inner)}'),
        )
    temperature = settings.electronic_temperature
    smearing = Section('SMEAR', 'METHOD FERMI_DIRAC', f'ELECTRONIC_TEMPERATURE [K] {temperature}', parameter='ON')
    return Section(
        'SCF',
        'SCF_GUESS ATOMIC',
        threshold,
        f'MAX_SCF {steps}',
        NO_RESTART_FILES,
        None if temperature is None else f'ADDED_MOS {settings.n_added_orbitals}',
        None if temperature is None else smearing,
        Section('DIAGONALIZATION', 'ALGORITHM STANDARD', parameter='ON'),
        Section(
            'MIXING',
            'METHOD BROYDEN_MIXING',
            f'ALPHA {settings.mixing_fraction:g}',
            f'NBROYDEN {settings.mixing_history}',
        ),
    )


def _functional(settings: Cp2kSettings) -> Sequence[Section | None]:
    """Return the sections on exchange, correlation and dispersion."""
    functional = Section('XC_FUNCTIONAL', *(Section(name) for name in EXCHANGE_CORRELATION[settings.functional]))
    if settings.dispersion is Dispersion.NONE:
        return (functional,)
    kind = 'DFTD3' if settings.dispersion is Dispersion.D3_ZERO else 'DFTD3(BJ)'
    pairs = Section(
        'PAIR_POTENTIAL',
        f'TYPE {kind}',
        'PARAMETER_FILE_NAME dftd3.dat',
        f'REFERENCE_FUNCTIONAL {settings.functional.value}',
        f'R_CUTOFF {DISPERSION_RANGE:g}',
    )
    return functional, Section('VDW_POTENTIAL', 'POTENTIAL_TYPE PAIR_POTENTIAL', pairs)


def _atoms(frame: Frame, settings: Cp2kSettings, periodicity: str) -> Section:
    """Return the section on cell, atoms and their basis sets."""
    symbols = [chemical_symbols[number] for number in frame.numbers]
    vectors = [f'{name} {x:.12f} {y:.12f} {z:.12f}' for name, (x, y, z) in zip('ABC', frame.cell.tolist())]
    positions = frame.positions.tolist()
    rows = [f'{symbol:<2} {x:.12f} {y:.12f} {z:.12f}' for symbol, (x, y, z) in zip(symbols, positions)]
    kinds = [
        Section(
            'KIND',
            f'BASIS_SET {settings.basis_of(symbol)}',
            f'POTENTIAL GTH-PBE-q{VALENCE_ELECTRONS[symbol]}',
            parameter=symbol,
        )
        for symbol in sorted(set(symbols))
    ]
    return Section('SUBSYS', Section('CELL', *vectors, f'PERIODIC {periodicity}'), Section('COORD', *rows), *kinds)
