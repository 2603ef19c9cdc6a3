"""What every MD engine must hold to, as checks that a test suite of any engine can run.

Make one :class:`ConformanceCase` of the engine, a small job and the folder of its recorded runs, and call every member
of :data:`CHECKS` with it:

.. code-block:: python

    @pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__)
    def test_engine_conforms(check):
        check(ConformanceCase('my_engine', MyEngine, job, Path('fixtures/my_engine')))

A recorded run is a folder named after its outcome with ``initial.npz``, ``settings.json`` and what the engine left.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from aiida_edl.md_engines.base import MDEngine, MDJob, MDOutcome, MDResult, MDSettings
from aiida_edl.science.frames import Frame, FrameSet

THERMOSTATS = ('csvr', 'langevin', 'nose_hoover')
SERIES = ('step', 'time', 'temperature', 'potential_energy', 'kinetic_energy', 'conserved_energy')
"""Names of the series, the same for all engines."""
ENSEMBLES = (('nve', 'csvr'), *(('nvt', name) for name in THERMOSTATS), *(('npt', name) for name in THERMOSTATS))
"""Every ensemble with every thermostat."""
CODE_KINDS = ('python', 'lammps')
RECORDED_INPUTS = ('initial.npz', 'settings.json')
"""Files of a recorded run that are not output."""
REQUIRED_OUTCOMES = (MDOutcome.FINISHED, MDOutcome.OUT_OF_WALLTIME, MDOutcome.EXPLODED, MDOutcome.OUTPUT_INCOMPLETE)
"""Outcomes of which a run must have been recorded."""
CUTS = (0.0, 0.3, 0.7, 0.97)
"""Fractions to which output files are cut."""


@dataclass(frozen=True)
class ConformanceCase:
    """One engine and what it is tested with."""

    name: str
    """Entry-point name."""
    engine_class: type[MDEngine]
    """The engine."""
    job: MDJob
    """A small job that the engine accepts."""
    recorded: Path
    """Folder with one recorded run for each outcome."""

    def outcomes(self) -> list[MDOutcome]:
        """Return the outcomes of which there is a recorded run."""
        return [outcome for outcome in MDOutcome if (self.recorded / outcome.value).is_dir()]


def check_is_made_without_arguments(case: ConformanceCase) -> None:
    """Check that the engine is made without arguments and bears the name of its entry point."""
    engine = case.engine_class()
    assert isinstance(engine, MDEngine)
    assert engine.name == case.name


def check_says_what_it_needs(case: ConformanceCase) -> None:
    """Check that packages, install command and kind of code are stated."""
    engine = case.engine_class()
    assert engine.packages
    assert all(isinstance(name, str) for name in engine.packages)
    assert engine.install_command
    assert engine.code_kind in CODE_KINDS


def check_honours_or_refuses_each_ensemble(case: ConformanceCase) -> None:
    """Check that each ensemble is honoured, or refused in one sentence that names the engine and the setting."""
    engine = case.engine_class()
    assert engine.refuse(case.job.settings) is None
    for ensemble, thermostat in ENSEMBLES:
        settings = replace(case.job.settings, ensemble=ensemble, thermostat=thermostat)
        refusal = engine.refuse(settings)
        if refusal is None:
            assert engine.files(replace(case.job, settings=settings))
            continue
        assert f'engine {case.name}' in refusal
        assert ensemble in refusal or thermostat in refusal
        assert '\n' not in refusal


def check_writes_the_same_bytes(case: ConformanceCase) -> None:
    """Check that the same job gives the same bytes at relative paths, and another job gives others."""
    engine = case.engine_class()
    files = engine.files(case.job)
    assert files == case.engine_class().files(case.job)
    assert all(isinstance(content, bytes) for content in files.values())
    for path in files:
        assert _is_relative(path), path
    settings = case.job.settings
    for changes in (
        {'seed': settings.seed + 1},
        {'temperature': settings.temperature + 1},
        {'time_step': settings.time_step * 2},
        {'steps': settings.steps * 2},
    ):
        changed = replace(case.job, settings=replace(settings, **changes))
        assert engine.files(changed) != files, changes


def check_writes_no_absolute_path(case: ConformanceCase) -> None:
    """Check that no input names a folder of the machine on which it was written."""
    for path, content in case.engine_class().files(case.job).items():
        for place in (str(Path.home()), str(Path.cwd()), tempfile.gettempdir()):
            pattern = re.escape(place.encode()) + rb'/\w'
            assert len(place) == 1 or not re.search(pattern, content), f'{path} names {place}'


def check_commands_can_be_staged(case: ConformanceCase) -> None:
    """Check that there is a command, and exactly one for an executable of its own."""
    engine = case.engine_class()
    commands = engine.commands(case.job)
    assert commands
    assert engine.code_kind == 'python' or len(commands) == 1
    for command in commands:
        assert _is_relative(command.stdout)


def check_retrieves_relative_paths(case: ConformanceCase) -> None:
    """Check that all paths are relative, and each output is brought back once."""
    retrieval = case.engine_class().retrieve(case.job)
    paths = (*retrieval.keep, *retrieval.parse_only)
    assert retrieval.keep
    assert len(set(paths)) == len(paths)
    assert all(_is_relative(path) for path in paths)


def check_knows_walltime_and_restart(case: ConformanceCase) -> None:
    """Check that a walltime and a restart change what is written."""
    engine = case.engine_class()
    plain = (engine.files(case.job), engine.commands(case.job))
    for changes in ({'walltime_seconds': 1234.0}, {'is_restart': True}):
        changed = replace(case.job, **changes)
        assert (engine.files(changed), engine.commands(changed)) != plain, changes


def check_reads_an_empty_folder(case: ConformanceCase) -> None:
    """Check that no output at all is an outcome, not an exception."""
    with tempfile.TemporaryDirectory() as folder:
        result = case.engine_class().read(Path(folder), case.job.frame, case.job.settings)
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message
    assert (result.trajectory, result.series, result.checkpoint_files, result.steps_done) == (None, None, (), 0)


def check_has_recorded_outcomes(case: ConformanceCase) -> None:
    """Check that a run was recorded of each outcome that every engine meets."""
    assert set(REQUIRED_OUTCOMES) <= set(case.outcomes())


def check_reads_recorded_outcomes(case: ConformanceCase) -> None:
    """Check that each recorded run gives the outcome its folder is named after, with frames and series that agree."""
    for outcome in case.outcomes():
        folder = case.recorded / outcome.value
        frame, settings = recorded_inputs(folder)
        result = case.engine_class().read(folder, frame, settings)
        assert result.outcome is outcome
        _check_result(result, frame, settings, folder)
        if outcome is MDOutcome.FINISHED:
            assert result.steps_done == settings.steps
            assert result.trajectory is not None
            assert len(result.trajectory) == settings.steps // settings.sampling_interval
        else:
            assert result.message
        if outcome is MDOutcome.OUT_OF_WALLTIME:
            assert result.checkpoint_files
            assert result.checkpoint_steps == result.steps_done > 0


def check_reads_truncated_output(case: ConformanceCase) -> None:
    """Check that a file that is cut anywhere is read without exception, and no frame is lost in silence."""
    source = case.recorded / MDOutcome.FINISHED.value
    frame, settings = recorded_inputs(source)
    n_frames = settings.steps // settings.sampling_interval
    for folder in _cut_copies(source):
        result = case.engine_class().read(folder, frame, settings)
        _check_result(result, frame, settings, folder)
        if result.outcome is MDOutcome.FINISHED:
            assert result.trajectory is not None
            assert len(result.trajectory) == n_frames


CHECKS: tuple[Callable[[ConformanceCase], None], ...] = (
    check_is_made_without_arguments,
    check_says_what_it_needs,
    check_honours_or_refuses_each_ensemble,
    check_writes_the_same_bytes,
    check_writes_no_absolute_path,
    check_commands_can_be_staged,
    check_retrieves_relative_paths,
    check_knows_walltime_and_restart,
    check_reads_an_empty_folder,
    check_has_recorded_outcomes,
    check_reads_recorded_outcomes,
    check_reads_truncated_output,
)
"""All checks."""


def recorded_inputs(folder: Path) -> tuple[Frame, MDSettings]:
    """Return initial frame and settings of a recorded run.

    :param folder: folder of the run.
    """
    settings = MDSettings.from_dict(json.loads((folder / 'settings.json').read_text(encoding='utf-8')))
    return FrameSet.from_npz(folder / 'initial.npz').frame(0), settings


def _is_relative(path: str) -> bool:
    """Return whether a path stays inside the working directory."""
    parts = PurePosixPath(path)
    return not parts.is_absolute() and '..' not in parts.parts


def _cut_copies(source: Path) -> Iterator[Path]:
    """Give copies of a recorded run, in each of which one output file is cut, and last one where it is missing."""
    for path in sorted(p for p in source.iterdir() if p.name not in RECORDED_INPUTS and p.stat().st_size):
        for fraction in (*CUTS, None):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name) / 'run'
                shutil.copytree(source, folder)
                target = folder / path.name
                if fraction is None:
                    target.unlink()
                else:
                    target.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
                yield folder


def _check_result(result: MDResult, frame: Frame, settings: MDSettings, folder: Path) -> None:
    """Check that frames and series have the same steps, names and energies, whatever the outcome."""
    assert all((folder / path).is_file() for path in result.checkpoint_files)
    assert 0 <= result.steps_done <= settings.steps
    if result.series is not None:
        assert set(SERIES) <= set(result.series)
        steps = result.series['step']
        assert all(values.shape == steps.shape for values in result.series.values())
        assert np.all(np.diff(steps) == settings.sampling_interval)
        assert np.all(steps % settings.sampling_interval == 0)
        assert steps[0] >= settings.sampling_interval  # the initial frame is not stored again
        assert steps[-1] <= settings.steps
        np.testing.assert_allclose(result.series['time'], steps * settings.time_step, rtol=1e-12)
        for name in ('temperature', 'potential_energy', 'kinetic_energy'):
            assert np.isfinite(result.series[name]).all(), name
    trajectory = result.trajectory
    if trajectory is None:
        return
    assert result.series is not None
    assert trajectory.energies is not None
    assert {'step', 'time', 'charge_state'} <= set(trajectory.columns)
    rows = np.searchsorted(result.series['step'], trajectory.columns['step'])
    np.testing.assert_array_equal(result.series['step'][rows], trajectory.columns['step'])
    np.testing.assert_array_equal(result.series['potential_energy'][rows], trajectory.energies)
    for stored in (trajectory.frame(0), trajectory.frame(-1)):
        np.testing.assert_array_equal(stored.numbers, frame.numbers)
        np.testing.assert_array_equal(stored.cell, frame.cell)
        np.testing.assert_array_equal(stored.pbc, frame.pbc)
