"""The matrix of a charged-interface benchmark: charge states, training sets, architectures and seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiida.orm import Dict

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, unknown_name_message
from aiida_edl.science.analysis.training_sets import TrainingKind, TrainingSet
from aiida_edl.science.training_mixes import shapes_atomic_energies
from aiida_edl.workflows.assessment_checks import conversion_environments
from aiida_edl.workflows.benchmark_checks import check_settings, check_submission
from aiida_edl.workflows.benchmark_models import Model, drawn_start, replica_suffix
from aiida_edl.workflows.benchmark_parts import (
    ArchitecturePart,
    BenchmarkSettingsError,
    LabellingPart,
    ProductionPart,
    ReferencePart,
    SplitPart,
    part_from_dict,
)
from aiida_edl.workflows.registered_analyses import inputs_taken


@dataclass(frozen=True)
class BenchmarkSettings:
    """All settings; the protocols hold values for each."""

    protocol: str
    """Name of the protocol these settings come from; recorded, not used."""
    ion: str
    """Chemical symbol of the counter-ion."""
    charge_states: tuple[int, ...]
    """Numbers of ions; the metal carries the opposite charge."""
    structure: Mapping[str, Any]
    """Fields of ``InterfaceSettings``, without the number of ions."""
    reference: ReferencePart
    """The reference runs."""
    labelling: LabellingPart
    """Which of their frames are labelled, and how."""
    training_sets: Mapping[str, tuple[int, ...]]
    """Charge states of each training set, by its name."""
    split: SplitPart
    """Sizes of training, validation and test."""
    architectures: Mapping[str, ArchitecturePart]
    """How each architecture is trained, by entry-point name or a key of one's own."""
    production: ProductionPart
    """The runs with the potentials."""
    analysis: Mapping[str, Any]
    """Fields of ``ProfileSettings``."""
    max_iterations: int
    """How often a training or a run is started at most, continued from its checkpoint each time."""
    analyses: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Settings of further analyses of every run, by their registered names."""
    set_sizes: tuple[int, ...] = ()
    """Frames of the training sets, where there are to be several of each: nested, the largest is split.n_training."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BenchmarkSettings:
        """Return checked settings.

        :param values: all fields by name.
        :raises ValueError: with one sentence: what was given, what is wrong, what would be right.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise BenchmarkSettingsError(unknown_name_message('benchmark setting', key, known))
        if missing := sorted(set(known) - set(OPTIONAL) - set(values)):
            raise BenchmarkSettingsError(f'benchmark settings {missing} are missing; start from a protocol')
        architectures = {name: _architecture_part(name, part) for name, part in values['architectures'].items()}
        parts: dict[str, Any] = {name: part_from_dict(part, name, values[name]) for name, part in PARTS.items()}
        lists = {name: tuple(values.get(name, ())) for name in ('charge_states', 'set_sizes')}
        settings = cls(**{**values, **parts, **lists, 'architectures': architectures})
        settings.check()
        return settings

    def label(self, n_ions: int) -> str:
        """Return the charge label of a number of ions."""
        return f'{n_ions}{self.ion}' if n_ions else '0'

    def structures(self) -> dict[str, dict[str, Any]]:
        """Return the builder settings of each charge state, by charge label."""
        return {
            self.label(n_ions): {**self.structure, 'ion': self.ion, 'n_ions': n_ions} for n_ions in self.charge_states
        }

    def reference_runs(self) -> list[tuple[str, int]]:
        """Return charge label and replica number of each reference run."""
        replicas = range(1, self.reference.replicas + 1)
        return [(self.label(n_ions), replica) for n_ions in self.charge_states for replica in replicas]

    def reference_md(self, replica: int) -> dict[str, Any]:
        """Return the MD settings of a replica: each has a seed of its own."""
        md = dict(self.reference.md)
        return {**md, 'seed': md.get('seed', MDSettings().seed) + replica - 1}

    def selection(self, label: str, replica: int) -> dict[str, Any]:
        """Return how frames of a reference run are chosen."""
        return {
            'method': self.labelling.method,
            'n_frames': self.labelling.frames_per_run,
            'seed': self.split.seed,
            'columns': {'group': f'{label}_{replica:02d}'},
        }

    def split_settings(self, training_set: str) -> dict[str, Any]:
        """Return the settings of the split of one training set."""
        return {**dataclasses.asdict(self.split), 'charge_states': list(self.training_sets[training_set])}

    def labels_of(self, training_set: str) -> list[str]:
        """Return the charge labels a training set covers."""
        return [self.label(n_ions) for n_ions in self.training_sets[training_set]]

    def labels_to_run(self, training_set: str) -> list[str]:
        """Return the charge labels at which the models of a training set are run: its own, and one that it leaves out.

        :param training_set: its name.
        """
        labels = self.labels_of(training_set)
        if TrainingSet.from_name(training_set).kind is not TrainingKind.WITHOUT:
            return labels
        return [*labels, *(label for label in map(self.label, self.charge_states) if label not in labels)]

    def architecture_of(self, key: str) -> str:
        """Return the entry-point name of an architecture.

        :param key: its key in the settings.
        """
        return self.architectures[key].architecture or key

    def sizes(self) -> list[tuple[int, bool]]:
        """Return frames of each training set, 0 if all have the same, and whether it is the whole set."""
        if len(self.set_sizes) < FEWEST_SIZES:
            return [(0, True)]
        return [(size, size == self.split.n_training) for size in sorted(self.set_sizes)]

    def models(self) -> Iterator[Model]:
        """Yield every model of the matrix."""
        for architecture, values in sorted(self.architectures.items()):
            for training_set in sorted(self.training_sets):
                for size, is_largest in self.sizes():
                    for seed in values.seeds:
                        yield Model(architecture, training_set, int(seed), size, is_largest)

    def md_engine(self, key: str) -> str:
        """Return the MD engine of the runs with an architecture.

        :param key: its key in the settings.
        """
        return self.architectures[key].engine or self.production.engine

    @property
    def asks_for_training_frames(self) -> bool:
        """Whether an analysis takes the frames on which a potential was trained."""
        return any('training' in inputs_taken(name) for name in self.analyses)

    def production_md(self, model: Model, replica: int = 1) -> dict[str, Any]:
        """Return the MD settings of a run of a model: its own seed."""
        return {**self.production.md, 'seed': model.seed + SEED_STRIDE * (replica - 1)}

    def start(self, model: Model, replica: int = 1) -> tuple[int, int]:
        """Return replica of the reference run and frame in it from which a run of a model starts.

        Runs that begin alike are not independent, and their spread would say too little of the noise. The start is
        drawn by the name of the model, so that it stays the same when other models join the matrix.
        """
        n_frames = MDSettings.from_dict(self.reference.md).stored_frames
        return drawn_start(f'{model.start_key}{replica_suffix(replica)}', self.reference.replicas, n_frames)

    def sets_of_atomic_energies(self) -> list[str]:
        """Return the training sets to whose frames the atomic energies of the study are fitted."""
        return [name for name in self.training_sets if shapes_atomic_energies(name)] or list(self.training_sets)

    def check(self) -> None:
        """Check every part, and that the parts fit each other.

        :raises ValueError: with one sentence.
        """
        check_settings(self)


MD_CODE_SUFFIX = '_md'
"""After the name of an architecture in the name of the code of its runs."""
FEWEST_SIZES = 2
"""With one size of the training sets, their names do not tell it."""
SEED_STRIDE = 1000
"""Between the seeds of two runs of one model, so that no seed of another model comes between them."""
OPTIONAL = ('analyses', 'set_sizes')
"""Settings that older ones lack."""
PARTS: Mapping[str, type] = {
    'reference': ReferencePart,
    'labelling': LabellingPart,
    'split': SplitPart,
    'production': ProductionPart,
}
"""Parts of the settings by name, besides those of the architectures."""


def _architecture_part(key: str, values: Any) -> ArchitecturePart:
    """Return how an architecture is trained; an unknown name is answered with the nearest."""
    if not isinstance(values, Mapping) or not values.get('architecture'):
        load_member(ARCHITECTURES, key)
    part = part_from_dict(ArchitecturePart, key, values)
    load_member(ARCHITECTURES, part.architecture or key)
    return part


def checked_settings(values: Mapping[str, Any]) -> BenchmarkSettings:
    """Return settings that can be submitted: what would fail later in any case is refused.

    :param values: all fields by name.
    :raises ValueError: with one sentence: what was given, what is wrong, what would be right.
    """
    settings = BenchmarkSettings.from_dict(values)
    check_submission(settings)
    return settings


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist, has a wrong value or does not fit the others."""
    try:
        checked_settings(settings.get_dict())
    except (KeyError, TypeError) as error:
        return f'the benchmark settings lack or misuse {error}; start from a protocol'
    except ValueError as error:
        return str(error)
    return None


def md_code_name(architecture: str) -> str:
    """Return under which name the code of the runs with an architecture is given, if it is not that of its training."""
    return f'{architecture}{MD_CODE_SUFFIX}'


def conversion_code_name(environment: str) -> str:
    """Return under which name the code is given that converts potentials in an environment."""
    return f'conversion_{environment}'


def conversion_environments_of(settings: BenchmarkSettings, key: str) -> tuple[str, ...]:
    """Return the environments, besides its own, in which the potentials of an architecture are converted.

    :param settings: checked settings.
    :param key: key of the architecture in the settings.
    """
    member = load_member(ARCHITECTURES, settings.architecture_of(key))
    engine = load_member(MD_ENGINES, settings.md_engine(key))
    return conversion_environments(member, engine, settings.architectures[key].model_format)
