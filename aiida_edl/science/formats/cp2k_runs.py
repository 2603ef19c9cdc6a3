"""Finished runs of CP2K as a data set: outputs of single points, and molecular dynamics with their trajectories."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science.formats.compressed import CUT, bare_name, find_compressed, open_compressed
from aiida_edl.science.formats.cp2k_header import END_OF_HEADER, Cp2kHeader, read_cp2k_header
from aiida_edl.science.formats.cp2k_output import MARKS, read_cp2k_output
from aiida_edl.science.formats.cp2k_steps import OutputStep, read_output_steps
from aiida_edl.science.formats.cp2k_trajectory import TrajectoryStep, read_cells, trajectory_steps
from aiida_edl.science.formats.dft_runs import DftRuns, DftRunsOptions, FinishedRun
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.frames import Floats, Frame

OUTPUT_SUFFIXES = ('.out', '.log', '.cp2k')
POSITIONS = re.compile(r'^(.+)-pos-(\d+)\.xyz$')
TRAJECTORY = re.compile(r'^.+-(?:(?:pos|frc)-\d+\.xyz|1\.cell)$')
FIXED_CELL = ('NVE', 'NVT', 'LANGEVIN', 'ISOKIN', 'NVT_ADIABATIC')
"""Ensembles in which the cell does not change."""
DIPOLE_CORRECTION = re.compile(r'^\s*SURF\w*DIP\w*\s*(?:\.?T(?:RUE)?\.?)?\s*$', re.MULTILINE | re.IGNORECASE)
"""In an input; outputs do not say it."""
SINGLE_POINTS = ('ENERGY_FORCE', 'ENERGY')
ENERGY_DEVIATION = 1e-5
"""Largest difference of the energies that two files name for one step [eV]; they have 10 and 15 decimals in Ha."""


@dataclass(frozen=True)
class Cp2kRunsOptions(DftRunsOptions):
    """How runs are read."""

    accept_unknown_convergence: bool = False
    """Whether molecular dynamics are read of which no output tells which self-consistent fields converged."""


class Cp2kRuns(DftRuns):
    """Single points and molecular dynamics of CP2K."""

    name: ClassVar[str] = 'cp2k_run'
    title: ClassVar[str] = 'finished runs of CP2K: outputs, with trajectories for molecular dynamics'
    read_options_class: ClassVar[type] = Cp2kRunsOptions
    held_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces', 'stresses')
    precision: ClassVar[str] = 'it is read only; outputs have six decimals of positions, trajectories ten'
    files_of_a_run: ClassVar[str] = 'an output of CP2K, PROJECT-pos-1.xyz, or a folder with such files'
    unit_convention: ClassVar[str] = 'Ha, Å, Ha/Bohr, stress in the unit of its heading; stress positive in compression'

    def sources(self, source: Path) -> list[tuple[str, Path]]:
        """Return name and path of every run: of each output, and of each trajectory that no output goes with.

        Of outputs of one molecular dynamics, which was started again, the first stands for all.
        """
        if source.is_file():
            trajectory = POSITIONS.match(bare_name(source))
            outputs = (
                _outputs_of(source.parent, trajectory[1]) if trajectory else [source] if _is_output(source) else []
            )
            return [(_group(source, source), path) for path in outputs[:1] or ([source] if trajectory else [])]
        files = sorted(path for path in source.rglob('*') if path.is_file())
        projects: set[tuple[Path, str]] = set()
        chosen = []
        for path in files:
            if _is_output(path):
                header = _header_or_none(path)
                project = None if header is None or header.run_type != 'MD' else (path.parent, header.project)
                if project not in projects:
                    chosen.append(path)
                if project is not None:
                    projects.add(project)
        alone = [
            path
            for path in files
            if (name := POSITIONS.match(bare_name(path))) and (path.parent, name[1]) not in projects
        ]
        return [(_group(path, source), path) for path in sorted(chosen + alone)]

    def files_read(self, source: Path) -> list[Path]:
        """Return the outputs, their inputs and the trajectories, none of the wave functions and grids beside them."""
        if source.is_file():
            return [source]
        files = {path for path in source.rglob('*') if path.is_file()}
        outputs = {path for path in files if _is_output(path)}
        inputs = {_input_of(path, head) for path in outputs if (head := _header_or_none(path)) is not None}
        return sorted(outputs | (inputs & files) | {path for path in files if TRAJECTORY.match(bare_name(path))})

    def open_run(self, group: str, path: Path, options: Cp2kRunsOptions) -> FinishedRun:
        """Return a run: a single point, or molecular dynamics."""
        if POSITIONS.match(bare_name(path)):
            if not options.accept_unknown_convergence:
                raise FormatError(
                    f'no output beside {path.name} tells which self-consistent fields converged; put it there, or '
                    'state accept_unknown_convergence'
                )
            return _dynamics(group, path, [], None)
        header = _header(path)
        if header.run_type in SINGLE_POINTS:
            return _single_point(group, path, header)
        if header.run_type != 'MD':
            raise FormatError(f'{path.name} is of the run type {header.run_type}; ENERGY_FORCE and MD can be read')
        positions = _beside(path.parent, f'{header.project}-pos-1.xyz')
        return _dynamics(group, positions, _outputs_of(path.parent, header.project), header)


def _single_point(group: str, path: Path, header: Cp2kHeader) -> FinishedRun:
    """Return a single point."""
    with open_compressed(path) as handle:
        output = read_cp2k_output(handle.read().decode(errors='replace'))

    def frames(with_time: bool, with_stress: bool) -> Iterator[Frame | BadFrame]:
        reason = output.stop_reason
        if not reason and not output.is_converged:
            reason = _no_convergence(output.n_scf_steps, header)
        if not reason and (output.energy is None or output.forces is None):
            reason = 'it has no forces; CP2K prints them with FORCE_EVAL/PRINT/FORCES'
        if not reason and len(output.symbols) != len(header.numbers):
            reason = f'it has forces of {len(output.symbols)} of {len(header.numbers)} atoms'
        if reason:
            yield BadFrame(f'{group}: {reason}')
            return
        columns = {
            'ionic_step': 0,
            'n_scf_steps': output.n_scf_steps,
            'fermi_level': math.nan if output.fermi_level is None else output.fermi_level,
            'total_charge': header.total_charge,
            'group': group,
        }
        frame = Frame(
            header.numbers,
            header.positions,
            header.cell,
            header.pbc,
            output.energy,
            output.forces,
            output.stress if with_stress else None,
            columns=columns,
        )
        yield open_along_z(frame)

    return _finished(group, header, frames, has_stress=output.stress is not None, has_time=False)


def _finished(group: str, header: Cp2kHeader | None, frames: Any, *, has_stress: bool, has_time: bool) -> FinishedRun:
    """Return a run with what its output says of it."""
    return FinishedRun(
        group=group,
        version='' if header is None else header.version,
        level={'functional': ''} if header is None else header.level,
        potentials={} if header is None else header.potentials,
        has_stress=has_stress,
        has_time=has_time,
        frames=frames,
        maximum_scf_steps=None if header is None else header.maximum_scf_steps,
    )


def _dynamics(group: str, positions: Path, outputs: list[Path], header: Cp2kHeader | None) -> FinishedRun:
    """Return molecular dynamics; what the outputs say of a step is found by number and energy."""
    project = bare_name(positions).rpartition('-pos-')[0]
    forces = _beside(positions.parent, f'{project}-frc-1.xyz')
    cell_file = find_compressed(positions.parent, f'{project}-1.cell')
    if cell_file is None and header is None:
        raise FormatError(
            f'there is neither {project}-1.cell nor an output beside {positions.name}, so the cell is unknown'
        )
    if cell_file is None and header is not None and header.ensemble not in FIXED_CELL:
        raise FormatError(f'there is no {project}-1.cell, and in the ensemble {header.ensemble} the cell changes')
    cells = {} if cell_file is None else read_cells(cell_file)
    of_output: dict[int, list[OutputStep]] = {}
    for output in outputs:
        for number, step in read_output_steps(output):
            of_output.setdefault(number, []).append(step)
    has_stress = bool(of_output) and all(step.stress is not None for steps in of_output.values() for step in steps)

    def frames(with_time: bool, with_stress: bool) -> Iterator[Frame | BadFrame]:
        count = 0
        for step in trajectory_steps(positions, forces):
            count += 1
            found = _matching(of_output.get(step.number, []), step.energy)
            cell = cells.get(step.number) if cell_file is not None or header is None else header.cell
            reason = _fault(step, cell, found, header)
            if reason or cell is None:
                yield BadFrame(f'{group}: step {step.number}: {reason}')
            else:
                yield _frame(
                    step, cell, found or OutputStep(), header, group, with_time=with_time, with_stress=with_stress
                )
        if not count:
            raise FormatError(
                f'{positions.name} and {forces.name} have no step in common; write both at the same steps'
            )

    return _finished(group, header, frames, has_stress=has_stress, has_time=True)


def _matching(steps: list[OutputStep], energy: float) -> OutputStep | None:
    """Return the evaluation of this energy."""
    return next((step for step in steps if abs(step.energy - energy) < ENERGY_DEVIATION), None)


def _fault(step: TrajectoryStep, cell: Floats | None, found: OutputStep | None, header: Cp2kHeader | None) -> str:
    """Return why a step gives no label, ``''`` if it does."""
    if step.is_repeated:
        return 'it is there twice, since the run was started again; the first is kept'
    if cell is None:
        return 'the file of cells has no such step'
    if header is not None and found is None:
        return 'the output has no such step, so that it is not known whether its SCF converged'
    if found is not None and not found.is_converged:
        return _no_convergence(found.n_scf_steps, header)
    return ''


def _no_convergence(n_scf_steps: int, header: Cp2kHeader | None) -> str:
    """Return that a self-consistent field did not converge, with its steps and their limit."""
    limit = None if header is None else header.maximum_scf_steps
    return f'the SCF did not converge in {n_scf_steps} steps; the limit max_scf of each loop is {limit or "unknown"}'


def _frame(
    step: TrajectoryStep,
    cell: Floats,
    found: OutputStep,
    header: Cp2kHeader | None,
    group: str,
    *,
    with_time: bool,
    with_stress: bool,
) -> Frame:
    """Return a step of molecular dynamics as a frame."""
    columns: dict[str, Any] = {
        'ionic_step': step.number,
        'n_scf_steps': found.n_scf_steps,
        'fermi_level': found.fermi_level,
        'total_charge': math.nan if header is None else header.total_charge,
        'group': group,
    }
    if with_time:
        columns['time'] = step.time
    frame = Frame(
        numbers=step.numbers,
        positions=step.positions,
        cell=cell,
        pbc=np.ones(3, dtype=bool) if header is None else header.pbc,
        energy=step.energy,
        forces=step.forces,
        stress=found.stress if with_stress else None,
        columns=columns,
    )
    return open_along_z(frame)


def open_along_z(frame: Frame) -> Frame:
    """Return a film that is open along x or y rotated so that it is open along z, as everywhere in this project.

    The axes are exchanged in a cycle, so that nothing is mirrored. The wavelet solver of CP2K wants films open along y.

    :param frame: any frame; all others are returned as they are.
    """
    (open_axes,) = np.nonzero(~frame.pbc)
    if len(open_axes) != 1 or open_axes[0] == 2:
        return frame
    axis = int(open_axes[0])
    axes = [(axis + 1) % 3, (axis + 2) % 3, axis]
    return replace(
        frame,
        positions=frame.positions[:, axes],
        cell=frame.cell[np.ix_(axes, axes)],
        pbc=frame.pbc[axes],
        forces=None if frame.forces is None else frame.forces[:, axes],
        stress=None if frame.stress is None else frame.stress[np.ix_(axes, axes)],
    )


def _group(path: Path, source: Path) -> str:
    """Return the name of a run: the path of its file below the source, without suffixes."""
    name = bare_name(path)
    stem = name[: -len(Path(name).suffix)] if Path(name).suffix in (*OUTPUT_SUFFIXES, '.xyz') else name
    return stem if source.is_file() else (path.relative_to(source).parent / stem).as_posix()


def _beside(folder: Path, name: str) -> Path:
    """Return a file of a run.

    :raises FormatError: if it is absent.
    """
    found = find_compressed(folder, name)
    if found is None:
        raise FormatError(
            f'{name} is not beside the output; molecular dynamics need positions and forces (MOTION/PRINT)'
        )
    return found


def _start(path: Path, size: int) -> str:
    """Return the start of a file, as much as there is of it."""
    with open_compressed(path) as handle:
        try:
            return handle.read(size).decode(errors='replace')
        except CUT:
            return ''


def _is_output(path: Path) -> bool:
    """Return whether a file is an output of CP2K, by its suffix and its first lines."""
    name = bare_name(path)
    if Path(name).suffix not in OUTPUT_SUFFIXES:
        return False
    return any(mark in _start(path, 8192) for mark in MARKS)


def _outputs_of(folder: Path, project: str) -> list[Path]:
    """Return the outputs of molecular dynamics of one project, sorted."""
    outputs = sorted(path for path in folder.iterdir() if path.is_file() and _is_output(path))
    heads = [(path, _header_or_none(path)) for path in outputs]
    return [path for path, head in heads if head is not None and (head.run_type, head.project) == ('MD', project)]


def _header(path: Path) -> Cp2kHeader:
    """Return what stands before the first self-consistent field.

    :raises FormatError: if it is not whole, with the error of CP2K if it stopped there.
    """
    lines: list[str] = []
    with open_compressed(path) as handle:
        try:
            for line in handle:
                text = line.decode(errors='replace')
                if END_OF_HEADER in text:
                    break
                lines.append(text)
        except CUT as error:
            raise FormatError(f'{path.name} is damaged where it is compressed ({error}); copy it again') from error
    text = ''.join(lines)
    try:
        header = read_cp2k_header(text)
        return replace(header, level={**header.level, 'dipole correction': _dipole_correction(path, header)})
    except FormatError as error:
        stopped = read_cp2k_output(text).stop_reason
        raise FormatError(f'{path.name}: {stopped or error}') from error


def _dipole_correction(path: Path, header: Cp2kHeader) -> str:
    """Return whether the surface dipole was corrected, in words; it stands in the input alone."""
    file = _input_of(path, header)
    text = file.read_text(encoding='utf-8', errors='replace') if header.input_name and file.is_file() else ''
    return 'dipole correction of the surface' if DIPOLE_CORRECTION.search(text) else ''


def _input_of(path: Path, header: Cp2kHeader) -> Path:
    """Return where the input of an output may lie: beside it."""
    return path.parent / Path(header.input_name).name


def _header_or_none(path: Path) -> Cp2kHeader | None:
    """Return the header of an output, None if it is not whole."""
    try:
        return _header(path)
    except FormatError:
        return None
