"""Launch a fine-tuning study: settings from a protocol, codes by label, one work chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import submit
from aiida.orm import AbstractCode, ArrayData, Dict, Int, ProcessNode, Str

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.workflows.environments.codes import code_of_architecture
from aiida_edl.workflows.fine_tuning_parts import Strategy
from aiida_edl.workflows.fine_tuning_settings import FineTuningStudySettings, checked_settings
from aiida_edl.workflows.fine_tuning_study import FineTuningStudyWorkChain
from aiida_edl.workflows.fine_tuning_trainings import DEFAULT_CODE, MD_SUFFIX, code_name
from aiida_edl.workflows.gpu_options import options_with_gpus
from aiida_edl.workflows.iterative_fine_tuning_settings import IterativeFineTuningSettings
from aiida_edl.workflows.launch import DEFAULT_CODES, LaunchError, find_code
from aiida_edl.workflows.launch_labelling import engine_parameters

INSTALL = 'aiida-edl environment create'


def study_settings(protocol: str | None = None, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of a protocol.

    :param protocol: its name; None for the default.
    :param overrides: nested values that replace those of the protocol; ``families`` is replaced as a whole.
    :raises aiida_edl.workflows.protocols.mixin.ProtocolError: for an unknown protocol or key.
    """
    name = protocol or FineTuningStudyWorkChain.get_default_protocol()
    return {'protocol': name, **FineTuningStudyWorkChain.get_protocol_inputs(name, overrides)}


def codes_of_study(
    settings: FineTuningStudySettings, given: Mapping[str, str], foundations: Mapping[str, PotentialData]
) -> dict[str, AbstractCode]:
    """Return the codes of a study: those that are given, and for the other families those of their environments.

    :param settings: checked settings.
    :param given: labels by name of a family, of an architecture, or ``default``, with ``_md`` for those of runs.
    :param foundations: foundation models by label.
    :raises LaunchError: if a code is not set up, or a family starts from a model that is not given.
    """
    codes = {name: find_code(label, f'{INSTALL} mace') for name, label in given.items()}
    for name, family in settings.families.items():
        if family.has_parent and family.start not in foundations:
            known = ', '.join(sorted(foundations)) or 'none'
            raise LaunchError(
                f"family '{name}' starts from the foundation model '{family.start}', given are: {known}; give it with "
                f'--foundation {family.start}=PK'
            )
        architecture = foundations[family.start].architecture if family.has_parent else family.architecture
        if code_name(name, architecture, codes) is None:
            label = code_of_architecture(architecture) or DEFAULT_CODES[DEFAULT_CODE]
            codes[architecture] = find_code(label, load_member(ARCHITECTURES, architecture).install_command)
    return codes


def plan_in_words(settings: FineTuningStudySettings) -> str:
    """Return how many models a study makes, and how many loops find frames of their own in how many rounds at most.

    :param settings: checked settings.
    """
    models = [model.key for model in settings.models()]
    own = [family for family in settings.families.values() if family.strategy == Strategy.OWN_FRAMES.value]
    rounds = [
        IterativeFineTuningSettings.from_dict(family.rounds).maximum_rounds for family in own for _ in family.seeds
    ]
    words = f'{len(models)} models: {", ".join(models)}' if models else '0 models'
    if rounds:
        words += (
            f'; {len(rounds)} loops that find their own frames, {sum(rounds)} rounds together at most, each gives '
            'a model'
        )
    return words


def with_device(settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return settings in which all families train and run on one device.

    :param settings: all settings, see :func:`study_settings`.
    :param device: ``'cpu'`` or ``'cuda'``.
    """
    return {**settings, 'families': {name: {**part, 'device': device} for name, part in settings['families'].items()}}


def options_on_gpus(
    options: Mapping[str, Any],
    settings: FineTuningStudySettings,
    given: Mapping[str, str],
    foundations: Mapping[str, PotentialData],
    n_gpus: int,
) -> dict[str, Any]:
    """Return scheduler options in which the trainings and runs of families on accelerators ask for them.

    Labelling jobs have options of their own.

    :param options: options by name of the code, or ``default``.
    :param settings: checked settings.
    :param given: labels of codes, see :func:`codes_of_study`.
    :param foundations: foundation models by label.
    :param n_gpus: accelerators of each job.
    :raises ValueError: if a code is not set up, or its scheduler is not known.
    """
    codes = codes_of_study(settings, given, foundations)
    schedulers = {}
    for name, family in settings.families.items():
        if family.device != 'cuda':
            continue
        architecture = foundations[family.start].architecture if family.has_parent else family.architecture
        for suffix in ('', MD_SUFFIX):
            found = code_name(name, architecture, codes, suffix)
            if found is not None:
                schedulers[found] = codes[found].computer.scheduler_type
    return options_with_gpus(options, schedulers, n_gpus)


def study_builder(
    settings: Mapping[str, Any],
    *,
    dataset: DatasetData,
    split: ArrayData,
    structures: Mapping[str, DatasetData],
    foundations: Mapping[str, PotentialData],
    codes: Mapping[str, str],
    replay: tuple[DatasetData, ArrayData] | None = None,
    labelling: Mapping[str, Any] | None = None,
    atomic_energies: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    max_active: int | None = None,
    label: str = '',
) -> Any:
    """Return a builder of the study.

    :param settings: all settings, see :func:`study_settings`.
    :param dataset: labelled frames.
    :param split: their ``training``, ``validation`` and ``test``.
    :param structures: frames from which the runs begin, by name of the system.
    :param foundations: foundation models by label.
    :param codes: labels of codes, see :func:`codes_of_study`.
    :param replay: frames of the training of the foundation models and their split; None for none.
    :param labelling: how frames are labelled that models find, see :func:`labelling_inputs`; None for no such models.
    :param atomic_energies: reference energy of each element [eV]; fitted to the training frames if None.
    :param options: scheduler options by name of the code, or ``default``.
    :param max_active: models that are trained and run at once at most; None for all.
    :param label: label of the process node.
    :raises ValueError: with one sentence, before anything is stored.
    """
    checked = checked_settings(settings)
    builder = FineTuningStudyWorkChain.get_builder()
    builder.settings = Dict(dict(settings))
    builder.dataset, builder.split = dataset, split
    builder.structures, builder.foundations = dict(structures), dict(foundations)
    builder.codes = codes_of_study(checked, codes, foundations)
    if replay is not None:
        builder.replay_dataset, builder.replay_split = replay
    if atomic_energies:
        builder.atomic_energies = Dict(dict(atomic_energies))
    if labelling is not None:
        builder.labelling = dict(labelling)
    if options:
        builder.options = Dict(dict(options))
    if max_active is not None:
        builder.max_active = Int(max_active)
    builder.metadata.label = label or f'fine-tuning study, protocol {settings["protocol"]}'
    return builder


def labelling_inputs(
    engine: str,
    code: str,
    *,
    protocol: str | None = None,
    settings: Mapping[str, Any] | None = None,
    potential: PotentialData | None = None,
    options: Mapping[str, Any] | None = None,
    frames_per_job: int | None = None,
    gate: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return how frames are labelled that models find themselves: in the very way of the labels of the data set.

    :param engine: short name of the engine.
    :param code: label of its code.
    :param protocol: named settings of the engine.
    :param settings: settings that replace or complete those of the protocol.
    :param potential: a trained potential as teacher, for engines that take one; it has no settings.
    :param options: scheduler options of each job.
    :param frames_per_job: frames in one job at most; None for the default.
    :param gate: fields of ``GateSettings`` that differ from the defaults.
    :raises ValueError: if engine, protocol or code does not exist, or a potential comes with settings.
    """
    inputs: dict[str, Any] = {'engine': Str(engine), 'code': find_code(code, f'{INSTALL} {engine}')}
    inputs |= {'options': Dict(dict(options))} if options else {}
    inputs |= {'gate': Dict(dict(gate))} if gate else {}
    inputs |= {} if frames_per_job is None else {'frames_per_job': Int(frames_per_job)}
    if potential is None:
        return {**inputs, 'model_parameters': Dict(engine_parameters(engine, protocol, settings or {}))}
    if protocol or settings:
        raise ValueError('a potential is given, and settings of an engine as well; give one of them')
    return {**inputs, 'potential': potential}


def submit_study(builder: Any) -> ProcessNode:
    """Submit a study to the daemon and return its node."""
    return submit(builder)
