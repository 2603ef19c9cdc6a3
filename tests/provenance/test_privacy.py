"""What is private is found and replaced, in text, in binary content and in containers."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest

from aiida_edl.provenance.privacy import PrivacyRules, replace_content, search_content

RULES = PrivacyRules(words=('jane', 'node17.cluster.example'), paths=('/opt/group/jane',))


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ('run /home/jane/env/bin/lmp -in in.film', ['/home/jane/env/bin/lmp']),
        ("'/root/x.py'", ['/root/x.py']),
        ('-L/work/lib -lm', ['/work/lib']),
        ('line\\n/tmp/job/1', ['/tmp/job/1']),
        ('PATH=/scratch/a:/usr/bin', ['/scratch/a']),
        ('/opt/group/jane/lmp and /opt/lmp', ['/opt/group/jane/lmp']),
        ('asked Jane on node17.cluster.example', ['Jane', 'node17.cluster.example']),
        ('/var/tmp/run', ['/var/tmp/run']),
    ],
)
def test_private_text_is_found(text, found):
    assert RULES.find(text.encode()) == found


@pytest.mark.parametrize(
    'text', ['kcal/work', 'root-mean-square', 'results/tmp/file', 'https://example.org/home/page', 'janet', '/homework']
)
def test_other_text_is_not_found(text):
    assert RULES.find(text.encode()) == []


def test_replacement_in_text_is_readable():
    text = "cd '/home/jane/runs/a1'; /home/jane/env/bin/lmp"
    assert RULES.replace_in_text(text) == "cd '/anonymous/a1'; /anonymous/lmp"


def test_replacement_drops_a_last_folder_that_names_the_person():
    assert RULES.replace_in_text('HOME=/home/jane; cd /tmp') == 'HOME=/anonymous; cd /anonymous'


def test_replacement_in_bytes_keeps_the_length():
    content = b'\x00\x17/home/jane/models/x.py\xff'
    assert RULES.replace_in_bytes(content) == b'\x00\x17/xxxx/xxxx/xxxxxx/xxxx\xff'


def test_words_that_identify_nobody_are_not_searched():
    assert PrivacyRules(words=('root', 'ab', 'jane', 'localhost')).checked().words == ('jane',)


def test_paths_as_general_as_the_system_are_not_searched():
    assert PrivacyRules(paths=('/', '/usr', 'relative', '/root', '/opt/x/')).checked().paths == ('/opt/x', '/root')


def test_names_escaped_in_json_are_found():
    assert PrivacyRules(words=('Jürgen',)).find(b'{"name": "J\\u00fcrgen"}') == ['J\\u00fcrgen']


@pytest.fixture
def container():
    """Return a zip container as torch writes it: compressed text with a path, and an array."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('model/code/net.py.debug_pkl', b'\x80\x02X\x15/home/jane/src/net.pyq', zipfile.ZIP_DEFLATED)
        archive.writestr('model/data/0', np.arange(100.0).tobytes(), zipfile.ZIP_STORED)
    return buffer.getvalue()


def test_containers_are_opened(container):
    assert list(search_content(container, RULES, 'model.pt')) == [
        ('model.pt!model/code/net.py.debug_pkl', '/home/jane/src/net.pyq')
    ]


def test_clean_container_keeps_its_arrays(container):
    clean = replace_content(container, RULES)
    with zipfile.ZipFile(io.BytesIO(clean)) as archive:
        assert np.frombuffer(archive.read('model/data/0')).tolist() == np.arange(100.0).tolist()
        assert archive.read('model/code/net.py.debug_pkl') == b'\x80\x02X\x15/xxxx/xxxx/xxx/xxxxxxx'


def test_clean_container_aligns_arrays_to_64_bytes(container):
    clean = replace_content(container, RULES)
    assert clean.index(np.arange(100.0).tobytes()) % 64 == 0


def test_gzip_is_opened():
    content = gzip.compress(b'run in /tmp/job')
    assert list(search_content(content, RULES, 'log.gz')) == [('log.gz!', '/tmp/job')]
    assert gzip.decompress(replace_content(content, RULES)) == b'run in /anonymous/job'


def test_content_without_private_text_is_returned_as_it_is(container):
    content = b'nothing here'
    assert replace_content(content, RULES) is content


def test_wide_text_in_arrays_is_found():
    buffer = io.BytesIO()
    np.save(buffer, np.array(['/home/jane/frames.xyz']))
    assert list(search_content(buffer.getvalue(), RULES, 'group.npy')) == [('group.npy', '/home/jane/frames.xyz')]


@pytest.mark.parametrize('accident', [b'\xffjane\xff', b'\xff/tmp\xff', b'\xff/tmp/a\xff'])
def test_short_matches_in_numbers_are_accidents(accident):
    content = b'\0' + accident
    assert list(search_content(content, RULES)) == []
    assert RULES.replace_in_bytes(content) == content
