"""``aiida-edl fine-tuning``: compare foundation models, fine-tuned ones and models from scratch by diffusion."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import yaml
from aiida.cmdline.params.types import NodeParamType
from aiida.orm import ArrayData, ProcessNode

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import (
    BENCHMARK,
    FORMAT,
    SET,
    named_nodes,
    named_numbers,
    named_values,
    nested_settings,
    print_rows,
)
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance import progress as stages
from aiida_edl.provenance.fine_tuning_report import TABLES, comparison_of, write_fine_tuning_report

FOLDER = click.Path(file_okay=False, path_type=Path)
YAML_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DATASET = NodeParamType(sub_classes=('aiida.data:edl.dataset',))
POTENTIAL = NodeParamType(sub_classes=('aiida.data:edl.potential',))
SPLIT = NodeParamType(sub_classes=('aiida.data:core.array',))


@click.group('fine-tuning', cls=EdlCommandGroup)
def fine_tuning() -> None:
    """Compare foundation models, fine-tuned ones and models from scratch by diffusion in a crystal."""


@fine_tuning.command('run')
@click.option('--dataset', type=DATASET, required=True, help='Labelled frames.')
@click.option('--split', type=SPLIT, required=True, help='Their training, validation and test.')
@click.option(
    '--structure',
    'structures',
    multiple=True,
    required=True,
    metavar='SYSTEM=PK',
    help='Frames from which the runs begin; repeatable.',
)
@click.option('--foundation', 'foundations', multiple=True, metavar='LABEL=PK', help='A foundation model; repeatable.')
@click.option('--replay-dataset', type=DATASET, help='Frames of the training of the foundation models.')
@click.option('--replay-split', type=SPLIT, help='Their training, to be replayed, and test, to see what is forgotten.')
@click.option('--protocol', help='Name of the protocol; the default one without it.')
@click.option('--overrides', type=YAML_FILE, help='YAML file with settings that differ from the protocol.')
@SET
@click.option('--code', 'codes', multiple=True, metavar='NAME=LABEL', help='Code of a family or architecture.')
@click.option('--label-engine', help='Engine of the labels, for models that find their own frames.')
@click.option('--label-code', help='Label of its code.')
@click.option('--label-protocol', help='Named settings of it.')
@click.option('--label-settings', type=YAML_FILE, help='YAML file with settings of it.')
@click.option('--label-options', type=YAML_FILE, help='YAML file with scheduler options of the labelling jobs.')
@click.option('--label-frames-per-job', type=click.IntRange(1), help='Frames in one labelling job at most.')
@click.option(
    '--label-gate', 'limits', multiple=True, metavar='NAME=VALUE', help='A limit of the gate of the labels; repeatable.'
)
@click.option(
    '--atomic-energies', type=YAML_FILE, help='YAML file with the energy of each element [eV]; fitted without it.'
)
@click.option('--label-potential', type=POTENTIAL, help='A potential as teacher, instead of settings.')
@click.option('--options', type=YAML_FILE, help='YAML file with scheduler options by name of the code, or default.')
@click.option('--gpus', type=click.IntRange(1), help='Train and run on this many GPUs a job; asked of the scheduler.')
@click.option('--max-active', type=click.IntRange(1), help='Train and run so many models at once at most.')
@click.option('--label', default='', help='Label of the process.')
@click.option('--wait/--no-wait', default=False, help='Wait until it has ended, showing how far it is.')
@click.option('--dry-run', is_flag=True, help='Print the settings after checking them, and submit nothing.')
def run(  # noqa: PLR0917  (one parameter per option)
    dataset: DatasetData,
    split: ArrayData,
    structures: tuple[str, ...],
    foundations: tuple[str, ...],
    replay_dataset: DatasetData | None,
    replay_split: ArrayData | None,
    protocol: str | None,
    overrides: Path | None,
    assignments: tuple[str, ...],
    codes: tuple[str, ...],
    label_engine: str | None,
    label_code: str | None,
    label_protocol: str | None,
    label_settings: Path | None,
    label_options: Path | None,
    label_frames_per_job: int | None,
    limits: tuple[str, ...],
    atomic_energies: Path | None,
    label_potential: PotentialData | None,
    options: Path | None,
    gpus: int | None,
    max_active: int | None,
    label: str,
    wait: bool,
    dry_run: bool,
) -> None:
    """Submit a fine-tuning study to the daemon and print its identifier."""
    from aiida_edl.workflows import launch_fine_tuning as launch  # noqa: PLC0415  (imports every work chain)
    from aiida_edl.workflows.fine_tuning_settings import checked_settings  # noqa: PLC0415

    settings = launch.study_settings(protocol, nested_settings(overrides, assignments))
    if gpus:
        settings = launch.with_device(settings, 'cuda')
    checked = checked_settings(settings)
    plan = launch.plan_in_words(checked)
    if dry_run:
        click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip())
        click.echo(f'# {plan}')
        return
    if (replay_dataset is None) != (replay_split is None):
        raise click.UsageError('--replay-dataset and --replay-split belong together; give both or neither')
    if (label_engine is None) != (label_code is None):
        raise click.UsageError('--label-engine and --label-code belong together; give both or neither')
    labelling = None
    if label_engine is not None and label_code is not None:
        wished = nested_settings(label_settings, ())
        labelling = launch.labelling_inputs(
            label_engine,
            label_code,
            protocol=label_protocol,
            settings=wished,
            potential=label_potential,
            options=nested_settings(label_options, ()),
            frames_per_job=label_frames_per_job,
            gate=named_numbers(limits, 'value'),
        )
    given, labels = named_nodes(foundations, 'edl.potential'), named_values(codes, 'label')
    resources = nested_settings(options, ())
    if gpus:
        resources = launch.options_on_gpus(resources, checked, labels, given, gpus)
    builder = launch.study_builder(
        settings,
        dataset=dataset,
        split=split,
        structures=named_nodes(structures, 'edl.dataset'),
        foundations=given,
        codes=labels,
        replay=None if replay_dataset is None or replay_split is None else (replay_dataset, replay_split),
        labelling=labelling,
        atomic_energies=nested_settings(atomic_energies, ()),
        options=resources or None,
        max_active=max_active,
        label=label,
    )
    process = launch.submit_study(builder)
    click.echo(f'{process.process_label}<{process.pk}> {process.uuid}: submitted, {plan}')
    if wait:
        ended = stages.watch(process, sys.stdout)
        if not ended.is_finished_ok:
            click.echo(f'Warning: {ended.exit_message}', err=True)


@fine_tuning.command('show')
@BENCHMARK
@click.option('--table', type=click.Choice(TABLES), default='models', show_default=True, help='Which table.')
@FORMAT
def show(process: ProcessNode, table: str, style: str) -> None:
    """Print a table of the study PROCESS: its models, its learning curves, or the diffusion at each temperature."""
    rows: list[dict[str, Any]] = comparison_of(process)[table]
    print_rows(rows, style)


@fine_tuning.command('report')
@BENCHMARK
@click.option('--output', type=FOLDER, default=Path('report'), show_default=True, help='Where the files go.')
def report(process: ProcessNode, output: Path) -> None:
    """Write the report of the study PROCESS: a text, figures, and the tables behind them."""
    click.echo(write_fine_tuning_report(process, output).sentence)
