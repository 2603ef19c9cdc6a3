"""The input file of one single point of CP2K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ase.data import chemical_symbols

from aiida_edl.dft.cp2k_settings import VALENCE_ELECTRONS, Cp2kSettings, Solver
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


NO_RESTART_FILES = Section('PRINT', Section('RESTART', parameter='OFF'))
"""Orbitals are large and of no use for the next frame, whose label shall not depend on this one."""


def input_text(frame: Frame, settings: Cp2kSettings, project: str) -> str:
    """Return the input file that computes energy, forces and stress of a frame.

    :param frame: accepted by :func:`aiida_edl.dft.cp2k_settings.check_frame`.
    :param settings: level of theory and how it is reached.
    :param project: prefix of the files that CP2K writes.
    """
    main = Section('GLOBAL', f'PROJECT {project}', 'RUN_TYPE ENERGY_FORCE', 'PRINT_LEVEL MEDIUM')
    evaluation = Section(
        'FORCE_EVAL',
        'METHOD QUICKSTEP',
        'STRESS_TENSOR ANALYTICAL',
        _electrons(frame, settings),
        _atoms(frame, settings),
        Section('PRINT', Section('FORCES', 'NDIGITS 12', parameter='ON'), Section('STRESS_TENSOR', parameter='ON')),
    )
    return '\n'.join([*main.lines(), *evaluation.lines()]) + '\n'


def _electrons(frame: Frame, settings: Cp2kSettings) -> Section:
    """Return the section on the electrons."""
    is_film = bool(frame.pbc[0]) and not frame.pbc[2]
    corrects_dipole = is_film and settings.has_dipole_correction
    mesh = ' '.join(str(n) for n in settings.k_points)
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
        Section('MGRID', f'CUTOFF {settings.cutoff:g}', f'REL_CUTOFF {settings.relative_cutoff:g}'),
        Section('QS', f'EPS_DEFAULT {settings.density_threshold:.1E}'),
        None if settings.k_points == (1, 1, 1) else k_points,
        _self_consistency(settings),
        Section('XC', *_functional(settings)),
        Section('PRINT', Section('MULLIKEN', parameter='ON'), Section('HIRSHFELD', parameter='OFF')),
    )


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


def _atoms(frame: Frame, settings: Cp2kSettings) -> Section:
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
    return Section('SUBSYS', Section('CELL', *vectors, 'PERIODIC XYZ'), Section('COORD', *rows), *kinds)
