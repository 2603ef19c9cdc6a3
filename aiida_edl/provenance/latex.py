"""Tables for LaTeX: booktabs, special characters escaped, units in the heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiida_edl.provenance.table_text import shown

Row = Mapping[str, Any]
ESCAPES = {
    '\\': r'\textbackslash{}',
    '&': r'\&',
    '%': r'\%',
    '$': r'\$',
    '#': r'\#',
    '_': r'\_',
    '{': r'\{',
    '}': r'\}',
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
    '<': r'\textless{}',
    '>': r'\textgreater{}',
    '|': r'\textbar{}',
    'Å': r'\AA{}',
    'µ': r'\textmu{}',
    '²': r'\textsuperscript{2}',
    '³': r'\textsuperscript{3}',
    '⁻': r'\textsuperscript{-}',
    '¹': r'\textsuperscript{1}',
    '°': r'\textdegree{}',
    '±': r'\ensuremath{\pm}',
    '×': r'\ensuremath{\times}',
    '⟨': r'\ensuremath{\langle}',
    '⟩': r'\ensuremath{\rangle}',
    'θ': r'\ensuremath{\theta}',
    'τ': r'\ensuremath{\tau}',
    'σ': r'\ensuremath{\sigma}',
    'ρ': r'\ensuremath{\rho}',
    'ε': r'\ensuremath{\varepsilon}',
    '₀': r'\textsubscript{0}',
    '–': '--',
    '…': r'\ldots{}',
    '\n': ' ',
}
"""What stands in LaTeX for characters that it reads otherwise or lacks."""
UNITS = {
    'ev_per_angstrom': 'eV/Å',
    'ev_per_atom': 'eV/atom',
    'mev_per_atom_and_ps': 'meV/(atom ps)',
    'e_per_cubic_angstrom': 'e/Å³',
    'per_cubic_angstrom': 'Å⁻³',
    'microcoulomb_per_cm2': 'µC/cm²',
    'e_per_angstrom2': 'e/Å²',
    'square_angstrom': 'Å²',
    'gram_per_cm3': 'g/cm³',
    'volt_per_angstrom': 'V/Å',
    'per_degree': 'degree⁻¹',
    'wall_seconds': 's',
    'angstrom': 'Å',
    'kelvin': 'K',
    'degree': 'degree',
    'volt': 'V',
    'seconds': 's',
    'ps': 'ps',
    'fs': 'fs',
}
"""Units as they end the names of columns, the longer ones first, and how they are written."""
NUMBER = (int, float)
LONG_TEXT = 60
"""Characters from which a column of text is set as a paragraph."""


def escaped(text: str) -> str:
    r"""Return text that LaTeX prints as it is.

    :param text: any text.

    >>> escaped('50 % of a_b')
    '50 \\% of a\\_b'
    """
    return ''.join(ESCAPES.get(character, character) for character in text)


def column_head(column: str) -> str:
    """Return the head of a column: its name in words, and its unit in brackets.

    :param column: name with the unit at its end.

    >>> column_head('force_rmse_ev_per_angstrom')
    'force rmse (eV/Å)'
    """
    for ending, unit in UNITS.items():
        if column.endswith(f'_{ending}'):
            return f'{column.removesuffix(f"_{ending}").replace("_", " ")} ({unit})'
    return column.replace('_', ' ')


def to_latex(rows: Sequence[Row], caption: str = '', label: str = '') -> str:
    """Return rows as a table environment with the rules of booktabs, numbers with four digits aligned to the right.

    :param rows: rows with the same columns.
    :param caption: what stands above the table.
    :param label: name by which the text refers to it.
    """
    columns = list(rows[0]) if rows else []
    lines = [r'\begin{table}', r'\centering']
    lines += [rf'\caption{{{escaped(caption)}}}'] if caption else []
    lines += [rf'\label{{{label}}}'] if label else []
    lines.append(rf'\begin{{tabular}}{{{"".join(_alignment(rows, column) for column in columns)}}}')
    lines += [r'\toprule', _line(escaped(column_head(column)) for column in columns), r'\midrule']
    lines += [_line(_cell(row.get(column)) for column in columns) for row in rows]
    lines += [r'\bottomrule', r'\end{tabular}', r'\end{table}']
    return '\n'.join(lines) + '\n'


def _alignment(rows: Sequence[Row], column: str) -> str:
    """Return how a column is aligned."""
    values = [row.get(column) for row in rows if row.get(column) is not None]
    if values and all(isinstance(value, NUMBER) and not isinstance(value, bool) for value in values):
        return 'r'
    return r'p{0.3\linewidth}' if any(len(shown(value)) > LONG_TEXT for value in values) else 'l'


def _cell(value: Any) -> str:
    """Return one entry."""
    if isinstance(value, float) and not isinstance(value, bool):
        return _power(shown(value))
    return escaped(shown(value))


def _power(text: str) -> str:
    r"""Return a number with its power of ten as people write it.

    >>> _power('1.5e-05')
    '\\ensuremath{1.5\\times 10^{-5}}'
    """
    mantissa, found, exponent = text.partition('e')
    if found and exponent.lstrip('+-').isdigit():
        return rf'\ensuremath{{{mantissa}\times 10^{{{int(exponent)}}}}}'
    return rf'\ensuremath{{{text}}}' if text.startswith('-') else escaped(text)


def _line(cells: Any) -> str:
    return ' & '.join(cells) + r' \\'
