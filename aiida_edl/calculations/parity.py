"""What a verdict of the parity gate says about the way a potential shall be run."""

from __future__ import annotations

from collections.abc import Mapping

from aiida.orm import Dict, Str

from aiida_edl.architectures.bindings import NATIVE
from aiida_edl.data.potential import PotentialData

REFERENCE_ENGINE = 'ase'
"""Engine whose forces of a model in the trainer's own format are those of the trainer."""


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


def validate_parity(verdict: Dict | None, route: Mapping[str, str]) -> str | None:
    """Return one sentence if a verdict does not allow a route, else None.

    :param verdict: result of ``edl.parity_verdict``.
    :param route: what :func:`route_of` returns.
    """
    way = f"the {route['engine']} engine with the format '{route['format']}' in {route['precision']}"
    remedy = 'run edl.parity for it, or set skip_parity_check to true, which is recorded'
    if verdict is None:
        return f'no parity verdict is given for {way}; {remedy}'
    judged = [entry for entry in verdict.get_dict()['routes'].values() if all(entry[k] == v for k, v in route.items())]
    if not judged:
        return f'the parity verdict says nothing about {way} and this potential; {remedy}'
    if not all(entry['passed'] for entry in judged):
        reasons = '; '.join(reason for entry in judged for reason in entry['reasons'])
        return f'{way} failed the parity gate: {reasons}; use another route, or {remedy.partition(", or ")[2]}'
    return None
