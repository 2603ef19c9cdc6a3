"""What can be known of a fine-tuning study before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict

from aiida_edl.architectures.fine_tuning import FineTuning
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.replay_checks import validate_replay
from aiida_edl.calculations.training import validate_split
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, unknown_name_message
from aiida_edl.workflows.assessment_checks import conversion_environments, refuse_engine
from aiida_edl.workflows.benchmark_settings import conversion_code_name
from aiida_edl.workflows.fine_tuning_loop_inputs import validate_loops
from aiida_edl.workflows.fine_tuning_parts import FamilyPart, Strategy, StudyModel
from aiida_edl.workflows.fine_tuning_settings import FineTuningStudySettings
from aiida_edl.workflows.fine_tuning_trainings import MD_SUFFIX, code_name, hyperparameters_of
from aiida_edl.workflows.iterative_fine_tuning_settings import IterativeFineTuningSettings

RESERVED = ('errors', 'holdout_errors')
"""Names that no system may have: they name other results."""
REPLAY_PARTS = ('training', 'test')
"""Arrays of the split of the replay set that are used."""


def validate_study(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if a family cannot be trained or run with what is given.

    :param inputs: inputs of :class:`~aiida_edl.workflows.fine_tuning_study.FineTuningStudyWorkChain`.
    """
    if not {'settings', 'dataset', 'split', 'structures'} <= set(inputs):
        return None  # the ports say so themselves
    if not inputs['structures']:
        return 'structures is empty; give the frames from which the runs begin, by the name of the system'
    settings = FineTuningStudySettings.from_dict(inputs['settings'].get_dict())
    message = validate_split(inputs['split'], inputs['dataset'].n_frames)
    if not message and not len(inputs['split'].get_array('test')):
        message = "the array 'test' of the split is empty; keep some frames apart to measure the errors"
    message = message or _validate_replay(inputs) or _validate_systems(inputs, settings)
    for name, family in sorted(settings.families.items()):
        of_family = None if message else _validate_family(inputs, settings, name, family)
        message = message or (f"family '{name}': {of_family}" if of_family else None)
    return message


def _validate_systems(inputs: Mapping[str, Any], settings: FineTuningStudySettings) -> str | None:
    """Return one sentence if names of systems would be taken for other results, or what is to move is in none."""
    systems = sorted(inputs['structures'])
    if taken := [name for name in systems if name in RESERVED]:
        return f"a system is called '{taken[0]}', which names other results; rename it"
    labels = [f'{system}_{key}' for system in systems for key in keys_of(settings)]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        return f"names of systems and families together name two models '{twice[0]}'; rename one of them"
    for analysis in settings.analyses.values():
        mobile = analysis.get('mobile')
        for system in systems:
            if mobile is not None and mobile not in inputs['structures'][system].elements:
                return f"structure '{system}' holds no {mobile}, which the analyses are to follow"
    return None


def keys_of(settings: FineTuningStudySettings) -> list[str]:
    """Return the keys of all models, those of every round that there may be among them.

    :param settings: checked settings.
    """
    keys = [model.key for model in settings.models()]
    for name, family in settings.families.items():
        if family.strategy == Strategy.OWN_FRAMES.value:
            rounds = range(1, IterativeFineTuningSettings.from_dict(family.rounds).maximum_rounds + 1)
            keys += [StudyModel(name, 0, 0, int(seed), number).key for seed in family.seeds for number in rounds]
    return keys


def _validate_replay(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if replayed frames are given in part."""
    given = [name for name in ('replay_dataset', 'replay_split') if inputs.get(name) is not None]
    if len(given) == 1:
        return f'{given[0]} is given alone; give replay_dataset and replay_split, or neither'
    if not given:
        return None
    split, n_frames = inputs['replay_split'], inputs['replay_dataset'].n_frames
    if missing := [name for name in REPLAY_PARTS if name not in split.get_arraynames()]:
        return f'replay_split lacks the arrays {", ".join(missing)}; it needs {", ".join(REPLAY_PARTS)}'
    parts = [split.get_array(name) for name in REPLAY_PARTS]
    for name, indices in zip(REPLAY_PARTS, parts):
        if len(indices) and (indices.min() < 0 or indices.max() >= n_frames):
            return (
                f"the array '{name}' of replay_split holds indices {indices.min()} to {indices.max()}, replay_dataset "
                f'has {n_frames} frames'
            )
    if n_both := len(set(parts[0].tolist()) & set(parts[1].tolist())):
        return f'replay_split has {n_both} frames in training and in test; a frame that is replayed tells nothing'
    return None


def _validate_family(
    inputs: Mapping[str, Any], study: FineTuningStudySettings, name: str, family: FamilyPart
) -> str | None:
    """Return one sentence if one family cannot be trained or run."""
    foundations = inputs.get('foundations') or {}
    if family.has_parent and family.start not in foundations:
        return unknown_name_message('foundation model', family.start, sorted(foundations))
    architecture = foundations[family.start].architecture if family.has_parent else family.architecture
    if code_name(name, architecture, inputs.get('codes') or {}) is None:
        return f"there is no code; give one named '{name}', '{architecture}' or 'default'"
    parent = foundations[family.start] if family.has_parent else None
    message = _validate_way(inputs, study, name, family, architecture)
    if message is None and family.strategy == Strategy.OWN_FRAMES.value and not inputs.get('labelling'):
        message = "strategy 'own_frames' needs labels: give engine and code in the namespace labelling"
    message = message or _validate_training(family, architecture, parent) or _validate_numbers(inputs, family)
    if message is None and parent is not None:
        message = _validate_elements(inputs, parent.elements) or _validate_replayed(inputs, family, parent)
    if message is None and family.strategy == Strategy.OWN_FRAMES.value:
        message = validate_loops(inputs, study, name)
    return message


def _validate_way(
    inputs: Mapping[str, Any], study: FineTuningStudySettings, name: str, family: FamilyPart, architecture: str
) -> str | None:
    """Return one sentence if the engine cannot run a family, or a code for it is missing or of another kind."""
    member, codes = load_member(ARCHITECTURES, architecture), inputs.get('codes') or {}
    engine, settings = load_member(MD_ENGINES, family.engine or study.engine), MDSettings.from_dict(study.md)
    if message := refuse_engine(member, engine, settings):
        return message
    for environment in conversion_environments(member, engine):
        if conversion_code_name(environment) not in codes:
            return (
                f"engine '{engine.name}' loads {architecture} after a conversion in the environment '{environment}'; "
                f"give a code named '{conversion_code_name(environment)}'"
            )
    of_runs = code_name(name, architecture, codes, MD_SUFFIX) or code_name(name, architecture, codes)
    owner, kind = (member, 'architecture') if engine.code_kind == 'python' else (engine, 'engine')
    return validate_code_kind(codes[of_runs], engine.code_kind, f"{kind} '{owner.name}'", owner.install_command)


def _validate_training(family: FamilyPart, architecture: str, parent: PotentialData | None) -> str | None:
    """Return one sentence if protocol, hyperparameters or mode of a family do not exist."""
    if family.strategy == Strategy.ZERO_SHOT.value:
        return None
    try:
        hyperparameters_of(architecture, family, parent)
    except ValueError as error:
        return str(error)
    modes = [mode.value for mode in load_member(ARCHITECTURES, architecture).fine_tuning_modes]
    mode = FineTuning.from_dict(family.fine_tuning).mode.value
    if parent is not None and mode not in modes:
        return unknown_name_message(f'mode of fine-tuning {architecture}', mode, modes)
    return None


def _validate_replayed(inputs: Mapping[str, Any], family: FamilyPart, parent: PotentialData) -> str | None:
    """Return one sentence if replayed labels are not what the family says they are to its parent, or lack energies."""
    replay = inputs.get('replay_dataset')
    if not family.is_replaying or replay is None:
        return None
    training = {'replay_dataset': replay, 'parent_potential': parent, 'fine_tuning': Dict(dict(family.fine_tuning))}
    if message := validate_replay(training):
        return message
    given = inputs.get('atomic_energies')
    known = {*inputs['dataset'].elements, *parent.atomic_energies, *(given.get_dict() if given is not None else ())}
    if missing := [symbol for symbol in replay.elements if symbol not in known]:
        return (
            f'the replayed frames hold {", ".join(missing)}, of which neither the data set nor the foundation model '
            'states an atomic energy; give them in atomic_energies'
        )
    return None


def _validate_numbers(inputs: Mapping[str, Any], family: FamilyPart) -> str | None:
    """Return one sentence if there are fewer frames than a family asks for."""
    n_pool = len(inputs['split'].get_array('training'))
    if family.n_frames and max(family.n_frames) > n_pool:
        return f'n_frames asks for {max(family.n_frames)} training frames, the split has {n_pool}; ask for fewer'
    if not family.is_replaying:
        return None
    if inputs.get('replay_split') is None:
        return f'n_replay is {list(family.n_replay)}, but no replay_dataset is given; give one, or 0'
    n_replay = len(inputs['replay_split'].get_array('training'))
    if max(family.n_replay) > n_replay:
        return f'n_replay asks for {max(family.n_replay)} frames, replay_split has {n_replay}; ask for fewer'
    return None


def _validate_elements(inputs: Mapping[str, Any], known: tuple[str, ...]) -> str | None:
    """Return one sentence if a foundation model lacks an element."""
    for what, node in (('the dataset', inputs['dataset']), *sorted(inputs['structures'].items())):
        if missing := [symbol for symbol in node.elements if symbol not in known]:
            named = what if node is inputs['dataset'] else f"structure '{what}'"
            return f'{named} holds {", ".join(missing)}, which the foundation model does not know; take another one'
    return None
