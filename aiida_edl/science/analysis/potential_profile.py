r"""Charge density, electric field and potential along the normal of a metal/water interface, each with its error.

Charges are those of the frames where they carry them; else water and ions have fixed charges, and the metal has those
that they induce (:mod:`~aiida_edl.science.analysis.fixed_charges`). The Poisson equation is solved for each block of
frames by :mod:`~aiida_edl.science.analysis.planar_poisson`, so that errors account for correlation in time.

The field is positive where it pushes a positive charge from the metal into the liquid, at the upper surface too: under
the mirror that averages two surfaces, field and normal turn round together. The potential is zero in the metal. The
*potential drop* is that of the metal less that of the bulk liquid,

.. math:: \Delta\phi = \phi_\mathrm{metal} - \phi_\mathrm{liquid},

so it rises with the charge of the metal. The charges are points: the electrons that reach out of a real metal, and the
spread of charges within molecules, shift it by constants that differences between charge states largely lose.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science import units
from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.charge_sums import ChargeGrid, ChargeSums, SurfaceHeights, charge_grids
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.planar_bins import FrameBlocks, ratio_over_replicas
from aiida_edl.science.analysis.planar_poisson import planar_potential, region_mean
from aiida_edl.science.analysis.potential_settings import PotentialSettings
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import AnalysedTrajectory, TrajectoryPart
from aiida_edl.science.analysis.z_pass import WantedSums
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import Estimate

__all__ = ['PotentialProfile', 'PotentialSettings', 'potential_profile']

BULK_SHARE = (0.4, 0.6)
"""Part of the liquid that is bulk, if none is given: the central fifth."""
LIQUID_QUANTILE = 0.95
"""Share of oxygen below the height at which a film ends; the rest is its surface and vapour."""


@dataclass(frozen=True)
class PotentialProfile(StoredResult):
    """Profiles against the height above the surface plane; every ``*_error`` is one standard error of the mean.

    An error is NaN where nothing ever changed. With two wet surfaces and ``surfaces = 'average'`` the profiles are the
    mean over both, each with its own normal.
    """

    stored_subject: ClassVar[str] = 'a potential profile needs'
    settings_type: ClassVar[type[PotentialSettings]] = PotentialSettings

    z: Floats
    """Centres of the bins of the charge density [Å], shape ``(n_bins,)``."""
    charge_density: Floats
    """Charge density [e/Å³], shape ``(n_bins,)``."""
    charge_density_error: Floats
    point_z: Floats
    """Heights at which field and potential are given [Å]: the edges of the bins, shape ``(n_bins + 1,)``."""
    electric_field: Floats
    """Field along the normal, positive from the metal into the liquid [V/Å], shape ``(n_bins + 1,)``."""
    electric_field_error: Floats
    potential: Floats
    """Potential, zero in the metal [V], shape ``(n_bins + 1,)``."""
    potential_error: Floats
    cell_z: Floats
    """Heights above the first analysed surface through the whole cell or film [Å], shape ``(n_points,)``."""
    cell_electric_field: Floats
    """Field at these heights [V/Å], not averaged over surfaces, shape ``(n_points,)``."""
    cell_electric_field_error: Floats
    cell_potential: Floats
    """Potential at these heights, zero in the metal of that surface [V], shape ``(n_points,)``."""
    cell_potential_error: Floats
    surface_potential_drops: Floats
    """Potential drop of each wet surface that is analysed [V], shape ``(n_surfaces,)``."""
    surface_potential_drops_error: Floats
    potential_drop: float
    """Potential of the metal less that of the bulk liquid [V]."""
    potential_drop_error: float
    potential_drop_correlation_time: float
    """Integrated correlation time of the potential drop [blocks of frames]; 0.5 for independent blocks."""
    n_effective: float
    """Independent samples of the potential drop, all replicas together."""
    surface_charge: float
    """Charge of the metal per area of one analysed surface [e/Å²]."""
    surface_charge_error: float
    surface_charge_microcoulomb_per_cm2: float
    """The same [µC/cm²]."""
    surface_charge_microcoulomb_per_cm2_error: float
    metal_field: float
    """Mean field in the metal region [V/Å]; zero in a conductor."""
    metal_field_error: float
    residual_field: float
    """Field that is left beyond the film, or by which the two ends of a periodic cell differ [V/Å]; zero if neutral."""
    potential_step: float
    """Potential beyond the film above less that below [V]: its dipole per area over ε₀. None in a periodic cell."""
    potential_step_error: float
    boundary: str
    """``'vacuum'`` or ``'periodic'``: how the Poisson equation was solved."""
    charge_source: str
    """``'frames'`` or ``'fixed'``: where the charges come from."""
    bulk_lower: float
    """Height at which the bulk liquid begins [Å]."""
    bulk_upper: float
    """Height at which it ends [Å]."""
    frames_at_cut: int
    """Frames with atoms within 1 Å of where the vacuum is cut: their potential may be wrong by a jump."""
    n_surfaces: int
    """Wet surfaces that were averaged."""
    n_wet_sides: int
    """Wet surfaces that there are."""
    area: float
    """Mean lateral area of the cell [Å²]."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between frames [fs]; NaN if the frames carry no column ``time``."""
    settings: PotentialSettings
    """What the profile was made with."""


def potential_profile(frames: FrameSet, settings: PotentialSettings | None = None) -> PotentialProfile:
    """Return charge density, field and potential of a trajectory of a metal/water interface.

    Waters, ions, metal and surface planes are found by themselves; frames are streamed in chunks.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param settings: grid, charges, boundary; None for the defaults.
    :raises NotAnalysableError: if no wet metal surface is found, charges are missing or not neutral, the cell does not
        suit the boundary, or a replica is too short for an error.
    """
    settings = settings or PotentialSettings()
    # The charge of the metal depends on all its surfaces, whichever is analysed.
    trajectory = AnalysedTrajectory.of(frames, dataclasses.replace(settings, surfaces='average'), None)
    trajectory.restricted(settings.surfaces)
    sums = ChargeSums.empty(trajectory.blocks, charge_grids(frames, trajectory.parts, settings))
    WantedSums(charges=(sums, settings)).add(trajectory)
    return potential_of(sums, trajectory, settings)


def potential_of(sums: ChargeSums, trajectory: AnalysedTrajectory, settings: PotentialSettings) -> PotentialProfile:
    """Return what follows from the sums over a trajectory.

    :param sums: sums over all its frames.
    :param trajectory: the trajectory, with all wet surfaces.
    :param settings: with what the sums were made, and which surfaces are averaged.
    :raises NotAnalysableError: if grid or regions do not lie within the cell.
    """
    frames, blocks, parts = trajectory.frames, trajectory.blocks, trajectory.parts
    chosen = [i for i, item in enumerate(parts[0].surfaces) if settings.surfaces in ('average', item.name)]
    bulk = settings.bulk_region if settings.has_bulk_region else _central_liquid(frames, parts[0])
    _check_regions(sums.grids, bulk, settings)
    values = _solved(sums, blocks, chosen, bulk, settings) | _surface_charge(sums, trajectory.replica_of_frame, chosen)
    values |= {
        'boundary': 'vacuum' if sums.grids[0].is_vacuum else 'periodic',
        'charge_source': 'fixed' if settings.are_fixed(frames) else 'frames',
        'bulk_lower': float(bulk[0]),
        'bulk_upper': float(bulk[1]),
        'frames_at_cut': int(np.count_nonzero(sums.at_cut)),
        'n_surfaces': len(chosen),
        'n_wet_sides': len(parts[0].surfaces),
        'area': float(sums.area.mean()),
        'n_frames': len(sums.area),
        'n_replicas': len(trajectory.replicas),
        'frame_interval': trajectory.frame_interval,
    }
    return PotentialProfile(settings=settings, **values)


def _central_liquid(frames: FrameSet, part: TrajectoryPart) -> tuple[float, float]:
    """Return the central part of the liquid in the first frame [Å], to 0.1 Å."""
    places = SurfaceHeights.of_frames(frames, (part.start, part.start + 1), part.surfaces)
    if len(part.surfaces) > 1:
        extent = float(places.above(part.surfaces[0], 0, places.planes[1][:, None])[0, 0])
    else:
        extent = float(np.quantile(places.above(part.surfaces[0], 0)[0, part.groups.oxygen], LIQUID_QUANTILE))
    lower, upper = (round(share * extent, 1) for share in BULK_SHARE)
    return lower, max(upper, lower + 0.1)


def _check_regions(grids: tuple[ChargeGrid, ...], bulk: tuple[float, float], settings: PotentialSettings) -> None:
    """Check that grid and bulk region lie within the cell.

    :raises NotAnalysableError: if not.
    """
    for grid in grids:
        top = grid.length - grid.depth
        if settings.metal_region[0] < -grid.depth:
            raise NotAnalysableError(
                f'metal_region begins at {settings.metal_region[0]} Å, but the film ends {grid.depth:.2f} Å below its '
                'surface; choose a region within the metal'
            )
        if bulk[1] > top:
            raise NotAnalysableError(f'bulk_region ends at {bulk[1]} Å, but the cell ends at {top:.2f} Å')
        if not grid.is_vacuum and settings.z_max > top:
            raise NotAnalysableError(
                f'z_max is {settings.z_max} Å, but the periodic cell repeats {top:.2f} Å above the surface; choose less'
            )


def _solved(
    sums: ChargeSums,
    blocks: FrameBlocks,
    chosen: list[int],
    bulk: tuple[float, float],
    settings: PotentialSettings,
) -> dict[str, Any]:
    """Return all that follows from the Poisson equation, by field name."""
    frames_in_block = blocks.frames_in_block[:, None].astype(np.float64)

    def estimate(values: Floats) -> Estimate:
        return ratio_over_replicas(values, frames_in_block, blocks.replica_of_block)

    solved = [_of_surface(sums, index, bulk, settings) for index in chosen]
    mean = {name: np.mean([item[name] for item in solved], axis=0) for name in solved[0] if not name.startswith('cell')}
    drops = estimate(np.concatenate([item['drop'] for item in solved], axis=1))
    drop, metal, step = (estimate(mean[name]) for name in ('drop', 'metal_field', 'step'))
    is_vacuum = sums.grids[0].is_vacuum
    points = _common_points(settings)
    first = solved[0]
    return {
        'z': 0.5 * (points[1:] + points[:-1]),
        'point_z': points,
        'cell_z': sums.grids[chosen[0]].edges,
        **_pair('charge_density', estimate(mean['density'])),
        **_pair('electric_field', estimate(mean['field'])),
        **_pair('potential', estimate(mean['potential'])),
        **_pair('cell_electric_field', estimate(first['cell_field'])),
        **_pair('cell_potential', estimate(first['cell_potential'])),
        **_pair('surface_potential_drops', drops),
        'potential_drop': float(drop.mean[0]),
        'potential_drop_error': float(drop.error[0]),
        'potential_drop_correlation_time': float(drop.correlation_time[0]),
        'n_effective': float(drop.n_effective[0]),
        'metal_field': float(metal.mean[0]),
        'metal_field_error': float(metal.error[0]),
        'residual_field': float(first['residual'].sum() / frames_in_block.sum()),
        'potential_step': float(step.mean[0]) if is_vacuum else np.nan,
        'potential_step_error': float(step.error[0]) if is_vacuum else np.nan,
    }


def _common_points(settings: PotentialSettings) -> Floats:
    """Return the points of the grid that all surfaces share [Å]."""
    below, above = round(-settings.z_min / settings.bin_width), round(settings.z_max / settings.bin_width)
    return np.asarray(np.arange(-below, above + 1) * settings.bin_width, dtype=np.float64)


def _of_surface(
    sums: ChargeSums, index: int, bulk: tuple[float, float], settings: PotentialSettings
) -> dict[str, Floats]:
    """Return what follows for one surface, summed over the frames of each block, each of shape ``(n_blocks, n)``."""
    grid, edges = sums.grids[index], sums.grids[index].edges
    solution = planar_potential(sums.charge[index], sums.moment[index], edges, is_periodic=not grid.is_vacuum)
    field, potential = solution.field, solution.potential
    metal = settings.metal_region
    potential = potential - region_mean(potential, edges, *metal)[:, None]
    # Beyond a film the field is that at its end, and bins are empty.
    first = grid.n_below - round(-settings.z_min / settings.bin_width)
    n_bins = len(_common_points(settings)) - 1
    wanted = np.arange(first, first + n_bins + 1)
    inside = np.clip(wanted, 0, len(edges) - 1)
    beyond = (wanted - inside) * grid.width
    density = sums.charge[index] / np.diff(edges)
    held = (wanted[:-1] >= 0) & (wanted[:-1] < grid.bins.n_bins)
    return {
        'density': np.where(held, density[:, np.clip(wanted[:-1], 0, grid.bins.n_bins - 1)], 0.0),
        'field': field[:, inside],
        'potential': potential[:, inside] - field[:, inside] * beyond,
        'cell_field': field,
        'cell_potential': potential,
        'drop': -region_mean(potential, edges, *bulk)[:, None],
        'metal_field': region_mean(field, edges, *metal)[:, None],
        'residual': field[:, -1:] - field[:, :1],
        'step': potential[:, -1:] - potential[:, :1],
    }


def _surface_charge(sums: ChargeSums, of_frame: Integers, chosen: list[int]) -> dict[str, float]:
    """Return the charge of the analysed surfaces, by field name."""
    values = sums.surface_charge[:, chosen].mean(axis=1)[:, None]
    estimate = ratio_over_replicas(values, np.ones_like(values), of_frame)
    mean, error = float(estimate.mean[0]), float(estimate.error[0])
    factor = units.MICROCOULOMB_PER_CM2_PER_E_PER_ANGSTROM2
    return {
        'surface_charge': mean,
        'surface_charge_error': error,
        'surface_charge_microcoulomb_per_cm2': factor * mean,
        'surface_charge_microcoulomb_per_cm2_error': factor * error,
    }


def _pair(name: str, estimate: Estimate) -> dict[str, Floats]:
    """Return value and error by field name."""
    return {name: estimate.mean, f'{name}_error': estimate.error}
