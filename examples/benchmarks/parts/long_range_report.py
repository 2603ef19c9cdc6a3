"""Tables and figures of a benchmark of sums: CSV files, SVG figures, and the part of a page that is made from them."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parts.long_range_points import (
    BASE,
    LABELS,
    Row,
    by_family,
    evaluation_seconds,
    exponents,
    is_measured,
    ordered,
    ratio_to_base,
    reasons,
)

COLUMNS = (
    'system', 'atoms', 'program', 'force_error', 'processor_ms', 'least_processor_ms', 'largest_processor_ms',
    'wall_ms', 'search_processor_ms', 'ratio_to_pppm', 'ratio_to_pppm_with_search', 'repeats', 'evaluations_each',
    'peak_megabytes', 'settings', 'not_measured',
)  # fmt: skip
NO_DEVICE = 'not measured: no GPU'
INCLUDED = 'tables.txt'
"""Part of a page; no file of Markdown by its name, or it would be a page of its own."""


def render(document: Mapping[str, Any], folder: Path) -> None:
    """Write tables and figures.

    :param document: what the benchmark wrote.
    :param folder: where they go; files of these names are replaced.
    """
    from parts.long_range_figure import write_figures  # noqa: PLC0415  (matplotlib counts in the memory of a point)

    folder.mkdir(parents=True, exist_ok=True)
    points = document['points']
    for name, is_water in (('water', True), ('crystals', False)):
        rows = [[csv_row(row, points)[column] for column in COLUMNS] for row in ordered(points, is_water)]
        _write_csv(folder / f'{name}.csv', COLUMNS, rows)
    found = [
        [LABELS[program], 'every evaluation' if has_search else 'given', each.value, each.error, each.n_sizes]
        for (program, has_search), each in exponents(points).items()
    ]
    _write_csv(folder / 'exponents.csv', ('program', 'pairs', 'exponent', 'standard_error', 'sizes'), found)
    write_figures(points, folder)
    (folder / INCLUDED).write_text(included_text(document), encoding='utf-8')


def csv_row(row: Row, points: Sequence[Row]) -> dict[str, Any]:
    """Return the columns of a point; times in ms, errors in eV/Å."""
    values: dict[str, Any] = dict.fromkeys(COLUMNS, '')
    values |= {'system': row['system'], 'atoms': row['atoms'], 'program': LABELS[row['program']]}
    if not is_measured(row):
        return {**values, 'not_measured': row['reason']}
    seconds = row['processor_seconds']
    numbers = {
        'force_error': row['error'],
        'processor_ms': 1e3 * evaluation_seconds(row),
        'least_processor_ms': 1e3 * min(seconds),
        'largest_processor_ms': 1e3 * max(seconds),
        'wall_ms': 1e3 * statistics.median(row['wall_seconds']),
        'search_processor_ms': 1e3 * statistics.median(row['search_processor_seconds']),
        'ratio_to_pppm': ratio_to_base(row, points),
        'ratio_to_pppm_with_search': ratio_to_base(row, points, has_search=True),
    }
    rounded = {name: '' if value is None else f'{value:.4g}' for name, value in numbers.items()}
    counts = {'repeats': len(seconds), 'evaluations_each': row['evaluations']}
    settings = {**row['settings'], **row.get('chosen', {})}
    memory = {'peak_megabytes': round(row['peak_megabytes']), 'settings': json.dumps(settings)}
    return {**values, **rounded, **counts, **memory}


def included_text(document: Mapping[str, Any]) -> str:
    """Return the part of the page that is made from the points."""
    points = document['points']
    parts = [
        _machine_text(document),
        '## Boxes of water',
        _water_table(points),
        *_image(points, 'water'),
        '## Growth with the number of atoms',
        _exponent_table(points),
        '## Crystals',
        _crystal_table(points),
        *_image(points, 'crystals'),
        '## What is not measured',
        _reason_table(points),
    ]
    return '\n\n'.join(parts) + '\n'


def _image(points: Sequence[Row], name: str) -> list[str]:
    """Return a figure, if it shows anything."""
    if not any(is_measured(row) for row in ordered(points, name == 'water')):
        return []
    return [f'![Time of an evaluation against the number of atoms: {name}]({name}.svg)']


def _machine_text(document: Mapping[str, Any]) -> str:
    """Return on what was measured."""
    machine, versions = document['hardware'], document['versions']
    names = ', '.join(f'{name} {version}' for name, version in versions.items())
    jobs = machine['jobs_at_once']
    together = 'One system was measured at a time' if jobs == 1 else f'{jobs} systems were measured at once'
    return (
        f'Measured on {machine["cores"]} cores of {machine["processor"]} with {machine["memory_gigabyte"]} GB of '
        f'memory, accelerator: {machine["accelerator"] or "none"}.\n'
        f'{together}; the load of the machine was {machine["load_at_start"]:.1f} at the start.\n'
        f'Versions: {names}.\n'
        f'The target is a root mean square force error of {document["target"]:g} eV/Å.'
    )


def _water_table(points: Sequence[Row]) -> str:
    """Return a row for each box and program."""
    head = (
        'atoms', 'program', 'force error (10⁻³ eV/Å)', 'ms, pairs given (least to largest)', 'ratio to pppm',
        'ms, pairs searched', 'ratio to pppm', 'peak memory (MB)',
    )  # fmt: skip
    rows = []
    for row in ordered(points, is_water=True):
        if not is_measured(row):
            rows.append([f'{row["atoms"]:,}', LABELS[row['program']], *[''] * 5, 'not measured'])
            continue
        seconds = row['processor_seconds']
        rows.append(
            [
                f'{row["atoms"]:,}',
                LABELS[row['program']],
                f'{1e3 * row["error"]:.2f}',
                f'{_ms(evaluation_seconds(row))} ({_ms(min(seconds))} to {_ms(max(seconds))})',
                _ratio(ratio_to_base(row, points)),
                _ms(evaluation_seconds(row, has_search=True)),
                _ratio(ratio_to_base(row, points, has_search=True)),
                f'{row["peak_megabytes"]:.0f}',
            ]
        )
    rows.append(['all', 'torch-pme on a GPU', *[NO_DEVICE] * 6])
    return _table(head, rows)


def _exponent_table(points: Sequence[Row]) -> str:
    """Return a row for each program."""
    found = exponents(points)
    rows = []
    for program, label in LABELS.items():
        if (program, False) not in found:
            rows.append([label, 'too few sizes', 'too few sizes', ''])
            continue
        given, searched = found[program, False], found[program, True]
        values = [f'{each.value:.3f} ± {each.error:.3f}' for each in (given, searched)]
        rows.append([label, *values, str(given.n_sizes)])
    rows.append(['torch-pme on a GPU', NO_DEVICE, NO_DEVICE, ''])
    return _table(('program', 'exponent, pairs given', 'exponent, pairs searched', 'sizes'), rows)


def _crystal_table(points: Sequence[Row]) -> str:
    """Return a row for each crystal and size, with the times of all programs, pairs given."""
    rows = ordered(points, is_water=False)
    measured = {row['system'] for row in rows if is_measured(row)}
    if not measured:
        return 'No crystal was measured.'
    lines = []
    for system in dict.fromkeys(row['system'] for row in rows if row['system'] in measured):
        of_system = {row['program']: row for row in rows if row['system'] == system}
        atoms = next(iter(of_system.values()))['atoms']
        family, _, copies = system.rpartition('_')
        cells = []
        for program in LABELS:
            row = of_system.get(program)
            if row is None or not is_measured(row):
                cells.append('–')
                continue
            ratio = ratio_to_base(row, points)
            note = '' if program == BASE or ratio is None else f' ({_ratio(ratio)})'
            cells.append(f'{_ms(evaluation_seconds(row))}{note}')
        lines.append([family.replace('_', ' '), copies, f'{atoms:,}', *cells])
    head = ('crystal', 'copies', 'atoms', *LABELS.values())
    return (
        'Times are in ms with pairs given, in brackets over that of pppm; a dash stands for what is not measured.\n\n'
        + _table(head, lines)
    )


def _reason_table(points: Sequence[Row]) -> str:
    """Return which points are not measured, and why."""
    rows = [
        [', '.join(LABELS[program] for program in programs), reason, by_family(names)]
        for programs, reason, names in reasons(points)
    ]
    rows.append(['torch-pme on a GPU', NO_DEVICE, 'all'])
    return 'Crystals are listed by copies, boxes of water by atoms.\n\n' + _table(
        ('programs', 'reason', 'systems'), rows
    )


def _ms(seconds: float) -> str:
    """Return a time in ms with three digits."""
    value = 1e3 * seconds
    return f'{value:.3g}' if value < 1000.0 else f'{value:,.0f}'


def _ratio(value: float | None) -> str:
    """Return a ratio with two digits, or nothing."""
    return '' if value is None else f'{value:.2f}' if value < 10.0 else f'{value:.0f}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table."""
    with path.open('w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(columns)
        writer.writerows(rows)
