"""Questions to a stored benchmark."""

from __future__ import annotations

from aiida_edl.provenance import queries


def test_one_potential_per_training(benchmark):
    rows = queries.trained_potentials(benchmark.process)
    assert [(row.architecture, row.training_set, row.seed) for row in rows] == [
        ('deep_potential', 'mixed', 1),
        ('deep_potential', 'mixed', 2),
        ('deep_potential', 'single_0', 1),
        ('deep_potential', 'single_0', 2),
        ('deep_potential', 'single_2', 1),
        ('deep_potential', 'single_2', 2),
        ('mace', 'mixed', 1),
        ('mace', 'single_0', 1),
        ('mace', 'single_2', 1),
    ]
