"""Runs that left physics, told apart from those that count, where many runs are compared.

The rule: a run that left physics is left out, and the others count. Where the result of several replicas is compared,
whoever joins them leaves out the bad ones; a result in which a bad one still is does not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiida.orm import ArrayData

QUALITY_PREFIX = 'quality_'
"""How the link label of the quality of a run begins; the label of its result follows."""
REPLICA = re.compile(r'_replica_\d+$')
"""How the link label of one of several replicas ends, whose results are joined."""


def results_and_exclusions(nodes: Mapping[str, ArrayData]) -> tuple[dict[str, ArrayData], dict[str, str]]:
    """Return the results of runs by link label, and by the same label why a run left physics.

    A run that did not, or whose quality nobody assessed, has no entry among the reasons.

    :param nodes: results, and under ``quality_`` and the same label, where it is known, that of ``edl.run_quality``; a
        result of several replicas has one of each that is in it, whose label ends with ``_replica_`` and its number.
    """
    results = {key: node for key, node in nodes.items() if not key.startswith(QUALITY_PREFIX)}
    reasons: dict[str, str] = {}
    for key in sorted(nodes.keys() - results.keys()):
        attributes = nodes[key].base.attributes
        if not attributes.get('is_physical', True):
            run = REPLICA.sub('', key.removeprefix(QUALITY_PREFIX))
            sentences = [str(reason['sentence']) for reason in attributes.get('reasons', [])]
            reason = '; '.join(sentences) or 'no reason was stored'
            reasons[run] = f'{reasons[run]}; {reason}' if run in reasons else reason
    return results, reasons
