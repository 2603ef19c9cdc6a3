"""Finished runs of a DFT program as a data set: one run, or a tree of them, each a group of its own.

All runs of a tree must have one level of theory. A run that cannot be read, and a step that gives no label, are listed
with their reasons; the others survive.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame, FramesRead
from aiida_edl.science.formats.label_checks import LabelLimits
from aiida_edl.science.formats.level_of_theory import difference_in_words, level_in_words
from aiida_edl.science.frames import Frame

WIDE = {
    'minimum_median_force': 0.0,
    'maximum_median_force': math.inf,
    'maximum_energy_spread': math.inf,
    'maximum_stress': math.inf,
}
"""Bounds on labels that tell wrong units, widened: a program states its units, and relaxed or compressed structures are
no mistake."""


@dataclass(frozen=True)
class FinishedRun:
    """What is known of a run before its frames are read."""

    group: str
    """Name of the run: its path below the source."""
    version: str
    """Version of the program."""
    level: Mapping[str, str]
    """What changes the energies, but for the potentials, in words by what it is."""
    potentials: Mapping[str, str]
    """Potential of each element."""
    has_stress: bool
    """Whether its frames have stresses."""
    has_time: bool
    """Whether its frames have a time."""
    frames: Callable[[bool, bool], Iterator[Frame | BadFrame]] = field(repr=False)
    """Returns its frames, with or without time and stress."""
    maximum_scf_steps: int | None = None
    """Limit of the steps of the self-consistent field."""

    @property
    def level_of_theory(self) -> str:
        """What the energies are, in words."""
        return level_in_words(self.level, self.potentials)


@dataclass(frozen=True)
class DftRunsOptions:
    """How runs are read."""

    accept_different_levels: bool = False
    """Whether runs of different levels of theory may be one set."""


class DftRuns(DatasetFormat):
    """Runs of one program; frames are labels of the ionic steps that converged."""

    read_options_class: ClassVar[type] = DftRunsOptions
    held_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces', 'stresses')
    holds_columns: ClassVar[bool] = True
    takes_units: ClassVar[bool] = False
    maximum_failed_fraction: ClassVar[float] = 0.5
    files_of_a_run: ClassVar[str]
    """What can be given, in words."""

    @abstractmethod
    def sources(self, source: Path) -> list[tuple[str, Path]]:
        """Return name and path of every run below a source, sorted.

        :param source: file or folder.
        """

    @abstractmethod
    def open_run(self, group: str, path: Path, options: Any) -> FinishedRun:
        """Return a run.

        :param group: its name.
        :param path: its file or folder.
        :param options: of :attr:`read_options_class`.
        :raises FormatError: if it gives no label at all.
        """

    def recognises(self, source: Path) -> bool:
        """Return whether there is a run below a source, by the names of its files."""
        return bool(self.sources(source))

    def frames(self, source: Path, options: DftRunsOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames run by run; a run that cannot be read is one bad frame."""
        runs = self._runs(source, options)
        read = [run for run in runs if isinstance(run, FinishedRun)]
        if not options.accept_different_levels:
            _check_levels(source, read)
        with_time = all(run.has_time for run in read)
        with_stress = all(run.has_stress for run in read)
        for run in runs:
            if isinstance(run, BadFrame):
                yield run
                continue
            try:
                yield from run.frames(with_time, with_stress)
            except FormatError as error:
                yield BadFrame(f'{run.group}: {error}')

    def statements(self, source: Path, options: DftRunsOptions) -> Mapping[str, Any]:
        """Return level of theory, versions, potentials and limits of the runs."""
        runs = [run for run in self._runs(source, options) if isinstance(run, FinishedRun)]
        with_stress = [run.group for run in runs if run.has_stress]
        left_out = {'stress': f'left out: {len(runs) - len(with_stress)} of {len(runs)} runs have none'}
        return {
            'level_of_theory': '; or: '.join(dict.fromkeys(run.level_of_theory for run in runs)),
            'versions': sorted({run.version for run in runs}),
            'potentials': {k: v for run in reversed(runs) for k, v in run.potentials.items()},
            'n_runs': len(runs),
            'maximum_scf_steps': sorted({run.maximum_scf_steps for run in runs if run.maximum_scf_steps is not None}),
            **(left_out if 0 < len(with_stress) < len(runs) else {}),
        }

    def read(
        self,
        source: str | Path,
        options: Any = None,
        units: FileUnits | None = None,
        limits: LabelLimits | None = None,
        maximum_failed_fraction: float | None = None,
    ) -> FramesRead:
        """Read all frames; the units are known, so that small or large labels are no sign of a wrong one.

        Bounds that only tell wrong units are not applied, unless they are stated.
        """
        default, given = LabelLimits(), limits or LabelLimits()
        wide = {name: value for name, value in WIDE.items() if getattr(given, name) == getattr(default, name)}
        return super().read(source, options, units, replace(given, **wide), maximum_failed_fraction)

    def _runs(self, source: Path, options: DftRunsOptions) -> list[FinishedRun | BadFrame]:
        """Return all runs below a source; in place of one that cannot be read, why.

        :raises FormatError: if there is none.
        """
        found = self.sources(source)
        if not found:
            raise FormatError(f"'{source.name}' holds no run; give {self.files_of_a_run}")
        runs: list[FinishedRun | BadFrame] = []
        for group, path in found:
            try:
                runs.append(self.open_run(group, path, options))
            except FormatError as error:
                runs.append(BadFrame(f'{group}: {error}'))
        return runs


def name_of_run(folder: Path, source: Path) -> str:
    """Return the name of a run: the path of its folder below the source, or the name of the source itself.

    :param folder: folder of the run.
    :param source: the folder that was given.
    """
    return source.name if folder == source else folder.relative_to(source).as_posix()


def _check_levels(source: Path, runs: list[FinishedRun]) -> None:
    """Refuse runs of different levels of theory.

    :raises FormatError: with the first two that differ, in what, and how many there are.
    """
    others = [run for run in runs[1:] if (run.level, run.potentials) != (runs[0].level, runs[0].potentials)]
    differences = [
        (run, words)
        for run in others
        if (words := difference_in_words((runs[0].level, runs[0].potentials), (run.level, run.potentials)))
    ]
    if differences:
        run, words = differences[0]
        raise FormatError(
            f'{source.name}: runs differ in their level of theory, {len(differences)} of {len(runs)} from the first; '
            f"'{runs[0].group}' and '{run.group}' in {words}; import them apart, or state accept_different_levels"
        )
