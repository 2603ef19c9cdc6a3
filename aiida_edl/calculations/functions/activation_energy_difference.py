"""Compare two activation energies."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.science.analysis import activation_energy_difference as analysis
from aiida_edl.science.analysis.arrhenius import Arrhenius


@calcfunction
def activation_energy_difference(first: ArrayData, second: ArrayData) -> Dict:
    """Find the difference of two activation energies with its interval, and whether it is decided.

    :param first: result of ``edl.arrhenius``.
    :param second: another, of independent runs, which is subtracted.
    :return: ``difference`` [eV] with ``difference_error``, ``difference_low`` and ``difference_high``, ``is_decided``
        and ``sentence``.
    """
    results = [stored_result(Arrhenius, node) for node in (first, second)]
    return Dict(analysis.activation_energy_difference(*results).scalars())
