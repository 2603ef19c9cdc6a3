"""The settings of a fine-tuning study: families of models, runs, analyses."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiida.orm import Dict

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, unknown_name_message
from aiida_edl.science.analysis.arrhenius_settings import ArrheniusSettings
from aiida_edl.workflows.diffusion_settings import OF_RUNS, DiffusionRunSettings
from aiida_edl.workflows.fine_tuning_parts import FamilyPart, FineTuningStudyError, Strategy, StudyModel
from aiida_edl.workflows.registered_analyses import check_analyses

NAME = re.compile(r'[a-z][a-z0-9]*(_[a-z0-9]+)*')
"""What the name of a family looks like: it becomes part of labels of links."""
SELECTION_SEED_STRIDE = 7919
"""The seed of the choice of frames is that of the model times this: another draw than that of its weights."""


@dataclass(frozen=True)
class FineTuningStudySettings:
    """All settings; the protocols hold values for each."""

    protocol: str
    """Name of the protocol these settings come from; recorded, not used."""
    families: Mapping[str, FamilyPart]
    """Families of models by name."""
    engine: str
    """MD engine of the runs."""
    runs: Mapping[str, Any]
    """Fields of ``DiffusionRunSettings``."""
    md: Mapping[str, Any]
    """Fields of ``MDSettings`` but temperature and seed."""
    analyses: Mapping[str, Mapping[str, Any]]
    """Settings of the analyses by their registered names."""
    arrhenius: Mapping[str, Any]
    """Settings of ``edl.arrhenius``."""
    max_iterations: int
    """How often a training or a run is started at most, continued from its checkpoint each time."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FineTuningStudySettings:
        """Return checked settings.

        :param values: all fields by name.
        :raises ValueError: with one sentence: what was given, what is wrong, what would be right.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise FineTuningStudyError(unknown_name_message('setting of a fine-tuning study', key, known))
        if missing := sorted(set(known) - set(values)):
            raise FineTuningStudyError(f'settings {missing} of the study are missing; start from a protocol')
        if not isinstance(values['families'], Mapping) or not values['families']:
            raise FineTuningStudyError('families is empty; name at least one family of models')
        families = {}
        for name, part in values['families'].items():
            if not NAME.fullmatch(str(name)):
                raise FineTuningStudyError(
                    f"the name '{name}' of a family becomes part of labels: use small letters, digits and single "
                    'underscores, a letter first'
                )
            families[name] = FamilyPart.from_dict(name, part)
            if families[name].architecture:
                load_member(ARCHITECTURES, families[name].architecture)
            if families[name].engine:
                load_member(MD_ENGINES, families[name].engine)
        settings = cls(**{**values, 'families': families})
        load_member(MD_ENGINES, settings.engine)
        DiffusionRunSettings.from_dict(settings.runs)
        if given := [name for name in OF_RUNS if name in settings.md]:
            raise FineTuningStudyError(f'md holds {" and ".join(given)}, which each run has for itself: say it in runs')
        MDSettings.from_dict(settings.md)
        check_analyses(settings.analyses)
        ArrheniusSettings.from_dict(settings.arrhenius)
        return settings

    def models(self) -> Iterator[StudyModel]:
        """Yield the models of all families but of those that find their own frames."""
        for name, family in sorted(self.families.items()):
            if family.strategy == Strategy.ZERO_SHOT.value:
                yield StudyModel(name, 0, 0, 0)
            elif family.strategy == Strategy.LABELLED_FRAMES.value:
                for n_frames in family.n_frames:
                    for n_replay in family.n_replay:
                        for seed in family.seeds:
                            yield StudyModel(name, int(n_frames), int(n_replay), int(seed))

    def selection(self, model: StudyModel) -> dict[str, Any]:
        """Return how the training frames of a model are chosen.

        :param model: the model.
        """
        chosen = dict(self.families[model.family].selection)
        return {**chosen, 'n_frames': model.n_frames, 'seed': model.seed * SELECTION_SEED_STRIDE}


def checked_settings(values: Mapping[str, Any]) -> FineTuningStudySettings:
    """Return settings of which every part is right by itself.

    :param values: all fields by name.
    :raises ValueError: with one sentence.
    """
    try:
        return FineTuningStudySettings.from_dict(values)
    except (KeyError, TypeError) as error:
        raise FineTuningStudyError(f'the settings lack or misuse {error}; start from a protocol') from error


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist, has a wrong value or does not fit the others."""
    try:
        checked_settings(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None
