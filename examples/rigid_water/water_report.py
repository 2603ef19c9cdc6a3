"""Tables and the figure of rigid water: what each program gives, with errors, and how far it is from LAMMPS."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rigid_water.water_run import KILOJOULE

from aiida_edl.provenance.figure_style import COLOURS, LINE_STYLES, legend_above, new_figure, render
from aiida_edl.science.electrostatics.converged_sum import root_mean_square
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, combine_replicas, mean_with_error

Run = dict[str, Any]

LABELS = {'lammps': 'LAMMPS pppm', 'compiled': 'aiida-edl P3M', 'torch': 'aiida-edl PME with PyTorch'}
COLOUR_OF = dict(zip(LABELS, (COLOURS[name] for name in ('single', 'mixed', 'without'))))
REFERENCE = 'lammps'
KINDS = ('forces', 'drift', 'pressure')
"""Runs without which a program is left out of the tables."""


def write_report(runs: Sequence[Run], molecules: int, folder: Path) -> list[str]:
    """Write ``water.csv``, ``distances.csv``, ``distances.svg`` and ``tables.txt``, and return the lines of the last.

    :param runs: all runs.
    :param molecules: molecules in the box.
    :param folder: where they go.
    """
    programs = [name for name in LABELS if all(_of(name, runs, kind) for kind in KINDS)]
    rows = [row_of(name, runs, molecules) for name in programs]
    _write_csv(folder / 'water.csv', rows)
    curves = {name: distances_of(name, runs) for name in programs}
    radii, _ = next(iter(curves.values()))
    _write_csv(
        folder / 'distances.csv',
        [
            {'distance (Å)': f'{radius:.3f}'}
            | {
                f'{LABELS[name]}{kind}': f'{values[index]:.4f}' if np.isfinite(values[index]) else ''
                for name, (_, curve) in curves.items()
                for kind, values in (('', curve.mean), (' error', curve.error))
            }
            for index, radius in enumerate(radii)
        ],
    )
    drawn = render('rigid_water_distances', lambda: _draw(curves))
    (folder / 'distances.svg').write_text(drawn.standalone_svg, encoding='utf-8')
    lines = _lines(rows)
    (folder / 'tables.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return lines


def estimate_of(program: str, runs: Sequence[Run], name: str) -> Estimate:
    """Return the mean of a quantity over the runs at constant pressure of a program."""
    return combine_replicas([mean_with_error(run[name]) for run in _of(program, runs, 'pressure')])


def distances_of(program: str, runs: Sequence[Run]) -> tuple[Floats, Estimate]:
    """Return distances [Å] and the radial distribution of oxygen atoms, whose error is that of the mean over runs."""
    own = _of(program, runs, 'pressure')
    curves = np.array([run['radial_distribution'] for run in own])
    size = np.full(curves.shape[1], float(len(own)))
    error = curves.std(axis=0, ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.full(curves.shape[1], np.nan)
    return np.array(own[0]['radii']), Estimate(curves.mean(axis=0), error, size, np.full_like(size, 0.5))


def row_of(program: str, runs: Sequence[Run], molecules: int) -> dict[str, str]:
    """Return what is told of a program, numbers as text with their errors."""
    per_molecule = KILOJOULE / molecules
    (drift,) = _of(program, runs, 'drift')
    forces, reference = (np.array(_of(name, runs, 'forces')[0]['forces']) for name in (program, REFERENCE))
    _, curve = distances_of(program, runs)
    peak = int(np.argmax(curve.mean))
    return {
        'sum': LABELS[program],
        'runs': str(len(_of(program, runs, 'pressure'))),
        'density (g/cm³)': _text(estimate_of(program, runs, 'density'), 1.0, 4),
        'potential energy (kJ/mol)': _text(estimate_of(program, runs, 'potential_energy'), per_molecule, 3),
        'first peak of g(O-O)': _with_error(curve.mean[peak], curve.error[peak]),
        'drift (meV/(atom ps))': f'{drift["drift"]:.5f} ± {drift["drift_error"]:.5f}',
        'fluctuation (meV/atom)': f'{drift["fluctuation"]:.4f}',
        'force from that of LAMMPS (eV/Å)': f'{root_mean_square(forces - reference):.1e}',
        'off in density, in errors': _deviation(program, runs, 'density'),
        'off in energy, in errors': _deviation(program, runs, 'potential_energy'),
    }


def _deviation(program: str, runs: Sequence[Run], name: str) -> str:
    """Return the distance of a mean from that of LAMMPS over the error of the difference."""
    if program == REFERENCE:
        return ''
    own, other = (estimate_of(each, runs, name) for each in (program, REFERENCE))
    return f'{float((own.mean - other.mean) / np.hypot(own.error, other.error)):.1f}'


def _of(program: str, runs: Sequence[Run], kind: str) -> list[Run]:
    """Return the runs of a program and kind."""
    return [run for run in runs if (run['program'], run['kind']) == (program, kind)]


def _with_error(value: float, error: float) -> str:
    """Return a number with its error, which one run does not have."""
    return f'{value:.3f} ± {error:.3f}' if np.isfinite(error) else f'{value:.3f}, of one run'


def _text(estimate: Estimate, factor: float, digits: int) -> str:
    """Return a mean with its error."""
    return f'{factor * float(estimate.mean):.{digits}f} ± {factor * float(estimate.error):.{digits}f}'


def _draw(curves: dict[str, tuple[Floats, Estimate]]) -> Figure:
    """Draw the radial distributions with bands of an error."""
    figure = new_figure(2.8)
    axes = figure.subplots()
    lines = []
    for index, (name, (radii, curve)) in enumerate(curves.items()):
        style: dict[str, Any] = {'color': COLOUR_OF[name], 'linestyle': LINE_STYLES[index], 'linewidth': 1.2}
        lines += axes.plot(radii, curve.mean, label=LABELS[name], **style)
        axes.fill_between(
            radii, curve.mean - curve.error, curve.mean + curve.error, color=COLOUR_OF[name], alpha=0.25, linewidth=0.0
        )
    axes.set_xlim(2.2, 9.0)
    axes.set_xlabel('distance of oxygen atoms (Å)')
    axes.set_ylabel('radial distribution')
    legend_above(figure, lines, len(lines))
    return figure


def _lines(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return a table as Markdown, a column for each program."""
    names = list(rows[0])
    lines = ['| ' + ' | '.join(['', *(row['sum'] for row in rows)]) + ' |', '|' + '---|' * (len(rows) + 1)]
    return lines + ['| ' + ' | '.join([name, *(row[name] for row in rows)]) + ' |' for name in names[1:]]


def _write_csv(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write rows that all have the same columns."""
    with path.open('w', encoding='utf-8', newline='') as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
