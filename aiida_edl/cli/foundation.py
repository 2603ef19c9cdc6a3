"""``aiida-edl foundation``: models that others trained on large data sets, and how they become potentials."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.common.exceptions import NotExistent
from aiida.orm import load_code

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, SET, nested_settings, print_attributes, print_rows
from aiida_edl.provenance.foundation_import import add_foundation_model, registry_rows, stored_potentials
from aiida_edl.provenance.foundation_registry import FoundationModel, facts_of, find_model
from aiida_edl.registry import ARCHITECTURES, registered_names
from aiida_edl.workflows.environments.codes import CodeError, code_of_architecture, is_local


@click.group(cls=EdlCommandGroup)
def foundation() -> None:
    """Models that others trained on large data sets: list them, and store them as potentials."""


@foundation.command('list')
@FORMAT
def list_models(style: str) -> None:
    """List the models that are known: training set, licence, cutoff radius [Å], where they are kept, PKs if stored."""
    print_rows(registry_rows(), style)


@foundation.command('show')
@click.argument('name')
@FORMAT
def show(name: str, style: str) -> None:
    """Show what is known of the model NAME, or of one that a YAML file describes."""
    model = find_model(name)
    stored = [node.uuid for node in stored_potentials(model.values.get('sha256', ''))]
    print_attributes({**facts_of(model), 'potentials': stored}, style)


@foundation.command('add')
@click.argument('name')
@click.option('--file', type=click.Path(path_type=Path), help='File or folder of the model, if you have it.')
@click.option('--python', type=click.Path(path_type=Path), help='Interpreter that has the package that ships it.')
@click.option('--label', default='', help='Label of the node.')
@SET
def add(name: str, file: Path | None, python: Path | None, label: str, assignments: tuple[str, ...]) -> None:
    """Store the model NAME as a potential: from a package that ships it, by download, or from a file.

    NAME may be a YAML file that describes a model of your own; --set states what its authors do not, e.g.
    cutoff_radius=6.0. Size and checksum are compared before anything is stored, and a model that is stored already is
    not stored again.
    """
    model = find_model(name)
    interpreter = python or (_interpreter(model) if file is None and model.source.package else None)
    stated = nested_settings(None, assignments)
    added = add_foundation_model(model, file=file, python=interpreter, stated=stated, label=label)
    node = added.node
    state = 'stored' if added.is_new else 'was stored already'
    click.echo(f'PotentialData<{node.pk}> {node.uuid} {state}: {node.architecture}, {model.description(stated).origin}')
    for remark in added.remarks:
        click.echo(remark)


def _interpreter(model: FoundationModel) -> Path | None:
    """Return the interpreter of the code of an architecture if it is on this machine; None if there is no such one."""
    architecture = str(model.values['architecture'])
    if architecture not in registered_names(ARCHITECTURES):
        return None
    try:
        label = code_of_architecture(architecture)
        code = load_code(label) if label else None
    except (CodeError, NotExistent):
        return None  # several or none: the command then says what to name
    if code is None or not is_local(code.computer):
        return None
    return Path(str(code.filepath_executable))
