"""Draw up how the error of an architecture falls with the size of its training set."""

from __future__ import annotations

import dataclasses

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.science.analysis.size_curve import SizeError, size_curve


@calcfunction
def learning_curve_over_size(sizes: Dict, **errors: Dict) -> ArrayData:
    """Average errors over seeds for each size of the training set.

    :param sizes: for each link label of an error, the frames of the training set of its potential.
    :param errors: results of ``edl.error_metrics`` on the same test frames.
    :return: ``size``, ``n_models``, ``energy_rmse`` [eV/atom] and ``force_rmse`` [eV/Å], each with its standard error
        over seeds ``<name>_error`` (unbiased variance; NaN for one potential).
    """
    of_label = sizes.get_dict()
    if different := sorted(set(of_label) ^ set(errors)):
        raise ValueError(f'each error needs a size and each size an error; only one of them is given for {different}')
    entries = []
    for label, node in sorted(errors.items()):
        summary = node.get_dict()['summary']
        entries.append(
            SizeError(of_label[label], summary['energy_rmse_ev_per_atom'], summary['force_rmse_ev_per_angstrom'])
        )
    curve = ArrayData()
    for name, values in dataclasses.asdict(size_curve(entries)).items():
        curve.set_array(name, values)
    return curve
