"""``aiida-edl dataset label``: label the frames of a data set with an engine."""

from __future__ import annotations

from pathlib import Path

import click
from aiida.cmdline.params.types import CodeParamType, NodeParamType
from aiida.orm import AbstractCode

from aiida_edl.cli.parameters import SET, named_numbers, nested_settings, node_argument
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData

YAML_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
POTENTIAL = NodeParamType(sub_classes=('aiida.data:edl.potential',))


@click.command('label')
@node_argument('node', 'edl.dataset')
@click.option('--engine', required=True, help='Short name of the engine, e.g. cp2k, vasp or ase_calculator.')
@click.option('--code', required=True, type=CodeParamType(), help='Code of the engine.')
@click.option('--protocol', help='Named settings of the engine; its default ones if none is given.')
@click.option('--settings', type=YAML_FILE, help='YAML file with settings of the engine; they win over the protocol.')
@SET
@click.option('--potential', type=POTENTIAL, help='A trained potential as teacher, instead of settings.')
@click.option('--gate', 'limits', multiple=True, metavar='NAME=VALUE', help='A limit of the gate; repeatable.')
@click.option('--frames-per-job', type=int, default=50, show_default=True, help='Frames in one job.')
@click.option('--max-active-jobs', type=int, default=50, show_default=True, help='Jobs that wait or run at a time.')
@click.option('--max-failed-fraction', type=float, default=0.1, show_default=True, help='Share that may be rejected.')
@click.option('--no-gradient-check', is_flag=True, help='Do not check forces and stress against energies.')
@click.option('--options', type=YAML_FILE, help='YAML file with scheduler options of each job.')
@click.option('--label', default='', help='Label of the process.')
@click.option('--wait', is_flag=True, help='Run it here, without the daemon, and say how it ended.')
def label_frames(  # noqa: PLR0917  (one parameter per option)
    node: DatasetData,
    engine: str,
    code: AbstractCode,
    protocol: str | None,
    settings: Path | None,
    assignments: tuple[str, ...],
    potential: PotentialData | None,
    limits: tuple[str, ...],
    frames_per_job: int,
    max_active_jobs: int,
    max_failed_fraction: float,
    no_gradient_check: bool,
    options: Path | None,
    label: str,
    wait: bool,
) -> None:
    """Label the frames of NODE, and list those whose label cannot be trusted."""
    from aiida_edl.workflows import launch_labelling as launch  # noqa: PLC0415  (imports every engine)

    gate = named_numbers(limits, 'value')
    builder = launch.labelling_builder(
        node,
        engine=engine,
        code=code,
        protocol=protocol,
        settings=nested_settings(settings, assignments),
        gate=gate,
        numbers={'frames_per_job': frames_per_job, 'max_active_jobs': max_active_jobs},
        max_failed_fraction=max_failed_fraction,
        should_check_gradients=not no_gradient_check,
        options=nested_settings(options, ()),
        potential=potential,
        label=label,
    )
    if not wait:
        process = launch.submit_to_daemon(builder)
        click.echo(f'{process.process_label}<{process.pk}> {process.uuid}: submitted')
        return
    process = launch.run_here(builder)
    sentence = launch.outcome(process)
    if not launch.has_data_set(process):
        raise click.ClickException(sentence)
    click.echo(sentence)
