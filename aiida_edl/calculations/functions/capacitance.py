"""Find the capacitance of an interface from its potential profiles at several charges."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.science.analysis import capacitance as analysis
from aiida_edl.science.analysis.potential_profile import PotentialProfile


@calcfunction
def capacitance(tags: Dict, **profiles: ArrayData) -> Dict:
    """Find integral and differential capacitance from potential drops at several charges of the metal.

    :param tags: for each link label of a profile, its ``charge_state`` (label, e.g. ``2Na``) and, if there are several
        models, the ``series`` that it belongs to, in words.
    :param profiles: results of ``edl.potential_profile``; those of one series made with the same settings.
    :return: ``statements`` (what was found in words, by series), and the flat tables ``points`` (surface charge
        [µC/cm²] and potential drop [V]), ``intervals`` (integral capacitance [µF/cm²]) and ``series`` (differential
        capacitance [µF/cm²], potential of zero charge [V]).
    """
    values = tags.get_dict()
    if different := sorted(set(values) ^ set(profiles)):
        raise ValueError(f'each profile needs tags and each tag a profile; only one of them is given for {different}')
    runs = []
    for key in sorted(profiles):
        arrays = {name: profiles[key].get_array(name) for name in profiles[key].get_arraynames()}
        profile = PotentialProfile.from_parts(arrays, profiles[key].base.attributes.all)
        runs.append(analysis.ChargedRun(analysis.RunTag.from_dict(values[key]), profile))
    found = analysis.capacitance(runs)
    return Dict(
        {
            'statements': {item.series: item.statement for item in found},
            'points': analysis.point_rows(found),
            'intervals': analysis.interval_rows(found),
            'series': analysis.series_rows(found),
        }
    )
