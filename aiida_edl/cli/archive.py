"""``aiida-edl archive``: export, audit and verify archives that may be published."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import click
from aiida.cmdline.params.types import ProcessParamType
from aiida.orm import ProcessNode

from aiida_edl.cli.group import EdlCommandGroup
from aiida_edl.cli.parameters import FORMAT, PRIVATE, print_rows
from aiida_edl.provenance import archive as archives
from aiida_edl.provenance.audit import AuditReport, audit_archive
from aiida_edl.provenance.privacy import PrivacyRules

FILE = click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))


def _rules(private: Sequence[str]) -> PrivacyRules:
    paths = [text for text in private if text.startswith('/')]
    return PrivacyRules.of_this_machine(words=[text for text in private if text not in paths], paths=paths)


def _print_audit(report: AuditReport, style: str) -> None:
    if report.findings:
        print_rows(report.findings, style)
    if not report.is_clean:
        raise click.ClickException(report.sentence())
    click.echo(report.sentence())


@click.group(cls=EdlCommandGroup)
def archive() -> None:
    """Export, audit and verify archives."""


@archive.command('export')
@click.argument('processes', type=ProcessParamType(), nargs=-1, required=True)
@click.option('--output', '-o', type=click.Path(dir_okay=False, path_type=Path), required=True, help='The archive.')
@PRIVATE
def export(processes: tuple[ProcessNode, ...], output: Path, private: tuple[str, ...]) -> None:
    """Export PROCESSES, e.g. benchmarks, without anything private, and read the archive back."""
    logging.getLogger('aiida.export').setLevel(logging.WARNING)
    published = archives.publish(processes, output, _rules(private))
    click.echo(published.sentence)
    click.echo(f'described in {published.readme.name}')


@archive.command('audit')
@FILE
@PRIVATE
@FORMAT
def audit(file: Path, private: tuple[str, ...], style: str) -> None:
    """Search the archive FILE for names of persons and hosts and for private paths."""
    _print_audit(audit_archive(file, _rules(private)), style)


@archive.command('preview')
@click.argument('processes', type=ProcessParamType(), nargs=-1, required=True)
@PRIVATE
@FORMAT
def preview(processes: tuple[ProcessNode, ...], private: tuple[str, ...], style: str) -> None:
    """Show what of PROCESSES is private and will be replaced in an export."""
    logging.getLogger('aiida.export').setLevel(logging.WARNING)
    report = archives.audit_before_export(processes, _rules(private))
    print_rows(report.findings, style)
    click.echo(report.sentence())


@archive.command('verify')
@FILE
@PRIVATE
@FORMAT
def verify(file: Path, private: tuple[str, ...], style: str) -> None:
    """Audit the archive FILE, import it into an empty profile, and check its data sets against their checksums."""
    report, comparison = archives.verify(file, _rules(private))
    click.echo(f'{file.name} {comparison.sentence}')
    if not comparison.is_equal:
        raise click.ClickException(f'{file.name}: {comparison.sentence}')
    _print_audit(report, style)
