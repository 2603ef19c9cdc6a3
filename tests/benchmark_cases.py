"""The benchmark in miniature: a Lennard-Jones reference and the toy architecture, the same work chains."""

from __future__ import annotations

from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.launch import benchmark_settings

RECIPE = {
    'module': 'ase.calculators.lj',
    'attribute': 'LennardJones',
    'keyword_arguments': {'sigma': 0.9, 'epsilon': 0.01, 'rc': 3.0},
}
"""Weak and short, so that water keeps its shape for the few steps of a test."""
MD = {
    'temperature': 100.0,
    'time_step': 0.25,
    'equilibration_steps': 0,
    'steps': 40,
    'sampling_interval': 2,
    'relaxation_time': 20.0,
    'fixed_elements': ['Au'],
    'wall_height': 0.0,
}

SHORT_MD = {**MD, 'temperature': 20.0, 'time_step': 0.02}
"""The toy potential is no good: its runs are too short for that to matter."""


def small_settings(seeds=(1, 2), **overrides):
    """Return settings of a benchmark that takes seconds."""
    small = {
        'structure': {'repeat': [2, 2, 2], 'n_water': 6},
        'reference': {'engine': 'ase', 'model_parameters': {'recipe': RECIPE, 'level_of_theory': 'toy'}, 'md': MD},
        'labelling': {'engine': 'ase_calculator', 'frames_per_run': 20},
        'split': {'n_training': 8, 'n_validation': 2, 'n_test': 4, 'n_blocks': 5},
        'architectures': {
            'mace': None,
            'deep_potential': None,
            'least_squares': {
                'protocol': 'fast',
                'hyperparameters': {},
                'seeds': list(seeds),
                'gradient_updates': 20,
                'precision': 'float64',
                'device': 'cpu',
            },
        },
        'production': {'md': SHORT_MD},
    }
    asked = ChargedInterfaceBenchmarkWorkChain.get_protocol_inputs('fast')['analyses']
    analyses = {**dict.fromkeys(asked), **overrides.pop('analyses', {})}  # none but those that are named
    return benchmark_settings('fast', {**small, 'analyses': analyses, **overrides})
