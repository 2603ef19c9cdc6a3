"""Report of a benchmark: one page without external resources, the figures as files, and the tables behind them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiida.orm import ProcessNode
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from aiida_edl.provenance import report_text
from aiida_edl.provenance.archive import plugin_versions
from aiida_edl.provenance.figure_style import RenderedFigure
from aiida_edl.provenance.figures import FIGURES, render_figures
from aiida_edl.provenance.graph import called_processes
from aiida_edl.provenance.privacy import PrivacyRules
from aiida_edl.provenance.progress import format_seconds
from aiida_edl.provenance.queries import best_force_rmse_per_architecture
from aiida_edl.provenance.results import BenchmarkResults, collect
from aiida_edl.provenance.rows import as_dicts
from aiida_edl.provenance.tables import TABLES, shown, to_csv

PAGE = 'report.html'
"""Name of the page."""
TEMPLATE = 'report.html.j2'


@dataclass(frozen=True)
class ReportFiles:
    """What was written."""

    page: Path
    figures: tuple[Path, ...]
    """PNG and SVG of each figure."""
    tables: tuple[Path, ...]
    """CSV of each table."""

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        return f'{self.page}: report with {len(self.figures) // 2} figures and {len(self.tables)} tables'


class ReportError(ValueError):
    """A process of which no report can be written."""


def write_report(study: ProcessNode, folder: Path) -> ReportFiles:
    """Write the report of a benchmark; existing files are replaced.

    :param study: process node of the benchmark, finished or not.
    :param folder: where the files go: ``report.html`` and ``figures/``.
    :raises ReportError: if the process has called nothing.
    """
    if not called_processes(study):
        raise ReportError(f'process {study.uuid} ({study.process_label}) has called nothing; give that of a benchmark')
    results = collect(study)
    figures = render_figures(results)
    inside = folder / 'figures'
    inside.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, figure in figures.items():
        written += [inside / f'{name}.png', inside / f'{name}.svg']
        written[-2].write_bytes(figure.png)
        written[-1].write_text(figure.standalone_svg, encoding='utf-8')
    tables: list[Path] = []
    for name, make_rows in TABLES.items():
        if rows := make_rows(results):
            tables.append(inside / f'{name}.csv')
            tables[-1].write_text(to_csv(rows), encoding='utf-8')
    page = folder / PAGE
    best = best_force_rmse_per_architecture(study)
    page.write_text(_page(results, figures, best), encoding='utf-8')
    return ReportFiles(page, tuple(written), tuple(tables))


def _page(results: BenchmarkResults, figures: dict[str, RenderedFigure], best: list[dict[str, Any]]) -> str:
    """Return the page; paths of this machine, which messages may hold, are replaced."""
    environment = Environment(
        loader=PackageLoader('aiida_edl.provenance'), autoescape=select_autoescape(['html', 'j2']), trim_blocks=True
    )
    environment.filters['shown'] = shown
    environment.filters['seconds'] = format_seconds
    best_columns = {
        'architecture': 'architecture',
        'training_set': 'training set',
        'charge_state': 'charge state',
        'seed': 'seed',
        'force_rmse_ev_per_angstrom': 'force RMSE (eV/Å)',
        'force_rmse_error_ev_per_angstrom': '±',
        'energy_rmse_ev_per_atom': 'energy RMSE (eV/atom)',
        'n_frames': 'frames',
    }
    text = environment.get_template(TEMPLATE).render(
        results=results,
        text=report_text,
        figures={name: _embedded(name, figure) for name, figure in figures.items()},
        kinds=FIGURES,
        best=[{title: row[column] for column, title in best_columns.items()} for row in best],
        cost=as_dicts(results.cost),
        rejected=as_dicts(results.rejected),
        failures=as_dicts(results.failures),
        plugins=plugin_versions(),
        all_settings=json.dumps(dict(results.settings), indent=2, ensure_ascii=False),
    )
    return PrivacyRules(paths=PrivacyRules.of_this_machine().paths).replace_in_text(text)


def _embedded(name: str, figure: RenderedFigure) -> Markup:
    """Return a figure for the inside of the page, with a name that a screen reader can say."""
    label = FIGURES[name].title
    return Markup(figure.svg.replace('<svg ', f'<svg role="img" aria-label="{label}" ', 1))
