"""Validate summation methods on one case after the other: ``python validate_long_range.py validate.json``.

Runs on the compute node in an environment with numba, and for the sums of PyTorch with torch and torch-pme.
The modules that compute lie beside it. The input holds

- ``cases``: names of validation cases;
- ``implementations``: ``name`` (``compiled`` or ``torch``) and ``precision`` (``float64`` or ``float32``) of each;
- ``device``: ``cpu`` or ``cuda``, for PyTorch;
- ``targets``: root mean square force errors that are asked for [eV/Å];
- ``drift_targets`` and ``drift_steps``: the same for molten salt at constant energy, and the steps of such a run;
- ``walltime_seconds``: time after which the program stops by itself [s], or null.

``validation.json`` holds ``rows``, ``lattices``, ``drifts`` and ``cases_done``; it is replaced in one step after each
case, and what it holds already is not computed again.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from aiida_edl.science.electrostatics.implementations import COMPILED, Implementation
from aiida_edl.science.electrostatics.lattice_errors import lattice_rows
from aiida_edl.science.electrostatics.validation import drift_rows, validate_case
from aiida_edl.science.electrostatics.validation_cases import validation_case

START = time.perf_counter()
RESULT = Path('validation.json')
EMPTY: dict[str, Any] = {'rows': [], 'lattices': [], 'cases_done': [], 'drifts': None}
"""What is known at the first start."""
OUT_OF_TIME = 3
"""Return code of a program that stopped before its walltime with a part of the cases."""


def implementation(name: str, precision: str, device: str) -> Implementation:
    """Return a program in one precision.

    :param name: ``'compiled'`` or ``'torch'``.
    :param precision: ``'float64'`` or ``'float32'``.
    :param device: ``'cpu'`` or ``'cuda'``.
    :raises ValueError: for compiled sums in single precision, or an unknown name.
    """
    if (name, precision) == ('compiled', 'float64'):
        return COMPILED
    if name == 'torch':
        from aiida_edl.science.electrostatics.torch_implementation import torch_implementation  # noqa: PLC0415

        return torch_implementation(precision, device)
    raise ValueError(f"there is no '{name}' in {precision}: compiled sums are in float64 alone")


def store(document: dict[str, Any]) -> None:
    """Replace the result in one step."""
    partial = RESULT.with_suffix('.partial')
    partial.write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')
    partial.replace(RESULT)


def say(line: str) -> None:
    """Write a line of progress at once."""
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Validate all cases; return 0, or :data:`OUT_OF_TIME`.

    :param arguments: path of the input.
    """
    request = json.loads(Path(arguments[0]).read_text(encoding='utf-8'))
    document = json.loads(RESULT.read_text(encoding='utf-8')) if RESULT.is_file() else dict(EMPTY)
    programs = [
        implementation(each['name'], each['precision'], request['device']) for each in request['implementations']
    ]
    limit = request['walltime_seconds']
    for number, name in enumerate(request['cases'], start=1):
        if name in document['cases_done']:
            continue
        if limit is not None and time.perf_counter() - START > limit:
            say(f'stopped before {name}: {limit:.0f} s have passed')
            return OUT_OF_TIME
        case = validation_case(name)
        rows = [row.to_dict() for row in validate_case(case, programs, request['targets'])]
        document['rows'] += rows
        document['lattices'] += [row.to_dict() for row in lattice_rows(case, programs)]
        document['cases_done'].append(name)
        store(document)
        n_refused = sum(bool(row['refusal']) for row in rows)
        say(f'case {number}/{len(request["cases"])} {name}: {len(rows)} rows, {n_refused} refused')
    if document['drifts'] is None:
        drifts = [row.to_dict() for row in drift_rows(programs, request['drift_targets'], request['drift_steps'])]
        store({**document, 'drifts': drifts})
        say(f'drift of molten salt: {len(drifts)} rows')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
