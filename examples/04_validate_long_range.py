r"""Measure whether summation methods reach the accuracy that is asked of them, on lattices, water, cells and films.

    python examples/04_validate_long_range.py --programs compiled_float64 torch_float64 torch_float32

What was found is in the graph: ``aiida-edl query summation``. With ``--tables FOLDER`` the tables of the manual are
written, one row for each method and one for each lattice.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from aiida import load_profile
from aiida.engine import run_get_node
from aiida.orm import Dict, load_code

from aiida_edl.workflows.long_range_validation import LongRangeValidationWorkChain

Row = dict[str, Any]


def accuracy_table(methods: list[Row]) -> list[Row]:
    """Return one row for each method: how near measured errors came to those that were asked for."""
    return [
        {
            'method': row['method'],
            'program': f'{row["implementation"]}, {row["precision"]}',
            'results': row['n_rows'],
            'within a factor of 3 on the safe side': row['n_within'],
            'smallest and largest error over target': f'{row["least_ratio"]:.2f} to {row["largest_ratio"]:.2f}',
            'refused': row['n_refused'],
            'largest gradient error (eV/Å)': number(row['largest_gradient_error']),
        }
        for row in methods
    ]


def lattice_table(rows: list[Row]) -> list[Row]:
    """Return one row for each lattice: relative error of its energy with tight numbers, by method."""
    found: dict[str, Row] = {}
    for row in rows:
        name = f'{row["method"]} ({row["implementation"]}, {row["precision"]})'
        found.setdefault(row['case'], {'lattice': row['case']})[name] = number(abs(row['relative_error']))
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    return [{name: row.get(name, '') for name in names} for row in found.values()]


def drift_table(rows: list[Row]) -> list[Row]:
    """Return one row for each program and target: how well molten salt conserved its energy."""
    return [
        {
            'program': f'{row["implementation"]}, {row["precision"]}',
            'target (eV/Å)': f'{row["target"]:g}',
            'drift (meV/(atom ps))': f'{row["drift"]:.3f} ± {row["drift_error"]:.3f}'
            if not row['refusal']
            else 'refused',
            'fluctuation (meV/atom)': number(row['fluctuation']),
        }
        for row in rows
    ]


def number(value: float | None) -> str:
    """Return a number with two digits, nothing for none."""
    return '' if value is None else f'{value:.1e}'


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write rows that have the same columns."""
    with path.open('w', newline='', encoding='utf-8') as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Run the validation and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--python-code', default='engines-python@localhost')
    parser.add_argument('--programs', nargs='+', default=['compiled_float64'])
    parser.add_argument('--cases', nargs='+', help='all of them by default')
    parser.add_argument('--targets', nargs='+', type=float, help='force errors to ask for (eV/Å)')
    parser.add_argument('--tables', type=Path, help='folder for the tables')
    arguments = parser.parse_args()

    load_profile()
    asked = {name: getattr(arguments, name) for name in ('programs', 'cases', 'targets')}
    settings = Dict({name: value for name, value in asked.items() if value is not None})
    inputs = {'code': load_code(arguments.python_code), 'settings': settings}
    _, node = run_get_node(LongRangeValidationWorkChain, validation=inputs)
    if 'report' not in node.outputs:
        raise SystemExit(f'exit status {node.exit_status}: {node.exit_message}')
    report = node.outputs.report.get_dict()
    for sentence in report['words']:
        print(sentence)
    if arguments.tables is not None:
        arguments.tables.mkdir(parents=True, exist_ok=True)
        write_csv(arguments.tables / 'accuracy.csv', accuracy_table(report['methods']))
        write_csv(arguments.tables / 'lattices.csv', lattice_table(report['lattices']))
        write_csv(arguments.tables / 'drifts.csv', drift_table(report['drifts']))


if __name__ == '__main__':
    main()
