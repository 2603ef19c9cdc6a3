"""What every summation method returns."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class ElectrostaticResult:
    """Energy of point charges and its derivatives."""

    energy: float
    """Electrostatic energy [eV], whose negative gradient the forces are."""
    forces: Floats
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    stress: Floats
    """Stress [eV/Å³], positive in tension, shape ``(3, 3)``; zero where the system is open in all directions."""
    potentials: Floats
    """Potential at each charge, dE/dq [V], shape ``(n_atoms,)``."""
