"""An archive that may be published."""

from __future__ import annotations

import pytest

from aiida_edl.provenance import archive
from aiida_edl.provenance.privacy import PrivacyRules

RULES = PrivacyRules(words=('jane',))


@pytest.fixture(scope='module')
def published(benchmark, tmp_path_factory):
    return archive.publish([benchmark.process], tmp_path_factory.mktemp('archive') / 'study.aiida', RULES)


def test_audit_before_export_finds_users_hosts_and_paths(benchmark):
    report = archive.audit_before_export([benchmark.process], RULES)
    texts = {finding.text for finding in report.findings}
    print(sorted(texts)[:30], len(report.findings))
    assert 'login7.cluster.example' in texts


def test_published_archive_is_clean(published):
    assert published.audit.findings == ()
    print(published.sentence)
    print(published.readme.read_text())
