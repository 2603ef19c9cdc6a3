"""Which curves of which analyses the report draws; each has a figure and a table.

A new analysis is drawn by an entry in :data:`CURVE_FIGURES`; its numbers stand in the table ``analyses`` without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from aiida_edl.provenance.analysed_runs import ERROR_SUFFIX, PROFILES, AnalysedRun

PER_NM3 = 1000.0
"""1/nm³ in one 1/Å³."""
HEIGHT = 'height above surface (Å)'


@dataclass(frozen=True)
class Curve:
    """One array of an analysis against another."""

    analysis: str
    """Name of the analysis."""
    x: str
    """Name of the array along the abscissa."""
    y: str
    """Name of the array that is drawn; its error is the array of that name with ``_error``."""
    y_label: str
    """What stands at the ordinate, with the unit; ``{ion}`` and ``{metal}`` are replaced by theirs."""
    scale: float = 1.0
    """Factor from the unit of the array to that of the label."""
    unit: str = ''
    """Unit of the array as part of the name of a column, e.g. ``gram_per_cm3``."""
    x_unit: str = 'angstrom'
    """Unit of the abscissa as part of the name of a column."""
    row: int | None = None
    """Position along the first axis of arrays of several curves."""
    pair: tuple[str, str] | None = None
    """Pair of elements that a row belongs to, found by its name; ``'ion'`` and ``'metal'`` stand for theirs."""
    needs_ions: bool = False
    """Whether a charge state without ions has nothing to show."""
    starts_at_zero: bool = False
    """Whether the ordinate begins at zero."""

    @property
    def _stem(self) -> str:
        """Array, and row or pair, as the beginning of names of columns."""
        part = self.row + 1 if self.row is not None else '_'.join(self.pair) if self.pair else ''
        return f'{self.y}_{part}' if part else self.y

    @property
    def column(self) -> str:
        """Name of the column of its values."""
        return f'{self._stem}_{self.unit}' if self.unit else self._stem

    @property
    def error_column(self) -> str:
        """Name of the column of its standard errors."""
        return f'{self._stem}_error_{self.unit}' if self.unit else f'{self._stem}_error'

    def values(self, run: AnalysedRun) -> NDArray[Any] | None:
        """Return what a run has of the curve; None if nothing.

        :param run: the run.
        """
        return self._row_of(run, self.y)

    def errors(self, run: AnalysedRun) -> NDArray[Any] | None:
        """Return the standard errors of the curve in a run; None if they are not known.

        :param run: the run.
        """
        return self._row_of(run, f'{self.y}{ERROR_SUFFIX}')

    def _row_of(self, run: AnalysedRun, name: str) -> NDArray[Any] | None:
        """Return the row of an array that the curve shows; None if there is none."""
        if self.pair is None:
            return run.array(name, self.row)
        position = position_of_pair(self.pair, run)
        return None if position is None else run.array(name, position)


OF_WATER = ('O', 'H')
"""Elements of water."""


def position_of_pair(pair: tuple[str, str], run: AnalysedRun) -> int | None:
    """Return the row of a pair of elements among the radial distributions of a run; None if it has none.

    :param pair: elements in any order; ``'ion'`` and ``'metal'`` stand for those of the run.
    :param run: the run, with the attributes ``rdf_pairs`` and ``ion``.
    """
    ion = run.scalars.get('ion') or ''
    for position, name in enumerate(run.scalars.get('rdf_pairs') or []):
        roles = [
            element if element in OF_WATER else 'ion' if element == ion else 'metal' for element in name.split('-')
        ]
        if sorted(roles) == sorted(pair):
            return position
    return None


@dataclass(frozen=True)
class CurveFigure:
    """Curves that are drawn together, for each charge state and kind of training."""

    title: str
    curves: tuple[Curve, ...]
    table: str = ''
    """Table of its numbers, if they do not stand in one of its own name."""
    x_label: str = HEIGHT
    x_limits: tuple[float | None, float | None] = (0.0, None)
    caption: str = ''
    """What the reader has to know of definitions and units."""


CURVE_FIGURES: Mapping[str, CurveFigure] = {
    'orientation': CurveFigure(
        'Water orientation and ions',
        (
            Curve(PROFILES, 'coarse_z', 'coarse_mean_cosine', r'$\langle\cos\theta\rangle$'),
            Curve(
                PROFILES,
                'coarse_z',
                'coarse_ion_number_density',
                '{ion} (nm$^{-3}$)',
                PER_NM3,
                'per_cubic_angstrom',
                needs_ions=True,
                starts_at_zero=True,
            ),
        ),
        table='profiles',
        caption='θ is the angle between the dipole of a water and the outward normal.',
    ),
    'densities': CurveFigure(
        'Density of water',
        (
            Curve(
                PROFILES,
                'z',
                'water_mass_density',
                'water (g cm$^{-3}$)',
                unit='gram_per_cm3',
                starts_at_zero=True,
            ),
            Curve(PROFILES, 'z', 'orientation_density', r'$\rho\cos\theta$ (g cm$^{-3}$)', unit='gram_per_cm3'),
        ),
        caption='The whole mass of a water is put at its oxygen; below, it is weighted by cos θ.',
    ),
    'angles': CurveFigure(
        'Angles of first-layer water',
        (
            Curve(
                PROFILES,
                'angle',
                'angle_distribution',
                'distribution (degree$^{-1}$)',
                unit='per_degree',
                x_unit='degree',
                starts_at_zero=True,
            ),
        ),
        x_label='angle of the dipole to the normal (degree)',
        x_limits=(0.0, 180.0),
        caption='Each distribution integrates to one; an isotropic one is (π/360) sin θ per degree.',
    ),
    'angles_in_layers': CurveFigure(
        'Angles of dipoles and of OH in layers',
        tuple(
            Curve(
                'angular_distributions',
                'angle',
                f'{kind}_distribution',
                f'{words}, layer {layer + 1}\n(degree$^{{-1}}$)',
                unit='per_degree',
                x_unit='degree',
                row=layer,
                starts_at_zero=True,
            )
            for kind, words in (('dipole', 'dipole'), ('bond', 'OH'))
            for layer in range(2)
        ),
        x_label='angle to the normal (degree)',
        x_limits=(0.0, 180.0),
        caption='Layers are counted from the metal, with the bounds of the settings of the analysis.',
    ),
    'potential': CurveFigure(
        'Electrostatic potential',
        (Curve('potential_profile', 'point_z', 'potential', 'potential (V)', unit='volt'),),
        caption='The potential is zero in the metal; the Poisson equation was solved for the boundary of the cell.',
    ),
    'electric_field': CurveFigure(
        'Charge density and field',
        (
            Curve('potential_profile', 'z', 'charge_density', 'charge (e Å$^{-3}$)', unit='e_per_cubic_angstrom'),
            Curve('potential_profile', 'point_z', 'electric_field', 'field (V/Å)', unit='volt_per_angstrom'),
        ),
        caption='The field is positive from the metal into the liquid.',
    ),
    'radial_distributions': CurveFigure(
        'Radial distributions',
        tuple(
            Curve(
                'interface_structure',
                'rdf_r',
                'rdf_g',
                f'$g$, {first}–{second}',
                pair=pair,
                needs_ions='ion' in pair,
                starts_at_zero=True,
            )
            for first, second, pair in (
                ('O', 'O', ('O', 'O')),
                ('O', 'H', ('O', 'H')),
                ('{metal}', 'O', ('metal', 'O')),
                ('{ion}', 'O', ('ion', 'O')),
            )
        ),
        x_label='distance (Å)',
        caption='Each over independent atoms of the same profiles along the normal; pairs within one molecule are left '
        'out, unless the settings count them.',
    ),
    'survival': CurveFigure(
        'Water that stays in the first layer',
        (
            Curve('interface_dynamics', 'lag_time', 'continuous_survival', 'stayed', x_unit='fs', row=0),
            Curve('interface_dynamics', 'lag_time', 'intermittent_survival', 'is there', x_unit='fs', row=0),
        ),
        x_label='lag (fs)',
        caption='Probability to have stayed in the layer without a break (continuous), and to be there again '
        '(intermittent).',
    ),
    'reorientation': CurveFigure(
        'Reorientation of water',
        (
            Curve('interface_dynamics', 'lag_time', 'reorientation_2', '$C_2$', x_unit='fs', row=0),
            Curve('interface_dynamics', 'lag_time', 'dipole_normal_autocorrelation', 'total dipole', x_unit='fs'),
        ),
        x_label='lag (fs)',
        caption='C₂: of the dipoles of waters that stayed in the first layer; total dipole: autocorrelation of that of '
        'all water along the normal.',
    ),
}
"""Figures of curves by name, in the order of the report."""
