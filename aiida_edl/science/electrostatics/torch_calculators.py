"""The calculators of torch-pme by the settings of a sum.

Needs torch and torch-pme.
"""

from __future__ import annotations

from typing import Any

import torch
from torchpme import Calculator, CoulombPotential, InversePowerLawPotential
from torchpme.potentials import Potential

from aiida_edl.science.electrostatics.exclusion import Exclusion
from aiida_edl.science.electrostatics.power_law import PowerLaw
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError
from aiida_edl.science.electrostatics.torch_ewald import SphereEwald
from aiida_edl.science.electrostatics.torch_mesh import FixedMeshP3M, FixedMeshPME

MOST_SPLINE_NODES = 5
"""Largest order of the splines of torch-pme."""


def check_torch_settings(settings: SummationSettings) -> None:
    """Refuse what torch-pme cannot do.

    :raises SummationSettingsError: for more nodes than its splines have.
    """
    if settings.method == 'p3m' and settings.nodes > MOST_SPLINE_NODES:
        raise SummationSettingsError(
            f'nodes is {settings.nodes}, the splines of torch-pme have at most {MOST_SPLINE_NODES}: give fewer nodes '
            'with a finer mesh, or take the compiled summation'
        )


def calculator_of(
    settings: SummationSettings,
    power_law: PowerLaw,
    dtype: torch.dtype,
    device: torch.device,
    exclusion: Exclusion | None = None,
) -> Calculator:
    """Return the calculator of a sum.

    :param settings: method and its numbers.
    :param power_law: which interaction.
    :param dtype: type of the numbers, independent of torch's default.
    :param device: where the sum runs.
    :param exclusion: what to leave out around each atom.
    :raises SummationSettingsError: for what torch-pme cannot do.
    """
    check_torch_settings(settings)
    around: dict[str, Any] = {}
    if exclusion is not None:
        around = {'exclusion_radius': exclusion.radius, 'exclusion_degree': exclusion.degree}
    smearing = None if settings.method == 'direct' else settings.smearing
    if power_law.is_coulomb:
        potential = CoulombPotential(smearing, prefactor=power_law.prefactor, **around)
    else:
        potential = InversePowerLawPotential(power_law.exponent, smearing, prefactor=power_law.prefactor, **around)
    return _with_method(potential, settings).to(dtype=dtype, device=device)


def _with_method(potential: Potential, settings: SummationSettings) -> Calculator:
    """Return the calculator of a potential by a method."""
    if settings.method == 'direct':
        return Calculator(potential)
    if settings.method == 'ewald':
        assert settings.k_cutoff is not None  # of an Ewald sum
        return SphereEwald(potential, settings.k_cutoff)
    assert settings.mesh is not None  # of a mesh method
    kind = FixedMeshPME if settings.method == 'pme' else FixedMeshP3M
    return kind(potential, settings.mesh, settings.nodes)
