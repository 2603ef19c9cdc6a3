"""Node that holds a trained machine-learning interatomic potential."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.orm import FolderData

from aiida_edl.architectures.bindings import NATIVE


class PotentialData(FolderData):
    """The files of a model with what must be known to use it: architecture, elements, range, what it was trained on."""

    KEY_ARCHITECTURE = 'architecture'
    """Entry-point name of the architecture."""
    KEY_FORMAT = 'format'
    """Format of the files: ``'native'`` as the trainer exports them, or what they were converted to."""
    KEY_ELEMENTS = 'elements'
    """Chemical symbols the model knows, ordered by atomic number."""
    KEY_CUTOFF_RADIUS = 'cutoff_radius'
    """Cutoff radius of one layer [Å]."""
    KEY_N_LAYERS = 'n_layers'
    """Number of message-passing layers; 1 for a strictly local model."""
    KEY_RECEPTIVE_FIELD = 'receptive_field'
    """Layers times cutoff radius [Å]."""
    KEY_TRAINING_CHARGE_LABELS = 'training_charge_labels'
    """Sorted charge labels of the training set, e.g. ``['2Na']``; empty if it is not known."""
    KEY_LEVEL_OF_THEORY = 'level_of_theory'
    """What made the labels, in words."""
    KEY_ATOMIC_ENERGIES = 'atomic_energies'
    """Reference energy of each element [eV]; empty for a model that embeds them unstated."""
    KEY_EMBEDS_ATOMIC_ENERGIES = 'embeds_atomic_energies'
    """Whether the model's energy includes the atomic energies; if not, they are added on evaluation."""
    KEY_PRECISION = 'precision'
    """``'float32'`` or ``'float64'``."""
    KEY_TOTAL_CHARGE_COLUMN = 'total_charge_column'
    """Column of the frames that the model takes as total charge [e]; None if it knows no charge."""
    KEY_SEED = 'seed'
    """Seed of the training; None for a model that was trained elsewhere."""
    KEY_GRADIENT_UPDATES = 'gradient_updates'
    """Optimiser steps done; None for a model that was trained elsewhere."""
    KEY_ORIGIN = 'origin'
    """Name, licence and publication of a model that was trained elsewhere; ``''`` if it was trained here."""
    KEY_MODEL_NAME = 'model_name'
    """What the authors of a model that was trained elsewhere call it; absent if it was trained here, as those below."""
    KEY_LICENCE = 'licence'
    """Terms under which it may be used."""
    KEY_CITATION = 'citation'
    """Publication."""
    KEY_TRAINING_SET = 'training_set'
    """Name of the data it was trained on, e.g. ``'MPtrj'``."""
    KEY_FUNCTIONAL = 'functional'
    """Functional of their labels, e.g. ``'PBE and PBE+U'``."""
    KEY_SOURCE = 'source'
    """Where its authors keep the file."""
    FACTS = (KEY_MODEL_NAME, KEY_LICENCE, KEY_CITATION, KEY_TRAINING_SET, KEY_FUNCTIONAL, KEY_SOURCE)
    """Attributes that only a model that was trained elsewhere has, those that are stated."""
    KEY_LONG_RANGE = 'long_range'
    """Fields of the long-range model whose energy is added to that of the files; None if they hold everything."""
    KEY_SHA256 = 'sha256'
    """Checksum of the model: that of its file, or of the list of checksums and paths that ``sha256sum`` prints; with a
    long-range part, that of it and the fields of that part."""

    @classmethod
    def from_model(
        cls,
        files: Mapping[str, bytes],
        *,
        architecture: str,
        elements: Sequence[str],
        cutoff_radius: float,
        n_layers: int,
        level_of_theory: str,
        atomic_energies: Mapping[str, float],
        embeds_atomic_energies: bool,
        precision: str,
        training_charge_labels: Sequence[str] = (),
        total_charge_column: str | None = None,
        seed: int | None = None,
        gradient_updates: int | None = None,
        origin: str = '',
        model_format: str = NATIVE,
        facts: Mapping[str, str] | None = None,
    ) -> PotentialData:
        """Return an unstored node with these files; the other parameters are described at the ``KEY_`` constants.

        :param files: content by relative path, as later jobs will see them.
        :param facts: what is stated of a model that was trained elsewhere, by key of :attr:`FACTS`.
        :raises ValueError: if there is no file, all are empty, or an element has no atomic energy;
            a model that embeds them may come with none at all.
        """
        if not files:
            raise ValueError('no model file is given')
        if not any(files.values()):
            raise ValueError(f"the model file '{next(iter(files))}' is empty")
        is_unstated = embeds_atomic_energies and not atomic_energies
        if missing := [element for element in elements if element not in atomic_energies and not is_unstated]:
            raise ValueError(f'no atomic energy is given for {missing}; given: {sorted(atomic_energies)}')
        node = cls()
        for path, content in files.items():
            node.base.repository.put_object_from_filelike(io.BytesIO(content), path)
        node.base.attributes.set_many(
            {
                cls.KEY_ARCHITECTURE: architecture,
                cls.KEY_FORMAT: model_format,
                cls.KEY_ELEMENTS: list(elements),
                cls.KEY_CUTOFF_RADIUS: float(cutoff_radius),
                cls.KEY_N_LAYERS: int(n_layers),
                cls.KEY_RECEPTIVE_FIELD: float(cutoff_radius) * int(n_layers),
                cls.KEY_TRAINING_CHARGE_LABELS: sorted(training_charge_labels),
                cls.KEY_LEVEL_OF_THEORY: level_of_theory,
                cls.KEY_ATOMIC_ENERGIES: {
                    element: float(atomic_energies[element]) for element in elements if not is_unstated
                },
                cls.KEY_EMBEDS_ATOMIC_ENERGIES: embeds_atomic_energies,
                cls.KEY_PRECISION: precision,
                cls.KEY_TOTAL_CHARGE_COLUMN: total_charge_column,
                cls.KEY_SEED: None if seed is None else int(seed),
                cls.KEY_GRADIENT_UPDATES: None if gradient_updates is None else int(gradient_updates),
                cls.KEY_ORIGIN: origin,
                cls.KEY_SHA256: checksum(files),
                **{key: facts[key] for key in cls.FACTS if facts and facts.get(key)},
            }
        )
        return node

    def with_files(self, files: Mapping[str, bytes], model_format: str) -> PotentialData:
        """Return an unstored potential that says of itself what this one says, with its model in another format.

        :param files: content by relative path.
        :param model_format: format of the files.
        """
        node = PotentialData()
        for path, content in files.items():
            node.base.repository.put_object_from_filelike(io.BytesIO(content), path)
        changed = {self.KEY_FORMAT: model_format, self.KEY_SHA256: checksum_with(files, self.long_range)}
        node.base.attributes.set_many({**self.base.attributes.all, **changed})
        return node

    def _attribute(self, key: str) -> Any:
        return self.base.attributes.get(key)

    @property
    def architecture(self) -> str:
        """Entry-point name of the architecture."""
        return str(self._attribute(self.KEY_ARCHITECTURE))

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols the model knows, ordered by atomic number."""
        return tuple(self._attribute(self.KEY_ELEMENTS))

    @property
    def receptive_field(self) -> float:
        """Layers times cutoff radius [Å]."""
        return float(self._attribute(self.KEY_RECEPTIVE_FIELD))

    @property
    def precision(self) -> str:
        """``'float32'`` or ``'float64'``."""
        return str(self._attribute(self.KEY_PRECISION))

    @property
    def cutoff_radius(self) -> float:
        """Cutoff radius of one layer [Å]."""
        return float(self._attribute(self.KEY_CUTOFF_RADIUS))

    @property
    def n_layers(self) -> int:
        """Number of message-passing layers."""
        return int(self._attribute(self.KEY_N_LAYERS))

    @property
    def format(self) -> str:
        """Format of the files."""
        return str(self._attribute(self.KEY_FORMAT))

    @property
    def level_of_theory(self) -> str:
        """What made the labels it was trained on, in words."""
        return str(self._attribute(self.KEY_LEVEL_OF_THEORY))

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Reference energy of each element [eV]; empty if the model embeds them and they are not known."""
        return dict(self._attribute(self.KEY_ATOMIC_ENERGIES))

    @property
    def total_charge_column(self) -> str | None:
        """Column of the frames that the model takes as total charge [e]; None if it knows no charge."""
        column = self._attribute(self.KEY_TOTAL_CHARGE_COLUMN)
        return None if column is None else str(column)

    @property
    def long_range(self) -> dict[str, Any] | None:
        """Fields of the long-range model whose energy is added to that of the files; None if they hold everything."""
        values = self.base.attributes.get(self.KEY_LONG_RANGE, None)
        return None if values is None else dict(values)

    @property
    def model_files(self) -> tuple[str, ...]:
        """Relative paths of the files, sorted."""
        walk = self.base.repository.walk()
        return tuple(sorted((root / name).as_posix() for root, _, names in walk for name in names))

    @property
    def energy_shifts(self) -> dict[str, float]:
        """Energies that must be added per atom to the model's energy [eV]; empty if the model embeds them."""
        return (
            {} if self._attribute(self.KEY_EMBEDS_ATOMIC_ENERGIES) else dict(self._attribute(self.KEY_ATOMIC_ENERGIES))
        )


def checksum_with(files: Mapping[str, bytes], long_range: Mapping[str, Any] | None) -> str:
    """Return the checksum of a model and of the long-range part that is added to it; that of the model without one.

    :param files: content by relative path.
    :param long_range: fields of the long-range model.
    """
    if long_range is None:
        return checksum(files)
    text = f'{checksum(files)} {json.dumps(dict(long_range), sort_keys=True)}'
    return hashlib.sha256(text.encode()).hexdigest()


def checksum(files: Mapping[str, bytes]) -> str:
    """Return the checksum of a model, see :attr:`PotentialData.KEY_SHA256`.

    :param files: content by relative path.
    """
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    if len(digests) == 1:
        return next(iter(digests.values()))
    listing = ''.join(f'{digest}  {path}\n' for path, digest in sorted(digests.items()))
    return hashlib.sha256(listing.encode()).hexdigest()
