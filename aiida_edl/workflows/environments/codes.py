"""AiiDA codes of the executables of an environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from aiida.common.exceptions import NotExistent
from aiida.orm import Computer, InstalledCode, QueryBuilder, load_code, load_computer

from aiida_edl.environments.recipes import Recipe, load_recipe, recipe_names
from aiida_edl.registry import ARCHITECTURES, load_member

LOCAL_TRANSPORT = 'core.local'
"""Transport of a computer that is this machine."""
RECIPE_EXTRA = 'edl_environment'
"""Extra of a code with the name of its environment."""


class CodeError(ValueError):
    """A computer or a code that is not as it should be; the message says what would be right."""


def find_computer(label: str) -> Computer:
    """Return a computer that can be used.

    :param label: its label.
    :raises CodeError: if there is none, or it is not configured.
    """
    try:
        computer = load_computer(label)
    except NotExistent:
        known = ', '.join(sorted(QueryBuilder().append(Computer, project='label').all(flat=True))) or 'none'
        raise CodeError(
            f"there is no computer '{label}'; known: {known}. Set one up with: verdi computer setup, then verdi "
            'computer configure'
        ) from None
    if not computer.is_configured:
        raise CodeError(
            f"computer '{label}' is not configured; call: verdi computer configure {computer.transport_type} {label}"
        )
    return computer


def is_local(computer: Computer) -> bool:
    """Return whether a computer is this machine."""
    return bool(computer.transport_type == LOCAL_TRANSPORT)


def register_codes(recipe: Recipe, computer: Computer, binaries: PurePath) -> tuple[InstalledCode, ...]:
    """Return the codes of an environment, those made that are missing.

    :param recipe: the environment.
    :param computer: where it is.
    :param binaries: folder of its executables there, absolute.
    :raises CodeError: if an executable is missing, or a code of that label runs another one.
    """
    with computer.get_transport() as transport:
        for executable in recipe.codes.values():
            if not transport.path_exists(str(binaries / executable)):
                raise CodeError(
                    f"there is no '{binaries / executable}' on computer '{computer.label}'; make the environment "
                    'there with the script of --print-script, or name its folder with --path'
                )
    return tuple(_code(recipe, computer, label, binaries / name) for label, name in recipe.codes.items())


def _code(recipe: Recipe, computer: Computer, label: str, executable: PurePath) -> InstalledCode:
    full_label = f'{label}@{computer.label}'
    try:
        code = load_code(full_label)
    except NotExistent:
        code = InstalledCode(
            label=label,
            computer=computer,
            filepath_executable=str(executable),
            description=recipe.description,
            with_mpi=False,
        ).store()
        code.base.extras.set(RECIPE_EXTRA, recipe.name)
        return code
    if PurePath(str(code.filepath_executable)) != executable:
        raise CodeError(
            f"code '{full_label}' runs '{code.filepath_executable}', the environment has '{executable}'; give the old "
            f'code another label with: verdi code relabel {full_label} NEW'
        )
    return code


def registered_codes(names: Sequence[str] = ()) -> list[tuple[Recipe, InstalledCode]]:
    """Return each code that is the interpreter of an environment, ordered by label.

    :param names: environments that are meant; all if empty.
    """
    recipes = {recipe.python_code: recipe for recipe in map(load_recipe, names or recipe_names())}
    query = QueryBuilder().append(InstalledCode, filters={'label': {'in': list(recipes)}})
    codes = sorted((code for code in query.all(flat=True) if not code.is_hidden), key=lambda code: code.full_label)
    return [(recipes[code.label], code) for code in codes]


def code_of_architecture(name: str) -> str | None:
    """Return the label of the code of an architecture; None if it names no environment.

    :param name: entry-point name.
    :raises CodeError: if several computers have one.
    """
    environment = load_member(ARCHITECTURES, name).environment
    return python_of_environment(environment, name) if environment else None


def python_of_environment(environment: str, name: str) -> str:
    """Return the label of the code that is the interpreter of an environment, else of one that provides it.

    :param environment: name of its recipe.
    :param name: under which name a benchmark takes it, for the message.
    :return: the label of a code that is to be made if there is none.
    :raises CodeError: if several computers have one.
    """
    found = [(recipe, code) for recipe, code in registered_codes() if environment in recipe.provides]
    own = [code for recipe, code in found if recipe.name == environment]
    labels = [code.full_label for code in own or (code for _, code in found)]
    if len(labels) > 1:
        raise CodeError(f'{name} has the codes {", ".join(labels)}; choose one with --code {name}={labels[0]}')
    return labels[0] if labels else load_recipe(environment).python_code
