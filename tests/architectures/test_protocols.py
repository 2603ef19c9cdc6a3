from __future__ import annotations

import pytest

from aiida_edl.architectures.protocols import (
    available_protocols,
    hyperparameter_protocol,
    protocol_document,
    training_protocol,
)
from aiida_edl.registry import ARCHITECTURES, UnknownNameError, load_member, registered_names


@pytest.mark.parametrize('name', registered_names(ARCHITECTURES))
def test_protocols_of_this_package(name):
    assert {'fast', 'balanced'} <= set(available_protocols(name))
    assert all(available_protocols(name).values())


def test_architectures_of_paper_a_are_compared_at_equal_gradient_updates():
    names = [name for name in registered_names(ARCHITECTURES) if 'paper_a' in available_protocols(name)]
    assert {'deep_potential', 'deep_potential_mp'} <= set(names)
    assert {training_protocol(name, 'paper_a')['gradient_updates'] for name in names} == {200_000}


@pytest.mark.parametrize('name', registered_names(ARCHITECTURES))
def test_values_of_paper_a_are_cited_or_marked_as_chosen(name):
    sources = (
        'Paper A, arXiv 2602.22931',
        'L. B. T. de Kam, package appa',
        'J.-X. Zhu et al., J. Chem. Phys. 162, 024702 (2025)',
        'Chosen here',
    )
    protocol = protocol_document(load_member(ARCHITECTURES, name))['protocols'].get('paper_a', {})
    entries = [*protocol.get('training', {}).values(), *protocol.get('hyperparameters', {}).values()]
    assert [entry['source'] for entry in entries if not entry['source'].startswith(sources)] == []


def test_values_of_paper_a_are_those_of_the_published_inputs():
    potential, mace = (hyperparameter_protocol(name, 'paper_a') for name in ('deep_potential', 'mace'))
    assert (potential['cutoff_radius'], potential['smoothing_radius'], potential['n_axis_neurons']) == (6.0, 0.5, 16)
    assert (potential['embedding_network'], potential['fitting_network']) == ([25, 50, 100], [240, 240, 240])
    weights = ('initial_energy_prefactor', 'final_energy_prefactor', 'initial_force_prefactor', 'final_force_prefactor')
    assert [potential[name] for name in weights] == [0.02, 1.0, 1000.0, 1.0]
    # 64x0e + 64x1o; energies to forces as 1 to 10.
    names = ('cutoff_radius', 'n_interactions', 'n_channels', 'max_l', 'learning_rate', 'batch_size', 'ema_decay')
    assert [mace[name] for name in names] == [5.0, 2, 64, 1, 0.01, 3, 0.99]
    assert (mace['energy_weight'], mace['force_weight']) == (1.0, 10.0)


def test_values_are_returned_without_their_sources():
    values = hyperparameter_protocol('mace', 'fast')
    assert values['cutoff_radius'] == 4.0
    assert values['radial_network'] == [32, 32]
    chosen = load_member(ARCHITECTURES, 'mace').make_hyperparameters(values)
    assert chosen.radial_network == (32, 32)


def test_target_and_precision_are_proposed():
    assert training_protocol('mace', 'fast') == {'gradient_updates': 500, 'precision': 'float32'}


def test_default_protocol_is_balanced():
    assert hyperparameter_protocol('mace') == hyperparameter_protocol('mace', 'balanced')


def test_balanced_deep_potential_is_that_of_the_literature():
    values = hyperparameter_protocol('deep_potential', 'balanced')
    # Step size from 0.005 to 1e-8.
    assert values['learning_rate'] * values['learning_rate_ratio'] == pytest.approx(1e-8, rel=1e-12)


def test_unknown_protocol_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        hyperparameter_protocol('mace', 'fats')
    assert str(caught.value) == "unknown protocol of mace 'fats': did you mean 'fast'? Known: balanced, fast, paper_a."


def test_unknown_architecture_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        hyperparameter_protocol('mase', 'fast')
    assert str(caught.value).startswith("unknown architecture 'mase': did you mean 'mace'?")
