"""``aiida-edl query``: the questions a referee asks."""

from __future__ import annotations

import click
from aiida.cmdline.params.types import DataParamType
from aiida.orm import Data, ProcessNode

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, REQUIRED_STUDY, STUDY, node_argument, print_rows
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance import queries, round_queries, tables
from aiida_edl.provenance.defect_paths import defect_paths as paths_of_defects
from aiida_edl.provenance.locality_queries import locality_results
from aiida_edl.provenance.remedy_queries import remedies_of_study
from aiida_edl.provenance.results import collect
from aiida_edl.provenance.summation_queries import summation_results


@click.group(cls=EdlCommandGroup)
def query() -> None:
    """Ask the provenance graph."""


@query.command('labels')
@node_argument('potential', 'edl.potential')
@FORMAT
def labels(potential: PotentialData, style: str) -> None:
    """List the labels that trained this POTENTIAL."""
    print_rows(queries.labels_behind_potential(potential), style)


@query.command('potentials')
@click.option('--only-on', metavar='CHARGE', help='Only those that saw this one charge state, e.g. 2Na.')
@STUDY
@FORMAT
def potentials(only_on: str | None, study: ProcessNode | None, style: str) -> None:
    """List potentials and what they were trained on."""
    found = queries.potentials_trained_only_on(only_on, study) if only_on else queries.trained_potentials(study)
    print_rows(found, style)


@query.command('best')
@STUDY
@FORMAT
def best(study: ProcessNode | None, style: str) -> None:
    """List the model of each architecture with the smallest force error."""
    print_rows(queries.best_force_rmse_per_architecture(study), style)


@query.command('errors')
@STUDY
@FORMAT
def errors(study: ProcessNode | None, style: str) -> None:
    """List the errors of all models on the test frames."""
    print_rows(queries.all_errors(study), style)


@query.command('cost')
@REQUIRED_STUDY
@FORMAT
def cost(study: ProcessNode, style: str) -> None:
    """List what each stage of a study cost."""
    print_rows(queries.cost_per_stage(study), style)


@query.command('failures')
@REQUIRED_STUDY
@FORMAT
def failures(study: ProcessNode, style: str) -> None:
    """List the processes of a study that failed, and why."""
    print_rows(queries.failed_processes(study), style)


@query.command('protocol')
@click.argument('name')
@FORMAT
def protocol(name: str, style: str) -> None:
    """List the runs that took their settings from the protocol NAME."""
    print_rows(queries.runs_with_protocol(name), style)


@query.command('figures')
@click.argument('node', type=DataParamType())
@STUDY
@FORMAT
def figures(node: Data, study: ProcessNode | None, style: str) -> None:
    """List the figures that depend on this NODE, e.g. a data set."""
    print_rows(queries.figures_depending_on(node, study), style)


@query.command('rejected')
@STUDY
@FORMAT
def rejected(study: ProcessNode | None, style: str) -> None:
    """List the labels that were rejected, and why."""
    print_rows(queries.rejected_frames(study), style)


@query.command('locality')
@STUDY
@FORMAT
def locality(study: ProcessNode | None, style: str) -> None:
    """List how far potentials see, and what they miss of a far ion."""
    print_rows(locality_results(study), style)


@query.command('summation')
@STUDY
@FORMAT
def summation(study: ProcessNode | None, style: str) -> None:
    """List whether summation methods reached the accuracy that was asked of them."""
    print_rows(summation_results(study), style)


@query.command('remedies')
@STUDY
@FORMAT
def remedies(study: ProcessNode | None, style: str) -> None:
    """List what mixing charge states costs, and what models that are told the charge leave of it."""
    comparison = remedies_of_study(study)
    print_rows([] if comparison is None else comparison.tables()['comparisons'], style)


@query.command('active-learning')
@REQUIRED_STUDY
@FORMAT
def active_learning(study: ProcessNode, style: str) -> None:
    """List what each round of active learning did, so far or in all."""
    print_rows(round_queries.learning_rounds(study), style)


@query.command('fine-tuning-rounds')
@REQUIRED_STUDY
@FORMAT
def fine_tuning_rounds(study: ProcessNode, style: str) -> None:
    """List what each round of a potential that finds its own frames did, so far or in all."""
    print_rows(round_queries.fine_tuning_rounds(study), style)


@query.command('defect-paths')
@REQUIRED_STUDY
@FORMAT
def defect_paths(study: ProcessNode, style: str) -> None:
    """List where each defect of a crystal went in the runs of a fine-tuning study or a diffusion assessment."""
    print_rows(paths_of_defects(study), style)


@query.command('table')
@click.argument('name', type=click.Choice(list(tables.TABLES)))
@REQUIRED_STUDY
@FORMAT
def table(name: str, study: ProcessNode, style: str) -> None:
    """Print the table NAME behind a figure of the report."""
    print_rows(tables.TABLES[name](collect(study)), style)
