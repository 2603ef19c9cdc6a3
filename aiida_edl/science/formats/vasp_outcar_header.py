"""What an OUTCAR says before its first ionic step: version, tags, potentials by their titles, atoms, k-points.

The header of a potential is passed over but for its title (TITEL); its number of electrons (ZVAL) is listed again with
the atoms. Versions before 6 do not repeat the INCAR: files INCAR and KPOINTS beside the OUTCAR are read for what it
leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiida_edl.science.formats.compressed import bare_name, find_compressed, open_compressed
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.vasp_level import number_of
from aiida_edl.science.formats.vasp_run import VaspRunSettings, k_points_in_words, spacing_in_words

VERSION = re.compile(r'^\s*vasp\.(\S+)')
LINES_BEFORE_VERSION = 20
TAG = re.compile(r'([A-Z][A-Z0-9_]+)\s*=\s*([^\s;]+)')
INCAR_TAG = re.compile(r'^\s*([A-Z][A-Z0-9_]+)\s*=\s*([^#!]*)')
NUMBER = re.compile(r'-?\d+\.\d+')
STEP_BEGINS = re.compile(rb'^ ?-{5,}[ -]*(?:Iteration|Ionic step)\s+(\d+|\*+)')
"""Start of a step of the self-consistent field, or of an ionic step; large numbers are printed as stars."""
MACHINE_LEARNED = b'ML TOTEN'
"""Mark of the energy of a machine-learned force field."""
EXACT_IN_INCAR = ('ENCUT', 'SIGMA')
"""Tags of which the list of parameters prints few decimals."""
OF_POTENTIALS = ('VRHFIN', 'LEXCH', 'EATOM', 'ENMAX', 'ENMIN', 'ZVAL', 'POMASS')
"""Tags of the headers of potentials."""


@dataclass
class OutcarHeader:
    """What was read before the first ionic step."""

    version: str = ''
    incar: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    atoms: list[int] = field(default_factory=list)
    valences: list[float] = field(default_factory=list)
    first_line: bytes = b''

    @classmethod
    def read(cls, lines: Iterator[bytes], path: Path) -> OutcarHeader:
        """Read lines up to the first of the first ionic step.

        :param lines: whole lines from the start of the file.
        :param path: the file, for messages.
        :raises FormatError: if this is no OUTCAR, or the file ends.
        """
        header, is_incar = cls(), False
        for number, line in enumerate(lines):
            if STEP_BEGINS.match(line) or MACHINE_LEARNED in line:
                header.first_line = line
                break
            text = line.decode(errors='replace')
            if not header.version:
                found = VERSION.match(text)
                header.version = '' if found is None else found[1]
                if not header.version and number > LINES_BEFORE_VERSION:
                    break
            if text.startswith((' INCAR:', ' POTCAR:', '-----')):
                is_incar = text.startswith(' INCAR:')
            if is_incar:
                header.incar |= incar_tags(text)
            else:
                header._take(text)
        if not header.version:
            raise FormatError(f'{path.name} is no OUTCAR of VASP: its first lines name no version; give another file')
        if not header.first_line:
            raise FormatError(f'{path.name} ends before its first ionic step, so it holds no label; leave the run out')
        return header

    def _take(self, text: str) -> None:
        """Take what a line says."""
        if text.startswith(' POTCAR:'):
            self.listed.append(text.removeprefix(' POTCAR:').strip())
        elif 'TITEL' in text:
            self.titles.append(text.partition('=')[2].strip())
        elif 'ions per type' in text:
            self.atoms = [int(word) for word in text.partition('=')[2].split() if word.isdecimal()]
        elif text.startswith('   ZVAL   ='):
            self.valences = [float(word) for word in NUMBER.findall(text)]
        elif re.fullmatch(r'[\s\d.]*\d\s*', text):
            self._take_continued(text)
        else:
            self.tags |= {name: value for name, value in TAG.findall(text) if name not in OF_POTENTIALS}

    def _take_continued(self, text: str) -> None:
        """Take a line of numbers that goes on with the list before it."""
        if self.valences and 'NELECT' not in self.tags:
            self.valences += [float(word) for word in NUMBER.findall(text)]
        elif self.atoms and '.' not in text and sum(self.atoms) < number_of(self.tags, 'NIONS', 0):
            self.atoms += [int(word) for word in text.split()]

    def settings(self, from_steps: Mapping[str, str], path: Path) -> VaspRunSettings:
        """Return the settings of the run.

        :param from_steps: tags that stand in the ionic steps.
        :param path: the file; files INCAR and KPOINTS beside it say what it does not.
        :raises FormatError: if potentials and types of atoms do not fit.
        """
        titles = self.titles or self.listed[: max(len(self.listed) // 2, 1)]
        n_types, n_atoms = len(self.atoms), self.tags.get('NIONS', 'an unknown number of')
        if not n_types or len(titles) < n_types or str(sum(self.atoms)) != n_atoms:
            raise FormatError(
                f'{path.name} names {len(titles)} potentials for {n_types} types of atoms and {n_atoms} atoms; it is '
                'damaged where it lists them, read vasprun.xml instead'
            )
        incar = (_text_beside(path, 'INCAR') or '').upper()
        tags = {**incar_tags(incar), **self.incar, **self.tags, **from_steps}
        tags |= {name: self.incar[name] for name in EXACT_IN_INCAR if name in self.incar}
        return VaspRunSettings(
            version=self.version,
            tags=tags,
            titles=tuple(titles[:n_types]),
            counts=tuple(self.atoms),
            valences=tuple(self.valences) if len(self.valences) == n_types else (),
            k_points=_k_points(tags, path),
        )


def incar_tags(text: str) -> dict[str, str]:
    """Return the tags of an INCAR.

    >>> incar_tags('ENCUT = 450; ISMEAR = 0  ! gaussian')
    {'ENCUT': '450', 'ISMEAR': '0'}

    :param text: its content, or a part of it.
    """
    pieces = [piece for line in text.splitlines() for piece in line.split(';')]
    return {found[1]: found[2].strip() for piece in pieces if (found := INCAR_TAG.match(piece))}


def _text_beside(path: Path, name: str) -> str | None:
    """Return the start of a file beside an OUTCAR; None if there is none, or the OUTCAR has another name."""
    file = find_compressed(path.parent, name) if bare_name(path) == 'OUTCAR' else None
    if file is None:
        return None
    with open_compressed(file) as handle:
        return handle.read(1 << 16).decode(errors='replace')


def _k_points(tags: Mapping[str, str], path: Path) -> str:
    """Return the k-points in words: those of a file KPOINTS, which VASP prefers, else those of KSPACING."""
    text = _text_beside(path, 'KPOINTS')
    lines = [] if text is None else text.splitlines()
    if len(lines) > 3 and lines[1].split()[:1] == ['0'] and lines[2].strip()[:1].upper() in ('G', 'M'):
        divisions = tuple(int(word) for word in lines[3].split()[:3] if word.isdigit())
        if len(divisions) == 3:
            return k_points_in_words(lines[2], divisions)
    if text is None and 'KSPACING' in tags:
        return spacing_in_words(number_of(tags, 'KSPACING', 0.5))
    return f'{tags.get("NKPTS", "unknown")} irreducible k-points'
