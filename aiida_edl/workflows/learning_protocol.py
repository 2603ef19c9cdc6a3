"""How the values of a protocol become inputs of a work chain that trains, runs and labels in rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode, Dict, Float, Int, Str

from aiida_edl.architectures.protocols import training_protocol
from aiida_edl.workflows.training import TrainingWorkChain


def fill_learning_builder(
    builder: Any,
    codes: Mapping[str, AbstractCode],
    *,
    architecture: str,
    engine: str,
    values: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]],
    model_parameters: Mapping[str, Any] | None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Set the namespaces ``training``, ``md`` and ``labelling`` of a builder.

    :param builder: builder of the work chain.
    :param codes: code of the ``training``, of the ``labelling``, and of the ``md`` (that of the training without one).
    :param architecture: entry-point name.
    :param engine: single-point engine of the labels.
    :param values: values of a protocol for these namespaces.
    :param options: scheduler options by name of the code.
    :param model_parameters: those of the engine; None without any.
    :param further: inputs of the training beside those of the protocol.
    """
    training = training_of_protocol(architecture, values['training'])
    builder.training = {'code': codes['training'], **training, **(further or {})}
    builder.md = {
        'code': codes.get('md', codes['training']),
        'engine': Str(values['md']['engine']),
        'settings': Dict(values['md']['settings']),
        'device': Str(values['training']['device']),
    }
    of_codes = {'training': options.get('training', {}), 'md': options.get('md', options.get('training', {}))}
    for namespace, of_code in of_codes.items():
        for name, value in of_code.items():
            setattr(builder[namespace].metadata.options, name, value)
    labelling = values['labelling']
    builder.labelling = {
        'code': codes['labelling'],
        'engine': Str(engine),
        'options': Dict(dict(options.get('labelling', {}))),
        'gate': Dict(labelling['gate']),
        'frames_per_job': Int(labelling['frames_per_job']),
        'max_failed_fraction': Float(labelling['max_failed_fraction']),
        **({} if model_parameters is None else {'model_parameters': Dict(dict(model_parameters))}),
    }


def training_of_protocol(architecture: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an architecture is trained.

    :param architecture: entry-point name.
    :param values: ``protocol`` of the architecture, ``hyperparameters`` that differ from it, ``device``; where they
        shall differ from the protocol, ``gradient_updates`` and ``precision``.
    """
    target = {**training_protocol(architecture, values['protocol']), **values}
    hyperparameters = TrainingWorkChain.get_protocol_hyperparameters(
        architecture, values['protocol'], values['hyperparameters']
    )
    return {
        'architecture': Str(architecture),
        'hyperparameters': Dict(hyperparameters),
        'gradient_updates': Int(target['gradient_updates']),
        'precision': Str(target['precision']),
        'device': Str(values['device']),
    }
