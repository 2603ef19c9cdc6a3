"""Which summation method with which numbers: what a tuning finds, and what a job is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

METHODS = ('direct', 'ewald', 'pme', 'p3m')
MESH_METHODS = ('pme', 'p3m')
NODES = {'pme': (3, 7), 'p3m': (3, 10)}
"""Fewest and most interpolation nodes of the mesh methods."""


class SummationSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type, out of range or of another method."""


@dataclass(frozen=True)
class SummationSettings:
    """Numbers of a sum over point charges and their periodic images."""

    method: str = 'p3m'
    """``'direct'`` (all pairs, open in all directions), ``'ewald'``, ``'pme'`` or ``'p3m'``."""
    cutoff_radius: float = 9.0
    """Distance up to which pairs are summed in real space [Å]; the direct sum has none."""
    smearing: float = 1.8
    """Standard deviation σ of the Gaussian that parts both sums [Å], α = 1/(√2 σ)."""
    k_cutoff: float | None = None
    """Longest wave vector of Ewald's method [1/Å]."""
    mesh: tuple[int, int, int] | None = None
    """Points of the mesh along each cell vector, for PME and P3M. It stays the same when the cell changes."""
    nodes: int = 5
    """Interpolation nodes along each axis: the order of the splines of P3M (3 to 10, by PyTorch to 5), of the
    polynomials plus one of PME (3 to 7, by PyTorch alone)."""
    has_background: bool = False
    """Whether a net charge is neutralised by a uniform background; else it is refused."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises SummationSettingsError: with the name, the value and the remedy.
        """
        if self.method not in METHODS:
            raise SummationSettingsError(unknown_name_message('summation method', self.method, METHODS))
        for name in ('cutoff_radius', 'smearing', 'k_cutoff'):
            value = getattr(self, name)
            if value is not None and value <= 0.0:
                raise SummationSettingsError(f'{name} is {value}, it must be positive')
        if self.method == 'ewald' and self.k_cutoff is None:
            raise SummationSettingsError('the method ewald needs a k_cutoff [1/Å], none was given')
        if self.method in MESH_METHODS:
            self._check_mesh()

    def _check_mesh(self) -> None:
        """Check what a mesh method needs.

        :raises SummationSettingsError: with the name, the value and the remedy.
        """
        fewest, most = NODES[self.method]
        if not fewest <= self.nodes <= most:
            raise SummationSettingsError(
                f'nodes is {self.nodes}, the method {self.method} takes {fewest} to {most} interpolation nodes'
            )
        if self.mesh is None:
            raise SummationSettingsError(f'the method {self.method} needs a mesh of three numbers, none was given')
        if min(self.mesh) < self.nodes:
            raise SummationSettingsError(
                f'the mesh {self.mesh} has fewer points along a cell vector than the {self.nodes} nodes; at least as '
                'many are needed'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SummationSettings:
        """Return checked settings from those that differ from the defaults.

        :raises SummationSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the summation', SummationSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return {**values, 'mesh': None if self.mesh is None else list(self.mesh)}
