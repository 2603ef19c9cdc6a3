"""Ready-made ``model_parameters`` of well-known calculators."""

from __future__ import annotations

from typing import Any

ELECTRONIC_TEMPERATURE = 1000.0
"""Electronic temperature of the xTB recipes [K]: keeps the SCF of metals stable; chosen here, tblite's own default is
300 K."""
MAXIMUM_ITERATIONS = 500
"""SCF steps after which a frame counts as failed; metals need more than tblite's own default of 250."""


def gfn1_xtb(charge: float = 0.0, electronic_temperature: float = ELECTRONIC_TEMPERATURE) -> dict[str, Any]:
    """Return parameters for labels by GFN1-xTB with the programme tblite.

    GFN1-xTB is a tight-binding method for all elements up to radon (S. Grimme, C. Bannwarth and P. Shushkov, J. Chem.
    Theory Comput. 13, 1989 (2017)); labels are energies (electronic free energies, whose negative gradient the forces
    are), forces, stresses and Mulliken charges. tblite treats a cell as periodic in all directions or in none, so the
    frames are made fully periodic: a film needs enough vacuum, and no net dipole, to be apart from its images.

    :param charge: total charge of the cell [e]; 0 for the neutral cells of this project.
    :param electronic_temperature: temperature of the Fermi distribution of the electrons [K].
    """
    arguments = {
        'method': 'GFN1-xTB',
        'charge': charge,
        'electronic_temperature': electronic_temperature,
        'max_iterations': MAXIMUM_ITERATIONS,
        'verbosity': 0,
    }
    return {
        'recipe': {'module': 'tblite.ase', 'attribute': 'TBLite', 'keyword_arguments': arguments, 'environment': {}},
        'level_of_theory': (
            f'GFN1-xTB (tblite, its own D3 with Becke-Johnson damping), total charge {charge:g} e, '
            f'electronic temperature {electronic_temperature:g} K, fully periodic'
        ),
        'pbc': [True, True, True],
        'packages': ['tblite'],
    }
