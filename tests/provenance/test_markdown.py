"""Tables for Markdown state their units, align numbers, and hold nothing that Markdown reads otherwise."""

from __future__ import annotations

from aiida_edl.provenance.markdown import to_markdown


def test_table_states_units_and_aligns_numbers():
    rows = [
        {'name': 'a_b|c', 'z_angstrom': 1.23456, 'found': True},
        {'name': '<x>', 'z_angstrom': None, 'found': False},
    ]
    assert to_markdown(rows) == '\n'.join(
        [
            '| name | z (Å) | found |',
            '|---|--:|---|',
            r'| a\_b\|c | 1.235 | yes |',
            '| &lt;x&gt; | – | no |',
            '',
        ]
    )


def test_no_rows_are_no_table():
    assert to_markdown([]) == ''
