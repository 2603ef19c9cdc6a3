r"""How far the members of a committee of potentials differ, frame by frame, as a sign of where they have learnt little.

.. math::
    \sigma_{F,a} = \sqrt{\frac{1}{M-1} \sum_m |\mathbf F_{ma} - \bar{\mathbf F}_a|^2}, \qquad
    \sigma_E = \frac{1}{N} \sqrt{\frac{1}{M-1} \sum_m (E_m - \bar E)^2}

over M members, for atom a and for a frame of N atoms: the square root of the unbiased variance (``ddof=1``). DP-GEN
(Y. Zhang et al., Comput. Phys. Commun. 253, 107206 (2020)) divides by M instead, which for four members is lower by
13 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.frames import Floats

DDOF = 1
"""Degrees of freedom taken off in the variance over members: one, that of their mean."""


@dataclass(frozen=True)
class CommitteeDeviation:
    """Deviations of a committee for each frame; NaN where fewer than two members have a finite prediction."""

    energy_deviation: Floats
    """Deviation of the energy per atom [eV/atom], shape ``(n_frames,)``."""
    max_force_deviation: Floats
    """Largest deviation of the force on an atom [eV/Å], shape ``(n_frames,)``."""
    mean_force_deviation: Floats
    """Mean over atoms of the deviation of their forces [eV/Å], shape ``(n_frames,)``."""
    n_members: Integers
    """Members with a finite prediction, shape ``(n_frames,)``."""


def committee_deviation(energies: Floats, forces: Floats, offsets: Integers) -> CommitteeDeviation:
    """Return how far the members of a committee differ.

    :param energies: predicted energies [eV], shape ``(n_members, n_frames)``; NaN where a prediction failed.
    :param forces: predicted forces [eV/Å], shape ``(n_members, n_atoms_total, 3)``.
    :param offsets: first atom of each frame and the number of all atoms, shape ``(n_frames + 1,)``.
    :raises ValueError: if there are fewer than two members.
    """
    if len(energies) < 2:
        raise ValueError(f'a committee needs at least two members, given was {len(energies)}')
    n_frames = len(offsets) - 1
    result = {name: np.full(n_frames, np.nan) for name in ('energy', 'max', 'mean')}
    n_members = np.zeros(n_frames, dtype=np.int64)
    for index in range(n_frames):
        atoms = slice(int(offsets[index]), int(offsets[index + 1]))
        usable = np.isfinite(energies[:, index]) & np.isfinite(forces[:, atoms]).all(axis=(1, 2))
        n_members[index] = usable.sum()
        if n_members[index] < 2:
            continue
        n_atoms = atoms.stop - atoms.start
        result['energy'][index] = np.std(energies[usable, index], ddof=DDOF) / n_atoms
        variances = np.var(forces[usable, atoms], axis=0, ddof=DDOF).sum(axis=1)
        result['max'][index] = np.sqrt(variances.max())
        result['mean'][index] = np.sqrt(variances).mean()
    return CommitteeDeviation(result['energy'], result['max'], result['mean'], n_members)
