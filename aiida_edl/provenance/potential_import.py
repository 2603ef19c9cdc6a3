"""Import of models that were trained elsewhere: what they are is stated in a description, never guessed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml
from ase.data import atomic_numbers

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.precision import Precision
from aiida_edl.data.potential import PotentialData
from aiida_edl.parsers.training import files_of_model
from aiida_edl.registry import ARCHITECTURES, load_member, unknown_name_message

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
FIND_PACKAGE = 'import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).submodule_search_locations[0])'


class PotentialImportError(ValueError):
    """A model that cannot be imported as described; the message says what would be right."""


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

    @property
    def origin(self) -> str:
        """Name, licence and citation in one line."""
        return f'{self.name}, licence {self.licence}, {self.citation}'


KINDS: Mapping[str, tuple[type, ...]] = {
    'elements': (list,),
    'cutoff_radius': (int, float),
    'n_layers': (int,),
    'atomic_energies': (dict,),
    'training_charge_labels': (list,),
    'total_charge_column': (str, type(None)),
}
"""Types of YAML that a key may have; those that are not listed are text."""


def read_description(path: Path) -> PotentialDescription:
    """Return the description in a YAML file, checked.

    :param path: the file.
    :raises PotentialImportError: if a key is missing, unknown or of a wrong type, or a value makes no sense.
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
    known = [entry.name for entry in fields(PotentialDescription)]
    for key in values:
        if key not in known:
            raise PotentialImportError(unknown_name_message(f"key of '{path.name}'", str(key), known))
    if missing := [key for key in REQUIRED if values.get(key) in (None, '', [])]:
        raise PotentialImportError(f"'{path.name}' lacks {_listed(missing)}")
    for key, value in values.items():
        kinds = KINDS.get(key, (str,))
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise PotentialImportError(f"'{key}' of '{path.name}' is {value!r}, expected {kinds[0].__name__}")
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    description = PotentialDescription(**{**values, **lists})
    _check(description)
    return description


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
    :raises ValueError: if the model is empty, or an element lacks its atomic energy.
    """
    architecture: Architecture = load_member(ARCHITECTURES, description.architecture)
    files = files_of_model(model, architecture.model_file_name)
    if not files:
        raise PotentialImportError(f"the folder '{model.name}' holds no file; give the file or folder of the model")
    node = PotentialData.from_model(
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
    )
    node.label = label
    return node.store()


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
