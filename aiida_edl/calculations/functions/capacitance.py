"""Find the capacitance of an interface from its potential profiles at several charges."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.excluded_runs import results_and_exclusions
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.science.analysis import capacitance as analysis
from aiida_edl.science.analysis import capacitance_tables as tables
from aiida_edl.science.analysis.potential_profile import PotentialProfile


@calcfunction
def capacitance(tags: Dict, **profiles: ArrayData) -> Dict:
    """Find integral and differential capacitance from potential drops at several charges of the metal.

    :param tags: for each link label of a profile, its ``charge_state`` (label, e.g. ``2Na``) and, if there are several
        models, the ``series`` that it belongs to, in words; runs of one series and charge state are replicas, and
        pooled. ``group``, in words, names series that are seeds of each other.
    :param profiles: results of ``edl.potential_profile``; those of one series made with the same settings. And under
        ``quality_`` and the same label, where it is known, the result of ``edl.run_quality``: a run that left physics
        is not counted.
    :return: ``statements`` (what was found in words, by series and group), and the flat tables ``points`` (surface
        charge [µC/cm²] and potential drop [V]), ``intervals`` (integral) and ``series`` (differential; potential of
        zero charge [V]) and ``groups`` (mean over seeds), each with 1/C [cm²/µF], its symmetric error, and C [µF/cm²]
        with limits at 95 %, which may not be bounded; and ``excluded`` (runs that left physics, and why).
    """
    values = tags.get_dict()
    results, reasons = results_and_exclusions(profiles)
    if different := sorted(set(values) ^ set(results)):
        raise ValueError(f'each profile needs tags and each tag a profile; only one of them is given for {different}')
    runs = []
    for key in sorted(results):
        profile = stored_result(PotentialProfile, results[key])
        runs.append(analysis.ChargedRun(analysis.RunTag.from_dict(values[key]), profile, reasons.get(key, '')))
    found = analysis.capacitance(runs)
    groups = tables.group_capacitances(found)
    return Dict(
        {
            'statements': {item.series: f'{item.series}: {item.statement}' for item in found}
            | {f'{item.group}, all seeds': f'{item.group}: {item.statement}' for item in groups},
            'points': tables.point_rows(found),
            'intervals': tables.interval_rows(found),
            'series': tables.series_rows(found),
            'groups': tables.group_rows(groups),
            'excluded': tables.excluded_rows(found),
        }
    )
