"""Read an archive back: import it into an empty throw-away profile, ask the same questions, compare the answers.

The import runs in a process of its own with a temporary ``AIIDA_PATH``, so that neither the profile of the user nor
what this process holds in memory can answer in place of the archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aiida.manage.configuration import create_profile, get_config, load_profile
from aiida.orm import ProcessNode, QueryBuilder, load_node
from aiida.tools.archive import import_archive

from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance import queries
from aiida_edl.provenance.audit import ArchiveError
from aiida_edl.provenance.figures import render_figures
from aiida_edl.provenance.graph import batches
from aiida_edl.provenance.results import collect
from aiida_edl.provenance.rows import as_dicts
from aiida_edl.provenance.table_text import to_csv
from aiida_edl.provenance.tables import TABLES

TIMEOUT_SECONDS = 3600
"""Longest time an import may take [s]."""


@dataclass(frozen=True)
class ReadBack:
    """How the answers of an imported archive compare with the expected ones."""

    n_answers: int
    """Answers that were compared."""
    n_rows: int
    """Rows in them."""
    n_datasets: int
    """Data sets whose arrays were compared with their checksum."""
    differences: tuple[str, ...]
    """Questions that were answered otherwise."""

    @property
    def is_equal(self) -> bool:
        """Whether all answers agree."""
        return not self.differences

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if not self.is_equal:
            return f'read back with {len(self.differences)} differences: {"; ".join(self.differences)}'
        compared = f'{self.n_datasets} data sets have the arrays their checksums promise'
        if self.n_answers:
            compared = f'{self.n_answers} questions gave the same {self.n_rows} rows, {compared}'
        return f'read back in an empty profile: {compared}'


def study_answers(study: ProcessNode) -> dict[str, Any]:
    """Return the answers to all questions about a study, as JSON types, with the tables and figures of its report.

    :param study: e.g. a benchmark.
    """
    potentials = queries.trained_potentials(study)
    labels = [
        row for potential in potentials for row in queries.labels_behind_potential(load_node(potential.potential))
    ]
    states = sorted({label for potential in potentials for label in potential.training_charge_labels})
    datasets = sorted({potential.dataset for potential in potentials})
    answers: dict[str, Any] = {
        'trained_potentials': potentials,
        'labels_behind_potential': labels,
        'all_errors': queries.all_errors(study),
        'best_force_rmse_per_architecture': queries.best_force_rmse_per_architecture(study),
        'cost_per_stage': queries.cost_per_stage(study),
        'rejected_frames': queries.rejected_frames(study),
        'failed_processes': queries.failed_processes(study),
    }
    for state in states:
        answers[f'potentials_trained_only_on {state}'] = queries.potentials_trained_only_on(state, study)
    for uuid in datasets:
        answers[f'figures_depending_on {uuid}'] = queries.figures_depending_on(load_node(uuid), study)
    return {**{question: as_dicts(rows) for question, rows in answers.items()}, **_report_answers(study)}


def _report_answers(study: ProcessNode) -> dict[str, list[str]]:
    """Return each table of the report in lines, and the checksum of each figure."""
    results = collect(study)
    rows = {name: make(results) for name, make in TABLES.items()}
    tables = {f'table {name}': to_csv(found).splitlines() for name, found in rows.items() if found}
    figures = render_figures(results)
    checksums = {name: hashlib.sha256(figure.svg.encode()).hexdigest() for name, figure in figures.items()}
    return {**tables, **{f'figure {name}': [checksum] for name, checksum in checksums.items()}}


def dataset_checksums(identifiers: Sequence[int] | None = None) -> dict[str, str]:
    """Return the checksum of each data set as it follows from its arrays, not from its attribute.

    :param identifiers: nodes among which to look; None for the whole profile.
    """
    found: list[DatasetData] = []
    if identifiers is None:
        found = QueryBuilder().append(DatasetData).all(flat=True)
    else:
        for batch in batches(identifiers):
            found += QueryBuilder().append(DatasetData, filters={'id': {'in': batch}}).all(flat=True)
    return {node.uuid: _checksum(node) for node in sorted(found, key=lambda node: node.uuid)}


def _checksum(node: DatasetData) -> str:
    """Return the checksum over all arrays, in order of name, as :meth:`DatasetData.from_frames` takes it."""
    digest = hashlib.sha256()
    for name in sorted(node.get_arraynames()):
        array = np.ascontiguousarray(node.get_array(name))
        digest.update(name.encode() + str(array.dtype).encode() + array.tobytes())
    return digest.hexdigest()


def read_back(archive: Path, studies: Sequence[str]) -> dict[str, Any]:
    """Import an archive into an empty profile and return what that profile answers.

    :param archive: the archive.
    :param studies: UUIDs of the studies to ask about.
    :return: ``studies`` (answers by UUID) and ``datasets`` (checksums by UUID).
    :raises ArchiveError: if the archive cannot be imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / 'answers.json'
        environment = {**os.environ, 'AIIDA_PATH': folder, 'OMP_NUM_THREADS': '1'}
        Path(folder, '.aiida').mkdir()
        command = [sys.executable, '-m', __name__, str(archive.resolve()), str(answers), *studies]
        run = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if run.returncode or not answers.exists():
            reason = (run.stderr.strip().splitlines() or ['no message'])[-1]
            raise ArchiveError(f"'{archive.name}' cannot be read back: {reason}")
        found: dict[str, Any] = json.loads(answers.read_text(encoding='utf-8'))
    return found


def compare_answers(expected: Mapping[str, Any], found: Mapping[str, Any]) -> ReadBack:
    """Compare answers; data sets are also compared with the checksum that the imported node states.

    :param expected: ``studies`` and ``datasets`` as they should be.
    :param found: result of :func:`read_back`.
    """
    differences, n_answers, n_rows = [], 0, 0
    for uuid, answers in expected.get('studies', {}).items():
        for question, rows in answers.items():
            n_answers += 1
            n_rows += len(rows)
            if found['studies'].get(uuid, {}).get(question) != rows:
                differences.append(f"'{question}' of {uuid} differs")
    for uuid, checksum in expected['datasets'].items():
        if found['datasets'].get(uuid) != checksum:
            differences.append(f'data set {uuid} has other arrays')
        if found['stated_checksums'].get(uuid) != checksum:
            differences.append(f'data set {uuid} states another checksum than its arrays have')
    return ReadBack(n_answers, n_rows, len(expected['datasets']), tuple(differences))


def main(arguments: Sequence[str]) -> None:
    """Import an archive and write the answers; runs in the throw-away profile.

    :param arguments: archive, file for the answers, UUIDs of the studies.
    """
    archive, target, *studies = arguments
    config = get_config(create=True)
    storage = {'filepath': str(Path(os.environ['AIIDA_PATH']) / 'storage')}
    create_profile(
        config,
        storage_backend='core.sqlite_dos',
        storage_config=storage,
        name='read_back',
        email='read_back@localhost',
        is_test_profile=True,
    )
    load_profile('read_back')
    import_archive(archive, create_group=False)
    checksums = dataset_checksums()
    answers = {
        'studies': {uuid: study_answers(load_node(uuid)) for uuid in studies},
        'datasets': checksums,
        'stated_checksums': {uuid: load_node(uuid).base.attributes.get(DatasetData.KEY_SHA256) for uuid in checksums},
    }
    Path(target).write_text(json.dumps(answers), encoding='utf-8')


if __name__ == '__main__':
    main(sys.argv[1:])
