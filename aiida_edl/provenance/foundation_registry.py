"""Which foundation models are known, and what of them: YAML files of packages that are registered by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from aiida_edl.provenance.potential_import import (
    REQUIRED,
    ModelSource,
    PotentialDescription,
    PotentialImportError,
    check_keys,
    description_of,
    read_values,
)
from aiida_edl.registry import unknown_name_message

FOUNDATION_MODELS = 'aiida_edl.foundation_models'
"""Entry-point group of packages with descriptions of foundation models, one YAML file each."""
KNOWN_OF_EVERY_MODEL = ('architecture', 'name', 'licence', 'citation', 'level_of_theory')
"""Facts that the registry must state; others that its authors do not state are asked of whoever adds the model."""
SUFFIX = '.yaml'


@dataclass(frozen=True)
class FoundationModel:
    """What is known of one foundation model."""

    key: str
    """Name under which the registry knows it."""
    values: Mapping[str, Any]
    """Facts by key of :class:`~aiida_edl.provenance.potential_import.PotentialDescription`, those that are known."""

    @property
    def source(self) -> ModelSource:
        """Where its authors keep the file."""
        return ModelSource.from_dict(self.values.get('source', {}))

    @property
    def missing(self) -> tuple[str, ...]:
        """Facts that must be known to use it and are not."""
        return tuple(key for key in REQUIRED if self.values.get(key) in (None, '', []))

    def description(self, stated: Mapping[str, Any] | None = None) -> PotentialDescription:
        """Return the complete description.

        :param stated: facts that the registry does not know, by key.
        :raises PotentialImportError: if one is missing or makes no sense, or the registry states another value.
        """
        given = dict(stated or {})
        check_keys(given, self.key)
        for key, value in given.items():
            if key not in self.missing and self.values.get(key, value) != value:
                raise PotentialImportError(
                    f"'{key}' of '{self.key}' is {self.values[key]!r} and not {value!r}; leave it out, or describe "
                    'another model in a file of your own'
                )
        if missing := [key for key in self.missing if key not in given]:
            raise PotentialImportError(
                f"what '{self.key}' has as {', '.join(missing)} is not stated by its authors; look it up and give each "
                f'with --set, e.g. --set {missing[0]}={EXAMPLES.get(missing[0], "VALUE")}'
            )
        return description_of({**self.values, **given}, self.key)


EXAMPLES = {'elements': "'[H, O]'", 'cutoff_radius': '6.0', 'n_layers': '2', 'precision': 'float32'}
"""How a fact is written on the command line."""


def foundation_models() -> dict[str, FoundationModel]:
    """Return the models that are registered, by name, sorted.

    :raises PotentialImportError: if a registered file cannot be read, or two packages know a model of one name.
    """
    found: dict[str, tuple[str, FoundationModel]] = {}
    for provider in sorted(entry_points(group=FOUNDATION_MODELS), key=lambda entry_point: entry_point.name):
        for path in sorted(path for folder in provider.load().__path__ for path in Path(folder).glob(f'*{SUFFIX}')):
            if path.stem in found:
                both = f'{found[path.stem][0]} and by {provider.name}'
                raise PotentialImportError(
                    f"the foundation model '{path.stem}' is registered by {both}; uninstall one of them"
                )
            found[path.stem] = provider.name, read_model(path)
    return {key: found[key][1] for key in sorted(found)}


def read_model(path: Path) -> FoundationModel:
    """Return the model that a YAML file describes, completely or not.

    :param path: the file; its name without the suffix is that of the model.
    :raises PotentialImportError: if a key is unknown or of a wrong type, or a fact is missing that every entry states.
    """
    values = read_values(path)
    check_keys(values, path.name)
    if missing := [key for key in KNOWN_OF_EVERY_MODEL if not values.get(key)]:
        raise PotentialImportError(f"'{path.name}' lacks {', '.join(missing)}")
    model = FoundationModel(path.stem, values)
    if not model.missing:
        description_of(values, path.name)
    return model


def find_model(name: str) -> FoundationModel:
    """Return a model by its name in the registry, or as a file of one's own describes it.

    :param name: name, or path of a YAML file.
    :raises PotentialImportError: if there is neither; the nearest name is given.
    """
    models = foundation_models()
    if name in models:
        return models[name]
    path = Path(name)
    if path.suffix in (SUFFIX, '.yml') and path.is_file():
        return read_model(path)
    raise PotentialImportError(unknown_name_message('foundation model', name, list(models)))


def facts_of(model: FoundationModel) -> dict[str, Any]:
    """Return all facts as one row a key, those that are not known as None.

    :param model: the model.
    """
    known = [entry.name for entry in fields(PotentialDescription) if entry.name != 'source']
    facts = {key: model.values.get(key) for key in known}
    return {'registry_name': model.key, **facts, 'source': model.source.sentence or None}
