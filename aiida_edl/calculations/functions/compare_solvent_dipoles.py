"""Compare how strongly the total solvent dipole fluctuates in models with the reference."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.excluded_runs import results_and_exclusions
from aiida_edl.science.analysis.dipole_comparison import DipoleRun, dipole_tables
from aiida_edl.science.analysis.model_tags import ModelTag

VARIANCE = 'dipole_normal_variance'
"""What is compared."""


@calcfunction
def compare_solvent_dipoles(tags: Dict, **dynamics: ArrayData) -> Dict:
    """Compare how strongly the total solvent dipole fluctuates along the normal with the reference.

    A potential that sees no farther than its cutoff may let the dipoles of a film align (arXiv 2603.04228).

    :param tags: for each link label of a result, its ``training_set``, ``architecture``, ``seed``, ``charge_state``
        (label, e.g. ``2Na``) and ``is_reference``.
    :param dynamics: results of ``edl.interface_dynamics``, those of one charge state in the same cell; and under
        ``quality_`` and the same label, where it is known, that of ``edl.run_quality``: a run that left physics does
        not count.
    :return: ``statements`` (one sentence for each charge state), and the flat tables ``rows``, one for each model:
        ``variance`` and ``variance_error`` [(e Å)²], those of the reference, ``ratio`` with ``ratio_error``,
        ``deviation`` from 1 in standard errors, and the ``sentence``; ``without_reference`` (models that could not be
        compared) and ``excluded`` (runs that left physics, and why).
    """
    values = tags.get_dict()
    results, reasons = results_and_exclusions(dynamics)
    if different := sorted(set(values) ^ set(results)):
        raise ValueError(f'each result needs tags and each tag a result; only one of them is given for {different}')
    runs = []
    for key in sorted(results):
        found = results[key].base.attributes.all
        error = found[f'{VARIANCE}_error']
        runs.append(
            DipoleRun(
                tag=ModelTag.from_dict(values[key]),
                variance=float(found[VARIANCE]),
                error=float('nan') if error is None else float(error),
                n_water=found['n_water'],
                hydrogen_charge=found['settings']['hydrogen_charge'],
                n_frames=int(found.get('n_frames') or 1),
                why_excluded=reasons.get(key, ''),
            )
        )
    return Dict(dipole_tables(runs))
