"""Tables for LaTeX are escaped, ruled, and state their units."""

from __future__ import annotations

import pytest

from aiida_edl.provenance.latex import ESCAPES, column_head, escaped, to_latex
from aiida_edl.provenance.table_formats import PRINTED_COLUMNS, PRINTED_ROWS, printed
from aiida_edl.provenance.tables import TABLES


def test_every_character_that_latex_reads_otherwise_is_escaped():
    assert escaped('50 % of a_b & {c} ~ ^ \\ # $') == (
        r'50 \% of a\_b \& \{c\} \textasciitilde{} \textasciicircum{} \textbackslash{} \# \$'
    )
    for character, written in ESCAPES.items():
        assert escaped(character) == written


@pytest.mark.parametrize(
    ('column', 'head'),
    [
        ('force_rmse_ev_per_angstrom', 'force rmse (eV/Å)'),
        ('energy_rmse_ev_per_atom', 'energy rmse (eV/atom)'),
        ('ion_number_density_per_cubic_angstrom', 'ion number density (Å⁻³)'),
        ('receptive_field_angstrom', 'receptive field (Å)'),
        ('wall_seconds', 'wall (s)'),
        ('seed', 'seed'),
    ],
)
def test_heads_hold_the_unit(column, head):
    assert column_head(column) == head


def test_table_has_the_rules_of_booktabs():
    rows = [
        {'name': 'a_b', 'z_angstrom': 1.5, 'p_value': 2.5e-7, 'found': True},
        {'name': 'c', 'z_angstrom': -2.0, 'p_value': None, 'found': False},
    ]
    assert to_latex(rows, 'A caption', 'tab:x') == '\n'.join(
        [
            r'\begin{table}',
            r'\centering',
            r'\caption{A caption}',
            r'\label{tab:x}',
            r'\begin{tabular}{lrrl}',
            r'\toprule',
            r'name & z (\AA{}) & p value & found \\',
            r'\midrule',
            r'a\_b & 1.5 & \ensuremath{2.5\times 10^{-7}} & yes \\',
            r'c & \ensuremath{-2} & -- & no \\',
            r'\bottomrule',
            r'\end{tabular}',
            r'\end{table}',
            '',
        ]
    )


def test_long_text_is_set_as_a_paragraph():
    assert r'\begin{tabular}{p{0.3\linewidth}r}' in to_latex([{'words': 'word ' * 20, 'n': 1}])


def test_tables_too_long_for_a_page_are_not_printed():
    rows = [{'n': index} for index in range(PRINTED_ROWS + 1)]
    assert printed('numbers', rows, '') == ''
    assert printed('numbers', rows[:-1], '') != ''


def test_columns_for_print_are_of_tables_that_exist():
    assert set(PRINTED_COLUMNS) <= set(TABLES)
