"""``aiida-edl dataset show``: what a data set holds, with histograms."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_edl.cli.parameters import FORMAT, node_argument, print_attributes, print_rows
from aiida_edl.cli.text_histogram import histogram_rows, histogram_text
from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.dataset_figure import write_dataset_figure
from aiida_edl.science.dataset_histograms import dataset_histograms

SHOWN = ('n_frames', 'n_atoms', 'elements', 'labels', 'level_of_theory', 'origin', 'n_wet_sides', 'sha256')
"""Attributes that are printed."""
SHOWN_IF_PRESENT = ('differences', 'dropped')
"""Attributes of joined sets whose parts differ."""


@click.command('show')
@node_argument('node', 'edl.dataset')
@FORMAT
@click.option('--brief', is_flag=True, help='Leave out the histograms, for which all frames are read.')
@click.option('--figure', type=click.Path(dir_okay=False, path_type=Path), help='Draw them to a .png or .svg file.')
def show(node: DatasetData, style: str, brief: bool, figure: Path | None) -> None:
    """Show what a data set holds: frames, labels, level of theory, charge states, and histograms.

    CSV has the bins of the histograms alone.
    """
    attributes = node.base.attributes.all
    values = {'uuid': node.uuid, **{key: attributes[key] for key in SHOWN}, 'columns': list(node.columns())}
    values |= {key: attributes[key] for key in SHOWN_IF_PRESENT if key in attributes}
    states = attributes[DatasetData.KEY_CHARGE_STATES]
    histograms = () if brief and figure is None else dataset_histograms(node.frames())
    if figure is not None:
        write_dataset_figure(histograms, figure)
    printed = () if brief else histograms
    if style == 'csv' and printed:
        print_rows(histogram_rows(printed), style)
    elif style != 'table':
        rows = {'histograms': histogram_rows(printed)} if printed else {}
        print_rows([{**values, 'charge_states': states, **rows}], style)
    else:
        print_attributes(values, style)
        click.echo('')
        print_rows([{**state, 'ions': state['label']} for state in states], style)
        for histogram in printed:
            click.echo('\n' + histogram_text(histogram))
