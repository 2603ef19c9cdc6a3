"""``aiida-edl dataset``: import and export labelled frames, and look at data sets."""

from __future__ import annotations

import click

from aiida_edl.cli.dataset_exchange import export_frames, import_frames
from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, node_argument, print_attributes, print_rows
from aiida_edl.data.dataset import DatasetData


@click.group(cls=EdlCommandGroup)
def dataset() -> None:
    """Import and export data sets, and look at them."""


@dataset.command('show')
@node_argument('node', 'edl.dataset')
@FORMAT
def show(node: DatasetData, style: str) -> None:
    """Show what a data set holds: frames, labels, level of theory, and its charge states."""
    attributes = node.base.attributes.all
    keys = ('n_frames', 'n_atoms', 'elements', 'labels', 'level_of_theory', 'origin', 'n_wet_sides', 'sha256')
    values = {'uuid': node.uuid, **{key: attributes[key] for key in keys}, 'columns': list(node.columns())}
    states = attributes[DatasetData.KEY_CHARGE_STATES]
    if style != 'table':
        print_rows([{**values, 'charge_states': states}], style)
        return
    print_attributes(values, style)
    click.echo('')
    print_rows([{**state, 'ions': state['label']} for state in states], style)


dataset.add_command(import_frames)
dataset.add_command(export_frames)
