"""Learning in rounds in miniature: Lennard-Jones labels, small cells with and without sodium, children made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from aiida.orm import Dict, Int, List, Str
from calculation_cases import ATOMIC_ENERGIES, dataset, labelled_frames, split, stored_once

from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.protocols.mixin import merge

RECIPE = {
    'module': 'ase.calculators.lj',
    'attribute': 'LennardJones',
    'keyword_arguments': {'sigma': 2.3, 'epsilon': 0.05, 'rc': 4.0, 'smooth': True},
}
"""The calculator that labels the frames of :func:`calculation_cases.labelled_frames`."""
LABELS: Mapping[str, Any] = {
    'recipe': RECIPE,
    'level_of_theory': 'Lennard-Jones',
    'energy_shifts': ATOMIC_ENERGIES,
}
MD: Mapping[str, Any] = {
    'ensemble': 'nvt',
    'thermostat': 'csvr',
    'temperature': 300.0,
    'time_step': 0.5,
    'steps': 100,
    'sampling_interval': 10,
    'relaxation_time': 20.0,
    'fixed_elements': ['Au'],
}
SETTINGS: Mapping[str, Any] = {
    'window': {'lower': 0.0, 'upper': 2.0},
    'selection': {'n_selected': 6},
    'retraining': {'validation_share': 0.2},
    'stop': {'accurate_rounds': 1},
    'maximum_rounds': 1,
}


def starts() -> dict[str, DatasetData]:
    """Return the structures from which the dynamics begins, without and with sodium; they are stored once."""
    frames = labelled_frames(4)
    return {
        name: stored_once(f'start {name}', lambda chosen=chosen: dataset(frames.select(chosen).without_labels()))
        for name, chosen in (('neutral', [0, 1]), ('charged', [2, 3]))
    }


def child(
    outputs: Mapping[str, Any] | None = None,
    exit_status: int = 0,
    message: str | None = None,
    label: str = 'ChildWorkChain',
) -> SimpleNamespace:
    """Return what stands for a child that has ended."""
    return SimpleNamespace(
        pk=7,
        process_label=label,
        exit_status=exit_status,
        exit_message=message,
        is_finished_ok=exit_status == 0,
        outputs=outputs or {},
        called_descendants=[],
    )


def outputs(**nodes: Any) -> Any:
    """Return outputs that are found by name and by attribute."""

    class Outputs(dict):
        __getattr__ = dict.__getitem__

    return Outputs(nodes)


def learning_inputs(code: Any, settings: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return inputs of active learning with the toy architecture.

    :param code: interpreter that trains, runs and labels.
    :param settings: settings that differ from :data:`SETTINGS`.
    :param changes: inputs that are replaced.
    """
    return {
        'dataset': dataset(),
        'split': split(),
        'structures': starts(),
        'seeds': List([1, 2]),
        'settings': Dict(merge(SETTINGS, settings or {})),
        'training': {
            'code': code,
            'architecture': Str('least_squares'),
            'hyperparameters': Dict({'batch_size': 2, 'n_radial_functions': 8, 'learning_rate': 0.3}),
            'gradient_updates': Int(6),
        },
        'md': {'code': code, 'engine': Str('ase'), 'settings': Dict(dict(MD))},
        'labelling': {'engine': Str('ase_calculator'), 'code': code, 'model_parameters': Dict(dict(LABELS))},
        **changes,
    }
