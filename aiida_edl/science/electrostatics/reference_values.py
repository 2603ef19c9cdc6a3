"""Lattices whose electrostatic energy is known to many digits: ionic crystals and Wigner crystals.

A Madelung constant ``M`` stands here for the energy of one formula unit, ``E = -M e²/(4π ε₀ a)``, with the length ``a``
that is the unit of the listed geometry. Values for neighbours at distance one are those of Y. Sakamoto, J. Chem. Phys.
28, 164 (1958) and J. M. Borwein et al., Lattice Sums Then and Now (2013); others were summed to thirteen digits by two
independent programs, as test suites of the field list some of them rounded to six.

A Wigner crystal holds one electron in each cell of a uniform background; ``M`` is defined by ``E = -M e²/(4π ε₀ 2 a)``
with the radius ``a`` of a sphere of the volume of an electron: R. A. Coldwell-Horsfall and A. A. Maradudin, J. Math.
Phys. 1, 395 (1960).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.frames import Floats

SQUARE_ROOT_3 = float(np.sqrt(3.0))
FACE_CENTRED = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
BODY_CENTRED = np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
CORNERS_AND_FACES = np.array([[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])


@dataclass(frozen=True)
class ReferenceLattice:
    """A lattice of charges and its energy."""

    name: str
    """Name, e.g. ``'nacl_cubic'``."""
    cell: Floats
    """Cell vectors as rows [unit of length], shape ``(3, 3)``."""
    fractions: Floats
    """Fractional coordinates, shape ``(n_atoms, 3)``."""
    charges: Floats
    """Charges [e], shape ``(n_atoms,)``."""
    energy: float
    """Energy of the cell [e²/(4π ε₀ unit of length)]."""
    is_neutral: bool = True
    """Whether no background is needed."""

    @property
    def neighbour_distance(self) -> float:
        """Distance of nearest neighbours [unit of length]."""
        images = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing='ij'), axis=-1).reshape(-1, 3)
        vectors = self.fractions[None, :, None, :] - self.fractions[:, None, None, :] + images
        distances = np.linalg.norm(vectors @ self.cell, axis=-1)
        return float(distances[distances > 1e-9].min())

    def system(self, length: float) -> ChargedSystem:
        """Return the lattice as a system.

        :param length: unit of length [Å].
        """
        cell = self.cell * length
        return ChargedSystem(self.fractions @ cell, cell, self.charges, np.ones(3, dtype=bool))


def _crystal(
    name: str, cell: Floats, sites: list[tuple[float, Floats]], madelung: float, formula_units: int
) -> ReferenceLattice:
    """Return an ionic crystal from the charge and the fractional coordinates of each kind of site."""
    fractions = np.concatenate([np.atleast_2d(points) for _, points in sites])
    charges = np.concatenate([np.full(len(np.atleast_2d(points)), charge) for charge, points in sites])
    return ReferenceLattice(name, np.asarray(cell, dtype=float), fractions, charges, -madelung * formula_units)


def _wigner(name: str, cell: Floats, madelung: float) -> ReferenceLattice:
    """Return a Wigner crystal of one electron in each cell."""
    radius = float(np.cbrt(3.0 * abs(np.linalg.det(cell)) / (4.0 * np.pi)))
    charges = np.array([-1.0])
    return ReferenceLattice(name, cell, np.zeros((1, 3)), charges, -madelung / (2.0 * radius), is_neutral=False)


def _wurtzite() -> ReferenceLattice:
    """Return ideal wurtzite: c/a is the square root of 8/3, the internal parameter 3/8."""
    height = float(np.sqrt(8.0 / 3.0))
    cell = np.array([[1.0, 0.0, 0.0], [-0.5, SQUARE_ROOT_3 / 2.0, 0.0], [0.0, 0.0, height]])
    metal = np.array([[1.0 / 3.0, 2.0 / 3.0, 0.0], [2.0 / 3.0, 1.0 / 3.0, 0.5]])
    anion = metal + np.array([0.0, 0.0, 3.0 / 8.0])
    return _crystal('wurtzite', cell, [(1.0, metal), (-1.0, anion)], 2.6802669939, formula_units=2)


def _lattices() -> tuple[ReferenceLattice, ...]:
    """Return all lattices."""
    cubic, origin, centre = np.eye(3), np.zeros(3), np.full(3, 0.5)
    tetrahedra = np.array([[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)])
    zincblende = 1.63805505338878942 * 2.0 / SQUARE_ROOT_3
    caesium_chloride = 1.76267477307098840 * 2.0 / SQUARE_ROOT_3
    sodium_chloride = 1.74756459463318219
    halves = CORNERS_AND_FACES
    return (
        _crystal('cscl', cubic, [(1.0, origin), (-1.0, centre)], caesium_chloride, 1),
        _crystal('nacl_primitive', FACE_CENTRED, [(1.0, origin), (-1.0, centre)], sodium_chloride, 1),
        _crystal('nacl_cubic', 2.0 * cubic, [(1.0, halves), (-1.0, halves + centre)], sodium_chloride, 4),
        _crystal('zincblende', FACE_CENTRED, [(1.0, origin), (-1.0, np.full(3, 0.25))], zincblende, 1),
        _wurtzite(),
        _crystal('fluorite', cubic, [(2.0, halves), (-1.0, tetrahedra)], 11.6365752270768, 4),
        _crystal('cu2o', cubic, [(1.0, halves + 0.25), (-2.0, np.array([origin, centre]))], 10.2594570330750, 2),
        _wigner('wigner_sc', cubic, 1.7601188842),
        _wigner('wigner_bcc', BODY_CENTRED, 1.7918585113),
        _wigner('wigner_fcc', FACE_CENTRED, 1.7917472304),
    )


REFERENCE_LATTICES = {lattice.name: lattice for lattice in _lattices()}
"""Lattices by name."""
