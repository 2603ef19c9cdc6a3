"""``aiida-edl code``: which codes are needed, and are they there?"""

from __future__ import annotations

import click

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, print_rows
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, registered_names


@click.group(cls=EdlCommandGroup)
def code() -> None:
    """Check codes."""


@code.command('check')
@click.argument('name')
@click.argument('label')
def check(name: str, label: str) -> None:
    """Check that the code LABEL is set up for NAME, an architecture or an MD engine; else say how to install it."""
    from aiida_edl.workflows.launch import find_code  # noqa: PLC0415  (imports every work chain)

    group = MD_ENGINES if name in registered_names(MD_ENGINES) else ARCHITECTURES
    found = find_code(label, load_member(group, name).install_command)
    click.echo(f'{found.full_label}<{found.pk}> is set up')


@code.command('list')
@FORMAT
def needed(style: str) -> None:
    """List what can use a code, and the command that installs it."""
    rows = [
        {'name': name, 'family': family, 'install_command': load_member(group, name).install_command}
        for family, group in (('architecture', ARCHITECTURES), ('MD engine', MD_ENGINES))
        for name in registered_names(group)
    ]
    print_rows(rows, style)
