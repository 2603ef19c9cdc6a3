"""The node that holds a trained potential."""

from __future__ import annotations

import hashlib
import re

import pytest
from aiida.orm import QueryBuilder, load_node

from aiida_edl.data.potential import PotentialData

pytestmark = pytest.mark.usefixtures('aiida_profile')

CONTENT = b'weights'


def make_potential(**changes: object) -> PotentialData:
    """Return an unstored node."""
    description = {
        'architecture': 'mace',
        'elements': ['H', 'O', 'Au'],
        'cutoff_radius': 4.5,
        'n_layers': 2,
        'training_charge_labels': ['2Na', '0'],
        'level_of_theory': 'PBE-D3',
        'atomic_energies': {'H': -13.0, 'O': -430.0, 'Au': -3.0, 'Na': -1.0},
        'embeds_atomic_energies': True,
        'precision': 'float64',
        'seed': 7,
        'gradient_updates': 1000,
        **changes,
    }
    return PotentialData.from_model(CONTENT, 'model.pt', **description)


def test_model_file_comes_back_with_its_checksum():
    node = load_node(make_potential().store().uuid)
    assert node.get_content(mode='rb') == CONTENT
    assert node.filename == 'model.pt'
    assert node.base.attributes.get('sha256') == hashlib.sha256(CONTENT).hexdigest()


def test_properties_say_what_the_model_is():
    node = make_potential()
    assert (node.architecture, node.elements, node.precision) == ('mace', ('H', 'O', 'Au'), 'float64')


def test_receptive_field_is_layers_times_cutoff():
    assert make_potential().receptive_field == 9.0


def test_embedded_atomic_energies_are_not_added_again():
    assert make_potential().energy_shifts == {}


def test_atomic_energies_outside_the_model_are_added():
    node = make_potential(embeds_atomic_energies=False)
    assert node.energy_shifts == {'H': -13.0, 'O': -430.0, 'Au': -3.0}


def test_models_that_never_saw_a_charge_state_can_be_queried():
    seen = make_potential().store()
    other = make_potential(training_charge_labels=['2Na']).store()
    builder = QueryBuilder().append(PotentialData, filters={'attributes.training_charge_labels': {'!contains': ['0']}})
    found = {node.uuid for node in builder.all(flat=True)}
    assert other.uuid in found
    assert seen.uuid not in found


def test_empty_model_file_is_refused():
    with pytest.raises(ValueError, match=r"^the model file 'model\.pt' is empty$"):
        PotentialData.from_model(
            b'',
            'model.pt',
            architecture='mace',
            elements=[],
            cutoff_radius=1.0,
            n_layers=1,
            training_charge_labels=[],
            level_of_theory='',
            atomic_energies={},
            embeds_atomic_energies=True,
            precision='float64',
            seed=0,
            gradient_updates=0,
        )


def test_element_without_atomic_energy_is_refused():
    message = "no atomic energy is given for ['O', 'Au']; given: ['H']"
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        make_potential(atomic_energies={'H': -13.0})
