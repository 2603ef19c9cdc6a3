"""Compare how strongly the total solvent dipole fluctuates in models with the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.science.analysis.solvent_dipole import compare_fluctuation

VARIANCE = 'dipole_normal_variance'
"""What is compared."""
STATED = ('hydrogen_charge',)
"""Settings that both must share, for dipoles are those of stated charges."""


@calcfunction
def compare_solvent_dipoles(reference: ArrayData, **models: ArrayData) -> Dict:
    """Compare how strongly the total solvent dipole fluctuates along the normal with the reference.

    A potential that sees no farther than its cutoff may let the dipoles of a film align (arXiv 2603.04228).

    :param reference: result of ``edl.interface_dynamics`` for a run of the reference.
    :param models: results for runs of models in the same cell, by name.
    :return: ``rows``, one for each model: ``model``, ``variance`` and ``variance_error`` [(e Å)²], ``ratio`` to the
        reference with ``ratio_error``, ``deviation`` from 1 in standard errors, and the ``sentence``.
    :raises ValueError: if waters or charges differ, or the reference does not fluctuate.
    """
    known = reference.base.attributes.all
    rows = []
    for name in in_natural_order(models):
        found = models[name].base.attributes.all
        if found['n_water'] != known['n_water']:
            raise ValueError(
                f'{name} has {found["n_water"]} waters, the reference {known["n_water"]}; compare runs of the same cell'
            )
        for setting in STATED:
            if found['settings'][setting] != known['settings'][setting]:
                raise ValueError(
                    f'{setting} is {found["settings"][setting]} for {name} and {known["settings"][setting]} for the '
                    'reference; analyse both with the same'
                )
        result = compare_fluctuation(*_variance(found), *_variance(known))
        variance, error = _variance(found)
        rows.append(
            {
                'model': name,
                'variance': variance,
                'variance_error': error if np.isfinite(error) else None,
                'ratio': result.ratio,
                'ratio_error': result.error if np.isfinite(result.error) else None,
                'deviation': result.deviation if np.isfinite(result.deviation) else None,
                'sentence': result.sentence,
            }
        )
    return Dict({'rows': rows})


def _variance(attributes: Mapping[str, Any]) -> tuple[float, float]:
    """Return variance and error [(e Å)²]; an error that is not known is NaN."""
    error = attributes[f'{VARIANCE}_error']
    return float(attributes[VARIANCE]), float('nan') if error is None else float(error)
