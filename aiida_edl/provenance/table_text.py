"""Rows of a table as text: CSV, JSON, or for a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV with a header; absent values are empty.

    :param rows: rows with the same columns.
    """
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    return buffer.getvalue()


def to_json(rows: Sequence[Row]) -> str:
    """Return rows as JSON."""
    return json.dumps(list(rows), indent=2, ensure_ascii=False, default=str)


def to_text(rows: Sequence[Row], maximum_width: int = 48) -> str:
    """Return rows as a table for a terminal, numbers with four digits.

    :param rows: rows with the same columns.
    :param maximum_width: longer entries are cut [characters].
    """
    if not rows:
        return 'no rows'
    columns = list(rows[0])
    cells = [[_cut(shown(row.get(column)), maximum_width) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[index]) for line in cells)) for index, column in enumerate(columns)]
    lines = [columns, ['-' * width for width in widths], *cells]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def shown(value: Any) -> str:
    """Return a value for people.

    >>> shown(0.123456), shown(-0.0), shown(None), shown(['0', '2Na'])
    ('0.1235', '0', '–', '0, 2Na')
    """
    if value is None:
        return '–'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value + 0.0:.4g}'  # no minus before zero
    if isinstance(value, (list, tuple)):
        return ', '.join(shown(entry) for entry in value)
    return str(value)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f'{text[: width - 1]}…'
