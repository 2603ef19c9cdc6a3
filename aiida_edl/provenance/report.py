"""Report of a benchmark: a page without external resources, a text, the figures as files, and the tables behind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiida.orm import ProcessNode
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from aiida_edl.provenance import methods, report_text, run_exclusions, tables_runs
from aiida_edl.provenance.archive import plugin_versions
from aiida_edl.provenance.curves import CURVE_FIGURES
from aiida_edl.provenance.figure_style import RenderedFigure
from aiida_edl.provenance.figures import FIGURES, render_figures
from aiida_edl.provenance.graph import called_processes
from aiida_edl.provenance.markdown import to_markdown
from aiida_edl.provenance.privacy import PrivacyRules
from aiida_edl.provenance.progress import format_seconds
from aiida_edl.provenance.queries import best_force_rmse_per_architecture
from aiida_edl.provenance.results import BenchmarkResults, collect
from aiida_edl.provenance.rows import as_dicts
from aiida_edl.provenance.table_formats import printed, printed_columns
from aiida_edl.provenance.table_text import shown, to_csv
from aiida_edl.provenance.tables import TABLES
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.remedies import PLAIN

PAGE = 'report.html'
"""Name of the page."""
TEXT = 'report.md'
"""Name of the same in short, for a README, a wiki or a manual."""
SHOWN_TABLES = (
    'capacitance_groups',
    'capacitance_intervals',
    'convergence',
    'errors_over_size',
    'excluded_runs',
    'given_potentials',
    'locality',
    'remedies',
    'remedy_comparisons',
    'run_quality',
    'solvent_dipoles',
    'structure_contrasts',
    'structure_groups',
    'structure_numbers',
    'structures_without_reference',
    'survival_of_runs',
)
"""Tables that stand on the page, folded where they are long."""


@dataclass(frozen=True)
class ReportFiles:
    """What was written."""

    page: Path | None
    """None if only single figures or tables were asked for."""
    figures: tuple[Path, ...]
    """PNG and SVG of each figure."""
    tables: tuple[Path, ...]
    """CSV of each table."""
    texts: tuple[Path, ...]
    """CSV of each table, and LaTeX of those that fit on a page."""

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if self.page is None:
            return '\n'.join(str(path) for path in (*self.figures, *self.texts))
        return f'{self.page}: report with {len(self.figures) // 2} figures and {len(self.tables)} tables'


class ReportError(ValueError):
    """A process of which no report can be written."""


def write_report(
    study: ProcessNode, folder: Path, figures: Sequence[str] = (), tables: Sequence[str] = ()
) -> ReportFiles:
    """Write the report of a benchmark, or single figures and tables of it; existing files are replaced.

    :param study: process node of the benchmark, finished or not.
    :param folder: where the files go: ``report.html``, ``report.md`` and ``figures/``.
    :param figures: names of figures; with these or ``tables``, only what is named is written, and no page.
    :param tables: names of tables.
    :raises ReportError: if the process has called nothing, or it has no numbers for a named figure or table.
    """
    if not called_processes(study):
        raise ReportError(f'process {study.uuid} ({study.process_label}) has called nothing; give that of a benchmark')
    results = collect(study)
    is_whole = not figures and not tables
    drawn = render_figures(results, tuple(figures)) if is_whole or figures else {}
    wished = [*tables, *(FIGURES[name].table for name in figures if name in FIGURES)]
    rows = {name: make(results) for name, make in TABLES.items() if is_whole or name in wished}
    rows = {name: found for name, found in rows.items() if found}
    _check_wishes('figure', figures, FIGURES, drawn)
    _check_wishes('table', tables, TABLES, rows)
    inside = folder / 'figures'
    inside.mkdir(parents=True, exist_ok=True)
    written = [path for name, figure in drawn.items() for path in _write_figure(inside, name, figure)]
    texts = [path for name, found in rows.items() for path in _write_table(inside, name, found)]
    page = None
    if is_whole:
        page = folder / PAGE
        best = best_force_rmse_per_architecture(study)
        for name in (PAGE, TEXT):
            (folder / name).write_text(_page(name, results, drawn, best, rows), encoding='utf-8')
    return ReportFiles(page, tuple(written), tuple(path for path in texts if path.suffix == '.csv'), tuple(texts))


def _check_wishes(kind: str, wishes: Sequence[str], known: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse what does not exist, and what the benchmark has no numbers for."""
    for name in wishes:
        if name not in known:
            raise ReportError(unknown_name_message(kind, name, list(known)))
        if name not in found:
            raise ReportError(f"the benchmark has no numbers for {kind} '{name}'; it has {sorted(found)}")


def _write_figure(folder: Path, name: str, figure: RenderedFigure) -> tuple[Path, Path]:
    """Write one figure as PNG and SVG."""
    image, drawing = folder / f'{name}.png', folder / f'{name}.svg'
    image.write_bytes(figure.png)
    drawing.write_text(figure.standalone_svg, encoding='utf-8')
    return image, drawing


def _write_table(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write one table as CSV, and for print unless it is too long for that."""
    written = [folder / f'{name}.csv']
    written[0].write_text(to_csv(rows), encoding='utf-8')
    if text := printed(name, rows, name.replace('_', ' ').capitalize()):
        written.append(folder / f'{name}.tex')
        written[1].write_text(text, encoding='utf-8')
    return written


def _page(
    name: str,
    results: BenchmarkResults,
    figures: Mapping[str, RenderedFigure],
    best: list[dict[str, Any]],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Return the page or the text; paths of this machine, which messages may hold, are replaced."""
    environment = Environment(
        loader=PackageLoader('aiida_edl.provenance'),
        autoescape=select_autoescape(['html.j2'], default=False),
        trim_blocks=True,
    )
    environment.filters['shown'] = shown
    environment.filters['seconds'] = format_seconds
    has_remedies = any(row['remedy'] != PLAIN for row in best)
    best_columns = {
        'architecture': 'architecture',
        **({'remedy': 'remedy'} if has_remedies else {}),
        'training_set': 'training set',
        'charge_state': 'charge state',
        'seed': 'seed',
        'force_rmse_ev_per_angstrom': 'force RMSE (eV/Å)',
        'force_rmse_error_ev_per_angstrom': '±',
        'energy_rmse_ev_per_atom': 'energy RMSE (eV/atom)',
        'n_frames': 'frames',
    }
    text = environment.get_template(f'{name}.j2').render(
        results=results,
        text=report_text,
        figures={key: _embedded(key, figure) for key, figure in figures.items()},
        kinds=FIGURES,
        curves=CURVE_FIGURES,
        tables=list(tables),
        markdown=to_markdown,
        printed=lambda table: to_markdown(printed_columns(table, tables.get(table, []))),
        methods=methods.methods_sentences(results, plugin_versions()),
        claims=TABLES['paper_claims'](results),
        rules=run_exclusions,
        runs=tables_runs,
        rows_of={name: TABLES[name](results) for name in SHOWN_TABLES},
        best=[{title: row[column] for column, title in best_columns.items()} for row in best],
        cost=as_dicts(results.cost),
        rejected=as_dicts(results.rejected),
        failures=as_dicts(results.failures),
        plugins=plugin_versions(),
        all_settings=json.dumps(dict(results.settings), indent=2, ensure_ascii=False),
    )
    text = re.sub(r'\n{3,}', '\n\n', text) if name == TEXT else text
    return PrivacyRules(paths=PrivacyRules.of_this_machine().paths).replace_in_text(text)


def _embedded(name: str, figure: RenderedFigure) -> Markup:
    """Return a figure for the inside of the page, with a name that a screen reader can say."""
    label = FIGURES[name].title
    return Markup(figure.svg.replace('<svg ', f'<svg role="img" aria-label="{label}" ', 1))
