"""Questions to a stored benchmark."""

from __future__ import annotations

import pytest
from aiida.common.links import LinkType
from aiida.orm import CalcFunctionNode, WorkChainNode

from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance import queries


@pytest.fixture(scope='module')
def empty_study(benchmark):
    node = WorkChainNode()
    node.set_process_label('ChargedInterfaceBenchmarkWorkChain')
    return node.store()


def test_trained_potentials(benchmark):
    rows = queries.trained_potentials(benchmark.process)
    assert [(row.architecture, row.training_set, row.seed) for row in rows] == [
        ('deep_potential', 'mixed', 1),
        ('deep_potential', 'mixed', 2),
        ('deep_potential', 'single_2', 1),
        ('deep_potential', 'single_2', 2),
        ('mace', 'mixed', 1),
        ('mace', 'single_2', 1),
    ]


def test_trained_potential_states_its_receptive_field(benchmark):
    row = queries.trained_potentials(benchmark.process)[-1]
    assert (row.receptive_field, row.training_charge_labels, row.gradient_updates) == (9.0, ('2Na',), 400)


def test_potentials_trained_only_on_two_ions(benchmark):
    rows = queries.potentials_trained_only_on('2Na')
    assert [(row.architecture, row.seed) for row in rows] == [('deep_potential', 1), ('deep_potential', 2), ('mace', 1)]


def test_potentials_that_also_saw_other_states_are_left_out(benchmark):
    assert queries.potentials_trained_only_on('0') == []


def test_another_study_has_no_potentials(benchmark, empty_study):
    assert queries.trained_potentials(empty_study) == []
    assert queries.all_errors(empty_study) == []
    assert queries.rejected_frames(empty_study) == []


def test_labels_behind_mixed_potential(benchmark):
    rows = queries.labels_behind_potential(benchmark.nodes['potentials']['mace_mixed_seed_01'])
    assert [(row.charge_state, row.n_training, row.n_validation) for row in rows] == [('0', 4, 2), ('2Na', 4, 2)]
    assert {row.level_of_theory for row in rows} == {'classical reference, SPC/Fw water'}
    assert {row.dataset for row in rows} == {benchmark.nodes['dataset'].uuid}
    assert [len(row.labelling) for row in rows] == [1, 1]
    assert rows[0].labelling != rows[1].labelling


def test_labels_behind_single_potential_are_of_one_state(benchmark):
    (row,) = queries.labels_behind_potential(benchmark.nodes['potentials']['mace_single_2_seed_01'])
    assert (row.charge_state, row.n_training) == ('2Na', 4)


def test_labels_of_imported_potential_are_unknown(benchmark):
    node = PotentialData()
    node.base.repository.put_object_from_bytes(b'model', 'model.pt')
    node.store()
    with pytest.raises(ValueError, match=r'was not trained here, so its labels are unknown$'):
        queries.labels_behind_potential(node)


def test_labels_behind_a_converted_potential_are_those_of_its_training(benchmark):
    parent = benchmark.nodes['potentials']['mace_single_2_seed_01']
    conversion = CalcFunctionNode()
    conversion.base.links.add_incoming(parent, LinkType.INPUT_CALC, 'potential')
    conversion.store()
    converted = parent.with_files({'model.pt': b'model'}, 'another')
    converted.base.links.add_incoming(conversion, LinkType.CREATE, 'converted_potential')
    (row,) = queries.labels_behind_potential(converted.store())
    assert (row.potential, row.charge_state, row.n_training) == (converted.uuid, '2Na', 4)


def test_all_errors_name_the_model(benchmark):
    rows = queries.all_errors(benchmark.process)
    assert len(rows) == 6 * 4
    assert list(rows[0])[:7] == ['architecture', 'training_set', 'seed', 'potential', 'scope', 'name', 'charge_state']
    assert rows[0]['potential'] == benchmark.nodes['potentials']['deep_potential_mixed_seed_01'].uuid


def test_best_model_of_each_architecture(benchmark):
    rows = queries.best_force_rmse_per_architecture(benchmark.process)
    found = {
        (row['architecture'], row['training_set'], row['charge_state']): (
            row['seed'],
            row['force_rmse_ev_per_angstrom'],
        )
        for row in rows
    }
    assert found['deep_potential', 'mixed', '2Na'] == (1, pytest.approx(0.21))  # seed 2 has 0.22
    assert found['mace', 'single_2', '0'] == (1, pytest.approx(0.33))
    assert len(found) == 12


def test_cost_per_stage(benchmark):
    rows = {row.stage: row for row in queries.cost_per_stage(benchmark.process)}
    assert list(rows) == [
        'structures',
        'reference dynamics',
        'labelling',
        'data sets',
        'training',
        'evaluation',
        'production dynamics',
        'analysis',
        'comparison',
    ]
    assert (rows['training'].calculations, rows['training'].wall_seconds, rows['training'].cpu_seconds) == (6, 360, 324)
    assert (rows['production dynamics'].calculations, rows['production dynamics'].failed) == (9, 1)
    assert rows['production dynamics'].wall_seconds == 8 * 30.0  # the one that exploded states no time


def test_runs_with_protocol(benchmark):
    (row,) = queries.runs_with_protocol('fast')
    assert (row.process, row.state, row.exit_status) == (benchmark.process.uuid, 'finished', 700)
    assert queries.runs_with_protocol('study') == []


def test_figures_depending_on_the_data_set(benchmark):
    rows = queries.figures_depending_on(benchmark.nodes['dataset'])
    counts = {}
    for row in rows:
        counts[row.figure] = counts.get(row.figure, 0) + 1
    # The reference profiles do not follow from the labels.
    of_runs = ('orientation, ions, densities, angles', 'angles in layers', 'potential, electric field')
    of_runs += ('radial distributions', 'survival, reorientation', 'convergence')
    assert counts == {
        **dict.fromkeys(('errors, energy shifts', 'learning curves'), 6),
        **dict.fromkeys(of_runs, 8),
        **dict.fromkeys(('spread', 'force ratios', 'receptive fields', 'capacitance', 'solvent dipoles'), 1),
    }


def test_figures_depending_on_one_potential(benchmark):
    rows = queries.figures_depending_on(benchmark.nodes['potentials']['mace_single_2_seed_01'])
    assert [(row.figure, row.made_by) for row in rows] == [
        ('angles in layers', 'angular_distributions'),
        ('capacitance', 'capacitance'),
        ('convergence', 'convergence'),
        ('errors, energy shifts', 'error_metrics'),
        ('force ratios', 'training_penalty'),
        ('orientation, ions, densities, angles', 'interface_profiles'),
        ('potential, electric field', 'potential_profile'),
        ('radial distributions', 'interface_structure'),
        ('receptive fields', 'receptive_field_ranking'),
        ('solvent dipoles', 'compare_solvent_dipoles'),
        ('spread', 'model_spread'),
        ('survival, reorientation', 'interface_dynamics'),
    ]


def test_rejected_frames(benchmark):
    (row,) = queries.rejected_frames(benchmark.process)
    reason = 'the largest force is 45 eV/Å, the cap is 30 eV/Å'
    assert (row.charge_state, row.frame, row.reason) == ('2Na', 7, reason)


def test_failed_processes(benchmark):
    rows = queries.failed_processes(benchmark.process)
    place = 'deep_potential_single_2_seed_02/md_2Na'
    assert {row.name for row in rows} == {place, f'{place}/iteration_01'}
    assert {row.message for row in rows} == {'The temperature rose above 3000 K at step 120'}
