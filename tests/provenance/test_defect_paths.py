"""Paths of defects are found in the graph, also in that of an archive."""

from __future__ import annotations

import dataclasses

import pytest
from aiida.orm import WorkChainNode, load_node
from aiida.tools.archive import create_archive, import_archive
from path_cases import HOP, INTERVAL, add_assessment, path_study

from aiida_edl.provenance.defect_paths import defect_paths
from aiida_edl.science.analysis.defect_walk import defect_walk

NAIVE = 'naive_50_0_1'


@pytest.fixture(scope='module')
def study(aiida_profile):
    return path_study()


def test_every_model_and_temperature_has_its_paths(study):
    found = {(row.system, row.family, row.model, row.temperature_kelvin, row.replica) for row in defect_paths(study)}
    assert found == {
        ('interstitial', family, model, temperature, replica)
        for family, model, temperature in (
            ('naive', NAIVE, 700.0),
            ('naive', NAIVE, 1000.5),
            ('zero_shot', 'zero_shot_0_0_1', 700.0),
        )
        for replica in (0, 1)
    }


def test_path_says_where_and_since_when_and_by_what(study):
    rows = [
        row for row in defect_paths(study) if (row.model, row.temperature_kelvin, row.replica) == (NAIVE, 1000.5, 0)
    ]
    assert [row.time_fs for row in rows] == [0.0, 10 * INTERVAL, 20 * INTERVAL, 30 * INTERVAL]
    assert [(row.kind, row.mechanism, row.n_atoms) for row in rows] == [
        ('interstitial', '', None),
        *[('interstitial', 'direct', 1)] * 3,
    ]
    assert [row.x_angstrom - rows[0].x_angstrom for row in rows] == pytest.approx([0.0, HOP, 2 * HOP, 3 * HOP])
    assert {(row.y_angstrom, row.z_angstrom) for row in rows} == {(1.0, 1.0)}


def test_defect_that_stays_has_one_point(study):
    rows = [row for row in defect_paths(study) if (row.model, row.replica) == (NAIVE, 1)]
    assert [(row.temperature_kelvin, row.time_fs, row.carrier) for row in rows] == [(700.0, 0.0, 0), (1000.5, 0.0, 0)]


def test_assessment_alone_is_no_model_of_a_study(study):
    assessment = study.base.links.get_outgoing().get_node_by_label(f'assessment_interstitial_{NAIVE}')
    rows = defect_paths(assessment)
    assert {(row.system, row.model, row.family) for row in rows} == {('', '', '')}
    assert len(rows) == 2 + 1 + 4 + 1


def test_study_that_has_not_ended_names_models_by_their_calls(aiida_profile):
    study = WorkChainNode().store()
    add_assessment(study, 'assessment_interstitial_zero_shot', {'T0700': 0})
    assert {(row.system, row.model) for row in defect_paths(study)} == {('', 'interstitial_zero_shot')}


def test_process_without_assessments_has_no_path(aiida_profile):
    assert defect_paths(WorkChainNode().store()) == []


def test_events_without_a_defect_have_no_place(study, monkeypatch):
    def walk_without_last(found, cells, starts):
        walk = defect_walk(found, cells, starts)
        points = {field.name: getattr(walk, field.name)[walk.event < 2] for field in dataclasses.fields(walk)[:-1]}
        return dataclasses.replace(walk, **points, unplaced=walk.event[walk.event >= 2])

    monkeypatch.setattr('aiida_edl.provenance.defect_paths.defect_walk', walk_without_last)
    (row,) = [row for row in defect_paths(study) if row.carrier is None]
    assert (row.kind, row.mechanism, row.replica, row.time_fs, row.x_angstrom) == ('', 'direct', 0, 600.0, None)


def test_archive_gives_the_same_paths(study, aiida_profile, tmp_path):
    """Last: the profile is emptied."""
    before, uuid = defect_paths(study), study.uuid
    for process in [study, *study.called]:
        process.seal()
    create_archive([study], filename=tmp_path / 'study.aiida')
    aiida_profile.reset_storage()
    import_archive(tmp_path / 'study.aiida')
    assert defect_paths(load_node(uuid)) == before
    aiida_profile.reset_storage()
