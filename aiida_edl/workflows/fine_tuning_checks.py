"""What can be known of a fine-tuning study before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_edl.calculations.training import validate_split
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, unknown_name_message
from aiida_edl.workflows.assessment_checks import refuse_engine
from aiida_edl.workflows.fine_tuning_parts import FamilyPart, Strategy
from aiida_edl.workflows.fine_tuning_settings import FineTuningStudySettings
from aiida_edl.workflows.fine_tuning_trainings import code_name

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
    message = message or _validate_replay(inputs)
    for name, family in sorted(settings.families.items()):
        of_family = None if message else _validate_family(inputs, settings, name, family)
        message = message or (f"family '{name}': {of_family}" if of_family else None)
    return message


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
    engine, settings = load_member(MD_ENGINES, study.engine), MDSettings.from_dict(study.md)
    message = refuse_engine(load_member(ARCHITECTURES, architecture), engine, settings)
    if message is None and family.strategy == Strategy.OWN_FRAMES.value and not inputs.get('labelling'):
        message = "strategy 'own_frames' needs labels: give engine and code in the namespace labelling"
    message = message or _validate_numbers(inputs, family)
    if message is None and family.has_parent:
        message = _validate_elements(inputs, foundations[family.start].elements)
    return message


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
