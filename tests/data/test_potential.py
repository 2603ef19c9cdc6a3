"""The node that holds a trained potential."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import pytest
from aiida.orm import QueryBuilder, load_node

from aiida_edl.data.potential import PotentialData

pytestmark = pytest.mark.usefixtures('aiida_profile')

CONTENT = b'weights'


def make_potential(files: Mapping[str, bytes] | None = None, **changes: object) -> PotentialData:
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
    return PotentialData.from_model(files or {'model.pt': CONTENT}, **description)


def test_model_file_comes_back_with_its_checksum():
    node = load_node(make_potential().store().uuid)
    assert node.base.repository.get_object_content('model.pt', 'rb') == CONTENT
    assert node.model_files == ('model.pt',)
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


def test_model_of_several_files_keeps_their_paths_and_has_one_checksum():
    files = {'model/weights.bin': b'weights', 'model/config.json': b'{}'}
    node = load_node(make_potential(files).store().uuid)
    assert node.model_files == ('model/config.json', 'model/weights.bin')
    assert node.base.repository.get_object_content('model/weights.bin', 'rb') == b'weights'
    listing = ''.join(f'{hashlib.sha256(files[path]).hexdigest()}  {path}\n' for path in node.model_files)
    assert node.base.attributes.get('sha256') == hashlib.sha256(listing.encode()).hexdigest()


def test_model_that_was_trained_elsewhere_has_no_seed():
    node = make_potential(seed=None, gradient_updates=None, training_charge_labels=(), origin='a foundation model')
    assert [node.base.attributes.get(key) for key in ('seed', 'gradient_updates')] == [None, None]


def test_empty_model_file_is_refused():
    with pytest.raises(ValueError, match=r"^the model file 'model\.pt' is empty$"):
        make_potential({'model.pt': b''})


def test_model_without_files_is_refused():
    with pytest.raises(ValueError, match=r'^no model file is given$'):
        PotentialData.from_model(
            {},
            architecture='mace',
            elements=[],
            cutoff_radius=1.0,
            n_layers=1,
            level_of_theory='',
            atomic_energies={},
            embeds_atomic_energies=True,
            precision='float64',
        )


def test_element_without_atomic_energy_is_refused():
    message = "no atomic energy is given for ['O', 'Au']; given: ['H']"
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        make_potential(atomic_energies={'H': -13.0})
