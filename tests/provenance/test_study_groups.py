"""What a benchmark made lies in groups that say what it is."""

from __future__ import annotations

import re

import pytest
from aiida.orm import Group

from aiida_edl.provenance.study_groups import STUDY_EXTRA, group_study, study_name


def test_members_are_grouped_by_stage_and_charge_state(benchmark):
    labels = {row.group.removeprefix('edl/by_stage/') for row in group_study(benchmark.process, 'by_stage')}
    assert {'benchmarks', 'dataset', 'answer', 'potentials/mixed', 'training_sets/single_2', 'labels/2Na'} <= labels
    assert {'structures/0', 'reference/2Na', 'analyses/2Na'} <= labels


def test_potentials_are_those_of_the_training_set(benchmark):
    group_study(benchmark.process, 'by_set')
    group = Group.collection.get(label='edl/by_set/potentials/mixed')
    outputs = benchmark.process.outputs.potentials
    expected = {outputs[key].uuid for key in outputs if '_mixed_' in key}
    assert {node.uuid for node in group.nodes} == expected


def test_grouping_again_adds_nothing(benchmark):
    first = group_study(benchmark.process, 'twice')
    second = group_study(benchmark.process, 'twice')
    assert sum(row.n_added for row in first) > 0
    assert [row.n_added for row in second] == [0] * len(first)
    assert [row.n_members for row in second] == [row.n_members for row in first]


def test_study_has_the_name_it_was_given(benchmark):
    node = benchmark.process
    assert re.fullmatch(r'[\w.-]+', study_name(node))
    node.base.extras.set(STUDY_EXTRA, 'mine')
    assert study_name(node) == 'mine'
    node.base.extras.delete(STUDY_EXTRA)


def test_name_that_is_no_part_of_a_label_is_refused(benchmark):
    message = "'a/b' cannot be the name of a study; use letters, digits, dots, hyphens and underscores only"
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        group_study(benchmark.process, 'a/b')
