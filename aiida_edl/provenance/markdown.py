"""Tables for Markdown: a pipe table, units in the heads, numbers aligned to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida_edl.provenance.latex import NUMBER, column_head
from aiida_edl.provenance.table_text import shown

ESCAPES = str.maketrans({'|': r'\|', '*': r'\*', '_': r'\_', '<': '&lt;', '>': '&gt;', '\n': ' '})
"""What Markdown would read otherwise in a cell."""


def to_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Return rows as a table, empty without rows.

    :param rows: rows with the same columns.

    >>> print(to_markdown([{'training_set': 'single_0', 'height_angstrom': 2.34567}]))
    | training set | height (Å) |
    |---|--:|
    | single\_0 | 2.346 |
    <BLANKLINE>
    """
    if not rows:
        return ''
    columns = list(rows[0])
    lines = [[column_head(column).translate(ESCAPES) for column in columns]]
    lines += [[shown(row.get(column)).translate(ESCAPES) for column in columns] for row in rows]
    rule = ['--:' if _is_numeric(rows, column) else '---' for column in columns]
    head, *body = [f'| {" | ".join(cells)} |' for cells in lines]
    return '\n'.join([head, f'|{"|".join(rule)}|', *body, ''])


def _is_numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Return whether a column holds numbers alone; absent values are allowed."""
    values = [row.get(column) for row in rows if row.get(column) is not None]
    return bool(values) and all(isinstance(value, NUMBER) and not isinstance(value, bool) for value in values)
