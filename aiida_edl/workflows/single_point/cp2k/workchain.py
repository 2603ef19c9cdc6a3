"""Labels by density-functional theory with CP2K."""

from __future__ import annotations

from typing import Any

from aiida.engine import ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, Dict, List

from aiida_edl.calculations.exit_codes import NO_FRAME_CONVERGED
from aiida_edl.calculations.single_point_cp2k import Cp2kCalculation
from aiida_edl.dft.cp2k_settings import Cp2kSettings, Solver
from aiida_edl.science.formats.cp2k_output import NO_CONVERGENCE
from aiida_edl.workflows.single_point.base import SinglePointWorkChain

RUNGS: dict[Solver, tuple[dict[str, float], ...]] = {
    Solver.DIAGONALIZATION: (
        {'mixing_fraction': 0.5, 'maximum_scf_steps': 2.0},
        {'mixing_fraction': 0.2, 'maximum_scf_steps': 4.0},
    ),
    Solver.ORBITAL_TRANSFORMATION: ({'maximum_scf_steps': 3.0},),
}
"""By which factors settings are multiplied for the frames that have not converged, rung by rung. None of them belongs
to the level of theory: a label is the same on whichever rung it is found. Chosen here."""


class Cp2kSinglePointWorkChain(SinglePointWorkChain):
    """Label frames with CP2K; those that do not converge are run again with more careful settings."""

    _process_class = Cp2kCalculation

    def setup(self) -> None:
        """Begin on the ground: with the settings that were given."""
        super().setup()
        self.ctx.rung = 0

    @process_handler(priority=550)
    def handle_unconverged_frames(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Run the frames whose SCF has not converged once more, on the next rung; the labels of the others stay."""
        if calculation.exit_status not in (0, NO_FRAME_CONVERGED.status):
            return None
        given = self.inputs.single_point.model_parameters.get_dict()
        settings = Cp2kSettings.from_dict(given)
        failures = calculation.outputs.label_summary['failures'].values()
        n_unconverged = sum(reason.startswith(NO_CONVERGENCE) for reason in failures)
        if not n_unconverged or self.ctx.rung >= len(RUNGS[settings.solver]):
            return None
        changed: dict[str, Any] = {}
        for name, factor in RUNGS[settings.solver][self.ctx.rung].items():
            value = getattr(settings, name)
            changed[name] = type(value)(value * factor)
        self.ctx.rung += 1
        words = ', '.join(f'{name} {getattr(settings, name):g} -> {value:g}' for name, value in changed.items())
        self.ctx.inputs.model_parameters = Dict({**given, **changed})
        self.ctx.inputs.checkpoint = calculation.outputs.labels
        earlier = self.ctx.inputs.remedies.get_list() if 'remedies' in self.ctx.inputs else []
        self.ctx.inputs.remedies = List([*earlier, f'{n_unconverged} frames without convergence: {words}'])
        self.report(f'{calculation.process_label}<{calculation.pk}>: {n_unconverged} frames did not converge: {words}')
        return ProcessHandlerReport(True)
