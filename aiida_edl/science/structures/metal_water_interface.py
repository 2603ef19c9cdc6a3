"""Build a metal slab with water and ions: fcc(111), packed at random with packmol, neutral as a whole.

The cell is neutral, so that ions alone set the charge of the metal (see :mod:`aiida_edl.science.charge_state`). Cells
that differ in nothing but the number of ions have the same size.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import fcc111
from ase.data import atomic_masses, atomic_numbers

from aiida_edl.registry import unknown_name_message
from aiida_edl.science import units
from aiida_edl.science.charge_state import FORMAL_CHARGES, charge_state
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.typed_fields import checked_fields

METALS = ('Ag', 'Al', 'Au', 'Cu', 'Ni', 'Pd', 'Pt')
"""Metals that crystallise in fcc."""
WATER_MASS = float(atomic_masses[8] + 2 * atomic_masses[1])
"""Mass of a water molecule [u]."""
WATER_BOND_LENGTH, WATER_ANGLE_DEGREES = 1.012, 113.24
"""Shape of the water molecules that are packed [Å, degrees]: SPC/Fw, Y. Wu et al., J. Chem. Phys. 124, 024503."""
PACKMOL_INSTALL = 'pip install packmol'
TOLERANCES = (2.1, 2.0, 1.9, 1.8, 1.7, 1.6, 1.5)
"""Smallest distances between atoms of different molecules that are tried in turn [Å]."""
VOLUME_PER_ION = 30.0
"""Part of the ion window that one ion takes at least, about that of a water molecule [Å³]."""
BOTTOM_MARGIN = 1.0
"""Height of the lowest metal layer above the bottom of a cell with vacuum [Å]."""


class InterfaceSettingsError(ValueError):
    """A setting that does not exist, is out of range, or does not fit the others."""


class PackingError(RuntimeError):
    """Packmol is missing or found no arrangement."""


@dataclass(frozen=True)
class InterfaceSettings:
    """What to build."""

    metal: str = 'Au'
    """Chemical symbol of the fcc metal."""
    lattice_constant: float = 4.08
    """Cubic lattice constant [Å]; the default is gold, H. Heinz et al., J. Phys. Chem. C 112, 17281 (2008)."""
    repeat: tuple[int, int, int] = (3, 4, 3)
    """Atoms along the two lateral directions, and layers."""
    is_orthogonal: bool = True
    """Whether the cell is rectangular (the second repeat is then even) or hexagonal (60 degrees)."""
    n_water: int | None = None
    """Number of water molecules; None derives it from ``water_thickness`` at ``water_density``."""
    water_thickness: float = 10.0
    """Thickness of the water film [Å]; not used if ``n_water`` is given."""
    water_density: float = 1.0
    """Density at which molecules are packed [g/cm³]."""
    water_metal_gap: float = 2.6
    """Empty space between the outermost metal atoms and the first atom of the film [Å]."""
    n_ions: int = 0
    """Number of ions; the metal carries minus their charge."""
    ion: str = 'Na'
    """Chemical symbol of the ions."""
    ion_window: tuple[float, float] = (4.0, 10.0)
    """Heights above the nearest metal surface between which ions are placed [Å]."""
    sides: int = 1
    """1: a film on top of the slab, then vacuum. 2: water fills the space up to the periodic image of the slab."""
    vacuum: float = 12.0
    """Empty space above a one-sided film [Å]."""
    n_frozen_layers: int = 0
    """Lowest metal layers that are reported as atoms to be held fixed."""
    seed: int = 1
    """Seed of the packing."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises InterfaceSettingsError: with the name, the value and the remedy.
        """
        if self.metal not in METALS:
            raise InterfaceSettingsError(unknown_name_message('fcc metal', self.metal, METALS))
        if self.ion not in FORMAL_CHARGES:
            raise InterfaceSettingsError(unknown_name_message('ion', self.ion, tuple(FORMAL_CHARGES)))
        for name in ('lattice_constant', 'water_thickness', 'water_density', 'water_metal_gap', 'vacuum'):
            if not getattr(self, name) > 0:
                raise InterfaceSettingsError(
                    f"interface setting '{name}' is {getattr(self, name)}, it must be positive"
                )
        for name in ('n_ions', 'n_frozen_layers', 'seed'):
            if getattr(self, name) < 0:
                raise InterfaceSettingsError(
                    f"interface setting '{name}' is {getattr(self, name)}, it must not be negative"
                )
        if self.n_water is not None and self.n_water < 1:
            raise InterfaceSettingsError(f"interface setting 'n_water' is {self.n_water}, it must be at least 1")
        if self.sides not in (1, 2):
            raise InterfaceSettingsError(f"interface setting 'sides' is {self.sides}, it must be 1 or 2")
        self._check_slab()
        low, high = self.ion_window
        if not 0 < low < high:
            raise InterfaceSettingsError(
                f'ion_window is {low} to {high} Å, it must be two increasing heights above the metal'
            )

    def _check_slab(self) -> None:
        """Check the repeats."""
        if len(self.repeat) != 3 or min(self.repeat) < 1:
            raise InterfaceSettingsError(f'repeat is {self.repeat}, it must be three positive integers')
        if self.is_orthogonal and self.repeat[1] % 2:
            raise InterfaceSettingsError(
                f'repeat is {self.repeat}: an orthogonal fcc(111) cell needs an even second number, '
                f'such as {self.repeat[1] + 1}, or is_orthogonal false'
            )
        if self.n_frozen_layers > self.repeat[2]:
            raise InterfaceSettingsError(
                f'n_frozen_layers is {self.n_frozen_layers}, but the slab has {self.repeat[2]} layers'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InterfaceSettings:
        """Return checked settings from those that differ from the defaults.

        :param values: settings by name; lists stand for tuples.
        :raises InterfaceSettingsError: for an unknown name, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'interface setting', InterfaceSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class InterfaceReport:
    """What was built."""

    area: float
    """Lateral area of the cell [Å²]."""
    n_metal: int
    """Number of metal atoms."""
    n_water: int
    """Number of water molecules."""
    n_ions: int
    """Number of ions."""
    charge_label: str
    """Charge state, e.g. ``'2Na'``."""
    metal_charge: float
    """Charge of the metal [e]."""
    surface_charge_e_per_angstrom2: float
    """Surface charge density of one wet side [e/Å²]."""
    surface_charge_microcoulomb_per_cm2: float
    """The same [µC/cm²]."""
    water_thickness: float
    """Thickness of the film that was packed [Å]."""
    water_density: float
    """Mass of water over the volume of the film [g/cm³]."""
    frozen_atoms: tuple[int, ...]
    """Indices of the atoms of the frozen layers."""
    packmol_version: str
    """Version that packed the film."""
    packmol_seed: int
    """Its seed."""
    packmol_tolerance: float
    """Smallest distance between atoms of different molecules that was asked for and reached [Å]."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return {**dataclasses.asdict(self), 'frozen_atoms': list(self.frozen_atoms)}


@dataclass(frozen=True)
class BuiltInterface:
    """A cell and what is in it."""

    frame: Frame
    """Atoms in the order metal, then O H H of each water, then ions; column ``charge_state`` is the number of ions."""
    report: InterfaceReport
    """Areas, counts, densities, charges."""


@dataclass(frozen=True)
class _Film:
    """Space that packmol fills."""

    lengths: tuple[float, float]
    """Lateral lengths of a rectangle of the area of the cell [Å]."""
    bottom: float
    """Lower bound of the film [Å]."""
    height: float
    """Thickness of the film [Å]."""
    lateral_margin: float
    """Distance kept from the two bounds along y, where images of a hexagonal cell are displaced; 0 if periodic [Å]."""


@dataclass(frozen=True)
class _Plan:
    """All that is known before packing."""

    metal: Floats
    """Positions of the metal [Å], shape ``(n_metal, 3)``."""
    lateral: Floats
    """Lateral cell vectors as rows [Å], shape ``(2, 3)``."""
    area: float
    """Lateral area [Å²]."""
    n_water: int
    film: _Film
    windows: tuple[_IonWindow, ...]


def _plan(settings: InterfaceSettings) -> _Plan:
    """Return slab, film and windows of the ions.

    :raises InterfaceSettingsError: if ions do not fit in the film.
    """
    slab = fcc111(settings.metal, settings.repeat, a=settings.lattice_constant, orthogonal=settings.is_orthogonal)
    metal = slab.positions - [0, 0, slab.positions[:, 2].min()]
    if settings.sides == 1:
        metal[:, 2] += BOTTOM_MARGIN
    lateral = np.array(slab.cell)[:2]
    area = float(np.linalg.norm(np.cross(lateral[0], lateral[1])))
    water_volume = WATER_MASS * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3 / settings.water_density
    n_water = settings.n_water or max(round(settings.water_thickness * area / water_volume), 1)
    top = float(metal[:, 2].max())
    film = _Film(
        lengths=(float(lateral[0, 0]), area / float(lateral[0, 0])),
        bottom=top + settings.water_metal_gap,
        height=n_water * water_volume / area,
        lateral_margin=0.0 if settings.is_orthogonal else TOLERANCES[0] / 2,
    )
    return _Plan(metal, lateral, area, n_water, film, _ion_windows(settings, film, top))


def check_room(settings: InterfaceSettings) -> None:
    """Check, without packing anything, that the ions fit in the film.

    :param settings: what is to be built.
    :raises InterfaceSettingsError: if the window misses the film, or is too small for the ions.
    """
    _plan(settings)


def build_interface(settings: InterfaceSettings) -> BuiltInterface:
    """Return a packed cell; the same settings give the same atoms with the same version of packmol.

    A one-sided film has ``pbc`` true, true, false; a two-sided one is periodic in all directions.

    :param settings: what to build.
    :raises InterfaceSettingsError: if ions do not fit in the film.
    :raises PackingError: if packmol is missing or finds no arrangement.
    """
    plan = _plan(settings)
    lateral, film, n_water, area = plan.lateral, plan.film, plan.n_water, plan.area
    metal, windows = plan.metal, plan.windows
    packed, tolerance, version = _pack(film, n_water, windows, settings.seed)
    above = settings.vacuum if settings.sides == 1 else settings.water_metal_gap
    cell = np.array([*lateral, [0.0, 0.0, film.bottom + film.height + above]])
    symbols = [settings.metal] * len(metal) + ['O', 'H', 'H'] * n_water + [settings.ion] * settings.n_ions
    frame = Frame(
        numbers=np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.uint8),
        positions=np.vstack([metal, packed]),
        cell=cell,
        pbc=np.array([True, True, settings.sides == 2]),
        columns={'charge_state': settings.n_ions},
    )
    state = charge_state(symbols, cell, settings.sides)
    report = InterfaceReport(
        area=area,
        n_metal=len(metal),
        n_water=n_water,
        n_ions=settings.n_ions,
        charge_label=state.label,
        metal_charge=state.metal_charge + 0.0,  # no negative zero
        surface_charge_e_per_angstrom2=state.surface_charge_density + 0.0,
        surface_charge_microcoulomb_per_cm2=state.surface_charge_density_microcoulomb_per_cm2 + 0.0,
        water_thickness=film.height,
        water_density=n_water * WATER_MASS * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3 / (area * film.height),
        frozen_atoms=tuple(range(settings.n_frozen_layers * settings.repeat[0] * settings.repeat[1])),
        packmol_version=version,
        packmol_seed=settings.seed,
        packmol_tolerance=tolerance,
    )
    return BuiltInterface(frame=frame, report=report)


@dataclass(frozen=True)
class _IonWindow:
    """Heights in the cell between which some of the ions are placed."""

    low: float
    high: float
    n_ions: int


def _ion_windows(settings: InterfaceSettings, film: _Film, top: float) -> tuple[_IonWindow, ...]:
    """Return where ions go: above the metal, for a two-sided film every second one below its periodic image.

    :raises InterfaceSettingsError: if the window misses the film, or is too small for the ions.
    """
    if not settings.n_ions:
        return ()
    end = film.bottom + film.height
    low, high = max(top + settings.ion_window[0], film.bottom), min(top + settings.ion_window[1], end)
    if low >= high:
        raise InterfaceSettingsError(
            f'ion_window is {settings.ion_window[0]:g} to {settings.ion_window[1]:g} Å above the metal, but the film '
            f'extends from {film.bottom - top:.2f} to {end - top:.2f} Å: move the window into the film'
        )
    upper = settings.n_ions // 2 if settings.sides == 2 else 0
    windows = [_IonWindow(low, high, settings.n_ions - upper)]
    if upper:
        image = end + settings.water_metal_gap
        windows.append(_IonWindow(image - (high - top), image - (low - top), upper))
    room = int(film.lengths[0] * film.lengths[1] * (high - low) / VOLUME_PER_ION)
    if windows[0].n_ions > room:
        raise InterfaceSettingsError(
            f'{windows[0].n_ions} ions do not fit between {low - top:.2f} and {high - top:.2f} Å above the metal, '
            f'where the film has room for {room}: widen ion_window or the cell'
        )
    return tuple(windows)


def find_packmol() -> str:
    """Return the path of packmol: beside the interpreter, else on the search path.

    :raises PackingError: if there is none.
    """
    beside = Path(sys.executable).parent / 'packmol'
    found = str(beside) if beside.is_file() else shutil.which('packmol')
    if found is None:
        raise PackingError(
            f"packmol was not found beside the interpreter or on PATH; install it with '{PACKMOL_INSTALL}'"
        )
    return found


def _pack(film: _Film, n_water: int, windows: tuple[_IonWindow, ...], seed: int) -> tuple[Floats, float, str]:
    """Return positions of O H H of each water, then of the ions, with the tolerance reached and the version of packmol.

    :raises PackingError: if packmol is missing or fails at every tolerance.
    """
    packmol = find_packmol()
    angle = np.radians(WATER_ANGLE_DEGREES)
    hydrogens = [(1.0, 0.0), (float(np.cos(angle)), float(np.sin(angle)))]
    water = ['3', '', 'O 0 0 0'] + [
        f'H {WATER_BOND_LENGTH * x:.8f} {WATER_BOND_LENGTH * y:.8f} 0' for x, y in hydrogens
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'water.xyz').write_text('\n'.join(water) + '\n')
        (folder / 'ion.xyz').write_text('1\n\nNa 0 0 0\n')
        for tolerance in TOLERANCES:
            (folder / 'packmol.inp').write_text(_packmol_input(film, n_water, windows, seed, tolerance))
            # A real file: packmol rewinds its input, and reads nothing from a pipe.
            with (folder / 'packmol.inp').open() as handle:
                run = subprocess.run([packmol], stdin=handle, capture_output=True, text=True, cwd=folder, check=False)
            if 'Success!' in run.stdout:
                version = re.search(r'Version (\S+)', run.stdout)
                positions = np.loadtxt(folder / 'packed.xyz', skiprows=2, usecols=(1, 2, 3), ndmin=2)
                return positions, tolerance, version.group(1) if version else ''
    raise PackingError(
        f'packmol could not pack {n_water} water molecules and {sum(window.n_ions for window in windows)} ions with '
        f'atoms {TOLERANCES[-1]} Å apart or more: lower water_density or widen ion_window'
    )


def _packmol_input(film: _Film, n_water: int, windows: tuple[_IonWindow, ...], seed: int, tolerance: float) -> str:
    """Return the input of packmol. Along the normal its period exceeds the film, so that there are no images there."""
    x, y = film.lengths
    top = film.bottom + film.height

    def structure(name: str, count: int, low: float, high: float) -> list[str]:
        box = f'0. {film.lateral_margin:.6f} {low:.6f} {x:.6f} {y - film.lateral_margin:.6f} {high:.6f}'
        return [f'structure {name}', f'  number {count}', f'  inside box {box}', 'end structure']

    lines = [f'tolerance {tolerance:g}', 'filetype xyz', 'output packed.xyz', f'seed {seed + 1}', 'nloop 200']
    lines.append(f'pbc 0. 0. {film.bottom - tolerance:.6f} {x:.6f} {y:.6f} {top + tolerance:.6f}')
    lines += structure('water.xyz', n_water, film.bottom, top)
    for window in windows:
        lines += structure('ion.xyz', window.n_ions, window.low, window.high)
    return '\n'.join(lines) + '\n'
