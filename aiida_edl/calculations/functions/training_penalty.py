"""Compare the errors of potentials that were trained on different charge states."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.science.analysis import training_penalty as analysis
from aiida_edl.science.analysis.penalty_verdict import contrast_rows, penalty_verdict, ratio_rows, shift_rows
from aiida_edl.science.analysis.training_penalty import ErrorTag, ModelErrors


@calcfunction
def training_penalty(tags: Dict, **errors: Dict) -> Dict:
    """Compare force errors and energy shifts of mixed, single, paired and leave-one-out training at each charge state.

    :param tags: for each link label of errors, its ``training_set`` (named ``mixed``, ``single_2``, ``without_1``,
        ``pair_0_2``, each perhaps followed by ``_size_96``), ``architecture`` and ``seed``.
    :param errors: results of ``edl.error_metrics``, all on the same test frames.
    :return: ``verdict`` (the answer in words), and the flat tables ``ratios`` (force RMSE of one training over another,
        with intervals over seeds, for all atoms and by region), ``shifts`` (signed energy error [eV/atom]: mean, mean
        absolute value and root mean square over seeds) and ``shift_contrasts`` (its difference between charge states,
        and its curvature, which no energy of an atom takes up).
    """
    values = tags.get_dict()
    if different := sorted(set(values) ^ set(errors)):
        raise ValueError(f'errors need tags and each tag needs errors; only one of them is given for {different}')
    models = [
        ModelErrors(ErrorTag.from_dict(values[key]), errors[key].base.attributes.get('rows')) for key in sorted(errors)
    ]
    penalty = analysis.training_penalty(models)
    return Dict(
        {
            'verdict': penalty_verdict(penalty),
            'ratios': ratio_rows(penalty),
            'shifts': shift_rows(penalty),
            'shift_contrasts': contrast_rows(penalty),
        }
    )
