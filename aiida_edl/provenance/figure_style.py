"""How the figures of a report look: one column wide, readable on a phone, safe for the colour-blind, light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

WIDTH = 4.8
"""Width of every figure [inch]: letters of 9 points stay readable on a phone."""
COLOURS: Mapping[str, str] = {
    'mixed': '#d9622b',
    'single': '#2a86c8',
    'without': '#9a6bb5',
    'pair': '#3f9b76',
    'other': '#8c8c8c',
}
"""Colour by kind of training: orange and blue are told apart by all, and lie at half lightness for both backgrounds."""
LINE_STYLES = (
    '-',
    (0, (4, 1.5)),
    (0, (1, 1.2)),
    (0, (4, 1.2, 1, 1.2)),
    (0, (8, 2)),
    (0, (4, 1.2, 1, 1.2, 1, 1.2)),
    (0, (2, 2)),
    (0, (8, 1.5, 2, 1.5)),
)
"""Line style by architecture, in order of name."""
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X', '*')
"""Marker by charge state or architecture."""
SVG_INK = '#123456'
"""Stands for the colour of the text of the page; replaced when the figure is written."""
PAPER_INK = '#1a1a1a'
"""Colour of the text on white paper."""
PNG_DOTS_PER_INCH = 220


@dataclass(frozen=True)
class RenderedFigure:
    """One figure in both formats."""

    name: str
    svg: str
    """For the inside of a page: text takes the colour of the page."""
    png: bytes
    """On white paper."""

    @property
    def standalone_svg(self) -> str:
        """SVG for a file of its own: text is dark, as on paper."""
        return '<?xml version="1.0" encoding="utf-8"?>\n' + self.svg.replace('<svg ', f'<svg color="{PAPER_INK}" ', 1)


def style(ink: str) -> dict[str, Any]:
    """Return the settings of matplotlib.

    :param ink: colour of text and axes.
    """
    coloured = ('axes.edgecolor', 'axes.labelcolor', 'text.color', 'xtick.color', 'ytick.color')
    return {
        **dict.fromkeys(coloured, ink),
        'axes.facecolor': 'none',
        'axes.linewidth': 0.7,
        'axes.spines.right': False,
        'axes.spines.top': False,
        'axes.titlelocation': 'left',
        'axes.titlesize': 9.0,
        'figure.facecolor': 'none',
        'font.family': ['DejaVu Sans'],
        'font.size': 9.0,
        'legend.fontsize': 8.0,
        'legend.frameon': False,
        'legend.handlelength': 1.8,
        'svg.fonttype': 'path',
        'xtick.labelsize': 8.0,
        'ytick.labelsize': 8.0,
    }


def ink() -> str:
    """Return the colour of text and axes of the figure that is being drawn."""
    return str(mpl.rcParams['text.color'])


def new_figure(height: float) -> Figure:
    """Return an empty figure of the common width.

    :param height: its height [inch].
    """
    figure = Figure(figsize=(WIDTH, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def zero_line(axes: Axes, vertical: bool = False) -> None:
    """Draw a thin line at zero."""
    draw = axes.axvline if vertical else axes.axhline
    draw(0.0, color=ink(), linewidth=0.5, alpha=0.4)


def logarithmic(axis: XAxis | YAxis) -> None:
    """Make an axis logarithmic with plain numbers at 1, 2 and 5 times powers of ten."""
    if isinstance(axis, XAxis):
        axis.axes.set_xscale('log')
    else:
        axis.axes.set_yscale('log')
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))


def legend_above(figure: Figure, handles: list[Any], n_columns: int) -> None:
    """Put one legend for all panels above them."""
    figure.legend(handles=handles, loc='outside upper left', ncols=n_columns, columnspacing=1.4, borderaxespad=0.2)


def render(name: str, draw: Callable[[], Figure]) -> RenderedFigure:
    """Draw a figure twice: as SVG for the page and as PNG on white paper.

    :param name: its name; makes identifiers unique among the figures of a page.
    :param draw: draws it with the colours of the moment.
    """
    with mpl.rc_context({**style(SVG_INK), 'svg.hashsalt': name}):
        buffer = io.StringIO()
        draw().savefig(buffer, format='svg', transparent=True, metadata={'Date': None, 'Creator': None})
    with mpl.rc_context(style(PAPER_INK)):
        image = io.BytesIO()
        draw().savefig(image, format='png', dpi=PNG_DOTS_PER_INCH, facecolor='white', metadata={'Software': None})
    return RenderedFigure(name, _for_page(buffer.getvalue(), name), image.getvalue())


def _for_page(svg: str, name: str) -> str:
    """Return an SVG that takes the colour of its text and its width from the page around it."""
    text = re.sub(r'<metadata>.*?</metadata>', '', svg[svg.index('<svg') :], flags=re.DOTALL)
    text = text.replace(SVG_INK, 'currentColor')
    # Identifiers of letters and axes repeat in every figure of a page.
    text = re.sub(r'(\bid="|url\(#|href="#)([A-Za-z])', rf'\1{name}-\2', text)
    return re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r'\1', text, count=1)
