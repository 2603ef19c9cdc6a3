"""The one interface to whatever labels frames: energies and forces of many frames in one process."""

from __future__ import annotations

from typing import Any, ClassVar

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, CalcJob, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode

from aiida_edl.workflows.submission import SubmitOnceMixin

NODE_LOST = 140
"""Exit status of AiiDA for a job whose node failed."""


class SinglePointWorkChain(SubmitOnceMixin, BaseRestartWorkChain):
    """Label frames with one engine.

    A subclass names the calculation of its engine in ``_process_class``. The calculation takes ``dataset``,
    ``model_parameters`` and ``code``, and gives ``labels`` (energies [eV], forces [eV/Å], offsets, converged; where the
    engine has them charges [e], stresses [eV/Å³, positive in tension], metal_potential [V]) and ``label_summary``
    (level of theory, failed frames with reasons, versions, cost).
    """

    _process_class: ClassVar[type[CalcJob]]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports and outline; the same for every engine."""
        super().define(spec)
        spec.expose_inputs(cls._process_class, namespace='single_point')
        spec.expose_outputs(cls._process_class, include=('labels', 'label_summary'))
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def setup(self) -> None:
        """Take the inputs of the calculation from the namespace."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(self._process_class, 'single_point'))

    @process_handler(priority=600)
    def handle_node_failure(self, calculation: CalcJobNode) -> ProcessHandlerReport | None:
        """Start again if the node of the job failed."""
        if calculation.exit_status != NODE_LOST:
            return None
        self.report(f'{calculation.process_label}<{calculation.pk}> lost its node: labelling again')
        return ProcessHandlerReport(True)
