"""Turn docstrings and help texts into document nodes.

Only inline markup is understood: code in single or double backticks, roles (shown as code, ``:math:`` as a formula),
emphasis in single asterisks. Everything else is plain text, so that no help text can break the manual.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from docutils import nodes

INLINE = re.compile(
    r':math:`(?P<math>[^`]+)`'
    r'|:[a-z:]+:`~?(?P<role>[^`]+)`'
    r'|``(?P<double>.+?)``'
    r'|`(?P<single>[^`]+)`'
    r'|(?<![\w*])\*(?P<emphasis>[^*\s][^*]*)\*(?![\w*])'
)
FIELD = re.compile(r'^:(?P<kind>param|return|returns|raises|yields|type)\s*(?P<name>[^:]*):\s*(?P<text>.*)$')
KINDS = {'return': 'returns', 'returns': 'returns', 'raises': 'raises', 'yields': 'yields', 'param': ''}


def inline(text: str) -> list[nodes.Node]:
    """Return the inline nodes of one paragraph.

    :param text: the paragraph.
    """
    result: list[nodes.Node] = []
    position = 0
    for match in INLINE.finditer(text):
        if match.start() > position:
            result.append(nodes.Text(text[position : match.start()]))
        if match['math']:
            result.append(nodes.math(text=match['math']))
        elif match['emphasis']:
            result.append(nodes.emphasis(text=match['emphasis']))
        else:
            result.append(nodes.literal(text=match['role'] or match['double'] or match['single']))
        position = match.end()
    if position < len(text):
        result.append(nodes.Text(text[position:]))
    return result


def prose(text: str) -> list[nodes.Node]:
    """Return the paragraphs, formulae and field list of a docstring.

    :param text: docstring without common indentation.
    """
    result: list[nodes.Node] = []
    description, fields = _split_fields(text)
    for block in re.split(r'\n\s*\n', description.strip('\n')):
        if not block.strip():
            continue
        if block.lstrip().startswith('.. math::'):
            formula = textwrap.dedent(block.replace('.. math::', '         ', 1)).strip()
            result.append(nodes.math_block('', formula, nowrap=False, number=None, label=None))
        elif block.lstrip().startswith('>>>'):
            code = textwrap.dedent(block)
            result.append(nodes.literal_block(code, code, language='pycon'))
        else:
            result.append(nodes.paragraph('', '', *inline(' '.join(block.split()))))
    if fields:
        items = [
            f'{f"{KINDS[kind]} " if KINDS[kind] else ""}{f"``{name}``" if name else ""}: {text}'
            for kind, name, text in fields
        ]
        result.append(nodes.bullet_list('', *(nodes.list_item('', *prose(item.replace(' :', ':'))) for item in items)))
    return result


def _split_fields(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Return the description and the fields (kind, name, text) of a docstring."""
    description: list[str] = []
    fields: list[list[str]] = []
    for line in text.splitlines():
        if match := FIELD.match(line):
            fields.append([match['kind'], match['name'].split('.')[-1], match['text']])
        elif fields and line.startswith(' '):
            fields[-1][2] += ' ' + line.strip()
        elif not fields or line.strip():
            description.append(line)
    return '\n'.join(description), [(kind, name, words) for kind, name, words in fields if kind in KINDS]


def first_sentence(text: str) -> str:
    """Return what stands before the first blank line."""
    return ' '.join(text.split('\n\n', maxsplit=1)[0].split())


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = '') -> nodes.table:
    """Return a table.

    :param header: names of the columns.
    :param rows: cells, each a paragraph with inline markup.
    :param caption: title of the table.
    """
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead('', _row(header))
    group += nodes.tbody('', *(_row(row) for row in rows))
    result = nodes.table('', *([nodes.title('', caption)] if caption else []), group)
    result['classes'].append('colwidths-auto')
    return result


def _row(cells: Sequence[str]) -> nodes.row:
    return nodes.row('', *(nodes.entry('', nodes.paragraph('', '', *inline(' '.join(cell.split())))) for cell in cells))


def attribute_docstrings(owner: type) -> dict[str, str]:
    """Return the strings that follow the attributes of a class in its source, by attribute, bases included.

    :param owner: the class.
    """
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue  # a class without Python source has no such strings
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in itertools.pairwise(body):
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(statement, ast.Assign):
                target = statement.targets[0]
            if isinstance(target, ast.Name) and isinstance(following, ast.Expr):
                value = following.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[target.id] = inspect.cleandoc(value.value)
    return found


def field_rows(owner: Any) -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each field of a dataclass.

    :param owner: the dataclass.
    """
    documented = attribute_docstrings(owner)
    rows = []
    for item in dataclasses.fields(owner):
        if item.default is not dataclasses.MISSING:
            default = f'``{getattr(item.default, "value", item.default)!r}``'
        elif item.default_factory is not dataclasses.MISSING:
            value = item.default_factory()
            default = f'``{dict(value) if isinstance(value, Mapping) else value!r}``'
        else:
            default = 'required'
        rows.append((f'``{item.name}``', default, documented.get(item.name, '')))
    return rows
