"""Which systems a sum is meant for: open ones, or those with images."""

from __future__ import annotations

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.summation_settings import SummationSettings


def check_open(system: ChargedSystem) -> None:
    """Refuse a system for which a direct sum over all pairs is not what is meant.

    :raises ChargedSystemError: if it is periodic.
    """
    if system.pbc.any():
        raise ChargedSystemError(
            f'the system is periodic ({system.pbc.tolist()}), the direct sum takes only open ones: use ewald or p3m'
        )


def check_periodic(system: ChargedSystem, settings: SummationSettings) -> None:
    """Refuse a system for which a sum over images is not what is meant.

    :raises ChargedSystemError: if it is open in all directions, or has a net charge for which no background was stated.
    """
    if not system.pbc.any():
        raise ChargedSystemError(
            f'the system is open in all directions, the method {settings.method} sums over images: use direct'
        )
    if not system.is_neutral and not settings.has_background:
        raise ChargedSystemError(
            f'the charges sum to {system.net_charge:g} e, a periodic cell must be neutral: add counter-charges, or '
            'state the uniform background by has_background'
        )
