"""``aiida-edl dataset``: import labelled frames, and look at data sets."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import (
    FORMAT,
    named_numbers,
    named_values,
    node_argument,
    print_attributes,
    print_rows,
)
from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.dataset_import import FORMATS, ImportSettings, import_dataset
from aiida_edl.science.formats.file_units import UNITS

UNITS_HELP = '; '.join(f'{quantity}: {", ".join(names)}' for quantity, names in UNITS.items())


@click.group(cls=EdlCommandGroup)
def dataset() -> None:
    """Import data sets, and look at them."""


@dataset.command('import')
@click.argument('source', type=click.Path(exists=True, path_type=Path))
@click.option('--format', 'form', type=click.Choice(FORMATS), help='By default a folder is deepmd_npy.')
@click.option('--level-of-theory', required=True, help='What made the labels, in words.')
@click.option('--origin', default='', help='Where the frames come from, in words.')
@click.option('--sides', type=click.IntRange(1, 2), default=1, show_default=True, help='Wet sides of the slab.')
@click.option('--energy-key', default='energy', show_default=True, help='Of the energy whose gradient the forces are.')
@click.option('--forces-key', default='forces', show_default=True, help='Of the forces.')
@click.option('--stress-key', help='Of the stress; it is not read without.')
@click.option('--charges-key', help='Of the atomic charges; they are not read without.')
@click.option('--group-by', help='Key that names the trajectory of each frame; splits keep its frames together.')
@click.option('--type-map', help='Chemical symbols of the types, e.g. O,H,Pt; if the folder has none.')
@click.option('--accept-other-free-energy', is_flag=True, help='Keep the energy key although free_energy differs.')
@click.option('--unit', 'units', multiple=True, metavar='QUANTITY=UNIT', help=f'Repeatable. {UNITS_HELP}')
@click.option('--limit', 'limits', multiple=True, metavar='NAME=VALUE', help='A bound on labels to widen; repeatable.')
@click.option('--label', default='', help='Label of the node.')
def import_frames(  # noqa: PLR0917  (one parameter per option)
    source: Path,
    form: str | None,
    level_of_theory: str,
    origin: str,
    sides: int,
    energy_key: str,
    forces_key: str,
    stress_key: str | None,
    charges_key: str | None,
    group_by: str | None,
    type_map: str | None,
    accept_other_free_energy: bool,
    units: tuple[str, ...],
    limits: tuple[str, ...],
    label: str,
) -> None:
    """Import SOURCE, an extended XYZ file or a folder of DeePMD-kit; units are Å, eV and eV/Å unless stated."""
    settings = ImportSettings(
        level_of_theory=level_of_theory,
        form=form or ('deepmd_npy' if source.is_dir() else 'extended_xyz'),
        origin=origin,
        n_wet_sides=sides,
        energy_key=energy_key,
        forces_key=forces_key,
        stress_key=stress_key,
        charges_key=charges_key,
        group_key=group_by,
        type_map=tuple(type_map.split(',')) if type_map else None,
        accept_other_free_energy=accept_other_free_energy,
        units=named_values(units, 'unit'),
        limits=named_numbers(limits, 'value'),
        label=label,
    )
    node = import_dataset(source, settings)
    click.echo(
        f'DatasetData<{node.pk}> {node.uuid}: {node.n_frames} frames, charge states {", ".join(node.charge_labels)}'
    )


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
