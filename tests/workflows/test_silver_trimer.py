"""Ag3+ and Ag3-: one geometry, two charges, and a model that is not told which (Ko et al. 2021).

T. W. Ko, J. A. Finkler, S. Goedecker and J. Behler, Nat. Commun. 12, 398 (2021): the cation is a triangle, the anion a
chain. GFN1-xTB says the same, and gives the labels here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Bool, Dict, Str
from ase import Atoms
from calculation_cases import potential
from toy.layered_model import LayeredModel

from aiida_edl.data.dataset import DatasetData
from aiida_edl.drivers.evaluate_model import make_object
from aiida_edl.science.analysis.charge_blindness import charge_blindness
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.locality_test import LocalityTestWorkChain
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb

TEMPERATURE = 300.0
"""Electronic temperature [K]; that of the recipe is for metals, and would smear the levels of a molecule."""
GEOMETRIES = {
    'triangle': [[0.0, 0.0, 0.0], [2.736, 0.0, 0.0], [1.368, 2.369, 0.0]],
    'chain': [[0.0, 0.0, 0.0], [2.595, 0.05, 0.0], [5.19, 0.0, 0.0]],
}
"""Near the structures of lowest energy of the cation and of the anion [Å]."""
CHARGES = (1.0, -1.0)


def frame(name: str, charge: float, **labels) -> Frame:
    return Frame(
        np.full(3, 47, np.uint8),
        np.array(GEOMETRIES[name]),
        np.zeros((3, 3)),
        np.zeros(3, bool),
        columns={'group': name, 'total_charge': charge},
        **labels,
    )


@pytest.fixture(scope='module')
def labelled() -> FrameSet:
    """Return both geometries at both charges, labelled by GFN1-xTB."""
    frames = []
    for name, positions in GEOMETRIES.items():
        for charge in CHARGES:
            atoms = Atoms('Ag3', positions, calculator=make_object(gfn1_xtb(charge, TEMPERATURE)['recipe']))
            frames.append(
                frame(name, charge, energy=float(atoms.get_potential_energy()), forces=np.array(atoms.get_forces()))
            )
    return FrameSet.from_frames(frames)


def test_cation_is_a_triangle_and_anion_a_chain(labelled):
    triangle_plus, triangle_minus, chain_plus, chain_minus = labelled.energies
    # 0.90 eV and 0.25 eV between the relaxed structures
    assert chain_plus - triangle_plus == pytest.approx(0.90, abs=0.1)
    assert triangle_minus - chain_minus == pytest.approx(0.25, abs=0.1)


def test_no_model_without_the_charge_can_have_both(labelled):
    found = LayeredModel(4.0, 2).predict(labelled)
    blind = charge_blindness(labelled, found.energies, found.forces, 'total_charge', (1e-9, 1e-9))
    assert blind.is_blind
    assert (blind.model_energy_difference_ev, blind.model_force_difference_ev_per_angstrom) == (0.0, 0.0)
    differences = labelled.energies[::2] - labelled.energies[1::2]
    assert blind.energy_floor_ev == pytest.approx(0.5 * np.sqrt((differences**2).mean()), rel=1e-12)
    assert blind.energy_floor_ev == pytest.approx(7.7, abs=0.3)
    assert blind.energy_rmse_ev >= blind.energy_floor_ev


def test_electron_affinity_apart_the_order_of_structures_cannot_be_right(labelled):
    """An energy shift for each charge, which a model may be given, leaves the order of the structures."""
    shifts = np.repeat([labelled.energies[::2].mean(), labelled.energies[1::2].mean()], 1)
    shifted = replace(labelled, energies=labelled.energies - np.tile(shifts, 2))
    blind = charge_blindness(shifted, np.zeros(4), np.zeros((12, 3)), 'total_charge', (1e-9, 1e-9))
    # half of (0.90 + 0.25) eV, between two geometries
    assert blind.energy_floor_ev == pytest.approx(0.29, abs=0.05)


def test_model_that_is_told_the_charge_is_accepted(labelled):
    told = charge_blindness(labelled, labelled.energies, labelled.forces, 'total_charge', (1e-9, 1e-9))
    assert (told.is_blind, told.energy_rmse_ev) == (False, 0.0)


@pytest.mark.slow
def test_labels_of_both_charges_meet_a_potential_in_the_graph(python_code):
    parts = {}
    for charge in CHARGES:
        unlabelled = FrameSet.from_frames([frame(name, charge) for name in GEOMETRIES])
        parameters = {**gfn1_xtb(charge, TEMPERATURE), 'pbc': [False, False, False]}
        outputs, node = run_get_node(
            LabellingWorkChain,
            dataset=DatasetData.from_frames(unlabelled),
            engine=Str('ase_calculator'),
            code=python_code,
            model_parameters=Dict(parameters),
            check_gradients=Bool(False),
        )
        assert node.is_finished_ok, node.exit_message
        parts[charge] = outputs['dataset'].frames()
    joined = FrameSet.concatenate(list(parts.values()))
    charged = DatasetData.from_frames(joined, level_of_theory='GFN1-xTB')
    trimer = potential(('Ag',), atomic_energies={'Ag': -100.0}).store()
    outputs, node = run_get_node(
        LocalityTestWorkChain,
        potentials={'toy': trimer},
        codes={'least_squares': python_code},
        structure=charged,
        settings=Dict({'charge_column': 'total_charge', 'charges': list(CHARGES), 'n_moved': 1}),
        charge_frames=charged,
    )
    assert node.is_finished_ok, node.exit_message
    (row,) = outputs['report'].get_dict()['charge_rows']
    assert row['is_blind']
    assert row['energy_rmse_ev'] >= row['energy_floor_ev'] > 7.0
