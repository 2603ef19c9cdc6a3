"""What an output of CP2K says before its first self-consistent field: version, level of theory, cell and atoms.

CP2K 2023.1 prints cell vectors with three decimals, but their lengths and angles with six: the cell is made of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from ase.geometry import cellpar_to_cell
from numpy.typing import NDArray

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Floats

END_OF_HEADER = 'SCF WAVEFUNCTION OPTIMIZATION'
FUNCTIONALS = {
    ('GGA_C_PBE', 'GGA_X_PBE'): 'PBE',
    ('GGA_C_PBE', 'GGA_X_RPBE'): 'RPBE',
    ('GGA_C_PBE', 'GGA_X_PBE_R'): 'revPBE',
    ('GGA_C_PBE_SOL', 'GGA_X_PBE_SOL'): 'PBEsol',
    ('BECKE88', 'LYP'): 'BLYP',
    ('PBE',): 'PBE',
    ('PADE',): 'LDA',
}
"""Names of what CP2K lists."""
NUMBER = r'[-+]?\d+\.\d+'
VECTOR = re.compile(
    rf'^ CELL\| Vector ([abc]) \[angstrom\]:\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})\s+\|.\| =\s+({NUMBER})', re.M
)
ANGLE = re.compile(rf'^ CELL\| Angle \(.,.\), \w+\s+\[degree\]:\s+({NUMBER})', re.MULTILINE)
PERIODICITY = re.compile(r'^ CELL\| Periodicity\s+(\w+)', re.MULTILINE)
COORDINATES = re.compile(r'MODULE QUICKSTEP:\s+ATOMIC COORDINATES IN ANGSTROM\s*\n(.*?)\n\s*\n\s*\n', re.DOTALL | re.I)
ATOM = re.compile(rf'^\s*\d+\s+\d+\s+([A-Z][a-z]?)\s+\d+\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})', re.MULTILINE)
KIND = re.compile(
    r'Atomic kind: (\w+).*?Orbital Basis Set\s+(\S+).*?(?:Potential information for\s+(\S+)|(?=Atomic kind:)|\Z)',
    re.DOTALL,
)
FUNCTIONAL_NAME = re.compile(r'^ FUNCTIONAL\| ([A-Z][A-Z0-9_]+):', re.MULTILINE)


@dataclass(frozen=True)
class Cp2kHeader:
    """What is known before the first self-consistent field."""

    version: str
    """Version of CP2K."""
    run_type: str
    """``ENERGY_FORCE``, ``MD`` ..."""
    project: str
    """Prefix of the files of the run."""
    ensemble: str
    """Ensemble of molecular dynamics, ``''`` of other runs."""
    input_name: str
    """Name of the input file."""
    level: Mapping[str, str]
    """What changes the energies, but for the potentials, in words by what it is."""
    potentials: Mapping[str, str]
    """Basis set and potential of each element."""
    total_charge: float
    """Charge of the cell [e]."""
    maximum_scf_steps: int | None
    """Limit of the steps of the self-consistent field (max_scf), in each outer loop."""
    cell: Floats
    """Cell vectors as rows [Å], shape ``(3, 3)``."""
    pbc: NDArray[np.bool_]
    """Periodicity along them, shape ``(3,)``."""
    numbers: NDArray[np.uint8]
    """Atomic numbers, shape ``(n_atoms,)``."""
    positions: Floats
    """Positions of the first step [Å], six decimals, shape ``(n_atoms, 3)``."""


def read_cp2k_header(text: str) -> Cp2kHeader:
    """Read what stands before the first self-consistent field.

    :param text: the output, or its start.
    :raises FormatError: if cell or atoms are absent, as in an output of another program or of print level LOW.
    """
    header = text.partition(END_OF_HEADER)[0]
    table = COORDINATES.search(header + '\n\n\n')
    vectors, angles = VECTOR.findall(header), ANGLE.findall(header)
    if table is None or len(vectors) < 3 or len(angles) < 3:
        raise FormatError(
            'there is no cell or no table of atoms before the first self-consistent field; CP2K prints both with '
            'PRINT_LEVEL MEDIUM, and not where it stopped before'
        )
    atoms = ATOM.findall(table[1])
    periodicity = PERIODICITY.search(header)
    axes = 'XYZ' if periodicity is None else periodicity[1]
    charge = _found(r'^ DFT\| Charge\s+(-?\d+)', header) or '0'
    limit = _found(r'max_scf:\s+(\d+)', header)
    return Cp2kHeader(
        version=_found(r'CP2K\| version string:\s+CP2K version (\S+)', header),
        run_type=_found(r'^ GLOBAL\| Run type\s+(\S+)', header),
        project=_found(r'^ GLOBAL\| Project name\s+(\S+)', header),
        ensemble=_found(r'^ MD_PAR\| Ensemble type\s+(\S+)', header),
        input_name=_found(r'^ CP2K\| Input file name\s+(\S+)', header),
        level=_level(header, int(charge)),
        potentials={
            kind: f'{basis} {potential}'.strip() + f' of {kind}' for kind, basis, potential in KIND.findall(header)
        },
        total_charge=float(charge),
        maximum_scf_steps=int(limit) if limit else None,
        cell=_cell(vectors[-3:], angles[-3:]),
        pbc=np.array([axis in axes for axis in 'XYZ']),
        numbers=np.array([atomic_numbers[row[0]] for row in atoms], dtype=np.uint8),
        positions=np.array([[float(value) for value in row[1:]] for row in atoms]).reshape(-1, 3),
    )


def _found(pattern: str, text: str) -> str:
    """Return what the first group of a pattern finds, ``''`` if nothing."""
    found = re.search(pattern, text, re.MULTILINE)
    return '' if found is None else found[1]


def _cell(vectors: list[tuple[str, ...]], angles: list[str]) -> Floats:
    """Return the cell of exact lengths and angles, turned to where the rough vectors point."""
    rough = np.array([[float(value) for value in vector[1:4]] for vector in vectors])
    if all(len(value.partition('.')[2]) > 5 for value in vectors[0][1:4]):
        return rough
    lengths = [float(vector[4]) for vector in vectors]
    exact: Floats = np.array(cellpar_to_cell([*lengths, *map(float, angles)]))
    if np.abs(exact - rough).max() < 1e-3:
        return exact
    left, _, right = np.linalg.svd(exact.T @ rough)
    turned: Floats = exact @ (left @ right)
    return turned


def _level(header: str, charge: int) -> dict[str, str]:
    """Return what changes the energies, in words by what it is."""
    names = tuple(sorted(FUNCTIONAL_NAME.findall(header)))
    method = _found(r'^ QS\| Method:\s+(\S+)', header)
    temperature = _found(r'Electronic temperature \[K\]:\s+([\d.]+)', header)
    density, relative = (
        _found(rf'^ QS\| {name} cutoff \[a.u.\]:\s+([\d.]+)', header) for name in ('Density', 'Relative density')
    )
    mesh = _found(r'^ BRILLOUIN\| K-Point grid\s+(\d+\s+\d+\s+\d+)', header).split() or ['1', '1', '1']
    spins = 'Spin unrestricted' in header
    multiplicity = _found(r'^ DFT\| Multiplicity\s+(\d+)', header)
    return {
        'functional': f'CP2K {FUNCTIONALS.get(names, " + ".join(names)) or method}',
        'method': '' if method == 'GPW' else method,
        'dispersion': _dispersion(header),
        'cutoff': f'{2 * float(density):g}/{2 * float(relative):g} Ry' if density and relative else '',
        'k-points': 'x'.join(mesh) + ' k-points',
        'spins': f'spin-polarised, multiplicity {multiplicity}' if spins else '',
        'occupations': f'electronic temperature {float(temperature):g} K' if temperature else 'integer occupations',
        'boundary': _boundary(header),
        'charge': 'total charge against a uniform background' if charge else '',
    }


def _boundary(header: str) -> str:
    """Return along which axes the potential is periodic, ``''`` for all."""
    solver, axes = (_found(rf'^ POISSON\| {name}\s+(\w+)', header) for name in ('Solver', 'Periodicity'))
    return f'periodic along {axes} by the Poisson solver {solver}' if axes not in ('', 'XYZ') else ''


def _dispersion(header: str) -> str:
    """Return which dispersion correction was added, with its damping."""
    lines = ' '.join(re.findall(r'^ vdW POTENTIAL\|\s*(.*?)\s*$', header, re.MULTILINE))
    if not lines:
        return 'without dispersion correction'
    kind = re.search(r'DFT-D[234]', lines)
    if kind is None:
        return f'dispersion by {lines.split("  ")[0]}'
    if kind[0] != 'DFT-D3':
        return kind[0].removeprefix('DFT-')
    if 'BJ' in lines or 'Becke' in lines:
        return 'D3 with Becke-Johnson damping'
    return 'D3 with zero damping' if 'Zero' in lines else 'D3 with a damping that is not named'
