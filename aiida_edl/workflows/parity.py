"""Compare what programs make of one potential before any of them may run it for long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain
from aiida.orm import AbstractCode, Dict, Int, Str

from aiida_edl.calculations.evaluation import EvaluationCalculation
from aiida_edl.calculations.functions.parity_verdict import parity_verdict
from aiida_edl.calculations.functions.select_parity_frames import select_parity_frames
from aiida_edl.calculations.parity import route_of
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import unknown_name_message
from aiida_edl.workflows.submission import SubmitOnceMixin

ROUTE_PORTS = ('engine', 'code', 'potential', 'precision', 'options')
"""Inputs of a route."""
REQUIRED_ROUTE_PORTS = ('engine', 'code')
REFERENCE = 'reference'
"""Label of the computation with which all routes are compared."""


def validate_routes(routes: Mapping[str, Any] | None, _: Any) -> str | None:
    """Return one sentence if a route is incomplete, or has an input that none has."""
    if not routes:
        return 'no route is given; name at least one way to run the potential'
    for name, route in routes.items():
        if name == REFERENCE:
            return f"a route is called '{REFERENCE}', which stands for the trainer's own calculator; rename it"
        if missing := [port for port in REQUIRED_ROUTE_PORTS if port not in route]:
            return f"route '{name}' lacks {' and '.join(missing)}"
        for key in route:
            if key not in ROUTE_PORTS:
                return unknown_name_message(f"input of route '{name}'", key, ROUTE_PORTS)
    return None


def refusal_of(error: ValueError) -> str:
    """Return the sentence with which a process refuses its inputs, without the name of the port before it.

    >>> refusal_of(ValueError("Error occurred validating port 'inputs.device': device is 'gpu'"))
    "device is 'gpu'"
    """
    text = str(error)
    return text.partition("': ")[2] if text.startswith('Error occurred validating port') else text


class ParityWorkChain(SubmitOnceMixin, WorkChain):
    """Compute frames of every charge state by the trainer's own ASE calculator and by every route, and compare.

    The verdict is an output even if a route failed, and says why.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input('dataset', valid_type=DatasetData, help='Frames to choose from; charged ones should be among them.')
        spec.input_namespace(
            'structures',
            valid_type=DatasetData,
            dynamic=True,
            required=False,
            help='Frames by label that will be run: of charge states that `dataset` lacks, some are compared too.',
        )
        spec.input(
            'potential', valid_type=PotentialData, help='The potential as the trainer exports it, not converted.'
        )
        spec.input('code', valid_type=AbstractCode, help='Interpreter of the environment of the trainer.')
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options of the reference.')
        spec.input('device', valid_type=Str, default=lambda: Str('cpu'), help='`cpu` or `cuda`.')
        spec.input(
            'n_frames', valid_type=Int, default=lambda: Int(2), help='Frames of each charge state that are compared.'
        )
        spec.input(
            'tolerances',
            valid_type=Dict,
            required=False,
            help='`energy` [eV/atom] and `force` [eV/Å], if not those of the precision.',
        )
        spec.input_namespace(
            'routes',
            dynamic=True,
            valid_type=(PotentialData, AbstractCode, Str, Dict),
            validator=validate_routes,
            help='By name: `engine`, `code`, `potential` if converted, `precision`, `options`.',
        )
        spec.output('verdict', valid_type=Dict, help='Differences of every route, and whether all passed.')
        spec.output('frames', valid_type=DatasetData, help='Frames that were compared.')
        spec.outline(cls.choose_frames, cls.compute, cls.judge)
        spec.exit_code(
            211, 'ERROR_REFERENCE_REFUSED', message='The reference of the comparison cannot be computed: {detail}'
        )
        spec.exit_code(453, 'ERROR_PARITY_FAILED', message='The potential is not the same by every route: {reasons}')
        spec.exit_code(510, 'ERROR_SUB_PROCESS_FAILED', message='{process} failed with exit status {status}: {detail}')

    def choose_frames(self) -> None:
        """Choose frames of every charge state."""
        self.ctx.frames = self.call_once(
            select_parity_frames,
            'select_parity_frames',
            dataset=self.inputs.dataset,
            n_frames=self.inputs.n_frames,
            potential=self.inputs.potential,
            **{f'structure_{label}': node for label, node in self.inputs.get('structures', {}).items()},
        )
        self.out('frames', self.ctx.frames)

    def compute(self) -> Any:
        """Compute the frames by the reference and by every route; one that is refused does not keep the others."""
        options = self.inputs.options.get_dict() if 'options' in self.inputs else {}
        jobs: dict[str, dict[str, Any]] = {
            REFERENCE: {'code': self.inputs.code, 'potential': self.inputs.potential, 'metadata': {'options': options}}
        }
        for name, route in self.inputs.routes.items():
            given = {key: route[key] for key in ('engine', 'code', 'precision') if key in route}
            own_options = route['options'].get_dict() if 'options' in route else options
            jobs[name] = {**given, 'potential': self._potential(route), 'metadata': {'options': own_options}}
        children: dict[str, Any] = {}
        self.ctx.refused = {}
        for name, job in jobs.items():
            job['metadata']['call_link_label'] = f'parity_{name}'
            try:
                children[f'parity_{name}'] = self.submit(
                    EvaluationCalculation, dataset=self.ctx.frames, device=self.inputs.device, **job
                )
            except ValueError as error:  # what the calculation says of inputs that it refuses
                if name == REFERENCE:
                    return self.exit_codes.ERROR_REFERENCE_REFUSED.format(detail=refusal_of(error))
                self.ctx.refused[name] = refusal_of(error)
        return ToContext(**children)

    def _potential(self, route: Mapping[str, Any]) -> PotentialData:
        """Return the potential of a route, converted or not."""
        potential: PotentialData = route.get('potential', self.inputs.potential)
        return potential

    def judge(self) -> Any:
        """Compare, and say whether all passed."""
        reference = self.ctx[f'parity_{REFERENCE}']
        if not reference.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED.format(
                process=f'{reference.process_label}<{reference.pk}>',
                status=reference.exit_status,
                detail=reference.exit_message,
            )
        routes, predictions = {}, {}
        for name, route in self.inputs.routes.items():
            routes[name] = route_of(self._potential(route), route['engine'].value, route.get('precision'))
            if 'tolerances' in self.inputs:
                routes[name]['tolerances'] = self.inputs.tolerances.get_dict()
            if name in self.ctx.refused:
                routes[name]['failure'] = self.ctx.refused[name]
                continue
            child = self.ctx[f'parity_{name}']
            if child.is_finished_ok:
                predictions[name] = child.outputs.predictions
            else:
                status = f'exit status {child.exit_status}: {child.exit_message}'
                routes[name]['failure'] = f'{child.process_label} failed with {status}'
        verdict = self.call_once(
            parity_verdict,
            'parity_verdict',
            dataset=self.ctx.frames,
            potential=self.inputs.potential,
            reference=reference.outputs.predictions,
            routes=Dict(routes),
            **predictions,
        )
        self.out('verdict', verdict)
        values = verdict.get_dict()
        if not values['passed']:
            return self.exit_codes.ERROR_PARITY_FAILED.format(reasons='; '.join(values['reasons']))
        self.report(f'{len(routes)} routes agree with the reference in {values["n_frames"]} frames')
        return None
