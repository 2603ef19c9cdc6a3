"""Foundation models become stored potentials: found, checked against what is known of them, and stored once."""

from __future__ import annotations

import http.client
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from aiida.orm import QueryBuilder

from aiida_edl.calculations.checkpoint_identity import as_attributes
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.foundation_registry import FoundationModel, foundation_models
from aiida_edl.provenance.potential_import import (
    PotentialDescription,
    PotentialImportError,
    described_potential,
    path_in_package,
)

TIMEOUT_SECONDS = 30.0
"""How long an address may be silent before it counts as out of reach [s]."""


@dataclass(frozen=True)
class AddedModel:
    """A foundation model that is stored."""

    node: PotentialData
    """The stored potential."""
    is_new: bool
    """Whether it was stored now; else the same file, described alike, was there."""
    remarks: tuple[str, ...]
    """What the user should know, one sentence each."""


def add_foundation_model(
    model: FoundationModel,
    *,
    file: Path | None = None,
    python: Path | None = None,
    stated: Mapping[str, Any] | None = None,
    label: str = '',
) -> AddedModel:
    """Store a foundation model, or return the node that holds it already.

    Nothing is stored of a file whose size or checksum is not that of the model. The file is read and never loaded.

    :param model: what is known of it.
    :param file: its file or folder; without one it is taken from the package that ships it, or downloaded.
    :param python: interpreter that has the package; that of this command without it.
    :param stated: facts that the registry does not know, by key of ``PotentialDescription``.
    :param label: label of the node; one that has a label keeps it.
    :raises PotentialImportError: if the model cannot be had, or is not what is known of it.
    """
    if file is None and model.source.gated:
        raise PotentialImportError(f"'{model.key}' is gated: {model.source.gated}; then give the file with --file")
    description = model.description(stated)
    with _model_file(model, file, python) as path:
        node = described_potential(path, description)
    same, others = _stored_alike(node)
    remarks = [*_trust(model.key, description, node), *others]
    if same is None:
        node.label = label
        return AddedModel(node.store(), True, tuple(remarks))
    if label and not same.label:
        same.label = label
    elif label and same.label != label:
        remarks.append(f"It keeps its label '{same.label}'.")
    return AddedModel(same, False, tuple(remarks))


def stored_potentials(sha256: str) -> list[PotentialData]:
    """Return the potentials whose files have a checksum, oldest first.

    :param sha256: the checksum.
    """
    query = QueryBuilder().append(PotentialData, filters={f'attributes.{PotentialData.KEY_SHA256}': sha256})
    return sorted(query.all(flat=True), key=lambda node: node.pk) if sha256 else []


def registry_rows() -> list[dict[str, Any]]:
    """Return the models of the registry, one row each: what they are, where they are kept, whether they are stored."""
    rows = []
    for model in foundation_models().values():
        values = model.values
        rows.append(
            {
                'name': model.key,
                'architecture': values['architecture'],
                'training_set': values.get('training_set'),
                'functional': values.get('functional'),
                'licence': values['licence'],
                'n_elements': len(values['elements']) if 'elements' in values else None,
                'cutoff_radius': values.get('cutoff_radius'),
                'source': model.source.kind or None,
                'has_checksum': 'sha256' in values,
                'potentials': [node.pk for node in stored_potentials(values.get('sha256', ''))],
            }
        )
    return rows


def _trust(key: str, description: PotentialDescription, node: PotentialData) -> tuple[str, ...]:
    """Return what must be said of a file that could not be compared with a checksum."""
    if description.sha256:
        return ()
    found = node.base.attributes.get(node.KEY_SHA256)
    return (
        f"No checksum of '{key}' is known, so the file could not be checked; its SHA-256 is {found}.",
        'A model file can hold code, which runs where the model is loaded, on the compute node only: use files of '
        'those you trust.',
    )


def _stored_alike(node: PotentialData) -> tuple[PotentialData | None, list[str]]:
    """Return the stored potential of the same files that says the same of them, and a sentence on each other one."""
    own = as_attributes(node.base.attributes.all)
    remarks = []
    for known in stored_potentials(own[PotentialData.KEY_SHA256]):
        there = known.base.attributes.all
        if differences := sorted(key for key in {*own, *there} if own.get(key) != there.get(key)):
            words = ', '.join(differences)
            remarks.append(f'PotentialData<{known.pk}> holds the same file and says otherwise of: {words}.')
        else:
            return known, []
    return None, remarks


@contextmanager
def _model_file(model: FoundationModel, file: Path | None, python: Path | None) -> Iterator[Path]:
    """Give the file of a model: the one that is given, that of an installed package, or one that is downloaded."""
    source = model.source
    if file is not None:
        if not file.exists():
            raise PotentialImportError(f"there is no file or folder '{file}'")
        yield file
    elif source.package:
        yield _packaged_file(model, python)
    elif source.url:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / PurePosixPath(urlsplit(source.url).path).name
            download(source.url, target)
            yield target
    else:
        raise PotentialImportError(f"where '{model.key}' is kept is not known; give its file with --file")


def _packaged_file(model: FoundationModel, python: Path | None) -> Path:
    """Return the file in the package that ships a model."""
    source = model.source
    try:
        return path_in_package(python or Path(sys.executable), source.package, Path(source.path))
    except PotentialImportError as error:
        if python is not None:
            raise
        raise PotentialImportError(
            f"'{model.key}' ships in the package {source.package}: {error}; name the interpreter of an environment "
            'that has it with --python, or give the file with --file'
        ) from None


def download(url: str, target: Path) -> None:
    """Download a file.

    :param url: its address.
    :param target: where it is written.
    :raises PotentialImportError: if the address cannot be reached from here, or answers with a page.
    """
    if not url.startswith('https://'):
        raise PotentialImportError(f"'{url}' is no address that begins with https; download the file, and use --file")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, target.open('wb') as output:
            kind = str(answer.headers.get('Content-Type', ''))
            shutil.copyfileobj(answer, output)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, 'reason', None) or error
        raise PotentialImportError(
            f'{url} cannot be reached from here ({reason}); download it where the network allows, and give the file '
            'with --file'
        ) from error
    if kind.startswith('text/html'):
        raise PotentialImportError(f'{url} answers with a page and not with a file; look there, and use --file')
