"""The registry of foundation models, and what happens to a file before it is stored as one of them."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import types
import urllib.error
from pathlib import Path

import pytest
import yaml
from aiida.orm import QueryBuilder
from click.testing import CliRunner

from aiida_edl.cli.main import main
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance import foundation_import, foundation_registry
from aiida_edl.provenance.foundation_import import add_foundation_model, download
from aiida_edl.provenance.foundation_registry import FoundationModel, find_model, foundation_models, read_model
from aiida_edl.provenance.potential_import import PotentialImportError, import_potential, read_description
from aiida_edl.registry import ARCHITECTURES, registered_names

CONTENT = b'weights'
SHA256 = hashlib.sha256(CONTENT).hexdigest()
VALUES = {
    'architecture': 'mace',
    'name': 'mini of 2026',
    'licence': 'MIT',
    'citation': 'nobody (2026)',
    'level_of_theory': 'PBE as in MPtrj',
    'training_set': 'MPtrj',
    'functional': 'PBE',
    'elements': ['H', 'O'],
    'cutoff_radius': 5.0,
    'n_layers': 2,
    'precision': 'float32',
    'n_bytes': len(CONTENT),
    'sha256': SHA256,
}
URL = 'https://example.org/models/mini.model'


def model(**changes) -> FoundationModel:
    """Return an entry; facts that are None are not known."""
    values = {key: value for key, value in {**VALUES, **changes}.items() if value is not None}
    return FoundationModel('mini', values)


@pytest.fixture
def file(tmp_path) -> Path:
    (path := tmp_path / 'mini.model').write_bytes(CONTENT)
    return path


@pytest.fixture
def served(monkeypatch):
    """Return a function that lets an address answer with what it is given, or fail."""

    class Answer(io.BytesIO):
        headers = {'Content-Type': 'application/octet-stream'}  # noqa: RUF012  (one answer, one test)

    def serve(content: bytes | Exception = CONTENT, kind: str | None = None) -> None:
        def urlopen(url, timeout):
            assert (url, timeout) == (URL, 30.0)
            if isinstance(content, Exception):
                raise content
            answer = Answer(content)
            answer.headers = {'Content-Type': kind} if kind else Answer.headers
            return answer

        monkeypatch.setattr(foundation_import.urllib.request, 'urlopen', urlopen)

    return serve


def refusal(entry: FoundationModel, **given) -> str:
    before = QueryBuilder().append(PotentialData).count()
    with pytest.raises(PotentialImportError) as caught:
        add_foundation_model(entry, **given)
    assert QueryBuilder().append(PotentialData).count() == before
    return str(caught.value)


@pytest.mark.parametrize('entry', [pytest.param(entry, id=key) for key, entry in foundation_models().items()])
def test_entry_states_what_must_be_known_or_leaves_it_out(entry):
    assert entry.values['architecture'] in registered_names(ARCHITECTURES)
    assert entry.source.kind
    if not entry.source.gated:
        assert entry.missing == ()
        assert 'sha256' in entry.values


def test_registry_knows_the_models_of_its_files():
    assert {'7net-0', 'mace-mp-0-medium', 'mace-mpa-0-medium', 'mace-omat-0-medium'} <= set(foundation_models())
    entry = find_model('mace-mpa-0-medium')
    assert (len(entry.description().elements), entry.description().cutoff_radius) == (89, 6.0)
    assert entry.values['training_set'] == 'MPtrj and sAlex'


def test_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(
        PotentialImportError, match=r"^unknown foundation model 'mace-mpa-0': did you mean 'mace-mpa-0-m"
    ):
        find_model('mace-mpa-0')


@pytest.fixture
def third_party(monkeypatch, tmp_path):
    """Return a function that registers a package of somebody else with one entry of a name."""

    def register(name: str) -> None:
        (tmp_path / f'{name}.yaml').write_text(yaml.safe_dump(VALUES))
        package = types.SimpleNamespace(__path__=[str(tmp_path)])
        entry_point = types.SimpleNamespace(name='theirs', load=lambda: package)
        found = foundation_registry.entry_points

        def entry_points(group: str):
            return [*found(group=group), *([entry_point] if group == foundation_registry.FOUNDATION_MODELS else [])]

        monkeypatch.setattr(foundation_registry, 'entry_points', entry_points)

    return register


def test_package_of_somebody_else_adds_a_model(third_party):
    third_party('mini')
    assert find_model('mini').values['name'] == 'mini of 2026'


def test_two_packages_with_a_model_of_one_name_are_refused(third_party):
    third_party('7net-0')
    message = "^the foundation model '7net-0' is registered by aiida_edl and by theirs; uninstall one of them$"
    with pytest.raises(PotentialImportError, match=message):
        foundation_models()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'licence': None}, "'mini.yaml' lacks licence"),
        ({'lisense': 'MIT'}, "unknown key of 'mini.yaml' 'lisense': did you mean 'licence'? Known: "),
        ({'n_bytes': 'many'}, "'n_bytes' of 'mini.yaml' is 'many', expected int"),
        ({'sha256': 'ABC'}, "'sha256' is 'ABC', it must be 64 hexadecimal digits in lower case"),
        ({'source': {'link': 'x'}}, "unknown key of source 'link': Known: gated, package, path, url."),
        (
            {'source': {'url': URL, 'gated': 'ask'}},
            "source has gated, url; give 'package' with 'path', or 'url', or 'gated'",
        ),
        ({'source': {'package': 'ase'}}, "source has package; give 'package' with 'path', or 'url', or 'gated'"),
    ],
)
def test_wrong_entry_is_refused(tmp_path, changes, message):
    values = {key: value for key, value in {**VALUES, **changes}.items() if value is not None}
    (path := tmp_path / 'mini.yaml').write_text(yaml.safe_dump(values))
    with pytest.raises(PotentialImportError) as caught:
        read_model(path)
    assert str(caught.value).startswith(message)


@pytest.mark.usefixtures('aiida_profile')
class TestAdding:
    """What is stored."""

    def test_facts_are_on_the_node_and_can_be_asked_for(self, file):
        added = add_foundation_model(model(source={'url': URL}), file=file, label='mini')
        values = added.node.base.attributes.all
        assert {key: values[key] for key in PotentialData.FACTS} == {
            'model_name': 'mini of 2026',
            'licence': 'MIT',
            'citation': 'nobody (2026)',
            'training_set': 'MPtrj',
            'functional': 'PBE',
            'source': URL,
        }
        assert (values['sha256'], added.node.label, added.remarks) == (SHA256, 'mini', ())
        query = QueryBuilder().append(PotentialData, filters={'attributes.training_set': 'MPtrj'}, project='uuid')
        assert added.node.uuid in query.all(flat=True)

    def test_same_model_twice_is_one_node(self, file, tmp_path):
        (copy := tmp_path / 'copy.model').write_bytes(CONTENT)
        entry = model(name='mini once')
        first = add_foundation_model(entry, file=file)
        second = add_foundation_model(entry, file=copy, label='mine')
        assert (first.is_new, second.is_new) == (True, False)
        assert second.node.uuid == first.node.uuid
        assert second.node.label == 'mine'
        assert add_foundation_model(entry, file=file, label='other').remarks == ("It keeps its label 'mine'.",)

    def test_same_file_described_otherwise_is_another_node_and_is_told(self, file):
        first = add_foundation_model(model(name='mini twice'), file=file)
        second = add_foundation_model(model(name='mini twice', elements=['H', 'O', 'F']), file=file)
        assert second.is_new
        assert f'PotentialData<{first.node.pk}> holds the same file and says otherwise of: elements.' in second.remarks

    def test_file_without_a_known_checksum_is_stored_with_a_warning(self, file):
        added = add_foundation_model(model(name='mini unchecked', sha256=None, n_bytes=None), file=file)
        assert added.remarks[:2] == (
            f"No checksum of 'mini' is known, so the file could not be checked; its SHA-256 is {SHA256}.",
            'A model file can hold code, which runs where the model is loaded, on the compute node only: use files of '
            'those you trust.',
        )

    def test_other_file_is_refused(self, tmp_path):
        (other := tmp_path / 'other.model').write_bytes(b'wEights')
        found = hashlib.sha256(b'wEights').hexdigest()
        assert refusal(model(), file=other) == (
            f"'other.model' has the SHA-256 {found}, mini of 2026 must have {SHA256}: it is another file; get it "
            'from where its authors keep it, or describe what it is in a file of your own'
        )

    def test_incomplete_file_is_refused(self, tmp_path):
        (part := tmp_path / 'part.model').write_bytes(CONTENT[:3])
        assert refusal(model(), file=part) == (
            "'part.model' has 3 bytes, mini of 2026 must have 7: it is another file or not complete; get it again from "
            'where its authors keep it'
        )

    def test_model_is_downloaded_and_checked(self, served):
        served()
        entry = model(name='mini downloaded', source={'url': URL})
        assert add_foundation_model(entry).node.model_files == ('mace.model',)
        served(b'sthelse')
        assert 'it is another file' in refusal(entry)

    def test_network_that_does_not_allow_it_is_one_sentence(self, served):
        served(urllib.error.URLError('Name or service not known'))
        assert refusal(model(source={'url': URL})) == (
            f'{URL} cannot be reached from here (Name or service not known); download it where the network allows, and '
            'give the file with --file'
        )
        served(TimeoutError('timed out'))
        assert '(timed out)' in refusal(model(source={'url': URL}))

    def test_page_in_place_of_a_file_is_refused(self, served):
        served(b'<html>', kind='text/html; charset=utf-8')
        assert refusal(model(source={'url': URL}, sha256=None, n_bytes=None)) == (
            f'{URL} answers with a page and not with a file; look there, and use --file'
        )

    def test_gated_model_is_explained(self, file):
        entry = model(source={'gated': 'accept the licence at example.org'})
        assert refusal(entry) == "'mini' is gated: accept the licence at example.org; then give the file with --file"
        assert add_foundation_model(entry, file=file).node.base.attributes.get('source') == (
            'gated: accept the licence at example.org'
        )

    def test_model_in_a_package_is_found_by_its_interpreter(self, tmp_path):
        source = {'package': 'aiida_edl', 'path': 'registry.py'}
        entry = model(name='in a package', sha256=None, n_bytes=None, source=source)
        assert add_foundation_model(entry, python=Path(sys.executable)).is_new
        missing = model(source={'package': 'sevenm', 'path': 'a.pth'})
        assert refusal(missing) == (
            f"'mini' ships in the package sevenm: the package 'sevenm' is not installed for the interpreter "
            f"'{sys.executable}'; name the interpreter of an environment that has it with --python, or give the file "
            'with --file'
        )

    def test_what_is_not_stated_is_asked_for(self, file):
        entry = model(name='incomplete', elements=None, cutoff_radius=None)
        assert refusal(entry, file=file) == (
            "what 'mini' has as elements, cutoff_radius is not stated by its authors; look it up and give each with "
            "--set, e.g. --set elements='[H, O]'"
        )
        stated = {'elements': ['O', 'H'], 'cutoff_radius': 4.5}
        node = add_foundation_model(entry, file=file, stated=stated).node
        assert (node.elements, node.cutoff_radius) == (('H', 'O'), 4.5)

    def test_what_is_stated_cannot_be_changed(self, file):
        assert refusal(model(), file=file, stated={'cutoff_radius': 4.5}) == (
            "'cutoff_radius' of 'mini' is 5.0 and not 4.5; leave it out, or describe another model in a file of your "
            'own'
        )

    def test_without_a_place_the_file_must_be_given(self):
        assert refusal(model()) == "where 'mini' is kept is not known; give its file with --file"

    def test_file_that_is_not_there_is_refused(self):
        assert refusal(model(), file=Path('none.model')) == "there is no file or folder 'none.model'"

    def test_potential_without_facts_has_none(self):
        node = PotentialData.from_model(
            {'a': CONTENT},
            architecture='mace',
            elements=['H'],
            cutoff_radius=5.0,
            n_layers=1,
            level_of_theory='PBE',
            atomic_energies={'H': 0.0},
            embeds_atomic_energies=True,
            precision='float64',
        )
        assert not set(PotentialData.FACTS) & set(node.base.attributes.all)

    def test_import_compares_the_checksum_too(self, tmp_path):
        (path := tmp_path / 'mini.yaml').write_text(yaml.safe_dump(VALUES))
        (other := tmp_path / 'other.model').write_bytes(b'wEights')
        with pytest.raises(PotentialImportError, match='it is another file'):
            import_potential(other, read_description(path))


def test_address_must_be_safe(tmp_path):
    with pytest.raises(
        PotentialImportError, match=r"^'file:///etc/hosts' is no address that begins with https; download"
    ):
        download('file:///etc/hosts', tmp_path / 'x')


def call(profile, *arguments) -> tuple[int, str]:
    result = CliRunner().invoke(main, ['-p', profile.name, 'foundation', *map(str, arguments)])
    return result.exit_code, result.output


def test_command_lists_and_shows(aiida_profile):
    rows = json.loads(call(aiida_profile, 'list', '--format', 'json')[1])
    by_name = {row['name']: row for row in rows}
    assert by_name['7net-0']['source'] == 'package sevenn'
    assert by_name['mace-mpa-0-medium']['source'] == 'download'
    assert by_name['esen-sm-conserving-all-oc25']['source'] == 'gated'
    assert by_name['esen-sm-conserving-all-oc25']['has_checksum'] is False
    shown = json.loads(call(aiida_profile, 'show', 'mace-omat-0-medium', '--format', 'json')[1])
    values = {row['attribute']: row['value'] for row in shown}
    assert 'Academic Software License' in values['licence']
    assert values['cutoff_radius'] == 6.0
    assert 'licence' in call(aiida_profile, 'show', '7net-0', '--format', 'csv')[1]


def test_command_adds_a_model_that_a_file_describes(aiida_profile, file, tmp_path):
    (path := tmp_path / 'own.yaml').write_text(yaml.safe_dump({**VALUES, 'name': 'own', 'elements': []}))
    arguments = ('add', path, '--file', file, '--set', 'elements=[H, O]', '--label', 'own')
    status, text = call(aiida_profile, *arguments)
    assert status == 0, text
    assert 'stored: mace, own, licence MIT, nobody (2026)' in text
    assert 'was stored already: mace, own' in call(aiida_profile, *arguments)[1]


def test_command_explains_what_is_gated(aiida_profile):
    status, text = call(aiida_profile, 'add', 'esen-sm-conserving-all-oc25')
    assert status == 1
    assert "Error: 'esen-sm-conserving-all-oc25' is gated: make an account at Hugging Face" in text
    assert 'Traceback' not in text
