"""The order of inputs that are numbered by their link labels."""

from __future__ import annotations

import re
from collections.abc import Iterable


def in_natural_order(labels: Iterable[str]) -> list[str]:
    """Return labels sorted by their text, with the numbers in them compared as numbers.

    >>> in_natural_order(['part_10', 'part_9', 'first'])
    ['first', 'part_9', 'part_10']

    :param labels: link labels; ``labels_101`` comes before ``labels_1000`` however wide the numbers are written.
    """
    return sorted(labels, key=lambda label: [int(part) if part.isdigit() else part for part in _parts(label)])


def _parts(label: str) -> list[str]:
    """Return text and numbers by turns, text first: ``'part_10'`` gives ``['part_', '10', '']``."""
    return re.split(r'([0-9]+)', label)
