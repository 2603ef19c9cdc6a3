r"""How many hops a run has seen, and how long it would have to be for enough of them.

Effective hops are those that would give the growth of the mean square displacement,
:math:`N_\mathrm{eff} = N\, T\, \dot M / a^2`, for N mobile atoms in the length T of all replicas, with hops of the
length a: 2 d D N T/a² where atoms diffuse. The displacement at the end of a run would count vibration too, as one hop
for a few dozen atoms; hops there and back count in neither. After X. He, Y. Zhu, A. Epstein, Y. Mo, npj Comput. Mater.
4, 18 (2018), who take the largest displacement.
"""

from __future__ import annotations

import numpy as np
from ase.geometry import complete_cell

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.science.units import FEMTOSECONDS_PER_PICOSECOND

HOPS_OF_NONE = 3.0
"""Mean number of hops that are none in one of twenty runs: with fewer effective hops than that, the run says only how
long another must be at least."""


def hop_distance(frame: Frame, mobile: Integers, settings: DiffusionSettings) -> float:
    """Return the length of a hop [Å]: as set, or the median distance of mobile atoms to their nearest other.

    :param frame: the first frame.
    :param mobile: indices of the mobile atoms.
    :param settings: ``hop_length`` is used.
    :raises NotAnalysableError: if it is not set and only one atom is mobile.
    """
    if settings.hop_length:
        return settings.hop_length
    if mobile.size < 2:
        raise NotAnalysableError(
            f'one {settings.mobile} atom has no neighbour that tells how long a hop is; give the setting '
            "'hop_length' [Å]"
        )
    positions = frame.positions[mobile]
    cell = np.asarray(complete_cell(frame.cell), dtype=np.float64)
    nearest = np.array([_nearest(positions, index, cell, frame) for index in range(len(positions))])
    return float(np.median(nearest))


def _nearest(positions: Floats, index: int, cell: Floats, frame: Frame) -> float:
    """Return the distance of an atom to the nearest other [Å]."""
    others = np.delete(positions, index, axis=0) - positions[index]
    return float(np.linalg.norm(minimum_image(others, cell, frame.pbc), axis=1).min())


def too_few_hops(hops: float, hop_length: float, length: float, settings: DiffusionSettings) -> str:
    """Return a sentence if there are too few hops, with the length of run that would do; empty otherwise.

    :param hops: effective hops.
    :param hop_length: [Å].
    :param length: length of all replicas together [fs].
    :param settings: ``minimum_hops`` is used.
    """
    if hops >= settings.minimum_hops:
        return ''
    needed = length * settings.minimum_hops / max(hops, HOPS_OF_NONE) / FEMTOSECONDS_PER_PICOSECOND
    extent = 'about' if hops >= HOPS_OF_NONE else 'more than'
    return (
        f'{hops:.1f} effective hops of {hop_length:.2f} Å in {length / FEMTOSECONDS_PER_PICOSECOND:.3g} ps are fewer '
        f'than minimum_hops = {settings.minimum_hops:g}: {extent} {needed:.2g} ps are needed, over all replicas'
    )
