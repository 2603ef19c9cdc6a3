"""Models that were trained elsewhere become potentials; what is missing or wrong is said in one sentence."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
import yaml
from aiida.orm import load_node
from click.testing import CliRunner

from aiida_edl.cli.main import main
from aiida_edl.provenance.potential_import import (
    PotentialImportError,
    import_potential,
    path_in_package,
    read_description,
)

ROOT = Path(__file__).parents[2]
VALUES = {
    'architecture': 'mace',
    'name': 'mini',
    'licence': 'MIT',
    'citation': 'nobody (2026)',
    'level_of_theory': 'PBE',
    'elements': ['O', 'H'],
    'cutoff_radius': 5,
    'n_layers': 2,
    'precision': 'float32',
}
CONTENT = b'weights'


@pytest.fixture
def model(tmp_path):
    (path := tmp_path / 'mini.model').write_bytes(CONTENT)
    return path


@pytest.fixture
def describe(tmp_path):
    def write(**changes) -> Path:
        values = {key: value for key, value in {**VALUES, **changes}.items() if value is not None}
        (path := tmp_path / 'mini.yaml').write_text(yaml.safe_dump(values))
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is what is tested)
        read_description(path)
    return str(caught.value)


@pytest.mark.usefixtures('aiida_profile')
def test_model_becomes_a_potential_with_its_origin(model, describe):
    node = load_node(import_potential(model, read_description(describe()), label='mini').uuid)
    values = node.base.attributes.all
    assert node.model_files == ('mace.model',)
    assert (node.elements, node.cutoff_radius, node.receptive_field) == (('H', 'O'), 5.0, 10.0)
    assert (values['origin'], values['sha256']) == (
        'mini, licence MIT, nobody (2026)',
        hashlib.sha256(CONTENT).hexdigest(),
    )
    assert (node.label, values['seed'], values['gradient_updates']) == ('mini', None, None)


@pytest.mark.usefixtures('aiida_profile')
def test_model_that_embeds_unknown_atomic_energies_has_none(model, describe):
    node = import_potential(model, read_description(describe()))
    assert node.atomic_energies == {}
    assert node.energy_shifts == {}


@pytest.mark.usefixtures('aiida_profile')
def test_atomic_energies_are_kept_if_stated(model, describe):
    described = read_description(describe(atomic_energies={'H': -13, 'O': -430.5}))
    assert import_potential(model, described).atomic_energies == {'H': -13.0, 'O': -430.5}


@pytest.mark.usefixtures('aiida_profile')
def test_incomplete_atomic_energies_are_refused(model, describe):
    described = read_description(describe(atomic_energies={'H': -13.0}))
    with pytest.raises(ValueError, match=r"^no atomic energy is given for \['O'\]; given: \['H'\]$"):
        import_potential(model, described)


@pytest.mark.usefixtures('aiida_profile')
def test_folder_becomes_the_model_with_all_its_files(tmp_path, describe):
    (folder := tmp_path / 'model').mkdir()
    (folder / 'a.bin').write_bytes(b'a')
    assert import_potential(folder, read_description(describe())).model_files == ('mace.model/a.bin',)


@pytest.mark.usefixtures('aiida_profile')
def test_empty_file_is_refused(tmp_path, describe):
    (tmp_path / 'empty.model').touch()
    with pytest.raises(ValueError, match=r"^the model file 'mace.model' is empty$"):
        import_potential(tmp_path / 'empty.model', read_description(describe()))


@pytest.mark.usefixtures('aiida_profile')
def test_empty_folder_is_refused(tmp_path, describe):
    (folder := tmp_path / 'model').mkdir()
    with pytest.raises(PotentialImportError, match=r"^the folder 'model' holds no file; give the file or folder of"):
        import_potential(folder, read_description(describe()))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'licence': None, 'citation': ''}, "'mini.yaml' lacks licence, citation"),
        (
            {'elements': ['O', 'Xx']},
            "'Xx' is no chemical symbol; write it as 'Na', and 'No' and 'Y' in quotation marks",
        ),
        (
            {'elements': ['O', True]},
            "'True' is no chemical symbol; write it as 'Na', and 'No' and 'Y' in quotation marks",
        ),
        ({'elements': 'O'}, "'elements' of 'mini.yaml' is 'O', expected list"),
        ({'atomic_energies': {'H': 'low'}}, "the atomic energy of H is 'low', it must be a number [eV]"),
        ({'cutoff_radius': -5.0}, "'cutoff_radius' is -5.0, it must be positive"),
        ({'n_layers': 1.5}, "'n_layers' of 'mini.yaml' is 1.5, expected int"),
        ({'precision': 'flat32'}, "unknown precision 'flat32': did you mean 'float32'? Known: float32, float64."),
        (
            {'architecture': 'deep_potential'},
            'models of deep_potential do not include atomic energies; state atomic_energies [eV] for O, H',
        ),
    ],
)
def test_wrong_description_is_refused(describe, changes, message):
    assert refusal(describe(**changes)) == message


def test_unknown_key_and_architecture_are_answered_with_the_nearest(describe):
    assert "unknown key of 'mini.yaml' 'cutof_radius': did you mean 'cutoff_radius'?" in refusal(
        describe(cutof_radius=5.0)
    )
    assert "unknown architecture 'mase': did you mean 'mace'?" in refusal(describe(architecture='mase'))


@pytest.mark.parametrize('content', [b'\x80\x02binary', b'a: [b'])
def test_description_that_is_no_yaml_is_refused(tmp_path, content):
    (path := tmp_path / 'mini.yaml').write_bytes(content)
    assert refusal(path) == "'mini.yaml' is no YAML; is it the description, and the model given first?"


def test_description_without_keys_is_refused(tmp_path):
    (path := tmp_path / 'mini.yaml').write_text('- mace\n')
    assert refusal(path).startswith("'mini.yaml' holds list, it must hold the keys architecture, name, licence")


def test_file_in_a_package_is_found_by_its_interpreter():
    assert path_in_package(Path(sys.executable), 'aiida_edl', Path('registry.py')).is_file()


@pytest.mark.parametrize(
    ('python', 'package', 'path', 'message'),
    [
        ('no_python', 'ase', 'a.pth', "'no_python' cannot be run; give the interpreter of an environment"),
        (
            sys.executable,
            'sevenm',
            'a.pth',
            f"the package 'sevenm' is not installed for the interpreter '{sys.executable}'",
        ),
        (sys.executable, 'ase', 'a.pth', "the package 'ase' has no file 'a.pth'"),
    ],
)
def test_what_is_not_in_a_package_is_refused(python, package, path, message):
    with pytest.raises(PotentialImportError) as caught:
        path_in_package(Path(python), package, Path(path))
    assert str(caught.value) == message


def test_description_of_the_manual_is_complete():
    described = read_description(ROOT / 'aiida_edl' / 'provenance' / 'foundation_models' / '7net-0.yaml')
    assert (described.architecture, len(described.elements), described.n_layers) == ('sevennet', 89, 5)


def call(profile, *arguments) -> tuple[int, str]:
    result = CliRunner().invoke(main, ['-p', profile.name, 'potential', *map(str, arguments)])
    return result.exit_code, result.output


def test_command_imports_and_shows(aiida_profile, model, describe):
    status, text = call(aiida_profile, 'import', model, describe(), '--label', 'mini')
    assert status == 0, text
    assert 'mace, mini, licence MIT, nobody (2026)' in text
    pk = text.split('<')[1].split('>')[0]
    rows = json.loads(call(aiida_profile, 'show', pk, '--format', 'json')[1])
    assert {row['attribute']: row['value'] for row in rows}['origin'] == 'mini, licence MIT, nobody (2026)'


def test_command_takes_a_file_from_a_package(aiida_profile, describe):
    path = describe()
    status, text = call(
        aiida_profile, 'import', 'registry.py', path, '--package', 'aiida_edl', '--python', sys.executable
    )
    assert status == 0, text


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.model'], "there is no file or folder 'none.model'"),
        (['none.model', '--package', 'ase'], '--package and --python belong together; give both or neither'),
    ],
)
def test_command_says_what_is_missing(aiida_profile, describe, arguments, message):
    status, text = call(aiida_profile, 'import', arguments[0], describe(), *arguments[1:])
    assert status == 2
    assert message in text
