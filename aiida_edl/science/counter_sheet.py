r"""The sheet of charge that keeps the cell of the classical reference neutral when its metal carries another charge.

A metal whose charge q differs from minus that of the ions by dq needs a charge -dq elsewhere. Here it is a uniform
sheet in the vacuum above the film, :data:`SHEET_MARGIN` below the top of the cell, as in the solvated jellium method
(G. Kastlunger et al., J. Phys. Chem. C 122, 12771 (2018)): all fields of the extra charge lie between metal and sheet,
where they are
:math:`\Delta E_z = \mathrm{d}q / (A \varepsilon_0)`, and

.. math:: \frac{\mathrm{d}E}{\mathrm{d}q} = \phi_\mathrm{metal} - \bar\phi_\mathrm{sheet}, \qquad
    \frac{A \varepsilon_0}{e} \frac{\mathrm{d}F_{z,i}}{\mathrm{d}q} = q_i

for an atom of fixed charge above the metal. A cell that is merely charged will not do: its slab correction stands for
a field that is the same on both sides of the film, half as large; and the charges that ``fix electrode/conq`` finds
there do not minimise the energy (measured in a cell of 29 Å²: the potential that it reports changes by 38.8 V/e where
the slope of the energy changes by -7.4 V/e).

LAMMPS gets the sheet as a grid of point charges, fine enough that at the film it is uniform to 1e-5 V; the energy by
which the grid differs from a uniform sheet does not depend on the film and is taken off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from aiida_edl.science import units
from aiida_edl.science.frames import Floats, Frame, FrameSet
from aiida_edl.science.metal_charge import ion_charges_of, metal_charges_of

SHEET_MARGIN = 0.5
"""Distance of the sheet from the top of the cell [Å]."""
SHEET_SPACING = 2.0
"""Largest distance of neighbouring point charges along x and y [Å]."""
SHEET_DISTANCE = 4.0
"""Smallest distance of the sheet from the highest atom [Å]: two spacings, at which the grid is uniform to
2 exp(-4π) = 7e-6 of its field."""
CHARGE_TOLERANCE = 1e-9
"""Charge of the sheet that counts as none [e]."""
COULOMB = 1.0 / (4.0 * math.pi * units.VACUUM_PERMITTIVITY)
"""Energy of two unit charges 1 Å apart [eV Å/e²]."""
N_SHELLS = 4
"""Lattice points in each direction that the sums over the grid take; terms beyond are below exp(-4π 4)."""


class CounterSheetError(ValueError):
    """A frame that has no room for the sheet."""


@dataclass(frozen=True)
class CounterSheet:
    """A grid of equal point charges in one plane."""

    charge: float
    """Charge of all points together [e]."""
    positions: Floats
    """Positions [Å], shape ``(n_points, 3)``."""
    grid_energy: float
    """Energy of the grid, images included, over that of a uniform sheet of the same charge [eV]."""

    @property
    def height(self) -> float:
        """Height of the plane [Å]."""
        return float(self.positions[0, 2])


def excess_charge(frame: Frame) -> float:
    """Return the charge of the metal over minus that of the ions, which a sheet must carry with the other sign [e].

    :param frame: the frame; its columns may state the charge of the metal or of the cell.
    """
    frames = FrameSet.from_frames([frame])
    return float(metal_charges_of(frames)[0] + ion_charges_of(frames)[0])


def counter_sheet(frame: Frame) -> CounterSheet | None:
    """Return the sheet that makes the cell of a frame neutral, None if it is neutral without.

    :param frame: a film with vacuum above it in an orthogonal cell from 0 to its height.
    :raises CounterSheetError: if there is not enough vacuum, or the charge is not finite.
    """
    excess = excess_charge(frame)
    if not math.isfinite(excess):
        raise CounterSheetError(f'the metal carries {excess} e more than the ions leave it; state a finite charge')
    if abs(excess) < CHARGE_TOLERANCE:
        return None
    lengths = np.diag(frame.cell)
    height, highest = lengths[2] - SHEET_MARGIN, float(frame.positions[:, 2].max())
    if height - highest < SHEET_DISTANCE:
        raise CounterSheetError(
            f'the metal carries {excess:g} e more than the ions leave it, whose counter charge would lie '
            f'{height - highest:.2f} Å above the highest atom; enlarge the vacuum by '
            f'{SHEET_DISTANCE - height + highest:.2f} Å'
        )
    counts = np.ceil(lengths[:2] / SHEET_SPACING).astype(int)
    spacing = lengths[:2] / counts
    steps = np.stack(np.meshgrid(*(np.arange(count) for count in counts), indexing='ij'), axis=-1).reshape(-1, 2)
    positions = np.column_stack([(steps + 0.5) * spacing, np.full(len(steps), height)])
    n_points = len(positions)
    each = -excess / n_points
    energy = n_points * each**2 * planar_grid_energy(float(spacing[0]), float(spacing[1]))
    return CounterSheet(charge=-excess, positions=positions, grid_energy=energy)


def planar_grid_energy(width: float, depth: float) -> float:
    r"""Return the energy per point of a rectangular grid of unit charges in a uniform sheet that neutralises it [eV].

    The sum of Ewald for a plane that is periodic in two directions, D. E. Parry, Surf. Sci. 49, 433 (1975), at equal
    heights:

    .. math::
        \frac{E}{N} = \frac{1}{8 \pi \varepsilon_0} \Big[ \sum_{R \ne 0} \frac{\mathrm{erfc}(\alpha R)}{R}
        + \frac{2 \pi}{a} \sum_{G \ne 0} \frac{\mathrm{erfc}(G / 2 \alpha)}{G}
        - \frac{2 \alpha}{\sqrt \pi} - \frac{2 \sqrt \pi}{a \alpha} \Big]

    with the area a of a point.

    :param width: distance of neighbours along x [Å].
    :param depth: distance of neighbours along y [Å].
    """
    area = width * depth
    alpha = math.sqrt(math.pi / area)  # both sums converge alike
    steps = np.stack(np.meshgrid(*[np.arange(-N_SHELLS, N_SHELLS + 1)] * 2, indexing='ij'), axis=-1).reshape(-1, 2)
    steps = steps[np.any(steps != 0, axis=1)]
    distances = np.linalg.norm(steps * [width, depth], axis=1)
    waves = np.linalg.norm(2.0 * math.pi * steps / [width, depth], axis=1)
    direct = np.sum(erfc(alpha * distances) / distances)
    reciprocal = 2.0 * math.pi / area * np.sum(erfc(waves / (2.0 * alpha)) / waves)
    itself = 2.0 * alpha / math.sqrt(math.pi) + 2.0 * math.sqrt(math.pi) / (area * alpha)
    return float(0.5 * COULOMB * (direct + reciprocal - itself))


def potential_over_sheet(
    reported: float, frame: Frame, charges: Floats, sheet: CounterSheet | None, slab_factor: float
) -> float:
    r"""Return the potential of the metal over that of the sheet, or over that of the vacuum above without one [V].

    .. math::
        \phi_\mathrm{metal} = \phi_\mathrm{reported} - \frac{1}{2 \varepsilon_0 V} \sum_j q_j z_j^2, \qquad
        \bar\phi_\mathrm{sheet} = - \frac{1}{2 \varepsilon_0 A} \sum_{j \in \mathrm{film}} q_j (z_s - z_j)

    both in the convention of a film that is open on both sides, with the volume V of the cell with added vacuum. The
    slab correction of a neutral cell is quadratic in its dipole; the potential that ``fix electrode/conq`` reports is
    its derivative by a charge and lacks the first sum, which is the same for all atoms of a frame but not for all
    frames (0.1 V to several V), so that reported potentials of two frames do not compare.

    :param reported: potential of the metal as ``fix electrode/conq`` reports it [V].
    :param frame: the film.
    :param charges: charges of its atoms [e], shape ``(n_atoms,)``.
    :param sheet: the sheet of the frame, if it has one.
    :param slab_factor: height of the cell with added vacuum over that without.
    """
    area, heights = float(frame.cell[0, 0] * frame.cell[1, 1]), frame.positions[:, 2]
    volume = area * float(frame.cell[2, 2]) * slab_factor
    second_moment = float(np.sum(charges * heights**2))
    above = float(frame.cell[2, 2]) if sheet is None else sheet.height
    if sheet is not None:
        second_moment += sheet.charge * sheet.height**2
    at_metal = reported - second_moment / (2.0 * units.VACUUM_PERMITTIVITY * volume)
    at_sheet = -float(np.sum(charges * (above - heights))) / (2.0 * units.VACUUM_PERMITTIVITY * area)
    return at_metal - at_sheet
