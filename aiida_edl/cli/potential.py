"""``aiida-edl potential``: look at potentials."""

from __future__ import annotations

import click

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, node_argument, print_attributes
from aiida_edl.data.potential import PotentialData


@click.group(cls=EdlCommandGroup)
def potential() -> None:
    """Look at potentials."""


@potential.command('show')
@node_argument('node', 'edl.potential')
@FORMAT
def show(node: PotentialData, style: str) -> None:
    """Show what a potential is: architecture, elements, receptive field [Å], charge states of its training set."""
    print_attributes({'uuid': node.uuid, **node.base.attributes.all}, style)
