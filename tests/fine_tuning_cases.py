"""Fine-tuning in rounds in miniature: Lennard-Jones labels, a toy parent, small cells with and without sodium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, Int, Str
from calculation_cases import dataset, potential, split, stored_once
from learning_cases import LABELS, MD, starts

from aiida_edl.workflows.protocols.mixin import merge

SETTINGS: Mapping[str, Any] = {
    'selection': {'n_selected': 6},
    'retraining': {'validation_share': 0.2},
    'stop': {'force_error': 1e-6, 'rounds': 1},
    'maximum_rounds': 1,
}


def tuning_inputs(code: Any, settings: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return inputs of fine-tuning in rounds that begins with test frames alone.

    :param code: interpreter that trains, runs and labels.
    :param settings: settings that differ from :data:`SETTINGS`.
    :param changes: inputs that are replaced.
    """
    return {
        'parent_potential': potential(),
        'dataset': dataset(),
        'split': stored_once('test frames alone', lambda: split(training=[], validation=[], test=[4, 5, 6, 9])),
        'structures': starts(),
        'settings': Dict(merge(SETTINGS, settings or {})),
        'training': {
            'code': code,
            'architecture': Str('least_squares'),
            'hyperparameters': Dict({'batch_size': 2, 'n_radial_functions': 4, 'learning_rate': 0.9}),
            'gradient_updates': Int(6),
            'seed': Int(1),
        },
        'md': {'code': code, 'engine': Str('ase'), 'settings': Dict(dict(MD))},
        'labelling': {'engine': Str('ase_calculator'), 'code': code, 'model_parameters': Dict(dict(LABELS))},
        **changes,
    }
