"""The rule of exclusion in words, with the limits it was applied with."""

from __future__ import annotations

from aiida_edl.science.analysis.run_quality_settings import RunQualitySettings


def rule_in_words(settings: RunQualitySettings) -> str:
    """Return by which limits a run leaves physics, in one sentence.

    The criteria are those at the head of :mod:`~aiida_edl.science.analysis.run_quality`, in the same order.

    :param settings: the limits.
    """
    atoms = settings.maximum_evaporated_atoms
    share = 100 * settings.maximum_irregular_fraction
    return (
        'A run left physics if a number in it is not finite; '
        f'its temperature exceeds {settings.hot_factor:g} times the target; '
        f'a force exceeds {settings.maximum_force:g} eV/Å; '
        f'two atoms are closer than {settings.contact_fraction:g} of the sum of their covalent radii; '
        f'more than {share:g} % of the oxygen has not exactly two hydrogens within {settings.maximum_bond_length:g} Å; '
        f'more than {atoms} atoms lie beyond an empty slice of {settings.evaporation_gap:g} Å; '
        'the program ended it as exploded; '
        f'its mean temperature is off by more than {100 * settings.temperature_tolerance:g} %, or its conserved energy '
        f'drifts by more than {settings.maximum_energy_drift:g} meV/(atom ps), both by more than '
        f'{settings.significance:g} standard errors after the first {100 * settings.equilibration_fraction:g} % of the '
        f'run; or the metal moves by more than {settings.maximum_slab_drift:g} Å.'
    )
