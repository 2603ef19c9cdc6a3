"""Checks of the settings of a benchmark: what does not fit together, and what would fail after it was submitted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.protocols import hyperparameter_protocol
from aiida_edl.calculations.evaluation import BINDING
from aiida_edl.calculations.long_range_checks import missing_package, refuse_long_range
from aiida_edl.md_engines.base import MDEngine, MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, unknown_name_message
from aiida_edl.science.analysis.interface_profiles import ProfileSettings
from aiida_edl.science.analysis.training_sets import TrainingKind, TrainingSet
from aiida_edl.science.electrostatics.charged_system import NEUTRAL
from aiida_edl.science.electrostatics.tuning_request import TuningRequest
from aiida_edl.science.structures.metal_water_interface import BOTTOM_MARGIN, InterfaceSettings, check_room
from aiida_edl.workflows.assessment_checks import refuse_engine
from aiida_edl.workflows.benchmark_parts import BenchmarkSettingsError
from aiida_edl.workflows.labelling import single_point_engines
from aiida_edl.workflows.registered_analyses import check_analyses

if TYPE_CHECKING:
    from aiida_edl.workflows.benchmark_settings import BenchmarkSettings

ROUNDING = 1e-9
"""What a share of frames may be off by."""
RESERVED_PARTS = ('at', 'seed', 'size', 'replica')
"""Words between underscores by which the label of a run is taken apart."""
RESERVED_NAMES = ('reference', 'default', 'conversion', 'given')
"""Words with which the names of other codes and runs begin."""
RESERVED_ENDS = ('md',)
"""Words with which the names of other codes end."""


def check_settings(settings: BenchmarkSettings) -> None:
    """Check every part, and that the parts fit each other.

    :param settings: all settings.
    :raises ValueError: with one sentence.
    """
    _check_charge_states(settings)
    if set_elsewhere := sorted({'ion', 'n_ions'} & set(settings.structure)):
        raise BenchmarkSettingsError(
            f'structure holds {", ".join(set_elsewhere)}; give the ions as ion and charge_states instead'
        )
    for values in settings.structures().values():
        check_room(InterfaceSettings.from_dict(values))
    _check_reference(settings)
    for name in settings.architectures:
        _check_architecture(settings, name)
    _check_names(settings)
    ProfileSettings.from_dict(settings.analysis)
    check_analyses(settings.analyses)
    if settings.max_iterations < 1:
        raise BenchmarkSettingsError(f'max_iterations is {settings.max_iterations}, at least 1')
    _check_sizes(settings)


def check_submission(settings: BenchmarkSettings) -> None:
    """Check what has to be right before anything is submitted; a study that runs already is not stopped by it.

    :param settings: settings that passed :func:`check_settings`.
    :raises ValueError: with one sentence.
    """
    _check_rejected_labels(settings)
    for name, states in settings.training_sets.items():
        _check_meaning(settings, name, tuple(states))
    for name in (*settings.architectures, *settings.training_sets):
        refuse_name(name)
    for name in settings.architectures:
        _check_vacuum(settings, name)


def _check_rejected_labels(settings: BenchmarkSettings) -> None:
    """Check that the split can be made if as many labels are rejected as is tolerated."""
    labelling, split = settings.labelling, settings.split
    per_run, replicas = labelling.frames_per_run, settings.reference.replicas
    left = per_run - int(labelling.max_failed_fraction * per_run + ROUNDING)
    needed = split.n_training + split.n_validation + split.n_test
    if needed > left * replicas:
        largest = int(1000 * (1 - -(-needed // replicas) / per_run)) / 1000
        raise BenchmarkSettingsError(
            f'the split needs {needed} frames of each charge state, but of {per_run * replicas} that are labelled '
            f'labelling.max_failed_fraction = {labelling.max_failed_fraction} lets {left * replicas} be left; raise '
            f'labelling.frames_per_run, lower the split, or lower the fraction to {largest}'
        )
    if split.n_blocks > left:
        raise BenchmarkSettingsError(
            f'the split cuts each trajectory into {split.n_blocks} blocks, but labelling.max_failed_fraction = '
            f'{labelling.max_failed_fraction} lets {left} of its labels be left; lower split.n_blocks or the fraction'
        )


def _check_meaning(settings: BenchmarkSettings, name: str, states: tuple[int, ...]) -> None:
    """Check that a training set holds what the comparisons read from its name."""
    known, every = TrainingSet.from_name(name), set(settings.charge_states)
    expected = {
        TrainingKind.MIXED: set(known.states) or every,
        TrainingKind.SINGLE: set(known.states) or set(states[:1]),
        TrainingKind.WITHOUT: every - set(known.states),
        TrainingKind.PAIR: set(known.states) or set(states),
        TrainingKind.OTHER: set(states),
    }[known.kind]
    if set(states) == expected:
        return
    raise BenchmarkSettingsError(
        f"training set '{name}' holds the charge states {list(states)}, by its name it would hold {sorted(expected)}; "
        'give it these, or a name that is not taken for a comparison, e.g. my_set'
    )


def refuse_name(name: str) -> None:
    """Refuse a name that cannot be part of labels, or would be taken for another code or run.

    :param name: of an architecture, a training set, or a given potential.
    :raises BenchmarkSettingsError: with one sentence.
    """
    _check_letters(name)
    words = name.split('_')
    found = [word for word in words if word in RESERVED_PARTS]
    found += [word for word in words[:1] if word in RESERVED_NAMES] + [w for w in words[-1:] if w in RESERVED_ENDS]
    if found:
        raise BenchmarkSettingsError(
            f"'{name}' cannot name an architecture or a training set: '{found[0]}' tells runs and codes apart; leave "
            'that word out'
        )


def _check_letters(name: str) -> None:
    """Check that a name can be part of a label."""
    if not re.fullmatch(r'[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*', name):
        raise BenchmarkSettingsError(
            f"'{name}' cannot name an architecture or a training set; use letters, digits and single underscores"
        )


def _check_vacuum(settings: BenchmarkSettings, name: str) -> None:
    """Check that a film does not feel its images where an architecture takes it as periodic."""
    part, architecture = settings.architectures[name], load_member(ARCHITECTURES, settings.architecture_of(name))
    values = {**hyperparameter_protocol(architecture.name, part.protocol), **part.hyperparameters}
    cutoff_radius = architecture.cutoff_radius(architecture.make_hyperparameters(values))
    engine = load_member(MD_ENGINES, settings.md_engine(name))
    refuse_vacuum(InterfaceSettings.from_dict(settings.structure), architecture, engine, cutoff_radius, name)


def refuse_vacuum(
    interface: InterfaceSettings, architecture: Architecture, engine: MDEngine, cutoff_radius: float, name: str
) -> None:
    """Refuse a vacuum across which atoms would feel their images where films are taken as periodic.

    :param interface: what is built.
    :param architecture: what computes it.
    :param engine: what runs it.
    :param cutoff_radius: cutoff radius of one layer [Å].
    :param name: what the potential is called.
    :raises BenchmarkSettingsError: with one sentence.
    """
    kinds = {BINDING, str(engine.binding_kind)} & set(architecture.bindings)
    kinds = {kind for kind in kinds if architecture.bindings[kind].is_fully_periodic}
    least = cutoff_radius - BOTTOM_MARGIN
    if interface.sides == 1 and kinds and interface.vacuum < least:
        raise BenchmarkSettingsError(
            f'structure.vacuum is {interface.vacuum} Å, but {" and ".join(sorted(kinds))} computes films by {name} as '
            f'periodic along all cell vectors, with a cutoff radius of {cutoff_radius} Å; give a vacuum of at least '
            f'{least} Å'
        )


def _check_charge_states(settings: BenchmarkSettings) -> None:
    if (
        not settings.charge_states
        or min(settings.charge_states) < 0
        or len(set(settings.charge_states)) != len(settings.charge_states)
    ):
        raise BenchmarkSettingsError(
            f'charge_states are {list(settings.charge_states)}; give different numbers of ions, none negative'
        )
    for name, states in settings.training_sets.items():
        if not isinstance(states, (list, tuple)):
            raise BenchmarkSettingsError(
                f"training set '{name}' is {states!r}, it must list charge states; short forms are written out by "
                'aiida_edl.workflows.launch.benchmark_settings'
            )
        if not states:
            raise BenchmarkSettingsError(f"training set '{name}' is empty; give at least one charge state")
        if absent := sorted(set(states) - set(settings.charge_states)):
            raise BenchmarkSettingsError(
                f"training set '{name}' asks for charge states {absent}, present are {list(settings.charge_states)}"
            )


def _check_reference(settings: BenchmarkSettings) -> None:
    engine = load_member(MD_ENGINES, settings.reference.engine)
    if reason := engine.refuse(MDSettings.from_dict(settings.reference.md)):
        raise BenchmarkSettingsError(reason)
    engine.level_of_theory(settings.reference.model_parameters)  # it refuses parameters that it does not know
    known = sorted(single_point_engines())
    if settings.labelling.engine not in known:
        raise BenchmarkSettingsError(unknown_name_message('single-point engine', settings.labelling.engine, known))


def _check_architecture(settings: BenchmarkSettings, name: str) -> None:
    part, architecture = settings.architectures[name], settings.architecture_of(name)
    member = load_member(ARCHITECTURES, architecture)
    member.make_hyperparameters({**hyperparameter_protocol(architecture, part.protocol), **part.hyperparameters})
    engine, md = load_member(MD_ENGINES, settings.md_engine(name)), MDSettings.from_dict(settings.production.md)
    if reason := refuse_engine(member, engine, md, part.model_format):
        raise BenchmarkSettingsError(reason)
    if part.long_range:
        _check_long_range(settings, name, str(engine.binding_kind))


def _check_long_range(settings: BenchmarkSettings, name: str, kind: str) -> None:
    """Check that every element has a charge, and that tests and runs can add the electrostatics."""
    part, member = settings.architectures[name], load_member(ARCHITECTURES, settings.architecture_of(name))
    request, interface = TuningRequest.from_dict(part.long_range), InterfaceSettings.from_dict(settings.structure)
    elements = {interface.metal, 'O', 'H', *([settings.ion] if any(settings.charge_states) else [])}
    if missing := sorted(elements - set(request.untuned().elements)):
        raise BenchmarkSettingsError(
            f'long_range of {name} has no charge of {", ".join(missing)}; give it one, or name it in balanced_by'
        )
    _check_neutral(settings, name, request)
    if reason := missing_package():
        raise BenchmarkSettingsError(reason)
    values = {**hyperparameter_protocol(member.name, part.protocol), **part.hyperparameters}
    cutoff_radius = member.cutoff_radius(member.make_hyperparameters(values))
    for each in (BINDING, kind):
        if reason := refuse_long_range(each, member.name, cutoff_radius, request.cutoff_radius):
            raise BenchmarkSettingsError(reason)


def _check_neutral(settings: BenchmarkSettings, name: str, request: TuningRequest) -> None:
    """Check that the charges of every structure sum to zero, or that it is said what makes up for them."""
    metal = InterfaceSettings.from_dict(settings.structure).metal
    if request.balanced_by == metal or request.has_background:
        return
    charges = request.charges
    parts = {'water': charges.get('O', 0.0) + 2.0 * charges.get('H', 0.0), metal: charges.get(metal, 0.0)}
    if any(settings.charge_states):
        parts[settings.ion] = charges.get(settings.ion, 0.0)
    if charged := [part for part, charge in parts.items() if abs(charge) > NEUTRAL]:
        raise BenchmarkSettingsError(
            f'the charges of long_range of {name} do not make neutral cells: {", ".join(charged)} is charged; name '
            f'{metal} in balanced_by'
        )


def _check_names(settings: BenchmarkSettings) -> None:
    """Check that names can be part of labels, and that no two models have the same."""
    for name in (*settings.architectures, *settings.training_sets):
        _check_letters(name)
    keys = [model.key for model in settings.models()]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BenchmarkSettingsError(
            f'several models would be called {twice}; give another name to an architecture or a training set'
        )


def _check_sizes(settings: BenchmarkSettings) -> None:
    split, per_run = settings.split, settings.labelling.frames_per_run
    if sizes := list(settings.set_sizes):
        _check_set_sizes(settings, sizes)
    per_state = per_run * settings.reference.replicas
    needed = split.n_training + split.n_validation + split.n_test
    if needed > per_state:
        raise BenchmarkSettingsError(
            f'the split needs {needed} frames of each charge state (training, validation and test), but '
            f'{per_state} are labelled; raise labelling.frames_per_run or lower the split'
        )
    if split.n_blocks > per_run:
        raise BenchmarkSettingsError(
            f'the split cuts each trajectory into {split.n_blocks} blocks, but only {per_run} of its frames are '
            'labelled; lower split.n_blocks'
        )
    stored = MDSettings.from_dict(settings.reference.md).stored_frames
    if per_run > stored:
        raise BenchmarkSettingsError(
            f'{per_run} frames are to be labelled per reference run, but {stored} are '
            'stored; raise reference.md.steps or lower its sampling_interval'
        )


def _check_set_sizes(settings: BenchmarkSettings, sizes: list[int]) -> None:
    """Check the sizes of the training sets: nested sets share the largest."""
    largest_mix = max(len(states) for states in settings.training_sets.values())
    whole = all(isinstance(size, int) for size in sizes)
    if not whole or len(set(sizes)) < len(sizes) or min(sizes) < largest_mix or max(sizes) != settings.split.n_training:
        raise BenchmarkSettingsError(
            f'set_sizes are {sizes}; give different numbers from {largest_mix}, one frame of each charge state of a '
            f'set, to split.n_training = {settings.split.n_training}, which must be among them'
        )
