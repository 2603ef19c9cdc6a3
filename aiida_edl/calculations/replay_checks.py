"""Whether frames that a fine-tuning replays are what its parent knows, and not those on which the model is tested."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from aiida.orm import QueryBuilder

from aiida_edl.architectures.fine_tuning import FineTuning, ReplayLabels
from aiida_edl.calculations.functions.subtract_electrostatics import LESS_ELECTROSTATICS
from aiida_edl.calculations.models import level_of_theory_of_potential
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.shared_frames import shared_frames


class ReplayKind(str, Enum):
    """What the labels of replayed frames are to the parent."""

    TRUE = 'true labels'
    """They are of the level of theory that the parent learnt."""
    PSEUDO = 'pseudo-labels of the parent'
    """The parent made them."""
    OTHER = 'other labels'
    """They are of another level of theory, of another potential, or nothing says what they are."""


def replay_kind(replay: DatasetData, parent: PotentialData) -> ReplayKind:
    """Return what the labels of replayed frames are to the parent.

    True labels have the level of theory of the parent in the same words. Pseudo-labels name a potential like the parent
    as their teacher; if the graph knows which potentials they come from, the parent must be one of them.

    :param replay: the frames.
    :param parent: the potential from which the training starts.
    """
    level = replay.level_of_theory.removesuffix(LESS_ELECTROSTATICS)
    if level and level == parent.level_of_theory:
        return ReplayKind.TRUE
    if level != level_of_theory_of_potential(parent):
        return ReplayKind.OTHER
    teachers = _potentials_above(replay)
    is_made_by_parent = not teachers or parent.base.attributes.get(parent.KEY_SHA256) in teachers
    return ReplayKind.PSEUDO if is_made_by_parent else ReplayKind.OTHER


def _potentials_above(dataset: DatasetData) -> set[str]:
    """Return the checksums of the potentials from which a data set descends; empty if it was imported, or made now."""
    if not dataset.is_stored:
        return set()
    query = QueryBuilder().append(DatasetData, filters={'id': dataset.pk}, tag='dataset')
    query.append(PotentialData, with_descendants='dataset', project=f'attributes.{PotentialData.KEY_SHA256}').distinct()
    return set(query.all(flat=True))


def validate_replay(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the replayed labels are not what the parent knows, and that is not stated.

    :param inputs: inputs of :class:`~aiida_edl.calculations.training.TrainingCalculation`.
    """
    replay, parent = inputs.get('replay_dataset'), inputs.get('parent_potential')
    if replay is None or parent is None:
        return None
    settings = inputs.get('fine_tuning')
    fine_tuning = FineTuning.from_dict({} if settings is None else settings.get_dict())
    is_other = replay_kind(replay, parent) is ReplayKind.OTHER
    if is_other and fine_tuning.replay_labels is ReplayLabels.PARENT:
        return (
            f"the labels of replay_dataset are '{replay.level_of_theory or 'of no stated level of theory'}', neither "
            f"those of the parent, '{parent.level_of_theory}', nor made by it; give such ones, or state replay_labels: "
            'other in fine_tuning'
        )
    if not is_other and fine_tuning.replay_labels is ReplayLabels.OTHER:
        return (
            f'the labels of replay_dataset are {replay_kind(replay, parent).value}, fine_tuning states replay_labels: '
            'other; leave that out'
        )
    return None


def replay_leak(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if test frames are among those that are replayed.

    :param inputs: inputs of :class:`~aiida_edl.calculations.training.TrainingCalculation`.
    """
    replay = inputs.get('replay_dataset')
    test = inputs['split'].get_array('test')
    if replay is None or not len(test):
        return None
    shared = shared_frames(inputs['dataset'].frames().select(test), replay.frames())
    if not shared:
        return None
    own, other = shared[0]
    return (
        f'{len(shared)} of {len(test)} test frames are replayed, the first is frame {test[own]} of the dataset and '
        f'frame {other} of replay_dataset; take them out of replay_dataset, as errors on what was learnt are no test'
    )
