"""Join the series of a run that was interrupted."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData

from aiida_edl.calculations.link_labels import in_natural_order


@calcfunction
def join_series(**parts: ArrayData) -> ArrayData:
    """Join arrays of equal names end to end, in the order of the link labels (numbers compare as numbers).

    :param parts: series of consecutive parts of one run.
    :return: the series of the whole run.
    """
    nodes = [parts[key] for key in in_natural_order(parts)]
    joined = ArrayData()
    for name in nodes[0].get_arraynames():
        joined.set_array(name, np.concatenate([node.get_array(name) for node in nodes]))
    return joined
