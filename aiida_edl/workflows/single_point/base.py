"""The one interface to whatever labels frames: energies and forces of many frames in one process."""

from __future__ import annotations

from typing import Any

from aiida_edl.workflows.restart import InterruptibleWorkChain


class SinglePointWorkChain(InterruptibleWorkChain):
    """Label frames with one engine.

    A subclass names the calculation of its engine in ``_process_class``. The calculation takes ``dataset``,
    ``model_parameters`` and ``code``, and gives ``labels`` (energies [eV], forces [eV/Å], offsets, converged; where the
    engine has them charges [e], stresses [eV/Å³, positive in tension], metal_potential [V]) and ``label_summary``
    (level of theory, failed frames with reasons, versions, cost).
    """

    _input_namespace = 'single_point'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define outputs; the same for every engine."""
        super().define(spec)
        spec.expose_outputs(cls._process_class, include=('labels', 'label_summary'))
