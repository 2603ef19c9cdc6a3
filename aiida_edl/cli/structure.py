"""``aiida-edl structure``: build interfaces, crystals with defects, and interphases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from aiida.orm import Dict

from aiida_edl.calculations.functions.build_interface import build_interface
from aiida_edl.calculations.functions.build_interphase import build_interphase
from aiida_edl.calculations.functions.build_lithium_fluoride import build_lithium_fluoride
from aiida_edl.calculations.functions.build_silica import build_silica
from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import SET, nested_settings
from aiida_edl.cli.run_function import named, run

SETTINGS = click.option('--settings', type=click.Path(exists=True, dir_okay=False, path_type=Path), help='YAML file.')
LABEL = click.option('--label', default='', help='Label of the node.')


@click.group(cls=EdlCommandGroup)
def structure() -> None:
    """Build structures."""


@structure.command('build')
@SETTINGS
@SET
@LABEL
def build(settings: Path | None, assignments: tuple[str, ...], label: str) -> None:
    """Build a metal slab with a film of water and ions, e.g. --set metal=Au --set n_water=28 --set n_ions=2."""
    _build(build_interface, settings, assignments, label)


@structure.command('build-lithium-fluoride')
@SETTINGS
@SET
@LABEL
def build_fluoride(settings: Path | None, assignments: tuple[str, ...], label: str) -> None:
    """Build LiF with defects, e.g. --set defect=interstitial --set 'repeat=[3, 3, 3]' --set n_frames=10."""
    _build(build_lithium_fluoride, settings, assignments, label)


@structure.command('build-silica')
@SETTINGS
@SET
@LABEL
def build_quartz(settings: Path | None, assignments: tuple[str, ...], label: str) -> None:
    """Build quartz with oxygen vacancies, e.g. --set charge=1 --set 'repeat=[2, 1, 2]' --set n_frames=10."""
    _build(build_silica, settings, assignments, label)


@structure.command('build-interphase')
@SETTINGS
@SET
@LABEL
def build_slabs(settings: Path | None, assignments: tuple[str, ...], label: str) -> None:
    """Build LiF on Li2CO3, e.g. --set fluoride_layers=6, or Li2CO3 by --set kind=lithium_carbonate."""
    _build(build_interphase, settings, assignments, label)


def _build(function: Callable[..., Any], file: Path | None, assignments: tuple[str, ...], label: str) -> None:
    """Run a builder, print the node, and what its report warns of."""
    result = run(function, settings=Dict(nested_settings(file, assignments)))
    if label:
        result.label = label
    click.echo(named(result))
    for warning in result.base.attributes.get('report', {}).get('warnings', ()):
        click.echo(f'Warning: {warning}.')
