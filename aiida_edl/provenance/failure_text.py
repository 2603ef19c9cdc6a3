"""The failures that an exit message lists, as a list."""

from __future__ import annotations

from collections.abc import Callable

SEPARATOR = '; '
OPENING = 'parts failed: '
"""After which a process lists what failed below it."""


def failures_in(message: str) -> list[str]:
    """Return what an exit message lists: its parts between semicolons that stand in no brackets.

    >>> failures_in('Parts are lacking: the run (too hot; it melted); the fit (no data)')
    ['the run (too hot; it melted)', 'the fit (no data)']

    :param message: a sentence, a colon, and the parts.
    """
    _, _, listed = message.partition(': ')
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(listed):
        depth += (letter == '(') - (letter == ')')
        if depth == 0 and listed.startswith(SEPARATOR, place):
            parts.append(listed[begin:place])
            begin = place + len(SEPARATOR)
    return [part for part in [*parts, listed[begin:]] if part]


def failures_besides(message: str, is_told: Callable[[str], bool]) -> list[str]:
    """Return the failures that an exit message lists, without those that are told elsewhere.

    >>> failures_besides('Parts are lacking: a (of it parts failed: b; c); d', lambda part: part in 'bd')
    ['a: c']

    :param message: exit message.
    :param is_told: whether a failure, or one of those that it consists of, is told elsewhere.
    """
    left = []
    for part in failures_in(message):
        name, is_compound, inner = part.partition(OPENING)
        if not is_compound:
            left += [] if is_told(part) else [part]
            continue
        inside = [found for found in failures_in(f': {inner.removesuffix(")")}') if not is_told(found)]
        if inside:
            left.append(f'{name.partition(" (")[0]}: {SEPARATOR.join(inside)}')
    return left
