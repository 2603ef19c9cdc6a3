"""What each environment holds and how pip makes it: the YAML files beside this module, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from aiida_edl.registry import ARCHITECTURES, load_member, registered_names, unknown_name_message

FOLDER = Path(__file__).parent
FILES_FOLDER = FOLDER / 'files'
"""Folder with the files that steps need."""
FILES = '{files}'
"""Stands in environment variables of a step for the folder that holds its files."""
KEYS = (
    'description',
    'licence',
    'python',
    'size_gigabyte',
    'steps',
    'packages',
    'modules',
    'codes',
    'provides',
    'constraints',
    'should_check_versions',
    'pip',
)
"""What a recipe says."""
OPTIONAL_KEYS = ('provides', 'constraints', 'should_check_versions', 'pip')
STEP_KEYS = ('what', 'packages', 'options', 'environment', 'files')


PIP = 'pip>=25'
"""Requirement on pip, unless a recipe states another."""


class Accelerator(str, Enum):
    """What the programs of an environment compute on."""

    CPU = 'cpu'
    CUDA = 'cuda'


class RecipeError(ValueError):
    """A recipe that cannot be read; the message says what would be right."""


class UnknownEnvironmentError(ValueError):
    """A name that is neither that of an architecture nor that of an environment."""


@dataclass(frozen=True)
class PipStep:
    """One call of pip."""

    what: str
    """What it installs, in words."""
    packages: Mapping[Accelerator, tuple[str, ...]]
    """Requirements, by accelerator."""
    options: Mapping[Accelerator, tuple[str, ...]]
    """Further arguments of ``pip install``, by accelerator."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, with :data:`FILES` for the folder of the files."""
    files: tuple[str, ...] = ()
    """Folders below :data:`FILES_FOLDER` that the step needs."""

    def arguments(self, accelerator: Accelerator) -> tuple[str, ...]:
        """Return the arguments of ``pip install``.

        :param accelerator: what the programs compute on.
        """
        return (*self.options[accelerator], *self.packages[accelerator])


@dataclass(frozen=True)
class Recipe:
    """One environment."""

    name: str
    """Name, also of its folder."""
    description: str
    """What it is for, in words."""
    licence: str
    """Licences of the programs in it, and what they forbid."""
    oldest_python: tuple[int, int]
    """Oldest version of Python that its packages accept."""
    tested_python: str
    """Version of Python with which it was tested."""
    size_gigabyte: Mapping[Accelerator, float]
    """About how much it takes on disk [GB]; for CUDA mostly the libraries of NVIDIA."""
    steps: tuple[PipStep, ...]
    """Calls of pip, in order."""
    packages: tuple[str, ...]
    """Distributions whose versions are reported; ``a|b`` for one that has another name on another accelerator."""
    modules: tuple[str, ...]
    """Modules whose import shows that the environment works."""
    codes: Mapping[str, str]
    """Executable in ``bin`` of each AiiDA code, by its label."""
    provides: tuple[str, ...]
    """Environments whose architectures can use it, itself included."""
    constraints: str
    """Text of a constraints file of pip: the version of each package."""
    should_check_versions: bool
    """Whether ``pip check`` must find nothing."""
    pip: str
    """Requirement on pip itself."""

    @property
    def python_code(self) -> str:
        """Label of the code that is the interpreter."""
        return next(label for label, executable in self.codes.items() if executable == 'python')

    @property
    def wanted_versions(self) -> dict[str, str]:
        """Version of each reported distribution that the constraints name; alternatives are of one version."""
        pins = dict(line.split('==') for line in self.constraints.splitlines() if '==' in line)
        known = {canonical(name): version for name, version in pins.items()}
        found = {name: [known.get(canonical(part)) for part in name.split('|')] for name in self.packages}
        return {name: next(filter(None, versions)) for name, versions in found.items() if any(versions)}


def canonical(name: str) -> str:
    """Return the name of a distribution as indices compare it.

    >>> canonical('ruamel.yaml'), canonical('ML_dtypes')
    ('ruamel-yaml', 'ml-dtypes')
    """
    return name.lower().replace('_', '-').replace('.', '-')


def recipe_names() -> tuple[str, ...]:
    """Return the names of all environments of this package, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob('*.yaml')))


def load_recipe(name: str) -> Recipe:
    """Return a recipe of this package.

    :param name: name of the environment.
    :raises UnknownEnvironmentError: if there is none; the nearest is named.
    """
    if name not in recipe_names():
        raise UnknownEnvironmentError(unknown_name_message('environment', name, recipe_names()))
    return read_recipe(FOLDER / f'{name}.yaml')


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a YAML file; its constraints lie beside it, in ``<constraints>.txt``.

    :param path: the file; its stem is the name of the environment.
    :raises RecipeError: if something is missing, unknown or of a wrong type.
    """
    values: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
    where = f"the recipe '{path.name}'"
    _check_keys(where, values, KEYS, OPTIONAL_KEYS)
    _check_keys(f'{where}, python,', values['python'], ('oldest', 'tested'), ())
    if 'python' not in values['codes'].values():
        raise RecipeError(f'{where} has no code for the interpreter; add e.g. codes: {{{path.stem}-python: python}}')
    oldest = [int(part) for part in str(values['python']['oldest']).split('.')]
    constraints = path.with_name(f'{values.get("constraints", path.stem)}.txt')
    return Recipe(
        name=path.stem,
        description=str(values['description']),
        licence=str(values['licence']),
        oldest_python=(oldest[0], oldest[1]),
        tested_python=str(values['python']['tested']),
        size_gigabyte={member: float(values['size_gigabyte'][member.value]) for member in Accelerator},
        steps=tuple(_read_step(where, step) for step in values['steps']),
        packages=tuple(values['packages']),
        modules=tuple(values['modules']),
        codes=dict(values['codes']),
        provides=(path.stem, *values.get('provides', ())),
        constraints=constraints.read_text(encoding='utf-8') if constraints.exists() else '',
        should_check_versions=bool(values.get('should_check_versions', True)),
        pip=str(values.get('pip', PIP)),
    )


def _check_keys(where: str, values: Any, known: Sequence[str], optional: Sequence[str]) -> None:
    if not isinstance(values, dict):
        raise RecipeError(f'{where} holds {type(values).__name__}, it must hold {", ".join(known)} by name')
    for key in values:
        if key not in known:
            raise RecipeError(unknown_name_message(f'key in {where}', key, known))
    if missing := [key for key in known if key not in values and key not in optional]:
        raise RecipeError(f'{where} lacks {", ".join(missing)}')


def _read_step(where: str, values: Any) -> PipStep:
    _check_keys(f'{where}, steps,', values, STEP_KEYS, STEP_KEYS[2:])
    return PipStep(
        what=str(values['what']),
        packages=_by_accelerator(values['packages']),
        options=_by_accelerator(values.get('options', [])),
        environment=dict(values.get('environment', {})),
        files=tuple(values.get('files', ())),
    )


def _by_accelerator(values: Any) -> dict[Accelerator, tuple[str, ...]]:
    """Return a list, or one list for each accelerator, as one for each."""
    if isinstance(values, dict):
        return {member: tuple(values[member.value]) for member in Accelerator}
    return {member: tuple(values) for member in Accelerator}


def architectures_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the registered architectures that an environment serves.

    :param recipe: the environment.
    """
    names = registered_names(ARCHITECTURES)
    return tuple(name for name in names if load_member(ARCHITECTURES, name).environment in recipe.provides)


def recipe_for(name: str) -> Recipe:
    """Return the recipe of an environment, or of the environment of an architecture.

    :param name: name of either.
    :raises UnknownEnvironmentError: if it is neither; the nearest is named. If an architecture names no environment of
        this package, its own command of installation is.
    """
    member = load_member(ARCHITECTURES, name) if name in registered_names(ARCHITECTURES) else None
    if member is not None and member.environment:
        return load_recipe(member.environment)
    if name in recipe_names():
        return load_recipe(name)
    if member is not None:
        raise UnknownEnvironmentError(
            f"architecture '{name}' names no environment of this package; install it with: {member.install_command}"
        )
    known = sorted({*registered_names(ARCHITECTURES), *recipe_names()})
    raise UnknownEnvironmentError(unknown_name_message('architecture or environment', name, known))


def recipes_for(names: Sequence[str]) -> tuple[Recipe, ...]:
    """Return the environments that are needed, each once; none for an architecture that an earlier one serves.

    :param names: of architectures or environments.
    :raises UnknownEnvironmentError: if one of them is neither.
    """
    found: list[Recipe] = []
    for name in names:
        recipe = recipe_for(name)
        if not any(recipe.name in other.provides for other in found):
            found.append(recipe)
    return tuple(found)
