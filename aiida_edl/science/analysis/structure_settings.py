"""What the structure of an interface is analysed with. Two results can be compared if these settings are equal."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.planar_bins import PlanarBins
from aiida_edl.science.analysis.profile_settings import SURFACE_CHOICES
from aiida_edl.typed_fields import checked_fields

VERTICES = ('oxygen', 'hydrogen')


class StructureSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class StructureSettings:
    """Pairs, cutoffs and layers of :func:`~aiida_edl.science.analysis.interface_structure.interface_structure`.

    Values without a source are the choice of the project.
    """

    pairs: tuple[str, ...] = ()
    """Pairs of elements, e.g. ``'Na-O'``: the coordination number is that of the second around the first. None given
    takes all among O, H, the ion and the metal but metal with itself."""
    bin_width: float = 0.05
    """Width of the bins of the distance [Å]."""
    rdf_range: float = 0.0
    """Largest distance [Å], a whole multiple of ``bin_width``; 0 takes what the cell allows, at most 8 Å."""
    counts_intramolecular: bool = False
    """Whether O–H and H–H pairs within one molecule count, by the nearest O of each H."""
    coordination_cutoff: float = 0.0
    """Distance within which an oxygen coordinates the ion [Å]; 0 takes the value of its element."""
    ion_bounds: tuple[float, float] = (4.0, 7.0)
    """Heights at which contact ends and bulk begins [Å], by default those of the first two layers of water; between
    them an ion is outer-sphere."""
    height_bin_width: float = 1.0
    """Width of the bins along the normal for the coordination of the ion [Å]."""
    z_max: float = 15.0
    """Height at which these bins end [Å]."""
    layer_bounds: tuple[float, ...] = (0.0, 4.0, 7.0, 10.0)
    """Heights of the oxygen between which hydrogen bonds are counted layer by layer [Å]."""
    first_layer_bound: float = 4.0
    """Height of the oxygen below which a water belongs to the first layer [Å]."""
    adsorption_bound: float = 2.7
    """Height below which an oxygen is adsorbed on the metal [Å]."""
    pointing_cosine: float = 0.5
    """A water of the first layer points up if cos θ of its dipole exceeds this, down if it is below the negative."""
    hydrogen_bond_distance: float = 3.5
    """Largest O–O distance of a hydrogen bond [Å]; Luzar and Chandler, Nature 379, 55 (1996)."""
    hydrogen_bond_angle: float = 30.0
    """Largest angle of a hydrogen bond [degree]; same source."""
    hydrogen_bond_vertex: str = 'oxygen'
    """Where that angle is: ``'oxygen'`` between O–H and O···O, as in that source; ``'hydrogen'`` for the deviation of
    O–H···O from a straight line, as in MDAnalysis."""
    surfaces: str = 'average'
    """``'average'`` over all wet surfaces, ``'lower'`` or ``'upper'``."""
    ion: str = ''
    """Chemical symbol of the ion; ``''`` takes the only kind that occurs."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    frame_stride: int = 1
    """Each of so many frames of a replica is analysed, the first one included."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges and that all bins fit.

        :raises StructureSettingsError: with the name, the value and the remedy.
        """
        for name, value, known in (
            ('choice of surfaces', self.surfaces, SURFACE_CHOICES),
            ('vertex of a hydrogen bond', self.hydrogen_bond_vertex, VERTICES),
        ):
            if value not in known:
                raise StructureSettingsError(unknown_name_message(name, value, known))
        for name in ('first_layer_bound', 'adsorption_bound', 'hydrogen_bond_distance', 'hydrogen_bond_angle'):
            if getattr(self, name) <= 0:
                raise StructureSettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        for name, least in (
            ('rdf_range', 0),
            ('coordination_cutoff', 0),
            ('equilibration_frames', 0),
            ('frame_stride', 1),
        ):
            if getattr(self, name) < least:
                raise StructureSettingsError(f'{name} is {getattr(self, name)}, it must be at least {least}')
        if not 0 <= self.pointing_cosine < 1:
            raise StructureSettingsError(
                f'pointing_cosine is {self.pointing_cosine}, it must be at least 0 and below 1'
            )
        if len(self.layer_bounds) < 2:
            raise StructureSettingsError(f'layer_bounds is {list(self.layer_bounds)}, a layer needs two bounds')
        for name in ('ion_bounds', 'layer_bounds'):
            bounds = (0.0, *self.ion_bounds) if name == 'ion_bounds' else self.layer_bounds
            if any(low >= high for low, high in itertools.pairwise(bounds)) or bounds[0] < 0:
                raise StructureSettingsError(f'{name} is {list(getattr(self, name))}, it must ascend from 0 Å or above')
        try:
            PlanarBins(self.height_bin_width, self.z_max)
            PlanarBins(self.bin_width, self.rdf_range or self.bin_width)
        except ValueError as error:
            raise StructureSettingsError(str(error)) from error

    @property
    def height_bins(self) -> PlanarBins:
        """Bins along the normal for the coordination of the ion."""
        return PlanarBins(self.height_bin_width, self.z_max)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StructureSettings:
        """Return checked settings from those that differ from the defaults.

        :raises StructureSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'structure setting', StructureSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
