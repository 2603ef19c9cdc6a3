"""Set what mixed training costs each architecture against how far it sees."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.potential import PotentialData
from aiida_edl.science.analysis.penalty_by_architecture import penalties_by_architecture
from aiida_edl.science.analysis.receptive_field_ranking import (
    correlation_row,
    point_rows,
    rank_correlation,
    ranking_verdict,
)


@calcfunction
def receptive_field_ranking(
    penalty: Dict, spread: Dict | None = None, tags: Dict | None = None, **potentials: PotentialData
) -> Dict:
    """Rank architectures by receptive field and ask whether those that see farther suffer less from mixed training.

    :param penalty: result of ``edl.training_penalty``.
    :param spread: result of ``edl.model_spread``.
    :param tags: for link labels of potentials, the name of their ``architecture`` in the study, where one occurs under
        several; that of the potential without it.
    :param potentials: potentials of all architectures; they know their receptive field [Å].
    :return: ``verdict`` (the answer in words), and the flat tables ``correlations`` (rank correlation of each penalty
        with the receptive field, exact p values) and ``points`` (penalty of each architecture with its error).
    """
    reach: dict[str, set[float]] = {}
    names = {} if tags is None else tags.get_dict()
    for label, node in potentials.items():
        name = names.get(label, {}).get('architecture', node.architecture)
        reach.setdefault(name, set()).add(node.receptive_field)
    if several := sorted(name for name, values in reach.items() if len(values) > 1):
        raise ValueError(f'the potentials of {", ".join(several)} differ in receptive field; rank those of one each')
    fields = {name: values.pop() for name, values in reach.items()}
    series = penalties_by_architecture(
        penalty.get_dict()['ratios'], spread.get_dict()['comparisons'] if spread is not None else (), fields
    )
    correlations = [rank_correlation(*item) for item in series]
    return Dict(
        {
            'verdict': ranking_verdict(correlations),
            'correlations': [correlation_row(item) for item in correlations],
            'points': [row for item in correlations for row in point_rows(item)],
        }
    )
