"""The command ``aiida-edl``."""

from __future__ import annotations

import click
from aiida.cmdline.params import options, types

from aiida_edl import __version__
from aiida_edl.cli.archive import archive
from aiida_edl.cli.benchmark import benchmark
from aiida_edl.cli.code import code
from aiida_edl.cli.dataset import dataset
from aiida_edl.cli.environment import environment
from aiida_edl.cli.fine_tuning import fine_tuning
from aiida_edl.cli.foundation import foundation
from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.potential import potential
from aiida_edl.cli.query import query
from aiida_edl.cli.structure import structure


@click.group(cls=EdlCommandGroup, context_settings={'help_option_names': ['--help', '-h']})
@options.PROFILE(type=types.ProfileParamType(load_profile=True), expose_value=False)
@click.version_option(__version__, package_name='aiida-edl', message='aiida-edl %(version)s')
def main() -> None:
    """Machine-learning interatomic potentials of charged metal/electrolyte interfaces, with AiiDA."""


for command in (archive, benchmark, code, dataset, environment, fine_tuning, foundation, potential, query, structure):
    main.add_command(command)
