"""A short-range calculator of ASE and the electrostatics of fixed charges, as one calculator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.long_range_model import FRAME_PBC, LongRangeModel
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Floats, Frame


class WithElectrostatics(Calculator):  # type: ignore[misc]  # ASE is not typed
    """Energy, forces and stress of a short-range calculator plus those of point charges.

    The stress of a frame that is open along a cell vector is left out.
    """

    implemented_properties: ClassVar[Sequence[str]] = ['energy', 'free_energy', 'forces', 'stress']

    def __init__(self, short_range: Any, long_range: Mapping[str, Any]) -> None:
        """Take the parts.

        :param short_range: an ASE calculator.
        :param long_range: fields of :class:`~aiida_edl.science.electrostatics.long_range_model.LongRangeModel`.
        """
        super().__init__()
        self.short_range = short_range
        self.model = LongRangeModel.from_dict(long_range)
        self.evaluate: CompiledSummation | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ('energy',),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute both parts and add them up."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None  # set by the base class
        seen = self.atoms.copy()
        pbc = np.asarray(seen.info.pop(FRAME_PBC, self.atoms.pbc), dtype=bool)
        if seen.info:
            self.short_range.reset()  # ASE compares atoms and not their info
        seen.calc = self.short_range
        forces = seen.get_forces()
        energy = seen.get_potential_energy()
        given = self.short_range.results
        frame = Frame(self.atoms.numbers, self.atoms.positions, self.atoms.cell.array, pbc)
        system = self.model.system_of(frame)
        added = self._sum(system.cell)(system)
        total = float(given.get('free_energy', energy)) + added.energy
        self.results = {'energy': total, 'free_energy': total, 'forces': np.array(forces) + added.forces}
        if given.get('stress') is not None and pbc.all():
            stress = np.array(given['stress'], dtype=float)
            added_stress = full_3x3_to_voigt_6_stress(added.stress) if stress.shape == (6,) else added.stress
            self.results['stress'] = stress + added_stress

    def _sum(self, cell: Floats) -> CompiledSummation:
        """Return the sum for a cell; the last one as long as its mesh is fine enough, so that nothing jumps."""
        wanted = self.model.settings_for(cell)
        if self.evaluate is None or not _is_as_fine(self.evaluate.settings, wanted):
            self.evaluate = CompiledSummation(wanted)
        return self.evaluate


def _is_as_fine(settings: SummationSettings, wanted: SummationSettings) -> bool:
    """Return whether a mesh has as many points as are wanted, and less than twice as many in all."""
    if settings.mesh is None or wanted.mesh is None:
        return settings == wanted
    is_enough = all(n >= m for n, m in zip(settings.mesh, wanted.mesh))
    return is_enough and math.prod(settings.mesh) < 2 * math.prod(wanted.mesh)
