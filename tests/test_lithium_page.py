"""The numbers that the page on Li in LiF states are those of the tables beside it."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

STUDIES = Path(__file__).parents[1] / 'docs/source/studies'
PAGE = (STUDIES / 'lithium_fluoride.md').read_text()
MEV = 1000.0
"""meV in one eV."""
WORDS = {'naive': 'fine-tuned', 'scratch_mace': 'from scratch', 'own': 'on frames of their own'}


def rows(table: str, **values: str) -> list[dict[str, str]]:
    """Return the rows of a table that have certain values."""
    with (STUDIES / f'lithium_fluoride/figures/{table}.csv').open(newline='') as file:
        return [row for row in csv.DictReader(file) if all(row[name] == value for name, value in values.items())]


def point(family: str, n_frames: int, quantity: str, factor: float = 1.0) -> tuple[float, float]:
    """Return mean and error of a point of a learning curve."""
    (row,) = rows('learning_curves', family=family, n_frames=str(n_frames), quantity=quantity)
    return factor * float(row['mean']), factor * float(row['error'] or math.nan)


@pytest.mark.parametrize(('family', 'n_frames'), [('naive', 160), ('scratch_mace', 160), ('own', 54)])
def test_errors_and_times(family, n_frames):
    error, of_error = point(family, n_frames, 'test_force_rmse_ev_per_angstrom', MEV)
    time, of_time = point(family, n_frames, 'physical_time_ps')
    words = f'{n_frames} frames, {WORDS[family]}: {error:.1f} ± {of_error:.1f} meV/Å, {time:.1f} ± {of_time:.1f} ps'
    assert words in PAGE


def test_foundation_as_it_is():
    error, _ = point('zero_shot', 0, 'test_force_rmse_ev_per_angstrom', MEV)
    old, _ = point('zero_shot', 0, 'holdout_force_rmse_ev_per_angstrom', MEV)
    time, _ = point('zero_shot', 0, 'physical_time_ps')
    assert f'has {error:.0f} meV/Å on hot crystals and {old:.1f} meV/Å on frames of its own training' in PAGE
    assert f'leaves physics after {time:.2f} ps' in PAGE


def test_ten_frames():
    tuned, of_tuned = point('naive', 10, 'test_force_rmse_ev_per_angstrom', MEV)
    scratch, of_scratch = point('scratch_mace', 10, 'test_force_rmse_ev_per_angstrom', MEV)
    assert f'{tuned:.1f} ± {of_tuned:.1f} against {scratch:.1f} ± {of_scratch:.1f} meV/Å with 10 frames' in PAGE


def test_forgetting():
    tuned, of_tuned = point('naive', 160, 'holdout_force_rmse_ev_per_angstrom', MEV)
    own, of_own = point('own', 54, 'holdout_force_rmse_ev_per_angstrom', MEV)
    assert f'{tuned:.1f} ± {of_tuned:.1f} meV/Å after 160 labelled frames' in PAGE
    assert f'{own:.1f} ± {of_own:.1f} meV/Å after two rounds' in PAGE


def test_runs_that_left_physics():
    of_own, of_others = rows('models', strategy='own_frames'), rows('models', strategy='labelled_frames')
    for models, words in ((of_own, 'of models that found their frames'), (of_others, 'of models on labelled frames')):
        left, judged = (sum(int(row[name]) for row in models) for name in ('n_left_physics', 'n_judged_runs'))
        assert f'{left} of {judged} runs {words}' in PAGE


def test_no_coefficient_is_given():
    hops = max(float(row['effective_hops'] or 0) for row in rows('diffusion'))
    assert not [row for row in rows('diffusion') if row['tracer_diffusion_angstrom2_per_fs']]
    assert f'none has more than {hops:.0f} effective hops' in PAGE


def test_rates_and_their_activation_energy():
    values = [point('own', 54, f'migration_rate_at_{kelvin}_kelvin_per_ps') for kelvin in (700, 850, 1000)]
    texts = [f'{rate:.2f} ± {error:.2f}' for rate, error in values]
    assert f'{texts[0]}, {texts[1]} and {texts[2]} per ps at 700, 850 and 1000 K' in PAGE
    energy, error = point('own', 54, 'rate_activation_energy_ev')
    assert f'{energy:.2f} ± {error:.2f} eV' in PAGE


def test_cost_of_the_labels():
    for family, n_frames, words in (('own', '54', 'two rounds'), ('naive', '160', 'fine-tuning on 160 frames')):
        found = [row for row in rows('models', family=family) if row['n_frames'] in (n_frames, str(int(n_frames) - 1))]
        (labels,) = {row['labelled_frames'] for row in found}
        hours = sum(float(row['total_core_hours']) for row in found) / len(found)
        assert f'{words}: {labels} labels and {60.0 * hours:.0f} core-minutes' in PAGE
