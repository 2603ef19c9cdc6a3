"""What can be known of a chain that learns in rounds before anything is submitted, whatever it learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_edl.architectures.base import Architecture, HyperparameterError
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.molecular_dynamics import LAST_FRAME, validate_frame
from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines.base import MDEngine, MDSettings
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science.metal_charge import tells_charge
from aiida_edl.workflows.assessment_checks import refuse_engine
from aiida_edl.workflows.labelling import validate_inputs as validate_labelling

NO_TEST = "the array 'test' of the split is empty; keep some frames apart, which are never trained on"
"""What is said of a split without test frames."""


def validate_structures(structures: Mapping[str, DatasetData], dataset: DatasetData) -> str | None:
    """Return one sentence if there are no structures, or they do not belong to the data.

    :param structures: frames from which the dynamics begins, by label.
    :param dataset: labelled frames of the beginning.
    """
    if not structures:
        return 'no structure is given; name at least one from whose frames the dynamics begins'
    for label, structure in sorted(structures.items()):
        if unknown := [symbol for symbol in structure.elements if symbol not in dataset.elements]:
            return (
                f"structure '{label}' holds {', '.join(unknown)}, of which the data set has no label; "
                f'it has those of {", ".join(dataset.elements)}'
            )
        if structure.n_wet_sides != dataset.n_wet_sides:
            return (
                f"structure '{label}' has {structure.n_wet_sides} wet sides, the data set {dataset.n_wet_sides}: "
                'their surface charges differ in meaning'
            )
    return None


def validate_labels(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the engine of the labels refuses what it is given.

    :param inputs: inputs of the chain, with ``labelling`` and the labelled frames ``dataset``, which stand in for those
        to come.
    """
    message = validate_labelling({**(inputs.get('labelling') or {}), 'dataset': inputs['dataset']}, None)
    return None if message is None else f'labelling: {message}'


def validate_charges_of(
    architecture: Architecture, training: Mapping[str, Any], structures: Mapping[str, DatasetData]
) -> str | None:
    """Return one sentence if the models take a total charge that a structure does not state.

    :param architecture: what is trained.
    :param training: inputs of the trainings, with ``hyperparameters``.
    :param structures: frames from which the dynamics begins, by label.
    """
    try:
        given = training['hyperparameters'].get_dict() if 'hyperparameters' in training else {}
        column = architecture.total_charge_column(architecture.make_hyperparameters(given))
    except HyperparameterError as error:
        return str(error)
    for label, structure in sorted(structures.items()):
        if column is not None and not tells_charge(structure.columns(), column):
            return (
                f"structure '{label}' lacks the column '{column}', from which the potentials take the total charge; it "
                f'has {", ".join(structure.columns()) or "none"}'
            )
    return None


def validate_dynamics(
    architecture: Architecture, md: Mapping[str, Any], structures: Mapping[str, DatasetData]
) -> str | None:
    """Return one sentence if the engine cannot run what the trainer writes, or not from these structures.

    :param architecture: what is trained.
    :param md: inputs of the runs, with ``engine``, ``settings`` and ``code``.
    :param structures: frames from which the dynamics begins, by label.
    """
    engine: MDEngine = load_member(MD_ENGINES, md['engine'].value)
    settings = MDSettings.from_dict(md['settings'].get_dict())
    if message := refuse_engine(architecture, engine, settings):
        return message
    if formats := architecture.formats_to_run(str(engine.binding_kind)):
        return (
            f'engine {engine.name} runs {architecture.name} only when converted ({", ".join(formats)}), which is not '
            'done in each round; explore with engine ase'
        )
    for label, structure in sorted(structures.items()):
        if message := validate_frame(structure, LAST_FRAME, settings, f"structure '{label}'"):
            return message
    if 'code' not in md:
        return None  # its port says so
    member, kind = (architecture, 'architecture') if engine.code_kind == 'python' else (engine, 'engine')
    return validate_code_kind(md['code'], engine.code_kind, f"{kind} '{member.name}'", member.install_command)
