"""The numbers that the page on the study states are those of the tables beside it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from scipy.constants import elementary_charge

STUDIES = Path(__file__).parents[1] / 'docs/source/studies'
PAGE = (STUDIES / 'charged_gold.md').read_text()
ARCHITECTURES = ('deep_potential', 'grace', 'mace')


def rows(table: str, **values: str) -> list[dict[str, str]]:
    """Return the rows of a table that have certain values."""
    with (STUDIES / f'charged_gold/tables/{table}.csv').open(newline='') as file:
        return [row for row in csv.DictReader(file) if all(row[name] == value for name, value in values.items())]


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_shift_off_the_line(architecture):
    (row,) = rows('energy_shift_contrasts', architecture=architecture, kind='curvature')
    shift, error = (1000 * float(row[f'contrast_{name}ev_per_atom']) for name in ('', 'error_'))
    assert f'{shift:.1f} ± {error:.1f} meV/atom ({architecture})' in PAGE
    assert row['finding'] == 'above'


def test_energy_of_charging():
    (reference,) = rows('capacitance', series='reference')
    capacitance, low, high = (float(reference[f'capacitance{end}']) for end in ('', '_low', '_high'))
    assert f'{capacitance:.1f} µF/cm² (95 %: {low:.1f} to {high:.1f})' in PAGE
    (state,) = rows('charge_states', charge_state='1Na')
    farad = capacitance * 1e-6 * float(state['area_square_angstrom']) * 1e-16
    energy = elementary_charge / (2 * farad)  # eV: Q²/(2C) of one elementary charge
    n_atoms = 36 + 3 * 28 + 1
    assert f'costs {energy:.1f} eV, or {1000 * energy / n_atoms:.1f} meV/atom' in PAGE


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_ratio_of_force_errors(architecture):
    (row,) = rows('force_ratios', architecture=architecture, charge_state='all', region='all')
    ratio, low, high = (float(row[name]) for name in ('ratio', 'ratio_low', 'ratio_high'))
    assert f'{ratio:.2f} ({low:.2f} to {high:.2f}, {architecture})' in PAGE
    assert row['finding'] == 'undecided'


def test_comparisons_of_structure():
    decided = [row for row in rows('comparisons', architecture='all') if row['decision'] != 'nothing_to_compare']
    more, less = (sum(row['decision'] == f'{kind}_spreads_more' for row in decided) for kind in ('mixed', 'single'))
    sentence = f'In {more} of {len(decided)} comparisons do mixed models scatter more than single ones, in {less} less'
    assert sentence in PAGE


def test_runs_that_left_physics():
    found = rows('survival_of_runs')
    n_failed, n_runs = (sum(int(row[name]) for row in found) for name in ('n_failed', 'n_runs'))
    assert f'{n_failed} of the {n_runs} runs left physics' in PAGE


def test_every_figure_of_the_report_lies_beside_it():
    report = (STUDIES / 'charged_gold/report.md').read_text()
    named = set(re.findall(r'\((figures/\w+\.svg)\)', report))
    there = {f'figures/{path.name}' for path in (STUDIES / 'charged_gold/figures').iterdir()}
    assert named == there
