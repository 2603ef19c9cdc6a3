"""Histograms in a terminal: one bin a line, its range, its count, and a bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida_edl.science.dataset_histograms import Histogram

BLOCKS = ' ▏▎▍▌▋▊▉█'
"""Bars of zero to eight eighths of a character."""
WIDTH = 40
"""Length of the longest bar [characters]."""


def histogram_text(histogram: Histogram, width: int = WIDTH) -> str:
    """Return a histogram for a terminal.

    :param histogram: the histogram.
    :param width: length of the longest bar [characters].
    """
    unit = f' [{histogram.unit}]' if histogram.unit else ''
    head = f'{histogram.quantity}{unit}: {histogram.n_values} {histogram.per}s'
    if not histogram.is_whole:
        head += f', {histogram.minimum:.4g} to {histogram.maximum:.4g}, mean {histogram.mean:.4g}'
    if histogram.n_missing:
        head += f'; {histogram.n_missing} without a value'
    labels = [histogram.label(number) for number in range(len(histogram.counts))]
    counts = [str(count) for count in histogram.counts]
    widths = [max(len(text) for text in texts) for texts in (labels, counts)]
    largest = max(int(histogram.counts.max()), 1)
    lines = [
        f'  {label:>{widths[0]}}  {count:>{widths[1]}}  {bar(int(count) / largest, width)}'.rstrip()
        for label, count in zip(labels, counts)
    ]
    return '\n'.join([head, *lines])


def bar(share: float, width: int) -> str:
    """Return a bar of a share of the width; what is more than nothing is at least an eighth of a character.

    >>> bar(0.5, 4), bar(0.3, 4), bar(1e-9, 4), bar(0.0, 4)
    ('██', '█▏', '▏', '')
    """
    eighths = max(round(share * width * 8), 1) if share > 0.0 else 0
    return BLOCKS[8] * (eighths // 8) + BLOCKS[eighths % 8].strip()


def histogram_rows(histograms: Sequence[Histogram]) -> list[dict[str, Any]]:
    """Return one row for each bin.

    :param histograms: the histograms.
    """
    return [
        {
            'quantity': histogram.quantity,
            'unit': histogram.unit,
            'per': histogram.per,
            'low': float(histogram.edges[number]),
            'high': float(histogram.edges[number]) if histogram.is_whole else float(histogram.edges[number + 1]),
            'count': int(histogram.counts[number]),
        }
        for histogram in histograms
        for number in range(len(histogram.counts))
    ]
