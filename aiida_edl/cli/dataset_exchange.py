"""``aiida-edl dataset import`` and ``export``: frames from files and to files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params.types import NodeParamType
from aiida.orm import ArrayData

from aiida_edl.cli.parameters import SET, named_numbers, named_values, nested_settings, node_argument
from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.dataset_export import ExportSettings, SplitPart, export_dataset
from aiida_edl.provenance.dataset_import import REJECTED, ImportSettings, import_dataset
from aiida_edl.registry import DATASET_FORMATS, registered_names
from aiida_edl.science.formats.file_units import UNITS

FORMATS = ', '.join(registered_names(DATASET_FORMATS))
MAXIMUM_SHOWN = 10
"""Frames that could not be used that are printed; the node lists all."""
UNITS_HELP = '; '.join(f'{quantity}: {", ".join(names)}' for quantity, names in UNITS.items())


@click.command('import')
@click.argument('source', type=click.Path(exists=True, path_type=Path))
@click.option('--format', 'form', metavar='NAME', help=f'One of {FORMATS}; by default what SOURCE looks like.')
@click.option('--level-of-theory', default='', help='What made the labels, in words; runs of DFT programs say it.')
@click.option('--origin', default='', help='Where the frames come from, in words.')
@click.option('--sides', type=click.IntRange(1, 2), default=1, show_default=True, help='Wet sides of the slab.')
@click.option('--energy-key', help='Of the energy whose gradient the forces are; short for --set energy=KEY.')
@click.option('--forces-key', help='Of the forces; short for --set forces=KEY.')
@click.option('--stress-key', help='Of the stress, which is not read without; short for --set stress=KEY.')
@click.option('--charges-key', help='Of the atomic charges, not read without; short for --set charges=KEY.')
@click.option('--group-by', help='Key that names the trajectory of each frame; splits keep its frames together.')
@click.option('--group', help='Name of the trajectory that all frames are of.')
@click.option('--type-map', help='Chemical symbols of the types, e.g. O,H,Pt; if the source has none.')
@click.option('--accept-other-free-energy', is_flag=True, help='Keep the energy key although free_energy differs.')
@SET
@click.option('--unit', 'units', multiple=True, metavar='QUANTITY=UNIT', help=f'Repeatable. {UNITS_HELP}')
@click.option('--limit', 'limits', multiple=True, metavar='NAME=VALUE', help='A bound on labels to widen; repeatable.')
@click.option(
    '--max-failed-fraction',
    type=float,
    help='Largest fraction of frames left out because they cannot be used, and listed; by default 0.01, of runs 0.5.',
)
@click.option('--label', default='', help='Label of the node.')
def import_frames(source: Path, **given: Any) -> None:
    """Import SOURCE, a file or folder of any known format; units are those of the format unless stated."""
    settings = ImportSettings(
        level_of_theory=given['level_of_theory'],
        form=given['form'],
        origin=given['origin'],
        n_wet_sides=given['sides'],
        options=_options_of_format(given),
        group=given['group'],
        units=named_values(given['units'], 'unit'),
        limits=named_numbers(given['limits'], 'value'),
        maximum_failed_fraction=given['max_failed_fraction'],
        label=given['label'],
    )
    node = import_dataset(source, settings)
    click.echo(
        f'DatasetData<{node.pk}> {node.uuid}: {node.n_frames} frames, charge states {", ".join(node.charge_labels)}'
    )
    rejected = node.base.attributes.get(REJECTED)
    if rejected:
        click.echo(f'{len(rejected)} frames were left out, as the node lists:')
        for entry in rejected[:MAXIMUM_SHOWN]:
            click.echo(f'  {entry["frame"]}: {entry["reason"]}')


def _options_of_format(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stated for the format, from ``--set`` and the short forms."""
    options = nested_settings(None, given['assignments'])
    options |= {key: given[f'{key}_key'] for key in ('energy', 'forces', 'stress', 'charges') if given[f'{key}_key']}
    if given['group_by']:
        options['columns'] = {**options.get('columns', {}), given['group_by']: 'group'}
    if given['type_map']:
        options['type_map'] = given['type_map'].split(',')
    if given['accept_other_free_energy']:
        options['accept_other_free_energy'] = True
    return options


@click.command('export')
@node_argument('node', 'edl.dataset')
@click.option('--format', 'form', metavar='NAME', required=True, help=f'One of {FORMATS}, if it can be written.')
@click.option('--output', type=click.Path(path_type=Path), required=True, help='New folder for the files.')
@click.option('--split', type=NodeParamType(), help='Node of indices, as `edl.split_dataset` gives it; with --part.')
@click.option('--part', metavar='NAME', help='Part of the split that is written alone, e.g. training.')
@click.option(
    '--drop', multiple=True, metavar='NAME', help='A label or column that the files shall not hold; repeatable.'
)
@SET
def export_frames(  # noqa: PLR0917  (one parameter per option)
    node: DatasetData,
    form: str,
    output: Path,
    split: ArrayData | None,
    part: str | None,
    drop: tuple[str, ...],
    assignments: tuple[str, ...],
) -> None:
    """Write a data set as files that others read; what they cannot hold must be dropped by name."""
    if (split is None) is not (part is None):
        raise click.UsageError('--split and --part go together: name the node of indices and one of its arrays')
    chosen = None if split is None or part is None else SplitPart(split, part)
    settings = ExportSettings(form=form, options=nested_settings(None, assignments), dropped=drop)
    manifest = export_dataset(node, output, settings, chosen)
    click.echo(
        f'{manifest["n_frames"]} frames as {manifest["format"]} in {output.name}; manifest.json says what they are'
    )
