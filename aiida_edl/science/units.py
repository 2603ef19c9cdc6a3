"""Every conversion factor of the project, once. House units: Å, eV, e, fs, K, u; stress eV/Å³, positive in tension.

Source: CODATA 2022 (E. Tiesinga et al., 2024), as exact SI constants where they are exact since 2019.
"""

from __future__ import annotations

ELEMENTARY_CHARGE_COULOMB = 1.602176634e-19
"""Exact."""
AVOGADRO = 6.02214076e23
"""Exact, 1/mol."""
BOLTZMANN = 8.617333262145177e-5
"""Exact ratio, eV/K."""
JOULE_PER_KILOCALORIE = 4184.0
"""Thermochemical calorie, exact by definition."""
KILOCALORIE_PER_MOL = JOULE_PER_KILOCALORIE / (AVOGADRO * ELEMENTARY_CHARGE_COULOMB)
"""One kcal/mol in eV (0.0433641...)."""
HARTREE = 27.211386245981
"""CODATA 2022, eV."""
BOHR = 0.529177210544
"""CODATA 2022, Å."""
ATOMIC_MASS_GRAM = 1.66053906892e-24
"""CODATA 2022, g/u."""
ATOMIC_MASS = ATOMIC_MASS_GRAM * 1e-3 * 1e10 / ELEMENTARY_CHARGE_COULOMB
"""One u in eV fs²/Å² (103.6426967)."""
GRAM_PER_CM3_PER_U_PER_ANGSTROM3 = ATOMIC_MASS_GRAM * 1e24
"""One u/Å³ in g/cm³ (1.66053906892)."""
MICROCOULOMB_PER_CM2_PER_E_PER_ANGSTROM2 = ELEMENTARY_CHARGE_COULOMB * 1e6 * 1e16
"""One e/Å² in µC/cm² (1602.176634)."""
VACUUM_PERMITTIVITY = 8.8541878188e-12 * 1e-10 / ELEMENTARY_CHARGE_COULOMB
"""ε₀, CODATA 2022, in e/(V Å) (0.00552634936)."""
GIGAPASCAL = 1e9 * 1e-30 / ELEMENTARY_CHARGE_COULOMB
"""One GPa in eV/Å³."""
MEGAPASCAL = 1e-3 * GIGAPASCAL
"""One MPa in eV/Å³."""
PASCAL = 1e-9 * GIGAPASCAL
"""One Pa in eV/Å³."""
KILOBAR = 0.1 * GIGAPASCAL
"""One kbar in eV/Å³."""
BAR = 1e-3 * KILOBAR
"""One bar in eV/Å³."""
ATMOSPHERE = 101325.0 * PASCAL
"""One standard atmosphere in eV/Å³; 101325 Pa, exact by definition (10th CGPM, 1954)."""
LAMMPS_ELECTRON_TIME = 1.03275
"""Unit of time of velocities in units ``electron`` of LAMMPS [fs]. Source: documentation of LAMMPS, page "units"."""
SQUARE_CENTIMETRE_PER_SECOND = 1e16 * 1e-15
"""One cm²/s in Å²/fs (10)."""
SIEMENS_PER_CENTIMETRE = 1e-8 * 1e-15 / ELEMENTARY_CHARGE_COULOMB
"""One S/cm in e²/(eV Å fs) (6.2415e-5)."""
PASCAL_SECOND = PASCAL * 1e15
"""One Pa s in eV fs/Å³ (6241.5)."""
FEMTOSECONDS_PER_PICOSECOND = 1000.0
"""Exact."""
