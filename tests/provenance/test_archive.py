"""An archive that may be published."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile

import pytest
from aiida.orm import Data, QueryBuilder

from aiida_edl.provenance import archive, audit, read_back
from aiida_edl.provenance.privacy import PrivacyRules

RULES = PrivacyRules(words=('jane',))


@pytest.fixture(scope='module')
def published(benchmark, tmp_path_factory):
    return archive.publish([benchmark.process], tmp_path_factory.mktemp('archive') / 'study.aiida', RULES)


@pytest.fixture
def database(published, tmp_path):
    with zipfile.ZipFile(published.archive) as container:
        return sqlite3.connect(container.extract('db.sqlite3', tmp_path))


def test_audit_before_export_finds_hosts_persons_and_paths(benchmark):
    report = archive.audit_before_export([benchmark.process], RULES)
    texts = {finding.text for finding in report.findings}
    expected = {'login7.cluster.example', '/home/jane/aiida_run', '/home/jane/env/bin/python', '/home/jane/setup.sh'}
    assert texts >= expected | {'test@localhost'}
    assert any(text.startswith('/tmp/aiida_run/') for text in texts)


def test_audit_names_the_node_and_the_file(benchmark):
    report = archive.audit_before_export([benchmark.process], RULES)
    scripts = [finding for finding in report.findings if finding.where == '_aiidasubmit.sh']
    (node,) = {finding.node for finding in scripts}
    assert QueryBuilder().append(Data, filters={'uuid': node}).count() == 0  # a calculation, not data
    assert '/home/jane/setup.sh' in {finding.text for finding in scripts}


def test_published_archive_is_clean(published):
    assert published.audit.findings == ()


def test_published_archive_holds_no_private_byte(published):
    with zipfile.ZipFile(published.archive) as container:
        content = b''.join(container.read(name) for name in container.namelist())
    assert [word for word in (b'/home/', b'jane', b'/tmp/', b'cluster.example', b'test@') if word in content] == []


def test_published_archive_keeps_all_nodes_and_links(published, benchmark, database):
    n_nodes, n_links = (database.execute(f'SELECT COUNT(*) FROM {t}').fetchone()[0] for t in ('db_dbnode', 'db_dblink'))
    assert (n_nodes, n_links) == (370, 721)
    assert sum(published.counts.values()) == n_nodes == len(archive.select_nodes([benchmark.process]))


def test_computer_is_anonymous(database):
    assert database.execute('SELECT label, hostname, metadata FROM db_dbcomputer').fetchall() == [
        ('computer_1', 'computer_1', '{"workdir": "/anonymous/aiida_run"}')
    ]


def test_submit_scripts_are_rewritten_under_their_new_checksum(published, database):
    rows = [json.loads(row[0]) for row in database.execute('SELECT repository_metadata FROM db_dbnode')]
    (key,) = {row['o']['_aiidasubmit.sh']['k'] for row in rows if '_aiidasubmit.sh' in row.get('o', {})}
    assert key in published.cleaning.checksums.values()
    with zipfile.ZipFile(published.archive) as container:
        content = container.read(f'repo/{key}')
    assert content == b"#!/bin/bash\nsource /anonymous/setup.sh\n'/anonymous/python' run_commands.py\n"
    assert hashlib.sha256(content).hexdigest() == key


def test_model_files_state_the_checksum_they_have(published, database):
    query = "SELECT attributes, repository_metadata FROM db_dbnode WHERE node_type LIKE '%PotentialData%'"
    rows = [(json.loads(attributes), json.loads(files)) for attributes, files in database.execute(query)]
    assert len(rows) == 6
    assert [attributes['sha256'] for attributes, _ in rows] == [files['o']['model.pt']['k'] for _, files in rows]
    with zipfile.ZipFile(published.archive) as container:
        contents = {container.read(f'repo/{attributes["sha256"]}') for attributes, _ in rows}
    assert b'mace mixed 1\0/xxxx/xxxx/xxx/xxxxxxxxxxxxx/xxxxxx' in contents


def test_questions_are_answered_alike_after_import(published):
    assert published.read_back.is_equal
    assert published.read_back.n_answers > 10
    assert published.read_back.n_datasets == 17


def test_tables_and_figures_of_the_report_are_among_the_questions(benchmark):
    answers = read_back.study_answers(benchmark.process)
    assert answers['table errors'][0].startswith('architecture,training_set,seed,')
    assert len(answers['figure errors'][0]) == 64


def test_readme_states_counts_and_versions(published):
    text = published.readme.read_text()
    assert '| TrainingCalculation | 6 |' in text
    assert '| mace-torch | 0.3.16 |' in text
    assert f'Read back in an empty profile: {published.read_back.n_answers} questions gave the same' in text


def changed(source, target, replace):
    """Copy an archive, its files as ``replace`` gives them."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, 'w') as new:
        for info in old.infolist():
            new.writestr(info, replace(info.filename, old.read(info)))
    return target


def test_verify_of_the_published_archive(published):
    report, comparison = archive.verify(published.archive, RULES)
    assert report.is_clean
    assert comparison.sentence == (
        'read back in an empty profile: 17 data sets have the arrays their checksums promise'
    )


def test_verify_finds_another_stated_checksum(published, benchmark, tmp_path):
    stated = benchmark.nodes['dataset'].base.attributes.get('sha256').encode()

    def replace(name, content):
        return content.replace(stated, stated[::-1]) if name == 'db.sqlite3' else content

    _, comparison = archive.verify(changed(published.archive, tmp_path / 'broken.aiida', replace), RULES)
    uuid = benchmark.nodes['dataset'].uuid
    assert comparison.differences == (f'data set {uuid} states another checksum than its arrays have',)


def test_damaged_file_is_not_read_back(published, tmp_path):
    key = next(iter(published.cleaning.checksums.values()))

    def replace(name, content):
        return content[:-1] if name == f'repo/{key}' else content

    with pytest.raises(audit.ArchiveError, match=r"^'broken.aiida' cannot be read back: .*key is different"):
        archive.verify(changed(published.archive, tmp_path / 'broken.aiida', replace), RULES)


def test_other_answers_are_told_apart():
    expected = {'studies': {'a': {'cost': [1], 'errors': [2]}}, 'datasets': {'d': 'x'}}
    found = {'studies': {'a': {'cost': [1], 'errors': [3]}}, 'datasets': {'d': 'x'}, 'stated_checksums': {'d': 'y'}}
    assert read_back.compare_answers(expected, found).differences == (
        "'errors' of a differs",
        'data set d states another checksum than its arrays have',
    )


def test_licensed_nodes_are_refused(benchmark, monkeypatch):
    monkeypatch.setattr(archive, 'LICENSED_NODE_TYPES', ('data.edl.potential',))
    with pytest.raises(audit.ArchiveError, match=r"^6 nodes of type 'data.edl.potential' hold licensed files"):
        archive.refuse_licensed(archive.select_nodes([benchmark.process]))


def test_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / 'x.aiida').write_text('no')
    with pytest.raises(audit.ArchiveError) as error:
        audit.audit_archive(tmp_path / 'x.aiida', RULES)
    assert str(error.value) == (
        "'x.aiida' is not an AiiDA archive: it must be a zip file made by 'verdi archive create'"
    )
