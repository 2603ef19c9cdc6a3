"""``aiida-edl potential``: import potentials, and look at them."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, node_argument, print_attributes
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.potential_import import import_potential, path_in_package, read_description


@click.group(cls=EdlCommandGroup)
def potential() -> None:
    """Import potentials, and look at them."""


@potential.command('import')
@click.argument('model', type=click.Path(path_type=Path))
@click.argument('description', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option('--package', help='Python package that holds MODEL, which is then a path inside it.')
@click.option('--python', type=click.Path(path_type=Path), help='Interpreter that has the package.')
@click.option('--label', default='', help='Label of the node.')
def import_model(model: Path, description: Path, package: str | None, python: Path | None, label: str) -> None:
    """Import MODEL, a file or folder that was trained elsewhere; the YAML file DESCRIPTION says what it is."""
    if (package is None) != (python is None):
        raise click.UsageError('--package and --python belong together; give both or neither')
    if package is not None and python is not None:
        model = path_in_package(python, package, model)
    elif not model.exists():
        raise click.UsageError(f"there is no file or folder '{model}'")
    node = import_potential(model, read_description(description), label)
    click.echo(f'PotentialData<{node.pk}> {node.uuid}: {node.architecture}, {node.base.attributes.get("origin")}')


@potential.command('show')
@node_argument('node', 'edl.potential')
@FORMAT
def show(node: PotentialData, style: str) -> None:
    """Show what a potential is: architecture, elements, receptive field [Å], charge states of its training set."""
    print_attributes({'uuid': node.uuid, **node.base.attributes.all}, style)
