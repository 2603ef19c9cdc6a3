"""``aiida-edl environment``: make the environments of the trainers, register their codes, and check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, nested_settings, print_rows
from aiida_edl.environments.installation import DEFAULT_FOLDER, Installation, install, shell_script
from aiida_edl.environments.recipes import (
    Accelerator,
    Recipe,
    architectures_of,
    load_recipe,
    read_recipe,
    recipe_for,
    recipe_names,
    recipes_for,
)
from aiida_edl.registry import ARCHITECTURES, registered_names

if TYPE_CHECKING:
    from aiida.orm import Computer, InstalledCode

YAML_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
BYTES_PER_GIGABYTE = 1e9


@click.group(cls=EdlCommandGroup)
def environment() -> None:
    """Make, list and check the environments of the trainers."""


@environment.command('create')
@click.argument('name')
@click.option(
    '--accelerator',
    type=click.Choice([member.value for member in Accelerator]),
    default=Accelerator.CPU.value,
    show_default=True,
    help='What its programs compute on.',
)
@click.option('--computer', 'computer_label', default='localhost', show_default=True, help='Where its codes run.')
@click.option(
    '--path', type=click.Path(path_type=PurePosixPath), help=f'Its parent folder; ~/{DEFAULT_FOLDER} without.'
)
@click.option('--python', default='python3', show_default=True, help='Interpreter on which it is built.')
@click.option('--recipe', 'recipe_file', type=YAML_FILE, help='A recipe of your own, instead of that of NAME.')
@click.option('--print-script', is_flag=True, help='Only print a shell script that makes it, e.g. for a cluster.')
@click.option('--installed', is_flag=True, help='It is there, made by that script: register and check its codes.')
@click.option(
    '--check/--no-check', default=None, help='Train for a moment with each architecture; unless it did so before.'
)
@click.option('--options', type=YAML_FILE, help='YAML file with scheduler options of the check.')
def create(  # noqa: PLR0917  (one parameter per option)
    name: str,
    accelerator: str,
    computer_label: str,
    path: PurePosixPath | None,
    python: str,
    recipe_file: Path | None,
    print_script: bool,
    installed: bool,
    check: bool | None,
    options: Path | None,
) -> None:
    """Make the environment of NAME, an architecture or an environment; register its codes and check them.

    Nothing is done that has been done before.
    """
    from aiida_edl.workflows.environments import codes  # noqa: PLC0415  (needs a profile)

    recipe = read_recipe(recipe_file) if recipe_file else recipe_for(name)
    if print_script:
        click.echo(shell_script(_installation(recipe, path, accelerator, python)), nl=False)
        return
    computer = codes.find_computer(computer_label)
    _check_place(computer, name, path, installed)
    installation = _installation(recipe, path, accelerator, python)
    click.echo(f'{recipe.name} environment: {recipe.description}. Licence: {recipe.licence}.')
    is_new = False if installed else install(installation, click.echo)
    if not installed and not is_new:
        click.echo(f'{recipe.name} environment: is in {installation.folder} as requested')
    registered = codes.register_codes(recipe, computer, installation.binaries)
    for code in registered:
        click.echo(f'code {code.full_label}<{code.pk}> is set up')
    if check is not False:
        names = [name] if name in registered_names(ARCHITECTURES) else architectures_of(recipe)
        interpreter = next(code for code in registered if code.label == recipe.python_code)
        should_repeat = bool(check) or is_new
        _check_by_training(names, interpreter, Accelerator(accelerator), nested_settings(options, ()), should_repeat)


def _check_place(computer: Computer, name: str, path: PurePosixPath | None, is_installed: bool) -> None:
    """Check that an environment can be made on a computer, or is there.

    :raises click.ClickException: if the computer is another machine and nothing is said of what is there.
    """
    from aiida_edl.workflows.environments.codes import is_local  # noqa: PLC0415  (needs a profile)

    if is_local(computer):
        return
    call = f'aiida-edl environment create {name} --computer {computer.label} --path FOLDER'
    if not is_installed:
        raise click.ClickException(
            f"computer '{computer.label}' is another machine; make the environment there with the script that "
            f"'{call} --print-script' prints, then call '{call} --installed'"
        )
    if path is None or not path.is_absolute():
        raise click.ClickException(
            f"--path is {path or 'not given'}; name the folder on computer '{computer.label}' below which the "
            'environment is, as an absolute path'
        )


def _installation(recipe: Recipe, path: PurePosixPath | None, accelerator: str, python: str) -> Installation:
    """Return what is installed where; without a path below the home directory."""
    parent: PurePath = Path.home() / DEFAULT_FOLDER if path is None else path
    if not parent.is_absolute():
        parent = Path(parent).absolute()
    return Installation(recipe, parent / recipe.name, Accelerator(accelerator), python)


def _check_by_training(
    names: Sequence[str], code: InstalledCode, accelerator: Accelerator, options: dict[str, Any], should_repeat: bool
) -> None:
    """Train for a moment with each architecture.

    :raises click.ClickException: if one of them does not work.
    """
    from aiida_edl.workflows.environments import check  # noqa: PLC0415  (needs a profile)

    if not names:
        click.echo('no architecture is registered for it, so nothing was trained')
    failed = []
    for name in names:
        earlier = None if should_repeat else check.passed_check(name, code, accelerator.value)
        if earlier is not None:
            click.echo(f'{name}: passed its check before, see {earlier.process_label}<{earlier.pk}>')
            continue
        result = check.check_architecture(name, code, accelerator.value, options)
        click.echo(f'{name}: {result.message} ({result.wall_seconds:.0f} s)')
        if not result.is_working:
            failed.append(name)
    if failed:
        raise click.ClickException(
            f'{", ".join(failed)} did not pass the check with {code.full_label}; the calculations are in the group '
            f"'{check.GROUP}'"
        )


@environment.command('check')
@click.argument('names', nargs=-1)
@FORMAT
def check(names: tuple[str, ...], style: str) -> None:
    """Show versions, accelerators and what is missing of environments whose codes are set up, of all without NAMES."""
    from aiida_edl.workflows.environments.codes import registered_codes  # noqa: PLC0415  (needs a profile)
    from aiida_edl.workflows.environments.inspection import inspect_environment  # noqa: PLC0415  (needs a profile)

    chosen = [recipe.name for recipe in recipes_for(names)]
    found = registered_codes(chosen)
    lacking = sorted(set(chosen) - {recipe.name for recipe, _ in found})
    if lacking or not found:
        raise click.ClickException(
            f'no code is set up for {", ".join(lacking) or "any environment"}; '
            f'make one with: aiida-edl environment create {lacking[0] if lacking else "NAME"}'
        )
    reports = [inspect_environment(recipe, code) for recipe, code in found]
    print_rows([report.row() for report in reports], style)
    if incomplete := [report.code for report in reports if report.missing]:
        raise click.ClickException(f'{", ".join(incomplete)}: not as it should be, see the column missing')


@environment.command('list')
@FORMAT
def listed(style: str) -> None:
    """List the environments: which architectures they serve, licences, sizes [GB], codes that are set up."""
    from aiida_edl.workflows.environments.codes import is_local, registered_codes  # noqa: PLC0415  (needs a profile)

    codes = registered_codes()
    rows = []
    for recipe in map(load_recipe, recipe_names()):
        own = [code for found, code in codes if found.name == recipe.name]
        local = [Path(str(code.filepath_executable)).parents[1] for code in own if is_local(code.computer)]
        sizes = {member.value: recipe.size_gigabyte[member] for member in Accelerator}
        rows.append(
            {
                'environment': recipe.name,
                'architectures': list(architectures_of(recipe)) or None,
                'licence': recipe.licence,
                **{f'about_gigabyte_{name}': size for name, size in sizes.items()},
                'gigabyte': round(sum(map(folder_size, local)) / BYTES_PER_GIGABYTE, 2) if local else None,
                'codes': [code.full_label for code in own] or None,
            }
        )
    print_rows(rows, style)


def folder_size(folder: Path) -> int:
    """Return the size of all files below a folder [byte]; links are not followed.

    :param folder: the folder; 0 if it is not there.
    """
    return sum(path.lstat().st_size for path in folder.resolve().rglob('*') if path.is_file() and not path.is_symlink())
