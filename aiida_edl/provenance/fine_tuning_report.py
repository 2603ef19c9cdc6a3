"""Report of a fine-tuning study: a text, its figures, and the tables behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiida.orm import ProcessNode

from aiida_edl.provenance.defect_paths import defect_paths
from aiida_edl.provenance.failure_text import failures_besides
from aiida_edl.provenance.figure_style import RenderedFigure, render
from aiida_edl.provenance.figures_defect_paths import NAME as PATHS
from aiida_edl.provenance.figures_defect_paths import TITLE as PATHS_TITLE
from aiida_edl.provenance.figures_defect_paths import defect_panels, draw_defect_paths
from aiida_edl.provenance.figures_fine_tuning import FIGURES
from aiida_edl.provenance.markdown import to_markdown
from aiida_edl.provenance.rows import as_dicts
from aiida_edl.provenance.table_text import to_csv

COMPARISON = 'comparison'
"""Output of the study with all of its tables."""
TABLES = ('models', 'learning_curves', 'diffusion', 'sheet')
"""Tables of a comparison."""
TEXT = 'report.md'
RUN_LEFT_OUT = re.compile(r'run \S+ (does not count )?\(')
"""How the failures begin that stand in the table of runs."""
SHOWN: Mapping[str, tuple[str, ...]] = {
    'learning_curves': (
        'family',
        'system',
        'n_frames',
        'n_replay',
        'quantity',
        'mean',
        'error',
        'degrees_of_freedom',
        'n_models',
        'n_without',
    ),
    'sheet': (
        'published_model',
        'published_ev',
        'family',
        'start',
        'architecture',
        'n_frames',
        'system',
        'ours_ev',
        'ours_error_ev',
        'half_width_ev',
        'margin_ev',
        'verdict',
    ),
    'diffusion': (
        'model',
        'system',
        'temperature_kelvin',
        'n_runs',
        'n_excluded',
        'physical_time_ps',
        'physical_time_error_ps',
        'tracer_diffusion_angstrom2_per_fs',
        'tracer_diffusion_error_angstrom2_per_fs',
        'effective_hops',
        'migration_rate_per_ps',
        'migration_rate_error_per_ps',
        'knock_off_share',
        'knock_off_share_error',
    ),
}
"""Columns of the tables that stand in the text."""
CAVEAT = (
    'Of the published study neither temperatures nor cell, defect, ensemble or length are known, nor errors; ours are '
    'in the settings. A verdict is a test of equivalence with the margin of the table, not a reproduction: the '
    "interval of Student's t at 95 % (half_width_ev on each side) lies within the margin or outside. An error without "
    'degrees of freedom, that of one model alone or of stated errors, counts as well known, and holds no scatter over '
    'seeds.'
)

OPEN_POINTS = (
    'Points whose error is not known are hollow, and lines of models that learnt no frame are then dotted; full points '
    'have error bars, dashed lines a band. Against the cost of the training each point is one model, without an error '
    'bar.'
)

PATHS_SHOWN = (
    'Of each family the model with most frames, of the last round and with the smallest seed, at the highest '
    'temperature at which runs of it count; all to one scale. Every path begins at the origin, and dots are sites. A '
    'path is one draw of a random walk: what is to be compared are the shares and the coefficients. The table has all '
    'models and temperatures.'
)
"""What the figure of the paths shows."""


class FineTuningReportError(ValueError):
    """A process of which no report can be written."""


@dataclass(frozen=True)
class FineTuningReport:
    """What was written."""

    text: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        return f'{self.text}: report with {len(self.figures) // 2} figures and {len(self.tables)} tables'


def comparison_of(study: ProcessNode) -> dict[str, Any]:
    """Return the comparison of a study.

    :param study: the process.
    :raises FineTuningReportError: if it has none.
    """
    if COMPARISON not in study.outputs or 'learning_curves' not in study.outputs[COMPARISON].get_dict():
        raise FineTuningReportError(
            f'{study.process_label}<{study.pk}> has no comparison of models; if it is a fine-tuning study, see '
            f'aiida-edl query failures --study {study.pk}'
        )
    comparison: dict[str, Any] = study.outputs[COMPARISON].get_dict()
    return comparison


def write_fine_tuning_report(study: ProcessNode, folder: Path) -> FineTuningReport:
    """Write text, figures and tables; existing files are replaced.

    :param study: process node of the study.
    :param folder: where the files go: ``report.md`` and ``figures/``.
    :raises FineTuningReportError: if the process has no comparison.
    """
    comparison = comparison_of(study)
    inside = folder / 'figures'
    inside.mkdir(parents=True, exist_ok=True)
    points = defect_paths(study)
    panels = defect_panels(comparison, points)
    drawn = [
        render(name, partial(draw, comparison))
        for name, (draw, has_content, _, _) in FIGURES.items()
        if has_content(comparison)
    ]
    if panels:
        drawn.append(render(PATHS, partial(draw_defect_paths, panels)))
    figures = [path for figure in drawn for path in _written(figure, inside)]
    contents = {**{name: comparison[name] for name in TABLES}, PATHS: as_dicts(points)}
    tables = []
    for name, rows in contents.items():
        if rows:
            tables.append(inside / f'{name}.csv')
            tables[-1].write_text(to_csv(rows), encoding='utf-8')
    text = folder / TEXT
    text.write_text(_text(study, comparison, [figure.name for figure in drawn]), encoding='utf-8')
    return FineTuningReport(text, tuple(figures), tuple(tables))


def _written(figure: RenderedFigure, folder: Path) -> tuple[Path, Path]:
    """Write a figure in both formats, and return the files."""
    vector, image = folder / f'{figure.name}.svg', folder / f'{figure.name}.png'
    vector.write_text(figure.standalone_svg, encoding='utf-8')
    image.write_bytes(figure.png)
    return vector, image


def _text(study: ProcessNode, comparison: Mapping[str, Any], figures: Sequence[str]) -> str:
    """Return the report as Markdown."""
    lines = [f'# {study.label or study.process_label}', '', f'Process `{study.uuid}`.', '']
    if study.exit_message:
        sentence = str(study.exit_message).partition(': ')[0]
        lines += [f'It ended with exit status {study.exit_status}: {sentence}; they are listed at the end.', '']
    if figures:
        lines += [OPEN_POINTS, '']
    for name in figures:
        is_paths = name == PATHS
        title = PATHS_TITLE if is_paths else FIGURES[name][3]
        table = f'figures/{PATHS if is_paths else FIGURES[name][2]}.csv'
        lines += [f'## {title}', '', f'![{title}](figures/{name}.svg)', '', *([PATHS_SHOWN, ''] if is_paths else [])]
        lines += [f'Numbers: [{table}]({table}).', '']
    lines += ['## Beside published activation energies', '', CAVEAT, '', _table(comparison, 'sheet')]
    lines += ['## Learning curves', '', _table(comparison, 'learning_curves')]
    lines += ['## Diffusion', '', _table(comparison, 'diffusion')]
    lines += _failures(study, comparison)
    return '\n'.join(lines)


def _table(comparison: Mapping[str, Any], name: str) -> str:
    """Return the columns of a table that stand in the text."""
    return to_markdown([{column: row.get(column) for column in SHOWN[name]} for row in comparison[name]])


def _failures(study: ProcessNode, comparison: Mapping[str, Any]) -> list[str]:
    """Return what failed: runs that do not count, coefficients that are not determined, and the rest."""
    lines = []
    if runs := [row for row in comparison['diffusion'] if row.get('exclusions')]:
        table = [
            {**{name: row[name] for name in ('model', 'system')}, 'run': run, 'reason': reason}
            for row in runs
            for run, _, reason in (text.partition(': ') for text in row['exclusions'])
        ]
        lines += ['## Runs that do not count', '', to_markdown(table)]
    if undetermined := _undetermined(comparison):
        lines += ['## Coefficients that are not given', '', *undetermined, '']
    if others := failures_besides(study.exit_message or '', lambda part: RUN_LEFT_OUT.match(part) is not None):
        lines += ['## What else failed', '', *(f'- {text}' for text in others), '']
    return lines


def _undetermined(comparison: Mapping[str, Any]) -> list[str]:
    """Return a line for each temperature of a model at which runs count and give no coefficient, with the reasons."""
    return [
        f'- {row["model"]} on {row["system"]} at {row["temperature_kelvin"]:g} K: '
        f'{" ".join(row.get("reasons") or ["no run counts."])}'
        for row in comparison['diffusion']
        if row.get('tracer_diffusion_angstrom2_per_fs') is None
    ]
