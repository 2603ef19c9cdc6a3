"""What a locality test found, in sentences that are made of its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiida_edl.science.analysis.charge_blindness import ChargeBlindness
from aiida_edl.science.analysis.ion_removal import ALL, RemovalRow
from aiida_edl.science.analysis.locality import LocalityFindings, Verdict

BOTH_QUESTIONS = (
    'Two questions, two numbers. The pairs with and without an ion keep all other atoms in place: they show what '
    'forces a potential cannot know from the atoms around, and are an upper bound, as water that was equilibrated with '
    'the ion still lies as the ion left it. The frames equilibrated at each charge state show the error that a '
    'simulation meets, in which the water around an atom has answered to the charge and so reveals it in part.'
)
"""What ion-removed pairs and separately equilibrated frames answer."""


def locality_sentences(name: str, cutoff_radius: float, n_layers: int, findings: LocalityFindings) -> list[str]:
    """Return what is said of one potential.

    :param name: what the potential is called.
    :param cutoff_radius: cutoff radius of one layer [Å].
    :param n_layers: message-passing layers.
    :param findings: what was measured.
    """
    layers = '1 layer' if n_layers == 1 else f'{n_layers} layers'
    sentences = [
        f'{name} states a receptive field of {findings.stated_field:.2f} Å ({layers} of {cutoff_radius:.2f} Å).',
        _measured(findings),
        _judged(findings),
    ]
    if not math.isnan(findings.ion_largest_distance):
        sentences.append(_told_apart(findings))
    if not math.isnan(findings.charge_energy_change):
        sentences.append(_told_charge(findings))
    if findings.n_failed_pairs:
        sentences.append(f'{findings.n_failed_pairs} pairs have no finite prediction and were left out.')
    return sentences


def _measured(findings: LocalityFindings) -> str:
    """Return how far changes were seen."""
    forces = (
        f'forces up to {findings.force_range:.2f} Å (by more than what matters up to '
        f'{findings.practical_force_range:.2f} Å)'
    )
    if not findings.has_local_energies:
        return f'It gives no local energies, so forces alone are judged: a moved atom changes {forces}.'
    return (
        f'A moved atom changes local energies up to {findings.energy_range:.2f} Å (by more than what matters up to '
        f'{findings.practical_energy_range:.2f} Å) and {forces}.'
    )


def _judged(findings: LocalityFindings) -> str:
    """Return the verdict with the numbers it rests on."""
    if findings.verdict is Verdict.UNDECIDED:
        return (
            f'Whether it is local is not decided: the largest distance between two atoms is '
            f'{findings.largest_distance:.2f} Å; repeat the cell to have atoms beyond '
            f'{findings.stated_field if findings.has_local_energies else 2 * findings.stated_field:.2f} Å.'
        )
    parts = []
    if not math.isnan(findings.energy_change_beyond):
        parts.append(
            f'local energies beyond {findings.stated_field:.2f} Å change by {findings.energy_change_beyond:.1e} eV at '
            f'most, where {findings.energy_threshold:.1e} eV counts'
        )
    if not math.isnan(findings.force_change_beyond):
        parts.append(
            f'forces beyond {2 * findings.stated_field:.2f} Å change by {findings.force_change_beyond:.1e} eV/Å at '
            f'most, where {findings.force_threshold:.1e} eV/Å counts'
        )
    says = 'It is as local as it states' if findings.verdict is Verdict.LOCAL else 'It sees farther than it states'
    return f'{says}: {", and ".join(parts)}.'


def _told_apart(findings: LocalityFindings) -> str:
    """Return up to which distance the potential tells whether an ion is there."""
    quantity, reach = 'forces', findings.ion_force_range
    if findings.has_local_energies:
        quantity, reach = 'local energies', findings.ion_energy_range
    if reach == 0.0:
        return (
            f'Its {quantity} do not tell whether an ion is there, at any distance up to '
            f'{findings.ion_largest_distance:.2f} Å.'
        )
    if findings.ion_largest_distance - reach < 1e-6:
        return f'Its {quantity} tell at every distance, up to {reach:.2f} Å, whether an ion is there.'
    return (
        f'Its {quantity} tell up to {reach:.2f} Å whether an ion is there, and not beyond, up to '
        f'{findings.ion_largest_distance:.2f} Å.'
    )


def _told_charge(findings: LocalityFindings) -> str:
    """Return what being told another charge changes."""
    if (
        findings.charge_energy_change <= findings.energy_threshold
        and findings.charge_force_change <= findings.force_threshold
    ):
        return 'Being told another charge changes nothing: it is blind to the total charge.'
    return (
        f'Being told another charge changes the energy by up to {findings.charge_energy_change:.3g} eV and forces by '
        f'up to {findings.charge_force_change:.3g} eV/Å.'
    )


def removal_sentence(name: str, rows: Sequence[RemovalRow], equilibrated: float | None) -> str:
    """Return what the pairs without an ion show, beside the error on equilibrated frames.

    :param name: what the potential is called.
    :param rows: rows of the potential.
    :param equilibrated: root mean square error of force components on frames equilibrated at each charge state [eV/Å];
        None if it was not measured.
    """
    found = next((row for row in rows if row.element == ALL and row.to_angstrom is None), None)
    if found is None:
        return f'No pair with and without an ion has atoms far enough from it to test {name}.'
    bar = '' if math.isnan(found.slope_error) else f' ± {found.slope_error:.2g}'
    sentence = (
        f'Beyond {found.from_angstrom:g} Å from an ion that is taken away, true forces change by '
        f'{found.reference_rms_ev_per_angstrom:.3f} eV/Å per component, those of {name} by '
        f'{found.model_rms_ev_per_angstrom:.3f} eV/Å; its error of the change is '
        f'{found.error_rms_ev_per_angstrom:.3f} eV/Å, the slope {found.slope:.2f}{bar}'
    )
    if equilibrated is None:
        return f'{sentence}.'
    return f'{sentence}; on frames equilibrated at each charge state its force error is {equilibrated:.3f} eV/Å.'


def charge_sentence(name: str, found: ChargeBlindness) -> str:
    """Return whether a potential tells the charges of one geometry apart.

    :param name: what the potential is called.
    :param found: what was measured.
    """
    labels = (
        f'the labels of one geometry differ by up to {found.label_energy_difference_ev:.3g} eV and '
        f'{found.label_force_difference_ev_per_angstrom:.3g} eV/Å between charges'
    )
    if found.is_blind:
        return (
            f'{name} gives the same for all charges of a geometry, while {labels}: no training can bring its error '
            f'below {found.energy_floor_ev:.3g} eV and {found.force_floor_ev_per_angstrom:.3g} eV/Å on these frames.'
        )
    return (
        f'{name} tells the charges of a geometry apart by up to {found.model_energy_difference_ev:.3g} eV, while '
        f'{labels}; its error is {found.energy_rmse_ev:.3g} eV and {found.force_rmse_ev_per_angstrom:.3g} eV/Å, where '
        f'a potential blind to the charge has at least {found.energy_floor_ev:.3g} eV and '
        f'{found.force_floor_ev_per_angstrom:.3g} eV/Å.'
    )
