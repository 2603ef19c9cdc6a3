"""Each recipe is whole, pins what it names, and is that of the architectures that ask for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from calculation_cases import register_toy
from toy.environment import write_recipe

from aiida_edl.environments import recipes
from aiida_edl.environments.recipes import Accelerator, RecipeError, UnknownEnvironmentError
from aiida_edl.registry import ARCHITECTURES, load_member, registered_names

NAMES = recipes.recipe_names()
REQUIREMENT = re.compile(r'^([\w.-]+)(\[[\w,-]+\])?(==[\w.]+)?$')
CPU_NAMES = {'tensorflow': 'tensorflow-cpu'}
"""Packages with another name on an accelerator."""


def requirements(recipe) -> list[re.Match[str]]:
    found = [name for step in recipe.steps for member in Accelerator for name in step.packages[member]]
    matches = [REQUIREMENT.match(name) for name in found]
    assert all(matches), found
    return matches


@pytest.mark.parametrize('name', NAMES)
def test_every_package_is_pinned(name):
    recipe = recipes.load_recipe(name)
    pins = dict(line.split('==') for line in recipe.constraints.splitlines() if '==' in line)
    pins = {recipes.canonical(package): version for package, version in pins.items()}
    for match in requirements(recipe):
        package, version = recipes.canonical(match[1]), (match[3] or '').removeprefix('==')
        pin = pins.get(package, pins.get(CPU_NAMES.get(package, '')))
        assert version or pin, f'{package} has no version'
        assert version in ('', pin), f'{package} is asked for in version {version}, constrained to {pin}'


@pytest.mark.parametrize('name', NAMES)
def test_constraints_name_one_version_each(name):
    lines = recipes.load_recipe(name).constraints.splitlines()
    pins = [line for line in lines if not line.startswith('#')]
    assert [line for line in pins if not re.fullmatch(r'[\w.-]+==[\w.]+', line)] == []
    names = [recipes.canonical(line.split('==')[0]) for line in pins]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize('name', NAMES)
def test_torch_comes_first_where_it_is_used(name):
    recipe = recipes.load_recipe(name)
    steps = [step.packages[Accelerator.CPU] for step in recipe.steps]
    uses_torch = any(package.startswith('torch==') for packages in steps for package in packages)
    assert uses_torch is (steps[0] == ('torch==2.13.0',))


@pytest.mark.parametrize('name', NAMES)
def test_reported_packages_are_pinned(name):
    recipe = recipes.load_recipe(name)
    assert set(recipe.wanted_versions) == set(recipe.packages)


@pytest.mark.parametrize('name', NAMES)
def test_files_of_steps_exist(name):
    folders = [recipes.FILES_FOLDER / folder for step in recipes.load_recipe(name).steps for folder in step.files]
    assert [folder for folder in folders if not list(folder.iterdir())] == []


def test_labels_of_codes_are_unique():
    labels = [label for name in NAMES for label in recipes.load_recipe(name).codes]
    assert sorted(labels) == sorted(set(labels))


def test_grace_is_installed_without_dependencies_and_says_its_licence():
    recipe = recipes.load_recipe('grace')
    assert recipe.steps[-1].arguments(Accelerator.CPU) == ('--no-deps', 'tf_keras==2.20.1', 'tensorpotential==0.6.2.1')
    assert 'non-commercial academic use only' in recipe.licence


@pytest.mark.parametrize('name', registered_names(ARCHITECTURES))
def test_architecture_is_installed_by_the_command_it_names(name):
    member = load_member(ARCHITECTURES, name)
    if not member.environment:
        pytest.skip(f'{name} names no environment of this package')
    command = member.install_command.partition('#')[0].strip()
    assert command in {f'aiida-edl environment create {known}' for known in (name, member.environment)}
    recipe = recipes.recipe_for(name)
    pinned = {recipes.canonical(line.split('==')[0]) for line in recipe.constraints.splitlines()}
    assert [package for package in member.packages if recipes.canonical(package) not in pinned] == []


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        UnknownEnvironmentError, match=r"^unknown architecture or environment 'graze': did you mean 'gr"
    ):
        recipes.recipe_for('graze')


def test_one_environment_serves_what_it_provides():
    found = recipes.recipes_for(['engines', 'mace', 'deep_potential', 'grace'])
    assert [recipe.name for recipe in found] == ['engines', 'grace']


def test_deepmd_serves_both_deep_potentials():
    assert recipes.architectures_of(recipes.load_recipe('deepmd')) == ('deep_potential', 'deep_potential_mp')


def test_architecture_without_environment_is_answered_with_its_own_command(monkeypatch):
    register_toy(monkeypatch)
    message = r"^architecture 'least_squares' names no environment of this package; install it with: pip install ase$"
    with pytest.raises(UnknownEnvironmentError, match=message):
        recipes.recipe_for('least_squares')


def changed(folder: Path, **changes) -> Path:
    path = write_recipe(folder)
    values = {**yaml.safe_load(path.read_text()), **changes}
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    return path


def test_recipe_without_licence_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"^the recipe 'toy\.yaml' lacks licence$"):
        recipes.read_recipe(changed(tmp_path, licence=None))


def test_unknown_key_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match=r"^unknown key in the recipe 'toy\.yaml' 'stepps': did you mean 'steps'\?"):
        recipes.read_recipe(changed(tmp_path, stepps=[]))


def test_recipe_without_interpreter_is_refused(tmp_path):
    message = r"^the recipe 'toy\.yaml' has no code for the interpreter; add e\.g\. codes: \{toy-python: python\}$"
    with pytest.raises(RecipeError, match=message):
        recipes.read_recipe(changed(tmp_path, codes={'lmp': 'lmp'}))


def test_list_instead_of_a_recipe_is_refused(tmp_path):
    (tmp_path / 'toy.yaml').write_text('[1]')
    with pytest.raises(RecipeError, match=r"^the recipe 'toy\.yaml' holds list, it must hold description, licence, "):
        recipes.read_recipe(tmp_path / 'toy.yaml')
