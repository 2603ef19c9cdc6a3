"""``aiida-edl benchmark``: run the charged-interface benchmark, watch it, report it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click
import yaml
from aiida.orm import ProcessNode

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import BENCHMARK, FORMAT, SET, named_nodes, named_values, nested_settings, print_rows
from aiida_edl.provenance import progress as stages
from aiida_edl.provenance.archive import publish
from aiida_edl.provenance.cached_jobs import cache_in_words, why_nothing_is_cached
from aiida_edl.provenance.report import write_report
from aiida_edl.provenance.study_groups import STUDY_EXTRA, checked_name, group_study, study_name

YAML_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
ARCHIVE_NAME = 'benchmark.aiida'


@click.group(cls=EdlCommandGroup)
def benchmark() -> None:
    """Run, extend, watch and report the charged-interface benchmark."""


CODES = click.option(
    '--code', 'codes', multiple=True, metavar='NAME=LABEL', help='Code of the reference or an architecture.'
)
POTENTIALS = click.option(
    '--potential',
    'potentials',
    multiple=True,
    metavar='NAME=PK',
    help='A potential that was trained elsewhere: tested on the same frames, run at every charge state; repeatable.',
)
OPTIONS = click.option(
    '--options', type=YAML_FILE, help='YAML file with scheduler options by name of the code, or default.'
)
OUTPUT = click.option('--output', type=FOLDER, help='Wait, then write report and archive to this folder.')
WAIT = click.option(
    '--wait/--no-wait', default=False, help='Wait until it has ended, showing how far it is, and group its members.'
)
DRY_RUN = click.option('--dry-run', is_flag=True, help='Print the settings after checking them, and submit nothing.')
MAX_ACTIVE = click.option('--max-active', type=click.IntRange(1), help='Assess so many models at once at most.')
STUDY_NAME = click.option(
    '--study',
    default='',
    metavar='NAME',
    help='Name of the study in the labels of groups; one from the label without it.',
)


@benchmark.command('run')
@click.option('--protocol', help='Name of the protocol; the default one without it.')
@click.option('--overrides', type=YAML_FILE, help='YAML file with settings that differ from the protocol.')
@SET
@click.option(
    '--architectures', default='', metavar='NAME,NAME', help='What to compare, if not what the protocol says.'
)
@CODES
@POTENTIALS
@OPTIONS
@click.option('--gpus', type=click.IntRange(1), help='Train and run on this many GPUs a job; asked of the scheduler.')
@click.option('--label', default='', help='Label of the process.')
@STUDY_NAME
@MAX_ACTIVE
@OUTPUT
@WAIT
@click.option('--repeat', is_flag=True, help='Submit again even if one with the same inputs has finished.')
@DRY_RUN
def run(  # noqa: PLR0917  (one parameter per option)
    protocol: str | None,
    overrides: Path | None,
    assignments: tuple[str, ...],
    architectures: str,
    codes: tuple[str, ...],
    potentials: tuple[str, ...],
    options: Path | None,
    gpus: int | None,
    label: str,
    study: str,
    max_active: int | None,
    output: Path | None,
    wait: bool,
    repeat: bool,
    dry_run: bool,
) -> None:
    """Submit the benchmark to the daemon and print its identifier."""
    from aiida_edl.workflows import launch  # noqa: PLC0415  (imports every work chain)
    from aiida_edl.workflows.benchmark_settings import checked_settings  # noqa: PLC0415

    settings = launch.benchmark_settings(protocol, nested_settings(overrides, assignments), _words(architectures))
    if gpus:
        settings['architectures'] = {
            name: {**part, 'device': 'cuda'} for name, part in settings['architectures'].items()
        }
    checked = checked_settings(settings)
    if dry_run:
        _print_settings(settings)
        return
    given = named_nodes(potentials, 'edl.potential')
    labels = launch.code_labels(checked, named_values(codes, 'label'), given)
    wished = nested_settings(options, ())
    if gpus:
        wished = launch.options_on_gpus(wished, labels, list(settings['architectures']), gpus)
    name = checked_name(study) if study else ''
    _warn_of_cache()
    process = launch.launch_benchmark(
        settings, labels, wished or None, label, repeat, max_active=max_active, potentials=given
    )
    _follow(process, name, output, wait)


def _print_settings(settings: dict[str, Any]) -> None:
    """Print settings as YAML, and as a comment how much they ask for."""
    click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip())
    click.echo(f'# {stages.plan_in_words(settings)}')


def _warn_of_cache() -> None:
    """Warn if nothing will come from the cache."""
    if (reason := why_nothing_is_cached()) is not None:
        click.echo(f'Warning: {reason}', err=True)


def _follow(process: ProcessNode, study: str, output: Path | None, wait: bool) -> None:
    """Say what was submitted; if that is wished, wait for its end, group its members and write its results."""
    if study:
        process.base.extras.set(STUDY_EXTRA, study)
    state = 'has finished already, see --repeat' if process.is_terminated else 'submitted'
    click.echo(f'{process.process_label}<{process.pk}> {process.uuid}: {state}')
    if not (wait or output):
        return
    ended = _wait(process)
    click.echo(cache_in_words(ended))
    click.echo(f'its members are in {len(group_study(ended))} groups edl/{study_name(ended)}/...')
    if output:
        write_results(ended, output)
    _check_end(ended)


@benchmark.command('extend')
@BENCHMARK
@click.option('--overrides', type=YAML_FILE, help='YAML file with settings that differ from those of the study.')
@SET
@click.option('--architectures', default='', metavar='NAME,NAME', help='Architectures that join those of the study.')
@click.option('--seeds', default='', metavar='N,N', help='Seeds that join those of every architecture.')
@CODES
@POTENTIALS
@OPTIONS
@STUDY_NAME
@MAX_ACTIVE
@OUTPUT
@WAIT
@DRY_RUN
def extend(  # noqa: PLR0917  (one parameter per option)
    process: ProcessNode,
    overrides: Path | None,
    assignments: tuple[str, ...],
    architectures: str,
    seeds: str,
    codes: tuple[str, ...],
    potentials: tuple[str, ...],
    options: Path | None,
    study: str,
    max_active: int | None,
    output: Path | None,
    wait: bool,
    dry_run: bool,
) -> None:
    """Submit the benchmark PROCESS with more in it; what it had comes from the cache."""
    from aiida_edl.workflows import extension, launch  # noqa: PLC0415  (imports every work chain)
    from aiida_edl.workflows.benchmark_settings import checked_settings  # noqa: PLC0415

    old = extension.settings_of_study(process)
    more_seeds = [_seed(word) for word in _words(seeds)]
    settings = extension.extended_settings(
        process, nested_settings(overrides, assignments), _words(architectures), more_seeds
    )
    checked = checked_settings(settings)
    for sentence in extension.consequences(old, settings):
        click.echo(f'Warning: {sentence}', err=True)
    if dry_run:
        _print_settings(settings)
        return
    known = {**extension.potentials_of_study(process), **named_nodes(potentials, 'edl.potential')}
    labels = launch.code_labels(checked, {**extension.codes_of_study(process), **named_values(codes, 'label')}, known)
    given = process.inputs.options.get_dict() if 'options' in process.inputs else {}
    name = checked_name(study) if study else study_name(process)
    _warn_of_cache()
    wished = {**given, **nested_settings(options, ())} or None
    extended = launch.launch_benchmark(settings, labels, wished, process.label, max_active=max_active, potentials=known)
    _follow(extended, name, output, wait)


def _words(text: str) -> list[str]:
    """Return the words of a list with commas."""
    return [word.strip() for word in text.split(',') if word.strip()]


def _seed(word: str) -> int:
    """Return a seed.

    :raises click.UsageError: if it is no number.
    """
    if not word.isdecimal():
        raise click.UsageError(f"'{word}' is no seed; give numbers with commas, e.g. --seeds 4,5")
    return int(word)


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
    click.echo(cache_in_words(process))
    click.echo(stages.headline(process))


@benchmark.command('group')
@BENCHMARK
@STUDY_NAME
@FORMAT
def group(process: ProcessNode, study: str, style: str) -> None:
    """Put what the benchmark PROCESS made into groups edl/STUDY/STAGE/CHARGE STATE; may be called again."""
    print_rows(group_study(process, study), style)


@benchmark.command('report')
@BENCHMARK
@click.option('--output', type=FOLDER, default=Path('report'), show_default=True, help='Where the files go.')
@click.option(
    '--figure', 'figures', multiple=True, metavar='NAME', help='Only this figure with its numbers; repeatable.'
)
@click.option('--table', 'tables', multiple=True, metavar='NAME', help='Only this table; repeatable.')
def report(process: ProcessNode, output: Path, figures: tuple[str, ...], tables: tuple[str, ...]) -> None:
    """Write the report of the benchmark PROCESS: a page, figures, and the tables behind them."""
    click.echo(write_report(process, output, figures, tables).sentence)
