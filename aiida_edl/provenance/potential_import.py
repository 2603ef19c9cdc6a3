"""Import of models that were trained elsewhere: what they are is stated in a description, never guessed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from ase.data import atomic_numbers

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.precision import Precision
from aiida_edl.data.potential import PotentialData, checksum
from aiida_edl.parsers.training import files_of_model
from aiida_edl.registry import ARCHITECTURES, load_member, unknown_name_message
from aiida_edl.typed_fields import checked_fields

REQUIRED = (
    'architecture',
    'name',
    'licence',
    'citation',
    'level_of_theory',
    'elements',
    'cutoff_radius',
    'n_layers',
    'precision',
)
"""Keys that a description must have."""
SHA256 = re.compile('[0-9a-f]{64}')
FIND_PACKAGE = 'import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).submodule_search_locations[0])'


class PotentialImportError(ValueError):
    """A model that cannot be imported as described; the message says what would be right."""


@dataclass(frozen=True)
class ModelSource:
    """Where the authors of a model keep its file: one of a package, an address, or a gate."""

    package: str = ''
    """Python package that ships it, as it is imported."""
    path: str = ''
    """Path inside the package."""
    url: str = ''
    """Address from which it can be downloaded."""
    gated: str = ''
    """What a person must do to get it, and under which terms."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSource:
        """Return a checked source.

        :raises PotentialImportError: for an unknown key, or if not exactly one place is given.
        """
        source = cls(**checked_fields(cls, values, 'key', PotentialImportError, ' of source'))
        given = [name for name in ('package', 'url', 'gated') if getattr(source, name)]
        if len(given) > 1 or bool(source.package) != bool(source.path):
            raise PotentialImportError(
                f"source has {_listed(sorted(values))}; give 'package' with 'path', or 'url', or 'gated'"
            )
        return source

    @property
    def kind(self) -> str:
        """How the file is had, in a word or two; empty if it is not stated."""
        if self.gated:
            return 'gated'
        return f'package {self.package}' if self.package else ('download' if self.url else '')

    @property
    def sentence(self) -> str:
        """The place in words; empty if it is not stated."""
        if self.package:
            return f'package {self.package}, {self.path}'
        return self.url or (f'gated: {self.gated}' if self.gated else '')


@dataclass(frozen=True)
class PotentialDescription:
    """What must be known to use a model and to publish with it."""

    architecture: str
    """Entry-point name of the architecture."""
    name: str
    """What its authors call it."""
    licence: str
    """Terms under which it may be used."""
    citation: str
    """Publication."""
    level_of_theory: str
    """What made the labels it was trained on, in words."""
    elements: tuple[str, ...]
    """Chemical symbols it knows, in any order."""
    cutoff_radius: float
    """Cutoff radius of one layer [Å]."""
    n_layers: int
    """Message-passing layers."""
    precision: str
    """``'float32'`` or ``'float64'``."""
    atomic_energies: Mapping[str, float] = field(default_factory=dict)
    """Reference energy of each element [eV]; may be left out if the model embeds them."""
    training_charge_labels: tuple[str, ...] = ()
    """Charge labels of its training set, e.g. ``['2Na']``."""
    total_charge_column: str | None = None
    """Column of the frames that it takes as total charge [e]; None if it knows no charge."""
    training_set: str = ''
    """Name of the data it was trained on, e.g. ``'MPtrj'``."""
    functional: str = ''
    """Functional of their labels, e.g. ``'PBE and PBE+U'``."""
    n_bytes: int | None = None
    """Size of its file [bytes]; None if it is not known."""
    sha256: str = ''
    """Checksum of its file, SHA-256 in hexadecimal digits; empty if it is not known."""
    source: ModelSource = field(default_factory=ModelSource)
    """Where its authors keep the file."""

    @property
    def origin(self) -> str:
        """Name, licence and citation in one line."""
        return f'{self.name}, licence {self.licence}, {self.citation}'

    @property
    def facts(self) -> dict[str, str]:
        """What the node says of a model that was trained elsewhere, by attribute."""
        return {
            PotentialData.KEY_MODEL_NAME: self.name,
            PotentialData.KEY_LICENCE: self.licence,
            PotentialData.KEY_CITATION: self.citation,
            PotentialData.KEY_TRAINING_SET: self.training_set,
            PotentialData.KEY_FUNCTIONAL: self.functional,
            PotentialData.KEY_SOURCE: self.source.sentence,
        }


KINDS: Mapping[str, tuple[type, ...]] = {
    'elements': (list,),
    'cutoff_radius': (int, float),
    'n_layers': (int,),
    'atomic_energies': (dict,),
    'training_charge_labels': (list,),
    'total_charge_column': (str, type(None)),
    'n_bytes': (int,),
    'source': (dict,),
}
"""Types of YAML that a key may have; those that are not listed are text."""


def read_description(path: Path) -> PotentialDescription:
    """Return the description in a YAML file, checked.

    :param path: the file.
    :raises PotentialImportError: if a key is missing, unknown or of a wrong type, or a value makes no sense.
    """
    return description_of(read_values(path), path.name)


def read_values(path: Path) -> dict[str, Any]:
    """Return what a YAML file says, not checked.

    :param path: the file.
    :raises PotentialImportError: if it is no YAML, or holds no keys.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise PotentialImportError(
            f"'{path.name}' is no YAML; is it the description, and the model given first?"
        ) from None
    if not isinstance(values, dict):
        raise PotentialImportError(
            f"'{path.name}' holds {type(values).__name__}, it must hold the keys {_listed(REQUIRED)}"
        )
    return values


def description_of(values: Mapping[str, Any], name: str) -> PotentialDescription:
    """Return a description, checked.

    :param values: by key.
    :param name: what is said to hold them, for messages.
    :raises PotentialImportError: if a key is missing, unknown or of a wrong type, or a value makes no sense.
    """
    check_keys(values, name)
    if missing := [key for key in REQUIRED if values.get(key) in (None, '', [])]:
        raise PotentialImportError(f"'{name}' lacks {_listed(missing)}")
    changed: dict[str, Any] = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    if 'source' in values:
        changed['source'] = ModelSource.from_dict(values['source'])
    description = PotentialDescription(**{**values, **changed})
    _check(description)
    return description


def check_keys(values: Mapping[str, Any], name: str) -> None:
    """Check that keys exist and values are of their types, whether or not any is missing.

    :param values: by key.
    :param name: what is said to hold them, for messages.
    :raises PotentialImportError: for the first that is not; an unknown key is answered with the nearest.
    """
    known = [entry.name for entry in fields(PotentialDescription)]
    for key, value in values.items():
        if key not in known:
            raise PotentialImportError(unknown_name_message(f"key of '{name}'", str(key), known))
        kinds = KINDS.get(key, (str,))
        # What is required and empty is missing.
        is_missing = key in REQUIRED and value is None
        if not is_missing and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise PotentialImportError(f"'{key}' of '{name}' is {value!r}, expected {kinds[0].__name__}")


def _listed(keys: tuple[str, ...] | list[str]) -> str:
    return ', '.join(keys)


def _check(description: PotentialDescription) -> None:
    """Check that the values of a description make sense.

    :raises PotentialImportError: with the key, the value and the remedy.
    """
    symbols = [*description.elements, *description.atomic_energies]
    if unknown := [symbol for symbol in symbols if str(symbol) not in atomic_numbers]:
        raise PotentialImportError(
            f"'{unknown[0]}' is no chemical symbol; write it as 'Na', and 'No' and 'Y' in quotation marks"
        )
    for symbol, energy in description.atomic_energies.items():
        if not isinstance(energy, int | float):
            raise PotentialImportError(f'the atomic energy of {symbol} is {energy!r}, it must be a number [eV]')
    precisions = [member.value for member in Precision]
    if description.precision not in precisions:
        raise PotentialImportError(unknown_name_message('precision', description.precision, precisions))
    for key in ('cutoff_radius', 'n_layers'):
        if getattr(description, key) <= 0:
            raise PotentialImportError(f"'{key}' is {getattr(description, key)}, it must be positive")
    if description.sha256 and not SHA256.fullmatch(description.sha256):
        raise PotentialImportError(
            f"'sha256' is '{description.sha256}', it must be 64 hexadecimal digits in lower case"
        )
    architecture: Architecture = load_member(ARCHITECTURES, description.architecture)
    if not description.atomic_energies and not architecture.embeds_atomic_energies:
        raise PotentialImportError(
            f'models of {architecture.name} do not include atomic energies; state atomic_energies [eV] for '
            f'{_listed(description.elements)}'
        )


def import_potential(model: Path, description: PotentialDescription, label: str = '') -> PotentialData:
    """Store a model as a potential.

    :param model: its file, or the folder that is the model with all its files.
    :param description: what it is.
    :param label: label of the node.
    :return: the stored node.
    :raises ValueError: if the model is empty or not the one described, or an element lacks its atomic energy.
    """
    node = described_potential(model, description)
    node.label = label
    return node.store()


def described_potential(model: Path, description: PotentialDescription) -> PotentialData:
    """Return a model as a potential that is not stored; it is read, and never loaded.

    :param model: its file, or the folder that is the model with all its files.
    :param description: what it is.
    :raises ValueError: if the model is empty or not the one described, or an element lacks its atomic energy.
    """
    architecture: Architecture = load_member(ARCHITECTURES, description.architecture)
    files = files_of_model(model, architecture.model_file_name)
    if not files:
        raise PotentialImportError(f"the folder '{model.name}' holds no file; give the file or folder of the model")
    _check_content(files, model.name, description)
    return PotentialData.from_model(
        files,
        architecture=architecture.name,
        elements=sorted(set(description.elements), key=lambda symbol: atomic_numbers[symbol]),
        cutoff_radius=description.cutoff_radius,
        n_layers=description.n_layers,
        level_of_theory=description.level_of_theory,
        atomic_energies={symbol: float(energy) for symbol, energy in description.atomic_energies.items()},
        embeds_atomic_energies=architecture.embeds_atomic_energies,
        precision=description.precision,
        training_charge_labels=description.training_charge_labels,
        total_charge_column=description.total_charge_column,
        origin=description.origin,
        facts=description.facts,
    )


def _check_content(files: Mapping[str, bytes], name: str, description: PotentialDescription) -> None:
    """Check that a model has the size and the checksum that are stated of it.

    :raises PotentialImportError: with both; the model is not what its description says.
    """
    n_bytes = sum(map(len, files.values()))
    if description.n_bytes is not None and n_bytes != description.n_bytes:
        raise PotentialImportError(
            f"'{name}' has {n_bytes} bytes, {description.name} must have {description.n_bytes}: it is another file or "
            'not complete; get it again from where its authors keep it'
        )
    if description.sha256 and (found := checksum(files)) != description.sha256:
        raise PotentialImportError(
            f"'{name}' has the SHA-256 {found}, {description.name} must have {description.sha256}: it is another file; "
            'get it from where its authors keep it, or describe what it is in a file of your own'
        )


def path_in_package(python: Path, package: str, path: Path) -> Path:
    """Return where a file lies that ships inside an installed package.

    :param python: interpreter of the environment.
    :param package: name under which the package is imported.
    :param path: path inside the package.
    :raises PotentialImportError: if the interpreter, the package or the file is not there.
    """
    try:
        found = subprocess.run(
            [str(python), '-c', FIND_PACKAGE, package], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        raise PotentialImportError(f"'{python}' cannot be run; give the interpreter of an environment") from None
    if found.returncode:
        raise PotentialImportError(f"the package '{package}' is not installed for the interpreter '{python}'")
    whole = Path(found.stdout.strip()) / path
    if not whole.exists():
        raise PotentialImportError(f"the package '{package}' has no file '{path}'")
    return whole
