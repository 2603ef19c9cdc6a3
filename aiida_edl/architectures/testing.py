"""Conformance checks of architectures, for those of this package and of any other.

A package that registers an architecture of its own checks it so, in a test file that pytest collects::

    from pathlib import Path
    from aiida_edl.architectures.testing import ArchitectureConformance
    from my_package.my_architecture import MyArchitecture

    class TestMyArchitecture(ArchitectureConformance):
        architecture_class = MyArchitecture
        fixtures = Path(__file__).parent / 'fixtures' / 'training' / 'my_architecture'

``fixtures`` holds one folder for each :class:`~aiida_edl.architectures.base.TrainingOutcome`, named for its value, with
the files a real training left that ended so. Where an outcome cannot happen, ``impossible_outcomes`` says why.
The checks need numpy, ASE and PyYAML; neither pytest plugins nor the trainer.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from aiida_edl.architectures.base import Architecture, HyperparameterError, TrainingJob, TrainingOutcome
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.protocols import protocol_document
from aiida_edl.science.frames import Frame, FrameSet

ABSOLUTE_PATH = re.compile(rb'(?<![\w.)/:])/(?:home|root|tmp|usr|opt|work|scratch|Users|mnt)/')
"""Paths that belong to one machine."""
DATE = re.compile(rb'\b20\d\d-\d\d-\d\d\b')
UNIT = re.compile(r'\[[^\]]+\]|dimensionless', re.IGNORECASE)
"""A docstring of a hyperparameter names its unit in brackets or says that there is none."""
BACKENDS = ('torch', 'tensorflow', 'jax', 'mace', 'deepmd', 'fairchem', 'tensorpotential', 'sevenn', 'aiida')
"""Packages that importing an adapter must not import."""


def example_frames(n_frames: int, seed: int) -> FrameSet:
    """Return small films of water on gold with made-up labels, open along z with 15 Å of vacuum.

    :param n_frames: number of frames.
    :param seed: seed of positions and labels.
    """
    generator = np.random.default_rng(seed)
    numbers = np.array([79, 79, 79, 79, 8, 1, 1], dtype=np.uint8)
    ideal = np.array(
        [[0, 0, 2], [2.9, 0, 2], [0, 2.9, 2], [2.9, 2.9, 2], [1.4, 1.4, 4.8], [1.4, 2.2, 5.4], [1.4, 0.6, 5.4]]
    )
    frames = []
    for _ in range(n_frames):
        forces = generator.normal(size=(7, 3))
        frames.append(
            Frame(
                numbers=numbers,
                positions=ideal + generator.normal(scale=0.05, size=(7, 3)),
                cell=np.diag([5.8, 5.8, 20.0]),
                pbc=np.array([True, True, False]),
                energy=float(generator.normal()),
                forces=forces - forces.mean(axis=0),
                columns={'charge_state': 0},
            )
        )
    return FrameSet.from_frames(frames)


def example_job(architecture: Architecture, **changes: Any) -> TrainingJob:
    """Return a small training job whose elements exceed those of its training set.

    :param architecture: the architecture, with its default hyperparameters.
    :param changes: fields of :class:`TrainingJob` that differ.
    """
    elements = ('H', 'O', 'Na', 'Au')
    fields: dict[str, Any] = {
        'training_set': example_frames(8, seed=1),
        'validation_set': example_frames(2, seed=2),
        'elements': elements,
        'hyperparameters': architecture.hyperparameters_class(),
        'atomic_energies': {'H': -1.5, 'O': -2.5, 'Na': -0.5, 'Au': -3.5},
        'gradient_updates': 20,
        'seed': 71039,
    }
    return TrainingJob(**(fields | changes))


def field_docstrings(cls: type) -> dict[str, str]:
    """Return the string below each annotated field of a class and its bases, by field name.

    :param cls: a class whose source can be read.
    """
    docstrings: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        definition = tree.body[0]
        if not isinstance(definition, ast.ClassDef):
            raise TypeError(f'{base!r} is no class')
        for statement, following in zip(definition.body, definition.body[1:]):
            is_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            is_string = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if is_field and is_string:
                docstrings[statement.target.id] = str(following.value.value)  # type: ignore[attr-defined]
    return docstrings


def described(job: TrainingJob, architecture: Architecture) -> bytes:
    """Return all that a job hands to the trainer, files and commands, as one string of bytes."""
    files = architecture.training_files(job)
    commands = [command.to_dict() for command in architecture.commands(job)]
    return b'\n'.join([*(name.encode() + b'\n' + files[name] for name in sorted(files)), json.dumps(commands).encode()])


def refusal(call: Callable[[], object], error_class: type[Exception]) -> str:
    """Return the message with which a call is refused.

    :param call: what must be refused.
    :param error_class: kind of error it must raise.
    :raises AssertionError: if it is accepted.
    """
    try:
        call()
    except error_class as error:
        return str(error)
    raise AssertionError(f'the call was accepted, {error_class.__name__} was expected')


TOLD_BY_DRIVER = (TrainingOutcome.DEVICE_LOST, TrainingOutcome.DEVICE_MISSING, TrainingOutcome.VERSION_DIFFERS)
"""Outcomes that the report of the driver alone tells, the same for all."""


class ArchitectureConformance:
    """What every architecture must do; a subclass names the class and its fixtures."""

    architecture_class: ClassVar[type[Architecture]]
    """Class under test; made without arguments."""
    fixtures: ClassVar[Path]
    """Folder with one folder of recorded files for each outcome."""
    entry_point_name: ClassVar[str | None] = None
    """Name under which the class is registered; None if it is not."""
    impossible_outcomes: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Outcomes without a recording, with the reason why they cannot happen."""

    @property
    def architecture(self) -> Architecture:
        """A new instance."""
        return self.architecture_class()

    def test_name_equals_entry_point(self) -> None:
        """The name by which nodes remember the architecture finds it again."""
        assert self.entry_point_name in (None, self.architecture.name)

    def test_says_what_to_cite_and_install(self) -> None:
        """References and the command that installs the trainer are there."""
        architecture = self.architecture
        assert architecture.references
        assert all(reference.title and reference.authors and reference.year for reference in architecture.references)
        assert architecture.install_command
        assert architecture.packages

    def test_hyperparameters_are_frozen_and_have_defaults(self) -> None:
        """The class can be made without arguments and its instances cannot be changed."""
        parameters = self.architecture.hyperparameters_class.__dataclass_params__  # type: ignore[attr-defined]
        assert parameters.frozen
        self.architecture.hyperparameters_class()

    def test_each_hyperparameter_has_docstring_with_unit(self) -> None:
        """Each field says what it means and in which unit, ``[Å]`` or ``dimensionless``."""
        cls = self.architecture.hyperparameters_class
        docstrings = field_docstrings(cls)
        without = [f.name for f in dataclasses.fields(cls) if not UNIT.search(docstrings.get(f.name, ''))]
        assert not without, f'hyperparameters without a docstring that names a unit: {without}'

    def test_hyperparameters_have_json_form(self) -> None:
        """Writing the defaults as JSON and reading them back gives the same hyperparameters."""
        architecture = self.architecture
        defaults = architecture.hyperparameters_class()
        values = json.loads(json.dumps(dataclasses.asdict(defaults)))
        assert architecture.make_hyperparameters(values) == defaults

    def test_unknown_hyperparameter_is_answered_with_nearest(self) -> None:
        """A misspelt key is refused, and the right one is named."""
        architecture = self.architecture
        right = dataclasses.fields(architecture.hyperparameters_class)[0].name
        message = refusal(lambda: architecture.make_hyperparameters({right + 'x': 1}), HyperparameterError)
        assert f"did you mean '{right}'?" in message

    def test_protocols_are_valid_and_cite_sources(self) -> None:
        """Each protocol has a description, values the architecture accepts, and a source for each."""
        architecture = self.architecture
        document = protocol_document(architecture)
        assert document['default_protocol'] in document['protocols']
        for name, protocol in document['protocols'].items():
            assert protocol['description'], name
            entries, training = protocol['hyperparameters'], protocol['training']
            architecture.make_hyperparameters({key: entry['value'] for key, entry in entries.items()})
            assert all(entry['source'] for entry in (*entries.values(), *training.values())), name
            assert training['gradient_updates']['value'] > 0, name
            assert training['precision']['value'] in {member.value for member in Precision}, name

    def test_files_and_commands_are_repeatable(self) -> None:
        """The same job gives the same bytes, also from another instance."""
        assert described(example_job(self.architecture), self.architecture) == described(
            example_job(self.architecture), self.architecture
        )

    def test_seed_reaches_the_trainer(self) -> None:
        """The seed stands in the files or the commands, and another seed gives other bytes."""
        job = example_job(self.architecture)
        text = described(job, self.architecture)
        assert str(job.seed).encode() in text
        assert described(dataclasses.replace(job, seed=job.seed + 1), self.architecture) != text

    def test_precision_reaches_the_trainer(self) -> None:
        """Another precision gives other bytes."""
        single, double = (
            described(example_job(self.architecture, precision=precision), self.architecture)
            for precision in (Precision.SINGLE, Precision.DOUBLE)
        )
        assert single != double

    def test_no_absolute_path_and_no_date(self) -> None:
        """Nothing that differs between machines or days gets into the inputs."""
        text = described(example_job(self.architecture), self.architecture)
        assert not ABSOLUTE_PATH.search(text)
        assert not DATE.search(text)

    def test_file_names_are_relative(self) -> None:
        """Files lie inside the working directory."""
        for name in self.architecture.training_files(example_job(self.architecture)):
            assert not Path(name).is_absolute()
            assert '..' not in Path(name).parts

    def test_columns_and_further_labels_do_not_matter(self) -> None:
        """Charges, velocities and columns of the data set change nothing: only energies and forces are learnt."""
        job = example_job(self.architecture)
        frames = job.training_set
        richer = dataclasses.replace(
            frames, charges=np.ones(len(frames.numbers)), velocities=np.ones_like(frames.positions)
        ).with_columns(group='a', time=3.5)
        other = dataclasses.replace(job, training_set=richer)
        assert described(other, self.architecture) == described(job, self.architecture)

    def test_unlabelled_training_set_is_refused(self) -> None:
        """A job without labels is refused in one sentence that says what to do."""
        job = example_job(self.architecture)
        blank = dataclasses.replace(job, training_set=job.training_set.without_labels())
        assert 'label' in refusal(lambda: self.architecture.training_files(blank), ValueError)

    def test_receptive_field_is_layers_times_cutoff(self) -> None:
        """The locality of the model follows from its hyperparameters."""
        architecture = self.architecture
        chosen = architecture.hyperparameters_class()
        assert architecture.cutoff_radius(chosen) > 0
        assert architecture.n_layers(chosen) >= 1
        expected = architecture.n_layers(chosen) * architecture.cutoff_radius(chosen)
        assert architecture.receptive_field(chosen) == expected

    def test_walltime_limits_the_training(self) -> None:
        """A walltime reaches the commands or the files, so that the training stops by itself."""
        job = example_job(self.architecture)
        limited = dataclasses.replace(job, walltime_seconds=1234.0)
        assert described(limited, self.architecture) != described(job, self.architecture)

    def test_restart_differs_from_first_start(self) -> None:
        """A restart is told to use the checkpoint; the target stays the same."""
        job = example_job(self.architecture)
        stopped = self.architecture.read_training(self.fixtures / TrainingOutcome.OUT_OF_WALLTIME.value)
        restart = dataclasses.replace(job, is_restart=True, checkpoint_files=stopped.checkpoint_files)
        assert described(restart, self.architecture) != described(job, self.architecture)

    def test_model_and_checkpoint_are_retrieved(self) -> None:
        """The files a finished training names are among those that are brought back."""
        architecture = self.architecture
        result = architecture.read_training(self.fixtures / TrainingOutcome.FINISHED.value)
        patterns = architecture.retrieve(example_job(architecture)).keep
        assert result.model_path is not None
        for path in (result.model_path, *result.checkpoint_files):
            assert any(Path(path).match(pattern) for pattern in patterns), path

    def test_bindings_have_json_recipes(self) -> None:
        """What an MD engine is told about the model can be written as JSON."""
        architecture = self.architecture
        assert architecture.bindings
        for binding in architecture.bindings.values():
            json.dumps(binding.recipe(architecture.model_file_name, 'cpu', Precision.DOUBLE))

    def test_each_outcome_is_read_from_its_recording(self) -> None:
        """Recorded files of each outcome give that outcome and a sentence."""
        for outcome in TrainingOutcome:
            if outcome.value in self.impossible_outcomes or outcome in TOLD_BY_DRIVER:
                continue
            folder = self.fixtures / outcome.value
            assert (folder / 'README.md').is_file(), f'{folder.name}: say in README.md how the files were made'
            result = self.architecture.read_training(folder)
            assert result.outcome is outcome, f'{folder.name} was read as {result.outcome.value}: {result.message}'
            assert result.message, folder.name

    def test_learning_curves_are_ordered_and_finite(self) -> None:
        """Gradient updates increase, all arrays are of one length, errors are positive numbers."""
        result = self.architecture.read_training(self.fixtures / TrainingOutcome.FINISHED.value)
        curve = result.learning_curve
        assert curve is not None
        assert len(curve.gradient_updates) > 0
        assert np.all(np.diff(curve.gradient_updates) > 0)
        for errors in (curve.validation_energy_rmse, curve.validation_force_rmse):
            assert errors.shape == curve.gradient_updates.shape
            assert np.all(np.isfinite(errors) & (errors >= 0))
        assert curve.training_loss.shape == curve.gradient_updates.shape
        assert result.gradient_updates_done >= int(curve.gradient_updates[-1])

    def test_stopped_training_leaves_checkpoint_and_no_model(self) -> None:
        """After its walltime a training can go on, and offers no model that is not trained to the target."""
        if TrainingOutcome.OUT_OF_WALLTIME.value in self.impossible_outcomes:
            return
        result = self.architecture.read_training(self.fixtures / TrainingOutcome.OUT_OF_WALLTIME.value)
        assert result.checkpoint_files
        assert result.model_path is None

    def test_empty_folder_is_an_outcome(self, tmp_path: Path) -> None:
        """A job that left nothing is read without an exception."""
        result = self.architecture.read_training(tmp_path)
        assert result.outcome is TrainingOutcome.LOG_INCOMPLETE
        assert result.learning_curve is None
        assert result.checkpoint_files == ()

    def test_truncated_files_are_an_outcome(self, tmp_path: Path) -> None:
        """Whatever file of a finished training is cut in half, reading it raises nothing."""
        finished = self.fixtures / TrainingOutcome.FINISHED.value
        names = [path.relative_to(finished) for path in finished.rglob('*') if path.is_file()]
        for number, name in enumerate(names):
            folder = tmp_path / str(number)
            shutil.copytree(finished, folder)
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[: len(content) // 2])
            assert isinstance(self.architecture.read_training(folder).outcome, TrainingOutcome), name

    def test_import_needs_no_backend(self) -> None:
        """Importing the adapter in a fresh interpreter imports neither its trainer nor AiiDA."""
        module = self.architecture_class.__module__
        program = (
            f'import sys; sys.path[:0] = {sys.path!r}; import {module}; '
            f'print(sorted(set({BACKENDS!r}) & set(sys.modules)))'
        )
        done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == '[]', f'importing {module} imports {done.stdout.strip()}'
