"""An archive that may be published: the study with all that made it, nothing private, nothing licensed, read back.

The archive is made in four steps, none of which can be left out: refuse what a licence forbids, export, clean and
audit, read back in an empty profile and ask the same questions. Only then is it at its place.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiida.orm import Data, Node, ProcessNode, QueryBuilder
from aiida.tools.archive import create_archive
from aiida.tools.graph.graph_traversers import get_nodes_export

from aiida_edl.provenance.audit import ArchiveError, AuditReport, Cleaning, audit_archive, clean_archive
from aiida_edl.provenance.graph import batches, called_processes
from aiida_edl.provenance.privacy import PrivacyRules
from aiida_edl.provenance.queries import summaries
from aiida_edl.provenance.read_back import ReadBack, compare_answers, dataset_checksums, read_back, study_answers

LICENSED_NODE_TYPES = ('data.vasp.potcar_file.',)
"""How the types of nodes begin whose content a licence forbids to publish. The nodes ``data.vasp.potcar.`` that
calculations are linked to hold the title and the hash of a POTCAR only."""
README_NAME = 'README.md'
"""Name of the description beside the archive."""


@dataclass(frozen=True)
class PublishedArchive:
    """An archive that was cleaned, audited and read back."""

    archive: Path
    readme: Path
    audit: AuditReport
    cleaning: Cleaning
    read_back: ReadBack
    counts: dict[str, int]
    """Nodes by kind."""

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        n_nodes = sum(self.counts.values())
        return f'{self.archive.name}: {n_nodes} nodes, nothing private, {self.read_back.sentence}'


def select_nodes(studies: Sequence[Node]) -> list[int]:
    """Return the identifiers of all nodes that the studies need: what they called, and what made their inputs.

    :param studies: e.g. benchmarks.
    """
    return sorted(get_nodes_export(starting_pks=[node.pk for node in studies])['nodes'])


def refuse_licensed(identifiers: Sequence[int]) -> None:
    """Stop if a node must not be published.

    :param identifiers: nodes of the archive.
    :raises ArchiveError: naming the nodes and what to do.
    """
    for batch in batches(identifiers):
        for prefix in LICENSED_NODE_TYPES:
            filters = {'id': {'in': batch}, 'node_type': {'like': f'{prefix}%'}}
            found = QueryBuilder().append(Data, filters=filters, project='uuid').all(flat=True)
            if found:
                raise ArchiveError(
                    f"{len(found)} nodes of type '{prefix}' hold licensed files (first: {found[0]}); publish the "
                    'labels made with them as a data set of its own instead of the calculations'
                )


def count_nodes(identifiers: Sequence[int]) -> dict[str, int]:
    """Return the number of nodes by kind, e.g. ``{'data.edl.dataset.DatasetData': 7}``, sorted.

    :param identifiers: nodes of the archive.
    """
    counts: dict[str, int] = {}
    for batch in batches(identifiers):
        projections = ['node_type', 'attributes.process_label']
        for kind, label in QueryBuilder().append(Node, filters={'id': {'in': batch}}, project=projections).all():
            name = label or kind.rstrip('.').rsplit('.', 1)[-1]
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def audit_before_export(studies: Sequence[Node], rules: PrivacyRules) -> AuditReport:
    """Return what would leak if the studies were exported as they are.

    :param studies: e.g. benchmarks.
    :param rules: what is private.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = _export(studies, Path(folder) / 'before_cleaning.aiida')
        return audit_archive(raw, rules)


def _export(studies: Sequence[Node], target: Path) -> Path:
    """Write the archive as AiiDA does."""
    refuse_licensed(select_nodes(studies))
    return Path(create_archive(list(studies), filename=target, include_authinfos=False, overwrite=True))


def publish(studies: Sequence[ProcessNode], target: Path, rules: PrivacyRules | None = None) -> PublishedArchive:
    """Write an archive that may be published, with a README beside it.

    :param studies: processes to publish, e.g. benchmarks.
    :param target: file of the archive; an existing one is replaced once the new one is complete.
    :param rules: what is private; of this machine if None.
    :raises ArchiveError: if a node is licensed, something private is left, or reading back gives other answers.
    """
    rules = rules or PrivacyRules.of_this_machine()
    target.parent.mkdir(parents=True, exist_ok=True)
    identifiers = select_nodes(studies)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        raw = _export(studies, Path(folder) / 'before_cleaning.aiida')
        clean = Path(folder) / target.name
        cleaning = clean_archive(raw, clean, rules)
        audit = audit_archive(clean, cleaning.rules)
        if not audit.is_clean:
            raise ArchiveError(f'{audit.sentence()}; remove it, or pass it as a private word or path')
        expected = {study.uuid: _clean_answers(study_answers(study), cleaning) for study in studies}
        checksums = _clean_answers(dataset_checksums(identifiers), cleaning)
        found = read_back(clean, [study.uuid for study in studies])
        comparison = compare_answers({'studies': expected, 'datasets': checksums}, found)
        if not comparison.is_equal:
            raise ArchiveError(f'{target.name} gives other answers than the profile: {comparison.sentence}')
        clean.replace(target)
    counts = count_nodes(identifiers)
    readme = target.with_name(f'{target.stem}_{README_NAME}')
    readme.write_text(
        _readme(target, studies, counts, audit=audit, cleaning=cleaning, comparison=comparison), encoding='utf-8'
    )
    return PublishedArchive(target, readme, audit, cleaning, comparison, counts)


def verify(path: Path, rules: PrivacyRules | None = None) -> tuple[AuditReport, ReadBack]:
    """Audit an archive and read it back, comparing the checksums of its data sets with their content.

    :param path: the archive.
    :param rules: what is private; of this machine if None.
    """
    audit = audit_archive(path, rules or PrivacyRules.of_this_machine())
    found = read_back(path, [])
    return audit, compare_answers({'datasets': found['datasets']}, found)


def _clean_answers(answers: Any, cleaning: Cleaning) -> Any:
    """Return answers as the clean archive gives them."""
    return json.loads(cleaning.apply(json.dumps(answers, sort_keys=True)))


def engine_versions(studies: Sequence[ProcessNode]) -> dict[str, list[str]]:
    """Return the versions of the engines that made the results, by distribution.

    :param studies: e.g. benchmarks.
    """
    found: dict[str, set[str]] = {}
    for study in studies:
        for summary in summaries(called_processes(study)).values():
            for name, number in (summary.get('versions') or {}).items():
                found.setdefault(name, set()).add(str(number))
    return {name: sorted(numbers) for name, numbers in sorted(found.items())}


def plugin_versions() -> dict[str, str]:
    """Return the versions of AiiDA and of this package."""
    return {name: version(name) for name in ('aiida-core', 'aiida-edl')}


def _readme(
    target: Path,
    studies: Sequence[ProcessNode],
    counts: dict[str, int],
    *,
    audit: AuditReport,
    cleaning: Cleaning,
    comparison: ReadBack,
) -> str:
    """Return the description of the archive, every number from what was done."""
    plugins = ', '.join(f'{name} {number}' for name, number in plugin_versions().items())
    engines = [f'| {name} | {", ".join(numbers)} |' for name, numbers in engine_versions(studies).items()]
    nodes = [f'| {name} | {number} |' for name, number in counts.items()]
    runs = [f'- `{study.uuid}`: {study.label or study.process_label}' for study in studies]
    lines = [
        f'# {target.name}',
        '',
        f'AiiDA archive written with {plugins}. It holds:',
        '',
        *runs,
        '',
        '## Read it',
        '',
        '```shell',
        'pip install aiida-edl',
        'verdi presto',
        f'verdi archive import {target.name}',
        *[f'aiida-edl benchmark report {study.uuid}' for study in studies],
        '```',
        '',
        '## What was done to it',
        '',
        f'- {audit.sentence()}.',
        f'- Names of persons and computers and paths were replaced in {cleaning.n_texts} texts of the database and in '
        f'{len(cleaning.checksums)} files; graph, numbers, identifiers and times are as they were. '
        'Paths that begin with `/anonymous` stand for others.',
        f'- {comparison.sentence}.'.replace('read back', 'Read back', 1),
        '',
        '## Nodes',
        '',
        '| node | number |',
        '| --- | ---: |',
        *nodes,
        '',
        '## Versions of the engines',
        '',
        '| distribution | version |',
        '| --- | --- |',
        *engines,
        '',
    ]
    return '\n'.join(lines)
