"""Compare the profiles of many models with each other and with the reference."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.excluded_runs import results_and_exclusions
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.science.analysis import model_spread as analysis
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.spread_tables import (
    bin_rows,
    comparison_rows,
    deviation_rows,
    excluded_rows,
    group_rows,
)
from aiida_edl.science.analysis.spread_verdict import verdict


@calcfunction
def model_spread(tags: Dict, **profiles: ArrayData) -> Dict:
    """Compare how far models of mixed and of single training agree with each other, and with the noise of the MD.

    :param tags: for each link label of a profile, its ``training_set`` (named ``mixed`` or ``single``, alone or
        followed by an underscore), ``architecture``, ``seed``, ``charge_state`` (label, e.g. ``2Na``) and
        ``is_reference``.
    :param profiles: results of ``edl.interface_profiles``, all made with the same settings; and under ``quality_`` and
        the same label, where it is known, the result of ``edl.run_quality``: a run that left physics is not counted.
    :return: ``verdict`` (the answer in words), and the flat tables ``comparisons`` (mixed against single), ``groups``
        (spread, noise and deviation of each training set), ``models`` (deviation of each from the reference),
        ``bins`` (spread and noise along the normal, z [Å]) and ``excluded`` (runs that left physics, and why).
    """
    values = tags.get_dict()
    results, reasons = results_and_exclusions(profiles)
    if different := sorted(set(values) ^ set(results)):
        raise ValueError(f'each profile needs tags and each tag a profile; only one of them is given for {different}')
    models = []
    for key in sorted(results):
        node = results[key]
        parts = stored_result(InterfaceProfiles, node)
        models.append(ModelProfile(ModelTag.from_dict(values[key]), parts, reasons.get(key, '')))
    spread = analysis.model_spread(models)
    return Dict(
        {
            'verdict': verdict(spread),
            'comparisons': comparison_rows(spread),
            'groups': group_rows(spread),
            'models': deviation_rows(spread),
            'bins': bin_rows(spread),
            'excluded': excluded_rows(spread),
        }
    )
