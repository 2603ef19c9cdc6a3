"""``aiida-edl benchmark``: run the charged-interface benchmark, watch it, report it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click
import yaml
from aiida.orm import ProcessNode

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import BENCHMARK, FORMAT, SET, named_values, nested_settings, print_rows
from aiida_edl.provenance import progress as stages
from aiida_edl.provenance.archive import publish
from aiida_edl.provenance.report import write_report

YAML_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
ARCHIVE_NAME = 'benchmark.aiida'


@click.group(cls=EdlCommandGroup)
def benchmark() -> None:
    """Run, watch and report the charged-interface benchmark."""


@benchmark.command('run')
@click.option('--protocol', help='Name of the protocol; the default one without it.')
@click.option('--overrides', type=YAML_FILE, help='YAML file with settings that differ from the protocol.')
@SET
@click.option(
    '--architectures', default='', metavar='NAME,NAME', help='What to compare, if not what the protocol says.'
)
@click.option('--code', 'codes', multiple=True, metavar='NAME=LABEL', help='Code of the reference or an architecture.')
@click.option('--options', type=YAML_FILE, help='YAML file with scheduler options by name of the code, or default.')
@click.option('--gpus', type=click.IntRange(1), help='Train and run on this many GPUs a job; asked of the scheduler.')
@click.option('--label', default='', help='Label of the process.')
@click.option('--output', type=FOLDER, help='Wait, then write report and archive to this folder.')
@click.option('--wait/--no-wait', default=False, help='Wait until it has ended, showing how far it is.')
@click.option('--repeat', is_flag=True, help='Submit again even if one with the same inputs has finished.')
@click.option('--dry-run', is_flag=True, help='Print the settings after checking them, and submit nothing.')
def run(  # noqa: PLR0917  (one parameter per option)
    protocol: str | None,
    overrides: Path | None,
    assignments: tuple[str, ...],
    architectures: str,
    codes: tuple[str, ...],
    options: Path | None,
    gpus: int | None,
    label: str,
    output: Path | None,
    wait: bool,
    repeat: bool,
    dry_run: bool,
) -> None:
    """Submit the benchmark to the daemon and print its identifier."""
    from aiida_edl.workflows import launch  # noqa: PLC0415  (imports every work chain)
    from aiida_edl.workflows.benchmark_settings import BenchmarkSettings  # noqa: PLC0415

    names = [name.strip() for name in architectures.split(',') if name.strip()]
    settings = launch.benchmark_settings(protocol, nested_settings(overrides, assignments), names)
    if gpus:
        settings['architectures'] = {
            name: {**part, 'device': 'cuda'} for name, part in settings['architectures'].items()
        }
    if dry_run:
        BenchmarkSettings.from_dict(settings)
        click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip())
        return
    labels = launch.code_labels(BenchmarkSettings.from_dict(settings), named_values(codes, 'label'))
    wished = nested_settings(options, ())
    if gpus:
        wished = launch.options_on_gpus(wished, labels, list(settings['architectures']), gpus)
    process = launch.launch_benchmark(settings, labels, wished or None, label, repeat)
    state = 'has finished already, see --repeat' if process.is_terminated else 'submitted'
    click.echo(f'{process.process_label}<{process.pk}> {process.uuid}: {state}')
    if not (wait or output):
        return
    ended = _wait(process)
    if output:
        write_results(ended, output)
    _check_end(ended)


def _wait(process: ProcessNode) -> ProcessNode:
    """Show how far the benchmark is until it has ended; Ctrl-C leaves it to the daemon."""
    try:
        return stages.watch(process, sys.stdout)
    except KeyboardInterrupt:
        raise click.ClickException(
            f'no longer watched, the daemon goes on; see aiida-edl benchmark status {process.pk} --watch'
        ) from None


def write_results(process: ProcessNode, folder: Path) -> None:
    """Write report and archive of a benchmark that has ended.

    :param process: the benchmark.
    :param folder: where they go.
    """
    logging.getLogger('aiida.export').setLevel(logging.WARNING)
    click.echo(write_report(process, folder).sentence)
    click.echo(publish([process], folder / ARCHIVE_NAME).sentence)


def _check_end(process: ProcessNode) -> None:
    """Stop if the benchmark failed; a warning is printed."""
    if process.is_finished_ok:
        return
    if has_results(process.exit_status):
        click.echo(f'Warning: {process.exit_message}', err=True)
        return
    raise click.ClickException(f'{stages.headline(process)}; see verdi process report {process.pk}')


@benchmark.command('status')
@BENCHMARK
@click.option('--watch', is_flag=True, help='Go on until the benchmark has ended.')
@FORMAT
def status(process: ProcessNode, watch: bool, style: str) -> None:
    """Show how far each stage of the benchmark PROCESS is."""
    if watch:
        _check_end(_wait(process))
        return
    rows = stages.progress(process)
    if style != 'table':
        print_rows(rows, style)
        return
    for row in rows:
        click.echo(row.line)
    click.echo(stages.headline(process))


@benchmark.command('report')
@BENCHMARK
@click.option('--output', type=FOLDER, default=Path('report'), show_default=True, help='Where the files go.')
def report(process: ProcessNode, output: Path) -> None:
    """Write the report of the benchmark PROCESS: a page, figures, and the tables behind them."""
    click.echo(write_report(process, output).sentence)
