"""Compare the static structure of models with that of the reference."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.excluded_runs import results_and_exclusions
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.science.analysis.interface_structure import InterfaceStructure
from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.analysis.structure_comparison import ModelStructure
from aiida_edl.science.analysis.structure_tables import structure_tables


@calcfunction
def compare_structures(tags: Dict, **structures: ArrayData) -> Dict:
    """Compare radial distributions, coordination, coverage and hydrogen bonds of models with the reference.

    :param tags: for each link label of a structure, its ``training_set``, ``architecture``, ``seed``, ``charge_state``
        (label, e.g. ``2Na``) and ``is_reference``.
    :param structures: results of ``edl.interface_structure``, all made with the same settings; and under ``quality_``
        and the same label, where it is known, that of ``edl.run_quality``: a run that left physics does not count.
    :return: the flat tables ``distributions`` (for each model and pair the error integral [Å], its standard error, what
        noise alone would give, and a score), ``numbers`` (value, reference and difference with their errors),
        ``groups`` (error integrals averaged over the models of a training set), ``contrasts`` (mixed less single
        training), ``without_reference`` (the models that could not be compared) and ``excluded`` (runs that left
        physics, and why).
    """
    values = tags.get_dict()
    results, reasons = results_and_exclusions(structures)
    if different := sorted(set(values) ^ set(results)):
        raise ValueError(f'each structure needs tags and each tag a structure; only one is given for {different}')
    runs = []
    for key in sorted(results):
        node = results[key]
        parts = stored_result(InterfaceStructure, node)
        runs.append(ModelStructure(ModelTag.from_dict(values[key]), parts, reasons.get(key, '')))
    return Dict(structure_tables(runs))
