"""``aiida-edl dataset``: import and export labelled frames, look at data sets, choose, split and join them."""

from __future__ import annotations

import click

from aiida_edl.cli.dataset_exchange import export_frames, import_frames
from aiida_edl.cli.dataset_label import label_frames
from aiida_edl.cli.dataset_show import show
from aiida_edl.cli.dataset_tools import TOOLS
from aiida_edl.cli.group import EdlCommandGroup


@click.group(cls=EdlCommandGroup)
def dataset() -> None:
    """Import, export and label data sets, look at them, choose, split and join them."""


for command in (import_frames, export_frames, label_frames, show, *TOOLS):
    dataset.add_command(command)
