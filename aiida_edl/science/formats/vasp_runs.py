"""Finished runs of VASP as a data set: a file, a folder of a run, or a tree of such folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from aiida_edl.science.formats.compressed import CUT, SUFFIXES, bare_name, find_compressed, open_compressed
from aiida_edl.science.formats.dft_runs import DftRuns, DftRunsOptions, FinishedRun, name_of_run
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.vasp_outcar import OutcarReader
from aiida_edl.science.formats.vasp_run import RejectedStep, VaspRunSettings, frame_of_step
from aiida_edl.science.formats.vasp_xml import VasprunReader
from aiida_edl.science.frames import Frame

XML, OUTCAR = 'vasprun.xml', 'OUTCAR'
END_OF_XML = b'</modeling>'
TAIL = 4096


class VaspRuns(DftRuns):
    """Static runs, relaxations and molecular dynamics of VASP."""

    name: ClassVar[str] = 'vasp_run'
    title: ClassVar[str] = 'finished runs of VASP: OUTCAR or vasprun.xml, one or a tree of folders'
    precision: ClassVar[str] = 'it is read only; OUTCAR has five decimals of positions, vasprun.xml eight'
    files_of_a_run: ClassVar[str] = 'OUTCAR, vasprun.xml, or a folder with such files'
    unit_convention: ClassVar[str] = 'eV, Å, kbar; stress positive in compression'

    def sources(self, source: Path) -> list[tuple[str, Path]]:
        """Return name and path of every run: of the file, or of every folder that holds one."""
        if source.is_file():
            is_named = bare_name(source).startswith(OUTCAR) or bare_name(source) == XML
            return [(source.name, source)] if is_named else []
        names = [f'{name}{suffix}' for name in (XML, OUTCAR) for suffix in SUFFIXES]
        folders = {path.parent for name in names for path in source.rglob(name) if path.is_file()}
        return sorted((name_of_run(folder, source), folder) for folder in folders)

    def files_read(self, source: Path) -> list[Path]:
        """Return the files of the runs that may be read, none of the others, such as WAVECAR, beside them."""
        runs = [path for _, path in self.sources(source)]
        found = [path if path.is_file() else find_compressed(path, name) for path in runs for name in (XML, OUTCAR)]
        return sorted({path for path in found if path is not None})

    def open_run(self, group: str, path: Path, options: DftRunsOptions) -> FinishedRun:
        """Return a run, from vasprun.xml if that is whole, else from OUTCAR."""
        run = choose_file(path)
        settings = run.settings

        def frames(with_time: bool, with_stress: bool) -> Iterator[Frame | BadFrame]:
            for step in run.reader().steps():
                if isinstance(step, RejectedStep):
                    yield BadFrame(f'{group}: ionic step {step.number}: {step.reason}')
                else:
                    yield frame_of_step(step, settings, group, with_time=with_time, with_stress=with_stress)

        return FinishedRun(
            group=group,
            version=settings.version,
            level=settings.level,
            potentials=settings.potentials,
            has_stress=settings.has_full_stress,
            has_time=settings.time_step is not None,
            frames=frames,
            maximum_scf_steps=settings.maximum_scf_steps,
        )


@dataclass(frozen=True)
class ChosenFile:
    """The file of a run that is read, and the settings of the run."""

    path: Path
    """The file."""
    settings: VaspRunSettings
    """Settings of the run, from all its files."""

    def reader(self) -> OutcarReader | VasprunReader:
        """Return what reads the file from its start."""
        return _reader(self.path)


def choose_file(path: Path) -> ChosenFile:
    """Return the file of a run that is to be read: vasprun.xml if it is whole, else OUTCAR, else what there is.

    With linear response it is OUTCAR, which tells the steps of the self-consistent field from those of the response.
    The k-points of a cut vasprun.xml, which OUTCAR does not name, are taken from it all the same.

    :param path: a file, or the folder of a run.
    :raises FormatError: if there is no such file, or it ends before it says what was computed.
    """
    if path.is_file():
        return ChosenFile(path, _settings(path))
    xml, outcar = find_compressed(path, XML), find_compressed(path, OUTCAR)
    if xml is not None and (outcar is None or is_whole_xml(xml)):
        settings = _settings(xml)
        if outcar is None or not settings.has_linear_response:
            return ChosenFile(xml, settings)
    if outcar is None:
        raise FormatError(f"'{path.name}' has neither {XML} nor {OUTCAR}; give the folder of a run")
    settings = _settings(outcar)
    if xml is not None:
        try:
            settings = replace(settings, k_points=VasprunReader(xml).settings.k_points)
        except FormatError:
            return ChosenFile(outcar, settings)
    return ChosenFile(outcar, settings)


def is_whole_xml(path: Path) -> bool:
    """Return whether a vasprun.xml came to its end.

    :param path: the file.
    """
    with open_compressed(path) as handle:
        if path.suffix not in SUFFIXES[1:]:
            handle.seek(0, 2)
            handle.seek(max(0, handle.tell() - TAIL))
            return END_OF_XML in handle.read()
        tail = b''
        try:
            while block := handle.read(1 << 20):
                tail = (tail + block)[-TAIL:]
        except CUT:
            return False
        return END_OF_XML in tail


def _reader(path: Path) -> OutcarReader | VasprunReader:
    """Return what reads a file, by how it begins.

    :raises FormatError: if it is cut before it says so.
    """
    with open_compressed(path) as handle:
        try:
            start = handle.read(256)
        except CUT as error:
            raise FormatError(f'{path.name} is damaged where it is compressed ({error}); copy it again') from error
    return VasprunReader(path) if start.lstrip().startswith(b'<') else OutcarReader(path)


def _settings(path: Path) -> VaspRunSettings:
    """Return the settings of a run; OUTCAR names its dispersion correction with the first ionic step."""
    reader = _reader(path)
    if isinstance(reader, OutcarReader):
        next(reader.steps(), None)
    return reader.settings
