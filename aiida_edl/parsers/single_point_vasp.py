"""Read what VASP leaves without keeping its large files; needs aiida-vasp, whose parser does most of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from aiida.engine import ExitCode
from aiida.orm import Dict, FolderData
from aiida_vasp.calcs.vasp import VaspCalculation
from aiida_vasp.parsers.vasp import VaspParser

TEXT: Mapping[str, Any] = {'encoding': 'utf-8', 'errors': 'replace'}
"""How files of text are opened: what a crash leaves may hold anything."""
NUMBER = r'([-+]?\d+\.?\d*)'
VACUUM_LEVELS = 'vacuum level on the upper side and lower side of the slab'
OUTCAR_VALUES = {
    'fermi_level': re.compile(rf'^\s*(?:E-fermi\s*|Fermi energy):\s*{NUMBER}', re.MULTILINE),
    'free_energy': re.compile(rf'^\s*free  energy   TOTEN\s*=\s*{NUMBER}', re.MULTILINE),
    'n_electrons': re.compile(rf'^\s*NELECT\s*=\s*{NUMBER}', re.MULTILINE),
    'dispersion_energy': re.compile(rf'^\s*Edisp \(eV\):?\s*{NUMBER}', re.MULTILINE),
    'vacuum_level_above': re.compile(rf'{VACUUM_LEVELS}\s+{NUMBER}\s+[-+.\d]+'),
    'vacuum_level_below': re.compile(rf'{VACUUM_LEVELS}\s+[-+.\d]+\s+{NUMBER}'),
}
"""What aiida-vasp does not read, or only from a density of states: Fermi level [eV], free energy of OUTCAR [eV],
electrons, D3 energy [eV], vacuum levels of a film [eV]. The last value counts."""
STDOUT = VaspCalculation._VASP_OUTPUT
"""What VASP prints, and at its end why it stopped."""


class RetrievedFiles:
    """Files that are kept, and those that are there while they are parsed, behind the two methods that aiida-vasp uses.

    aiida-vasp 5.1 offers the setting ``ALWAYS_STORE: False`` to retrieve its files temporarily, but its parser looks
    for them among those that are kept only, and ends with 352.
    """

    def __init__(self, kept: FolderData, temporary: Path | None) -> None:
        self.kept = kept
        self.temporary = {path.name: path for path in temporary.iterdir()} if temporary else {}

    def list_object_names(self) -> list[str]:
        """Return the names of all files."""
        return sorted({*self.kept.list_object_names(), *self.temporary})

    def open(self, name: str, mode: str = 'r') -> IO[Any]:
        """Open a file.

        :param name: its name.
        :param mode: ``r`` or ``rb``.
        """
        if name in self.temporary:
            return self.temporary[name].open(mode, **({} if 'b' in mode else TEXT))
        return self.kept.open(name, mode)


class VaspSinglePointParser(VaspParser):
    """The parser of aiida-vasp on files that are not kept, with the electrons that VASP counted."""

    files: RetrievedFiles | None = None

    @property
    def retrieved(self) -> Any:
        """The files, as the parser of aiida-vasp uses them."""
        return super().retrieved if self.files is None else self.files

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the files.

        :param kwargs: ``retrieved_temporary_folder`` with the files that are not kept.
        """
        folder = kwargs.get('retrieved_temporary_folder')
        self.files = RetrievedFiles(super().retrieved, Path(folder) if folder else None)
        return super().parse(**kwargs)

    def _compose_misc(self, quantities_each: Mapping[str, Any]) -> Dict:
        """Return the small results, with those that aiida-vasp does not read."""
        misc = super()._compose_misc(quantities_each).get_dict()
        text = self._text('OUTCAR')
        for name, pattern in OUTCAR_VALUES.items():
            if misc.get(name) is None and (found := pattern.findall(text)):
                misc[name] = float(found[-1])
        lines = [line.strip() for line in self._text(STDOUT).splitlines() if line.strip()]
        return Dict({**misc, 'last_line': lines[-1] if lines else ''})

    def _text(self, name: str) -> str:
        """Return the text of a file, none if it is not there."""
        if name not in self.retrieved.list_object_names():
            return ''
        with self.retrieved.open(name) as handle:
            return str(handle.read())
