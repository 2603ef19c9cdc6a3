"""A finished run of VASP: its settings as they were used, and its ionic steps as labels.

The forces of VASP are the gradient of the free energy of the electrons, TOTEN, not of the energy extrapolated to no
smearing; TOTEN is the energy of a label here, and ``energy(sigma->0)`` a column. Stress is printed in kbar and positive
in compression. A self-consistent field that was ended by its limit of steps (NELM) is marked by no version up to 5.4.4:
it says "EDIFF is reached" there too, so the steps are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from ase.data import atomic_numbers

from aiida_edl.science import units
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.level_of_theory import level_in_words
from aiida_edl.science.formats.vasp_level import is_true, level_parts, number_of
from aiida_edl.science.frames import Floats, Frame, FrameSet

STRESS_FACTOR = -units.KILOBAR
"""One kbar of VASP, positive in compression, as stress [eV/Å³]."""
MINIMUM_VACUUM = 5.0
"""Least gap between a film and its image along z [Å]; with a smaller one, it counts as periodic. Chosen here."""
ELEMENT = re.compile(r'^([A-Z][a-z]?)(?![a-z])')


@dataclass(frozen=True)
class VaspRunSettings:
    """What a run was told and used; the same from OUTCAR and vasprun.xml, but for digits that OUTCAR does not print."""

    version: str
    """Version of VASP."""
    tags: Mapping[str, str]
    """Values by name of the tag."""
    titles: tuple[str, ...]
    """Titles (TITEL) of the potentials, one per type of atom."""
    counts: tuple[int, ...]
    """Atoms of each type."""
    valences: tuple[float, ...]
    """Electrons that the potential of each type leaves (ZVAL) [e]; empty if the file does not say."""
    k_points: str
    """Which k-points were used, in words."""

    @cached_property
    def numbers(self) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """Atomic numbers in the order of the run, shape ``(n_atoms,)``."""
        elements = [atomic_numbers[symbol_of_title(title)] for title in self.titles]
        return np.repeat(np.array(elements, dtype=np.uint8), self.counts)

    @property
    def n_electrons(self) -> float | None:
        """Electrons in the cell, NELECT; None if the file does not say."""
        return number_of(self.tags, 'NELECT', 0) if 'NELECT' in self.tags else None

    @property
    def total_charge(self) -> float | None:
        """Charge of the cell [e]: what the potentials leave minus NELECT; None if the file does not say."""
        if self.n_electrons is None or len(self.valences) != len(self.counts):
            return None
        charge = sum(n * z for n, z in zip(self.counts, self.valences)) - self.n_electrons
        return round(charge, 6) + 0.0

    @property
    def maximum_scf_steps(self) -> int:
        """Limit of the steps of the self-consistent field, NELM."""
        return int(number_of(self.tags, 'NELM', 60))

    @property
    def time_step(self) -> float | None:
        """Time between ionic steps [fs], of molecular dynamics; None of all other runs."""
        return number_of(self.tags, 'POTIM', 0) if number_of(self.tags, 'IBRION', -1) == 0 else None

    @property
    def has_full_stress(self) -> bool:
        """Whether all components of the stress were computed: ISIF 0 has none, ISIF 1 the trace alone."""
        return number_of(self.tags, 'ISIF', 2) >= 2

    @property
    def external_pressure_kbar(self) -> float:
        """Pressure that a relaxation was under, PSTRESS [kbar]."""
        return number_of(self.tags, 'PSTRESS', 0)

    @property
    def has_linear_response(self) -> bool:
        """Whether linear response was computed, of which VASP counts the steps as those of ionic steps."""
        return is_true(self.tags.get('LEPSILON')) or number_of(self.tags, 'IBRION', -1) in (7, 8)

    @property
    def has_machine_learned_force_field(self) -> bool:
        """Whether steps may be of a machine-learned force field (ML_LMLFF)."""
        return is_true(self.tags.get('ML_LMLFF'))

    @property
    def is_film(self) -> bool:
        """Whether images along the third cell vector were decoupled by a dipole correction (LDIPOL, IDIPOL 3)."""
        return is_true(self.tags.get('LDIPOL')) and number_of(self.tags, 'IDIPOL', 0) == 3

    @property
    def level(self) -> dict[str, str]:
        """What changes the energies, but for the potentials, in words by what it is."""
        return level_parts(self.tags, self.titles, self.k_points, self.total_charge or 0.0)

    @property
    def potentials(self) -> dict[str, str]:
        """Title of the potential of each element."""
        return {symbol_of_title(title): f'PAW {title}' for title in self.titles}

    @property
    def level_of_theory(self) -> str:
        """What the energies are, in words."""
        return level_in_words(self.level, self.potentials)


@dataclass(frozen=True)
class IonicStep:
    """One arrangement of atoms with its labels."""

    number: int
    """Position in the run, from 1."""
    positions: Floats
    """Cartesian positions [Å], shape ``(n_atoms, 3)``."""
    cell: Floats
    """Cell vectors as rows [Å], shape ``(3, 3)``."""
    energy: float
    """Free energy TOTEN, whose negative gradient the forces are [eV]."""
    energy_zero_smearing: float
    """Energy extrapolated to no smearing, energy(sigma->0) [eV]."""
    forces: Floats
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    stress: Floats | None
    """Stress [eV/Å³], positive in tension, shape ``(3, 3)``; None if not all components were computed."""
    fermi_level: float
    """Fermi level [eV]; NaN if the file does not say it for this step."""
    n_scf_steps: int
    """Steps of the self-consistent field."""


@dataclass(frozen=True)
class RejectedStep:
    """An ionic step that gives no label."""

    number: int
    """Position in the run, from 1."""
    reason: str
    """What is wrong with it, without the name of the file."""
    n_scf_steps: int | None = None
    """Steps of the self-consistent field, where these are the reason."""
    limit: int | None = None
    """The limit they reached."""


@dataclass(frozen=True)
class VaspRun:
    """A run that was read to its end."""

    settings: VaspRunSettings
    """What it was told and used."""
    steps: tuple[IonicStep, ...]
    """Steps with labels."""
    rejected: tuple[RejectedStep, ...]
    """Steps without."""

    def frames(self, group: str | None = None) -> FrameSet:
        """Return the steps with labels.

        :param group: name of the run, stored as column ``group``.
        :raises FormatError: if there is none.
        """
        if not self.steps:
            raise FormatError('the run has no ionic step that can be used; see what was rejected')
        return FrameSet.from_frames(frame_of_step(step, self.settings, group) for step in self.steps)


def gather_run(settings: VaspRunSettings, items: Iterable[IonicStep | RejectedStep]) -> VaspRun:
    """Return a run from its steps.

    :param settings: what it was told.
    :param items: its steps, in their order.
    """
    steps, rejected = [], []
    for item in items:
        if isinstance(item, IonicStep):
            steps.append(item)
        else:
            rejected.append(item)
    return VaspRun(settings, tuple(steps), tuple(rejected))


def frame_of_step(
    step: IonicStep, settings: VaspRunSettings, group: str | None, *, with_time: bool = True, with_stress: bool = True
) -> Frame:
    """Return an ionic step as a frame, periodic in all directions as VASP computes it, but for films.

    :param step: the step.
    :param settings: those of its run.
    :param group: name of the run, stored as column ``group``; None for no such column.
    :param with_time: whether molecular dynamics get the column ``time`` [fs].
    :param with_stress: whether the stress is kept.
    """
    columns: dict[str, float | int | str] = {
        'ionic_step': step.number,
        'energy_zero_smearing': step.energy_zero_smearing,
        'fermi_level': step.fermi_level,
        'n_scf_steps': step.n_scf_steps,
    }
    if settings.n_electrons is not None:
        columns['n_electrons'] = settings.n_electrons
    if settings.total_charge is not None:
        columns['total_charge'] = settings.total_charge
    if settings.time_step is not None and with_time:
        columns['time'] = (step.number - 1) * settings.time_step
    if group is not None:
        columns['group'] = group
    frame = Frame(
        numbers=settings.numbers,
        positions=step.positions,
        cell=step.cell,
        pbc=np.ones(3, dtype=bool),
        energy=step.energy,
        forces=step.forces,
        stress=step.stress if with_stress else None,
        columns=columns,
    )
    return film_open_along_z(frame) if settings.is_film else frame


def film_open_along_z(frame: Frame) -> Frame:
    """Return a film in one piece and open along its third cell vector.

    Atoms are moved by that vector where the boundary of the cell cuts the film. A frame whose third cell vector is not
    along z, or without a vacuum, is returned as it is.

    :param frame: a frame, periodic in all directions.
    """
    if np.abs(frame.cell[2, :2]).max() > 1e-6 or np.abs(frame.cell[:2, 2]).max() > 1e-6:
        return frame
    heights = frame.positions[:, 2] / frame.cell[2, 2]
    inside = np.sort(heights % 1.0)
    gaps = np.diff(inside, append=inside[0] + 1.0)
    widest = gaps.argmax()
    if gaps[widest] * abs(frame.cell[2, 2]) < MINIMUM_VACUUM:
        return frame
    middle = (inside[widest] + gaps[widest] / 2.0 + 0.5) % 1.0
    moved = frame.positions + np.outer(np.rint(middle - heights), frame.cell[2])
    return replace(frame, positions=moved, pbc=np.array([True, True, False]))


def judged(step: IonicStep, settings: VaspRunSettings) -> IonicStep | RejectedStep:
    """Return a step, or why it gives no label although it is complete.

    :param step: the step.
    :param settings: those of its run.
    """
    limit = settings.maximum_scf_steps
    if step.n_scf_steps >= limit:
        reason = f'the SCF took {step.n_scf_steps} steps and its limit NELM is {limit}, so it did not converge'
        return RejectedStep(step.number, reason, step.n_scf_steps, limit)
    if settings.has_full_stress and step.stress is None:
        return RejectedStep(step.number, 'the file holds no stress for it, although ISIF asks for one')
    return step


def machine_learned(number: int) -> RejectedStep:
    """Return the refusal of a step of a machine-learned force field.

    :param number: position in the run.
    """
    return RejectedStep(number, 'energy and forces are of a machine-learned force field (ML_LMLFF), not of VASP itself')


def symbol_of_title(title: str) -> str:
    """Return the element of a potential.

    >>> [symbol_of_title(title) for title in ('PAW_PBE Na_pv 19Sep2006', 'PAW_PBE H1.25 07Sep2000', 'PAW Au 04Oct2007')]
    ['Na', 'H', 'Au']

    :param title: its title (TITEL).
    :raises FormatError: if it names none.
    """
    words = title.split()
    for word in words[1:2] + words[:1]:
        found = ELEMENT.match(re.split(r'[_.\d]', word)[0])
        if found and found[1] in atomic_numbers and found[1] == re.split(r'[_.\d]', word)[0]:
            return found[1]
    raise FormatError(f"the potential '{title}' names no element; the file is damaged where it lists potentials")


def k_points_in_words(kind: str, divisions: tuple[int, ...]) -> str:
    """Return a mesh of k-points in words.

    >>> k_points_in_words('Gamma', (4, 4, 1)), k_points_in_words('Monkhorst-Pack', (1, 1, 1))
    ('4x4x1 k-points around Gamma', '1x1x1 k-points')

    :param kind: kind of the mesh, by its first letter: Gamma or Monkhorst-Pack.
    :param divisions: points along each reciprocal cell vector.
    """
    mesh = 'x'.join(str(n) for n in divisions) + ' k-points'
    if all(n % 2 for n in divisions):
        return mesh
    return f'{mesh} around Gamma' if kind.strip().upper().startswith('G') else f'{mesh} of Monkhorst and Pack'


def spacing_in_words(spacing: float) -> str:
    """Return a distance of k-points [1/Å], 2π included, in words.

    >>> spacing_in_words(0.18)
    'k-points every 0.18/Å'
    """
    return f'k-points every {spacing:g}/Å'


def divisions_of_spacing(spacing: float, cell: Floats) -> tuple[int, ...]:
    """Return the mesh that VASP makes of KSPACING: ``max(1, ceil(2π |b| / KSPACING))`` along each reciprocal vector.

    Source: VASP wiki, KSPACING.

    :param spacing: KSPACING [1/Å].
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    """
    lengths = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(cell).T, axis=1)
    return tuple(max(1, int(np.ceil(length / spacing - 1e-9))) for length in lengths)
