"""Labels find the frames they belong to, however many parts there are."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.assemble_labels import assemble_labels
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet

GATE = {'energy_outlier_floor': 1e9}
"""Lets every energy pass, as energies are used here to tell frames apart."""


def summary(**failures):
    """Return what the engine says of a part."""
    return Dict({'level_of_theory': 'by hand', 'failures': failures})


def frames(n_atoms):
    """Return frames with these numbers of atoms."""
    offsets = np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64)
    return FrameSet(
        numbers=np.full(offsets[-1], 79, dtype=np.uint8),
        positions=np.outer(np.concatenate([np.arange(n) for n in n_atoms]), [2.0, 0.0, 0.0]),
        offsets=offsets,
        cells=np.tile(10 * np.eye(3), (len(n_atoms), 1, 1)),
        pbc=np.ones((len(n_atoms), 3), dtype=bool),
    )


def labels(energies, n_atoms, converged=None, **extra):
    """Return labels of consecutive frames."""
    node = ArrayData()
    node.set_array('energies', np.array(energies, dtype=float))
    node.set_array('forces', np.zeros((sum(n_atoms), 3)))
    node.set_array('offsets', np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64))
    node.set_array('converged', np.ones(len(n_atoms), dtype=bool) if converged is None else np.array(converged))
    for name, array in extra.items():
        node.set_array(name, array)
    return node


def assemble(n_atoms, **parts):
    """Return what the function makes of parts, without storing any of them."""
    dataset = DatasetData.from_frames(frames(n_atoms))
    return assemble_labels.__wrapped__(dataset, Dict(GATE), **parts)


@pytest.mark.parametrize('digits', [3, 4])
def test_more_than_a_thousand_parts_keep_their_order(digits):
    n_parts = 1002
    parts, of_all = {}, summary()
    for number in range(1, n_parts + 1):
        parts[f'labels_{number:0{digits}d}'] = labels([number], [1])
        parts[f'summary_{number:0{digits}d}'] = of_all
    outputs = assemble([1] * n_parts, **parts)
    np.testing.assert_array_equal(outputs['dataset'].frames().energies, np.arange(1, n_parts + 1))


def test_labels_of_other_frames_are_refused():
    parts = {'labels_1': labels([1.0, 2.0], [1, 3]), 'summary_1': summary()}
    with pytest.raises(
        ValueError,
        match='labels_1 has labels of 3 atoms for frame 1, which has 2; number the parts in the order of the frames',
    ):
        assemble([1, 2], **parts)


def test_parts_of_too_few_frames_are_refused():
    with pytest.raises(ValueError, match='the parts hold 1 frames, but the data set has 2; give one part for each'):
        assemble([1, 1], labels_1=labels([1.0], [1]), summary_1=summary())


def test_part_without_labels_is_listed_with_its_reason():
    missing = Dict({'n_frames': 2, 'reason': 'the node was lost'})
    outputs = assemble(
        [1, 2, 3, 4],
        labels_1=labels([1.0], [1]),
        summary_1=summary(),
        missing_2=missing,
        labels_3=labels([4.0], [4]),
        summary_3=summary(),
    )
    findings = [{'check': 'label', 'value': None, 'limit': None}]
    assert outputs['rejected']['frames'] == [
        {'frame': 1, 'reason': 'the node was lost', 'findings': findings},
        {'frame': 2, 'reason': 'the node was lost', 'findings': findings},
    ]
    np.testing.assert_array_equal(outputs['dataset'].frames().energies, [1.0, 4.0])


def test_part_in_which_nothing_converged_takes_no_array_from_the_others():
    failed = labels([np.nan], [2], converged=[False])
    outputs = assemble(
        [1, 2],
        labels_1=labels([1.0], [1], charges=np.array([0.5]), metal_potential=np.array([2.0])),
        summary_1=summary(),
        labels_2=failed,
        summary_2=summary(**{'0': 'SCF'}),
    )
    assembled = outputs['dataset'].frames()
    assert assembled.charges.tolist() == [0.5]
    assert assembled.columns['metal_potential'].tolist() == [2.0]
    (rejected,) = outputs['rejected']['frames']
    assert rejected['frame'] == 1
    assert rejected['reason'] == 'SCF'


def test_steps_at_their_limit_are_rejected_with_value_and_limit():
    steps = {'n_scf_steps': np.array([12.0, 60.0]), 'maximum_scf_steps': np.array([60.0, 60.0])}
    outputs = assemble([1, 2], labels_1=labels([1.0, 2.0], [1, 2], **steps), summary_1=summary())
    assert outputs['rejected']['frames'] == [
        {
            'frame': 1,
            'reason': 'the self-consistent field used 60 steps of at most 60',
            'findings': [{'check': 'scf_steps', 'value': 60.0, 'limit': 60.0}],
        }
    ]
    assert outputs['dataset'].frames().columns['n_scf_steps'].tolist() == [12.0]


def test_profiles_of_other_lengths_stay_with_the_labels():
    outputs = assemble(
        [1, 2],
        labels_1=labels([1.0], [1], potential_profiles=np.zeros((1, 5))),
        summary_1=summary(),
        labels_2=labels([2.0], [2], potential_profiles=np.zeros((1, 7))),
        summary_2=summary(),
    )
    assert outputs['dataset'].frames().energies.tolist() == [1.0, 2.0]
    assert outputs['dataset'].columns() == ()


def test_diagnostics_of_one_part_are_looked_at_though_another_has_none():
    films = {'vacuum_fields': np.array([[0.5, 0.5]]), 'stresses': np.zeros((1, 3, 3))}
    outputs = assemble(
        [1, 2],
        labels_1=labels([1.0], [1], **films),
        summary_1=summary(),
        labels_2=labels([2.0], [2]),
        summary_2=summary(),
    )
    assert [entry['frame'] for entry in outputs['rejected']['frames']] == [0]
    assert 'stresses are left out, as only 1 of 2 frames have them' in outputs['rejected']['notes']


def test_results_of_an_earlier_method_are_dropped():
    source = frames([1]).with_columns(fermi_level=-9.9, n_electrons=8.0, total_charge=1.0)
    outputs = assemble_labels.__wrapped__(
        DatasetData.from_frames(source), Dict(GATE), labels_1=labels([1.0], [1]), summary_1=summary()
    )
    assert outputs['dataset'].columns() == ('total_charge',)


def test_convention_of_charges_is_kept():
    said = Dict({'level_of_theory': 'by hand', 'failures': {}, 'charge_convention': 'electrons by NELECT'})
    outputs = assemble([1], labels_1=labels([1.0], [1]), summary_1=said)
    assert outputs['dataset'].base.attributes.get('charge_convention') == 'electrons by NELECT'


def test_without_any_labels_there_is_no_data_set():
    outputs = assemble([1, 2], missing_1=Dict({'n_frames': 2, 'reason': 'no licence'}))
    assert set(outputs) == {'rejected'}
    assert outputs['rejected']['n_rejected'] == 2
