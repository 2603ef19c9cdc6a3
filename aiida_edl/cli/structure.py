"""``aiida-edl structure``: build interfaces."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.engine import run_get_node
from aiida.orm import Dict

from aiida_edl.calculations.functions.build_interface import build_interface
from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import SET, nested_settings


@click.group(cls=EdlCommandGroup)
def structure() -> None:
    """Build structures."""


@structure.command('build')
@click.option('--settings', type=click.Path(exists=True, dir_okay=False, path_type=Path), help='YAML file.')
@SET
def build(settings: Path | None, assignments: tuple[str, ...]) -> None:
    """Build a metal slab with a film of water and ions, e.g. --set metal=Au --set n_water=28 --set n_ions=2."""
    values = nested_settings(settings, assignments)
    result, process = run_get_node(build_interface, settings=Dict(values))
    if not process.is_finished_ok:
        raise click.ClickException(f'{process.process_label}<{process.pk}> failed: {process.exit_message}')
    click.echo(f'{type(result).__name__}<{result.pk}> {result.uuid}')
