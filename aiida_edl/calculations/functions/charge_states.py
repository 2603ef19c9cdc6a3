"""What charge each interface of a study stands for."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict
from ase.data import chemical_symbols

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.charge_state import charge_state


@calcfunction
def charge_states(**structures: DatasetData) -> Dict:
    """List the charge states of interfaces: ions, charge of the metal, and surface charge density of each wet side.

    :param structures: interfaces by any link label, one frame each; the first of several is taken.
    :return: ``rows``, one for each interface, from few ions to many: ``charge_label``, ``n_ions``, ``metal_charge``
        [e], ``area`` [Å²], ``n_wet_sides``, and of one wet side ``surface_charge_e_per_angstrom2`` and
        ``surface_charge_microcoulomb_per_cm2``.
    """
    rows = []
    for node in structures.values():
        frame = node.frame(0)
        state = charge_state([chemical_symbols[number] for number in frame.numbers], frame.cell, node.n_wet_sides)
        rows.append(
            {
                'charge_label': state.label,
                'n_ions': sum(state.ions.values()),
                'metal_charge': state.metal_charge + 0.0,  # no negative zero
                'area': state.area,
                'n_wet_sides': state.n_wet_sides,
                'surface_charge_e_per_angstrom2': state.surface_charge_density + 0.0,
                'surface_charge_microcoulomb_per_cm2': state.surface_charge_density_microcoulomb_per_cm2 + 0.0,
            }
        )
    return Dict({'rows': sorted(rows, key=lambda row: (row['n_ions'], row['charge_label']))})
