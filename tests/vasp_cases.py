"""Recorded runs of VASP, and copies of them with a few lines changed."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

RECORDED = Path(__file__).parent / 'fixtures' / 'formats' / 'vasp'
OUTCAR, XML = 'OUTCAR.gz', 'vasprun.xml.gz'


def text_of(run: str, name: str) -> str:
    """Return the content of a recorded file."""
    return gzip.decompress((RECORDED / run / name).read_bytes()).decode('latin-1')


def changed(run: str, name: str, changes: Mapping[str, str], target: Path) -> Path:
    """Write a recorded file with some texts changed, uncompressed; each must occur."""
    text = text_of(run, name)
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding='latin-1')
    return target


def cut(run: str, name: str, mark: str, occurrence: int, target: Path) -> Path:
    """Write a recorded file up to the given occurrence of a mark, counted from 1."""
    text, end = text_of(run, name), -1
    for _ in range(occurrence):
        end = text.index(mark, end + 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text[:end], encoding='latin-1')
    return target
