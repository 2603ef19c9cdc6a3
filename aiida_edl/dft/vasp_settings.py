"""What a single point of VASP is told: which physics, and how its equations are solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.dft.functionals import Dispersion, Functional
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.charge_state import count_ions
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.gradient_check import REFERENCE_SCALE
from aiida_edl.science.vacuum import vacuum_widths
from aiida_edl.typed_fields import checked_fields

MINIMUM_VACUUM = 10.0
"""Least vacuum of a film, an atom or a molecule between its images [Å]; chosen here."""
LEAST_DIFFERENCE_OF_SIDES = 0.1
"""By how much the sides of the box of an atom differ at least [Å]: in a cubic box a broken shell stays symmetric."""
COLUMN_OF_IONS = 'charge_state'
"""Column of the frames with the number of ions."""
TAGS_OF_SETTINGS = (
    'algo', 'dipol', 'ediff', 'encut', 'gga', 'ibrion', 'idipol', 'isif', 'ismear', 'ispin', 'ivdw', 'kgamma',
    'kpar', 'kspacing', 'lasph', 'lcharg', 'ldipol', 'lreal', 'lvhar', 'lwave', 'ncore', 'nelect', 'nelm', 'nsw',
    'prec', 'sigma',
)  # fmt: skip
"""Tags of the INCAR that follow from the settings and the frame; they cannot be given as tags of one's own."""
TAGS_BY_ELEMENT = {'magmom': 0.0, 'ldaul': -1, 'ldauu': 0.0, 'ldauj': 0.0}
"""Tags of the INCAR with a value for each site or element, given by element; the value of elements not named."""
TAGS_OF_SITES = ('langevin_gamma', 'm_constr', 'psubsys', 'quad_efg', 'ropt', 'rwigs')
"""Tags of the INCAR with a value for each site or element that cannot be given: the POSCAR has an order of its own."""
TAGS_WITHOUT_PHYSICS = (
    'amin', 'amix', 'amix_mag', 'bmix', 'bmix_mag', 'icharg', 'iniwav', 'istart', 'isym', 'lmaxmix', 'lorbit', 'lplane',
    'lscalapack', 'lvtot', 'maxmix', 'nbands', 'nedos', 'nelmdl', 'nelmin', 'npar', 'nsim', 'nwrite', 'system', 'time',
)  # fmt: skip
"""Tags of the INCAR that help to find the energy, or print more, and do not change it."""


class VaspSettingsError(ValueError):
    """Settings or frames that VASP could not be run with; one sentence: what, its value, the remedy."""


class Smearing(str, Enum):
    """How states around the Fermi level are occupied. The forces are the gradient of the free energy of each."""

    GAUSSIAN = 'gaussian'
    FERMI_DIRAC = 'fermi_dirac'
    METHFESSEL_PAXTON = 'methfessel_paxton'


class Shape(str, Enum):
    """What a frame is, by its periodicity; each is computed in its own way."""

    BULK = 'bulk'
    FILM = 'film'
    MOLECULE = 'molecule'
    ATOM = 'atom'


@dataclass(frozen=True)
class VaspSettings:
    """A single point with PAW potentials: the level of theory, then how it is reached, then how it is run."""

    functional: Functional = Functional.RPBE
    """Exchange-correlation functional: ``PBE``, ``RPBE`` or ``revPBE`` (GGA); dimensionless."""
    dispersion: Dispersion = Dispersion.D3_ZERO
    """``none``, ``d3_zero`` (IVDW 11) or ``d3_bj`` (IVDW 12); single atoms have none; dimensionless."""
    potential_family: str = ''
    """Name under which the POTCARs were uploaded to AiiDA; dimensionless."""
    potential_mapping: Mapping[str, str] = field(default_factory=dict)
    """Name of the POTCAR of each element, e.g. ``{'Na': 'Na_pv'}``; dimensionless."""
    cutoff: float = 450.0
    """Kinetic energy of the highest plane wave, ENCUT [eV]."""
    k_spacing: float = 0.18
    """Largest distance of k-points [1/Å], 2π included, as KSPACING of VASP; none along z of films."""
    smearing: Smearing = Smearing.GAUSSIAN
    """``gaussian``, ``fermi_dirac`` or ``methfessel_paxton`` (ISMEAR 0, -1 or 1); atoms: gaussian; dimensionless."""
    smearing_width: float = 0.1
    """Width of the smearing, SIGMA [eV]."""
    is_spin_polarized: bool = False
    """Whether both spins have orbitals of their own (ISPIN 2); those of single atoms always have; dimensionless."""
    total_charge_column: str | None = None
    """Column of the frames with the total charge of the cell [e], against a uniform background; None: neutral cells,
    in which ions are charged by the metal."""
    has_dipole_correction: bool = True
    """Whether films get a dipole correction along z (LDIPOL, IDIPOL 3); dimensionless."""
    precision: str = 'Accurate'
    """Grids and projectors, PREC: ``Normal`` or ``Accurate``; dimensionless."""
    has_real_space_projectors: bool = True
    """Whether projection is done in real space (LREAL Auto), faster for large cells; dimensionless."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    """Further tags of the INCAR by name, e.g. ``{'AMIX': 0.1}``; the level of theory names those with physics. MAGMOM
    [μB], LDAUL, LDAUU and LDAUJ [eV] are by element, e.g. ``{'MAGMOM': {'Fe': 5.0}}``."""

    energy_threshold: float = 1e-6
    """Change of the energy at which the SCF is converged, EDIFF [eV]."""
    maximum_scf_steps: int = 200
    """SCF steps after which another way is tried, NELM; dimensionless."""
    algorithm: str = 'Fast'
    """How the SCF is found, ALGO: ``Normal``, ``Fast``, ``VeryFast`` or ``All``; dimensionless."""

    reports_vacuum_level: bool = False
    """Whether films get a work function (LVHAR), which writes the potential to the scratch disk; dimensionless."""
    n_cores_per_orbital: int | None = None
    """Cores that share an orbital, NCORE; None for the default of VASP; dimensionless."""
    n_k_point_groups: int | None = None
    """Groups of cores that share the k-points, KPAR; None for the default of VASP; dimensionless."""
    maximum_active_jobs: int = 20
    """Jobs that are submitted side by side, one for each frame; dimensionless."""

    def __post_init__(self) -> None:
        """Check the settings.

        :raises VaspSettingsError: with the name, the value and the remedy.
        """
        positive = ('cutoff', 'k_spacing', 'smearing_width', 'energy_threshold', 'maximum_scf_steps')
        for name in (*positive, 'maximum_active_jobs', 'n_cores_per_orbital', 'n_k_point_groups'):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise VaspSettingsError(f'{name} is {value}, it must be positive')
        choices = {'precision': ('Normal', 'Accurate'), 'algorithm': ('Normal', 'Fast', 'VeryFast', 'All')}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise VaspSettingsError(unknown_name_message(name, getattr(self, name), known))
        for tag in self.tags:
            if tag.lower() in TAGS_OF_SETTINGS:
                raise VaspSettingsError(
                    f'the tag {tag.upper()} follows from the settings and the frame; leave it out, and change the '
                    'setting it belongs to'
                )
            if tag.lower() in TAGS_OF_SITES:
                raise VaspSettingsError(
                    f'the tag {tag.upper()} is in the order of sites or elements of a POSCAR, which differs from that '
                    'of the frames; leave it out'
                )
            if tag.lower() in TAGS_BY_ELEMENT:
                _check_tag_by_element(tag.upper(), self.tags[tag])

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VaspSettings:
        """Return settings from those that differ from the defaults.

        :param values: by the names of the fields, enumerations by their values.
        :raises VaspSettingsError: for an unknown name or value, with the nearest.
        """
        given = dict(values)
        kinds: dict[str, type[Enum]] = {'functional': Functional, 'dispersion': Dispersion, 'smearing': Smearing}
        for name, kind in kinds.items():
            if name in given:
                choices = [str(member.value) for member in kind]
                if given[name] not in choices:
                    raise VaspSettingsError(unknown_name_message(name, str(given[name]), choices))
                given[name] = kind(given[name])
        return cls(**checked_fields(cls, given, 'setting of VASP', VaspSettingsError))

    @property
    def charge_convention(self) -> str:
        """How cells are charged, in words."""
        if self.total_charge_column is None:
            return 'neutral cells, the metal carries the opposite of the formal charges of the ions'
        return f'total charge of the column {self.total_charge_column}, against a uniform background'

    def level_of_theory(self, titles: Sequence[str] = ()) -> str:
        """Return what the energies are, in words: all that changes them, and nothing that only helps to find them.

        :param titles: titles of the POTCARs.
        """
        parts = [
            f'VASP {self.functional.value}',
            self.dispersion.in_words,
            f'PAW {" + ".join(sorted(titles))}' if titles else 'PAW',
            f'{self.cutoff:g} eV',
            f'k-points every {self.k_spacing:g}/Å, one along z of films',
            f'{self.smearing.value.replace("_", "-")} smearing of {self.smearing_width:g} eV, free energy',
            f'PREC {self.precision}',
            'projectors in real space' if self.has_real_space_projectors else 'projectors in reciprocal space',
        ]
        optional = {
            'spin-polarised': self.is_spin_polarized,
            'dipole correction along z of films': self.has_dipole_correction,
            'total charge against a uniform background': self.total_charge_column is not None,
        }
        parts += [words for words, holds in optional.items() if holds]
        physical = {tag.upper(): value for tag, value in self.tags.items() if tag.lower() not in TAGS_WITHOUT_PHYSICS}
        return ', '.join(parts + [f'{tag} = {_in_words(value)}' for tag, value in sorted(physical.items())])

    def total_charge(self, frame: Frame) -> float:
        """Return the total charge of the cell of a frame [e].

        :param frame: with the column that the settings name, if they name one.
        """
        return 0.0 if self.total_charge_column is None else float(frame.columns[self.total_charge_column])

    def n_electrons(self, frame: Frame, valences: Mapping[str, float]) -> float:
        """Return the number of electrons that VASP should count, its NELECT.

        :param frame: the frame.
        :param valences: electrons that the potential of each element leaves, ZVAL.
        """
        return sum(valences[chemical_symbols[number]] for number in frame.numbers) - self.total_charge(frame)


def _check_tag_by_element(tag: str, values: Any) -> None:
    """Check that a tag has a number for each element that it names."""
    if not isinstance(values, Mapping):
        raise VaspSettingsError(
            f'the tag {tag} is {values!r}, but the sites of a POSCAR are in another order than those of the frames; '
            f"give it by element, for example {{'Fe': {2 if tag == 'LDAUL' else 5.0}}}"
        )
    kind = int if tag == 'LDAUL' else (int, float)
    for symbol, value in values.items():
        if symbol not in chemical_symbols[1:]:
            raise VaspSettingsError(f'the tag {tag} names {symbol!r}, which is no element; give it by chemical symbol')
        if isinstance(value, bool) or not isinstance(value, kind) or not np.isfinite(value):
            expected = 'an integer' if tag == 'LDAUL' else 'a finite number'
            raise VaspSettingsError(f'the tag {tag} of {symbol} is {value!r}, expected {expected}')


def _in_words(value: Any) -> str:
    """Return the value of a tag in words; elements alphabetically."""
    if isinstance(value, Mapping):
        return f'{{{", ".join(f"{symbol}: {number}" for symbol, number in sorted(value.items()))}}}'
    return str(value)


def shape_of(frame: Frame) -> Shape:
    """Return what a frame is.

    :param frame: the frame.
    :raises VaspSettingsError: if it is periodic in a way that cannot be computed.
    """
    periodicity = tuple(bool(value) for value in frame.pbc)
    if periodicity == (True, True, True):
        return Shape.BULK
    if periodicity == (True, True, False):
        return Shape.FILM
    if periodicity == (False, False, False):
        return Shape.ATOM if len(frame.numbers) == 1 else Shape.MOLECULE
    raise VaspSettingsError(
        f'the frame is periodic along {periodicity}; periodic along all, along none, or a film with vacuum along the '
        'third cell vector can be computed'
    )


def check_frame(frame: Frame, settings: VaspSettings) -> None:
    """Refuse a frame that VASP could not compute, or would compute as something else.

    :param frame: the frame.
    :param settings: how it would be computed.
    :raises VaspSettingsError: one sentence: what is wrong, and the remedy.
    """
    shape = shape_of(frame)
    if not (np.isfinite(frame.positions).all() and np.isfinite(frame.cell).all()):
        raise VaspSettingsError('positions or cell are not finite; leave the frame out')
    volume = np.linalg.det(frame.cell)
    if abs(volume) < 1e-6:
        raise VaspSettingsError('the cell has no volume; put a molecule into a box')
    if volume < 0:
        raise VaspSettingsError('the cell vectors are left-handed, which VASP refuses; exchange two of them')
    scale = float(frame.columns.get(REFERENCE_SCALE, 1.0))
    if not (np.isfinite(scale) and scale > 0):
        raise VaspSettingsError(
            f'the column {REFERENCE_SCALE} is {scale:g}, it must be positive, 1 for a cell that was not scaled'
        )
    _check_ions(frame)
    if shape is Shape.FILM:
        _check_film(frame)
    if shape in (Shape.ATOM, Shape.MOLECULE):
        _check_box(frame, shape)


def _check_ions(frame: Frame) -> None:
    """Check that the number of ions that the frame is said to have is the number that it has."""
    if COLUMN_OF_IONS not in frame.columns:
        return
    ions = count_ions(chemical_symbols[number] for number in frame.numbers)
    said, there = float(frame.columns[COLUMN_OF_IONS]), sum(ions.values())
    if said != there:
        names = ', '.join(f'{count} {symbol}' for symbol, count in sorted(ions.items())) or 'none'
        raise VaspSettingsError(
            f'the column {COLUMN_OF_IONS} says {said:g} ions, but the frame holds {there} ({names}), so that its '
            'electrons would not be those of that charge state; correct the column'
        )


def _check_film(frame: Frame) -> None:
    """Check that the open direction of a film is z, and that there is vacuum along it."""
    if np.abs(frame.cell[2, :2]).max() > 1e-6 or np.abs(frame.cell[:2, 2]).max() > 1e-6:
        raise VaspSettingsError('the film is open along a cell vector that is not along z; turn it so that it is')
    vacuum = float(vacuum_widths(FrameSet.from_frames([frame]))[0, 2])
    if vacuum < MINIMUM_VACUUM:
        raise VaspSettingsError(
            f'the film has {vacuum:.3g} Å of vacuum, it needs {MINIMUM_VACUUM:g} Å; lengthen the cell along z'
        )


def _check_box(frame: Frame, shape: Shape) -> None:
    """Check that an atom or a molecule is far from its images, and that the box breaks the symmetry of an atom."""
    if np.abs(frame.cell - np.diag(np.diag(frame.cell))).max() > 1e-6:
        raise VaspSettingsError(f'the box of the {shape.value} is not rectangular; give one along x, y and z')
    sides = np.diag(frame.cell)
    vacuum = float((sides - np.ptp(frame.positions, axis=0)).min())
    if vacuum < MINIMUM_VACUUM:
        raise VaspSettingsError(
            f'the {shape.value} has {vacuum:.3g} Å to its image, it needs {MINIMUM_VACUUM:g} Å; enlarge its box'
        )
    if shape is Shape.ATOM and np.diff(np.sort(sides)).min() < LEAST_DIFFERENCE_OF_SIDES:
        words = ', '.join(f'{side:.4g}' for side in sides)
        raise VaspSettingsError(
            f'the box of the atom has sides of {words} Å; make all three differ by {LEAST_DIFFERENCE_OF_SIDES:g} Å, so '
            'that an open shell can break the symmetry'
        )
