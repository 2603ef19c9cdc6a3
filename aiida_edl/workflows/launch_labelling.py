"""Launch the labelling of a data set: settings from a protocol, one work chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import run_get_node, submit
from aiida.orm import AbstractCode, Bool, Dict, Float, Int, ProcessNode, Str

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.dft.protocols import ProtocolError, engine_protocol
from aiida_edl.registry import unknown_name_message
from aiida_edl.workflows.labelling import LabellingWorkChain, single_point_engines
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb

ASE_CALCULATOR = 'ase_calculator'
CALCULATORS = {'gfn1_xtb': gfn1_xtb}
"""What the engine ``ase_calculator`` calls protocols: ready-made parameters of calculators."""


def engine_parameters(engine: str, protocol: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an engine.

    :param engine: short name.
    :param protocol: named settings; None for the default ones, or for none if ``settings`` hold all that is needed.
    :param settings: settings that replace or complete those of the protocol.
    :raises ValueError: if engine or protocol does not exist.
    """
    engines = single_point_engines()
    if engine not in engines:
        raise ValueError(unknown_name_message('single-point engine', engine, list(engines)))
    if engine == ASE_CALCULATOR:
        if protocol is None:
            return dict(settings)
        if protocol not in CALCULATORS:
            raise ProtocolError(unknown_name_message(f'protocol of {engine}', protocol, list(CALCULATORS)))
        return {**CALCULATORS[protocol](), **settings}
    return (
        dict(settings) if engine == 'electrode' and protocol is None else engine_protocol(engine, protocol, **settings)
    )


def labelling_builder(
    dataset: DatasetData,
    *,
    engine: str,
    code: AbstractCode,
    protocol: str | None = None,
    settings: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
    numbers: Mapping[str, int] | None = None,
    max_failed_fraction: float = 0.1,
    should_check_gradients: bool = True,
    options: Mapping[str, Any] | None = None,
    potential: PotentialData | None = None,
    label: str = '',
) -> Any:
    """Return a builder of the labelling.

    :param dataset: frames.
    :param engine: short name of the engine.
    :param code: its code.
    :param protocol: named settings of the engine.
    :param settings: settings that replace or complete those of the protocol.
    :param gate: fields of ``GateSettings``.
    :param numbers: ``frames_per_job`` and ``max_active_jobs``.
    :param max_failed_fraction: largest tolerated share of rejected frames.
    :param should_check_gradients: whether forces and stress are checked against energies.
    :param options: scheduler options of each job.
    :param potential: a trained potential as teacher, for engines that take one; it has no settings.
    :param label: label of the process node.
    :raises ValueError: with one sentence, before anything is stored.
    """
    builder = LabellingWorkChain.get_builder()
    builder.dataset, builder.engine, builder.code = dataset, Str(engine), code
    if potential is None:
        builder.model_parameters = Dict(engine_parameters(engine, protocol, settings or {}))
    elif protocol or settings:
        raise ValueError('a potential is given, and settings of an engine as well; give one of them')
    else:
        builder.potential = potential
    builder.gate = Dict(dict(gate or {}))
    for name, value in (numbers or {}).items():
        setattr(builder, name, Int(value))
    builder.max_failed_fraction = Float(max_failed_fraction)
    builder.check_gradients = Bool(should_check_gradients)
    if options:
        builder.options = Dict(dict(options))
    builder.metadata.label = label
    return builder


def submit_to_daemon(builder: Any) -> ProcessNode:
    """Submit a labelling to the daemon and return its node."""
    return submit(builder)


def run_here(builder: Any) -> ProcessNode:
    """Run a labelling to its end and return its node."""
    return run_get_node(builder)[1]


def has_data_set(process: ProcessNode) -> bool:
    """Return whether a labelling gave a data set."""
    return 'dataset' in process.outputs


def outcome(process: ProcessNode) -> str:
    """Return in one sentence how a labelling ended.

    :param process: the labelling, terminated.
    """
    name = f'{process.process_label}<{process.pk}>'
    message = f': {process.exit_message}' if process.exit_message else ''
    if not has_data_set(process):
        return f'{name} gave no data set, exit status {process.exit_status}{message}'
    dataset = process.outputs.dataset
    return f'{name}: {dataset.n_frames} labelled frames, DatasetData<{dataset.pk}> {dataset.uuid}{message}'
