"""What a verdict of the parity gate says about the way a potential shall be run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, Str

from aiida_edl.architectures.bindings import NATIVE
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.analysis.parity import ChargeRange, missing_charge_state

REFERENCE_ENGINE = 'ase'
"""Engine whose forces of a model in the trainer's own format are those of the trainer."""
VERDICT_PROCESS = 'aiida.calculations:edl.parity_verdict'
"""Process type of the function that makes verdicts."""
VERDICT_KEYS = ('routes', 'charge_states')
"""What is read of a verdict."""
OVERRIDE = 'set skip_parity_check to true, which is recorded'


def route_of(potential: PotentialData, engine: str, precision: Str | None = None) -> dict[str, str]:
    """Return what identifies a route: how a potential is run.

    :param potential: the potential, converted or not.
    :param engine: entry-point name of the engine.
    :param precision: precision of the arithmetic; that of the training if None.
    """
    return {
        'engine': engine,
        'format': potential.format,
        'potential_sha256': str(potential.base.attributes.get(potential.KEY_SHA256)),
        'precision': potential.precision if precision is None else str(precision.value),
    }


def is_reference(potential: PotentialData, engine: str, precision: Str | None = None) -> bool:
    """Return whether a route is the one with which all others are compared.

    :param potential: the potential.
    :param engine: entry-point name of the engine.
    :param precision: precision of the arithmetic.
    """
    same_precision = precision is None or precision.value == potential.precision
    return engine == REFERENCE_ENGINE and potential.format == NATIVE and same_precision


def validate_parity(
    verdict: Dict | None, route: Mapping[str, str], states: Mapping[str, ChargeRange | None] | None = None
) -> str | None:
    """Return one sentence if a verdict does not allow a route, else None.

    :param verdict: result of ``edl.parity_verdict``.
    :param route: what :func:`route_of` returns.
    :param states: what :func:`~aiida_edl.science.analysis.parity.charge_ranges` returns for the frames to run.
    """
    way = f"the {route['engine']} engine with the format '{route['format']}' in {route['precision']}"
    remedy = f'run edl.parity for it, or {OVERRIDE}'
    if verdict is None:
        return f'no parity verdict is given for {way}; {remedy}'
    if (message := _validate_verdict(verdict)) is not None:
        return message
    values = verdict.get_dict()
    judged = [entry for entry in values['routes'].values() if all(entry[k] == v for k, v in route.items())]
    if not judged:
        return f'the parity verdict says nothing about {way} and this potential; {remedy}'
    if not all(entry['passed'] for entry in judged):
        reasons = '; '.join(reason for entry in judged for reason in entry['reasons'])
        return f'{way} failed the parity gate: {reasons}; use another route, or {OVERRIDE}'
    return _validate_charges(values, states or {})


def _validate_verdict(verdict: Dict) -> str | None:
    """Return one sentence if a node is no verdict; that of an imported archive has kept its creator."""
    creator = verdict.creator
    if creator is None or creator.process_type != VERDICT_PROCESS:
        origin = 'has no creator' if creator is None else f'was made by {creator.process_label}'
        return f'parity is a Dict that {origin}; give the output verdict of edl.parity, or {OVERRIDE}'
    if missing := [key for key in VERDICT_KEYS if key not in verdict.get_dict()]:
        return f'the parity verdict lacks {", ".join(missing)}; run edl.parity again, or {OVERRIDE}'
    return None


def _validate_charges(values: Mapping[str, Any], states: Mapping[str, ChargeRange | None]) -> str | None:
    """Return one sentence if a frame shall be run in a charge state in which none was compared.

    A program that loses the charge of a frame is right for neutral ones.

    :param values: a verdict.
    :param states: total charges [e] of the frames to run by charge label, None for a potential that takes none.
    """
    compared: dict[str, ChargeRange | None] = dict.fromkeys(values['charge_states'])
    compared |= {label: (low, high) for label, (low, high) in values.get('total_charges', {}).items()}
    if (missing := missing_charge_state(compared, states)) is None:
        return None
    remedy = f'run edl.parity with such a frame, or {OVERRIDE}'
    label, charge = missing
    if charge is None:
        return (
            f'the parity verdict compared frames of the charge states {", ".join(compared)}, but one of {label} shall '
            f'be run; {remedy}'
        )
    known = compared[label]
    those = 'that it does not say' if known is None else f'from {known[0]:g} to {known[1]:g} e'
    return (
        f'the parity verdict compared frames of the charge state {label} with total charges {those}, but one with '
        f'{charge:g} e shall be run; {remedy}'
    )
