"""Before a potential is run: its errors on test frames, the format that its engine loads, and the parity gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida.engine import ToContext, if_
from aiida.orm import AbstractCode, Dict, Int, Str

from aiida_edl.calculations.evaluation import EvaluationCalculation, chosen_frames, computes_single_points
from aiida_edl.calculations.functions.parity_verdict import parity_verdict
from aiida_edl.calculations.models import validate_engine
from aiida_edl.calculations.parity import is_reference, route_of, validate_parity
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.science.analysis.parity import charge_ranges, missing_charge_state
from aiida_edl.science.frames import Frame
from aiida_edl.workflows.assessment_checks import format_of
from aiida_edl.workflows.conversion import ConversionWorkChain
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.parity import ParityWorkChain
from aiida_edl.workflows.partial_failures import PartialFailuresMixin

FOLLOWS = ('checkpoint', 'engine', 'precision', 'atomic_energies')
"""Inputs of an evaluation that no test of a potential takes."""


def define_tests(spec: Any) -> None:
    """Define the ports of the tests, and of the way in which the potential is run.

    :param spec: specification of the work chain.
    """
    spec.input('max_iterations', valid_type=Int, default=lambda: Int(5), help='How often a job is started at most.')
    spec.input(
        'engine',
        valid_type=Str,
        validator=lambda value, _: validate_engine(value.value),
        help='Entry-point name of the MD engine.',
    )
    spec.input(
        'model_format',
        valid_type=Str,
        required=False,
        help='Format in which the engine loads the potential; the first that it can without it.',
    )
    spec.input_namespace(
        'conversion_codes',
        valid_type=AbstractCode,
        dynamic=True,
        required=False,
        help='Python interpreter of each environment that a conversion needs besides that of the training, by the '
        'name of the environment.',
    )
    spec.input(
        'md_code',
        valid_type=AbstractCode,
        required=False,
        help='Code of the runs; that of the training without it.',
    )
    spec.input(
        'md_options', valid_type=Dict, required=False, help='Scheduler options of the runs; those of the training.'
    )
    spec.output('potential', valid_type=PotentialData, help='The potential.')
    spec.output(
        'converted_potential', valid_type=PotentialData, required=False, help='What was run, if it was converted.'
    )
    spec.output('errors', valid_type=Dict, required=False, help='Errors on the test frames.')
    spec.output('parity', valid_type=Dict, required=False, help='Verdict of the parity gate, if there were runs.')


class TestedPotentialMixin(PartialFailuresMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain that runs one potential.

    Its steps begin with ``ctx.potential``; afterwards ``ctx.potential_to_run`` is what the engine loads, and
    ``ctx.is_accepted`` whether its runs passed the gate, with the verdict in ``ctx.verdict``.
    """

    inputs: Any
    out: Any
    exit_codes: Any

    @classmethod
    def test_steps(cls) -> Sequence[Any]:
        """Return the steps of the outline."""
        return (
            cls.evaluate,
            cls.inspect_evaluation,
            if_(cls.should_compare)(cls.compare_ways),
            if_(cls.is_to_be_run)(cls.judge),
        )

    @property
    def _tested(self) -> Any:
        """Inputs that say with which code, on which device and with which data set the potential is tested."""
        raise NotImplementedError

    def _evaluation_inputs(self) -> dict[str, Any]:
        """Return on which frames the errors are measured, and how."""
        raise NotImplementedError

    def _error_settings(self) -> dict[str, Any]:
        """Return how errors are taken, if not as they are predicted."""
        return {}

    def _initial_frames(self) -> list[Frame]:
        """Return the frames from which the potential is to be run."""
        raise NotImplementedError

    def _structures(self) -> dict[str, DatasetData]:
        """Return the structures from which it is to be run, by label."""
        raise NotImplementedError

    def _wants_runs(self) -> bool:
        """Return whether runs are asked for."""
        raise NotImplementedError

    def _device(self) -> dict[str, Any]:
        """Return the device of the training, which evaluation and runs share."""
        tested = self._tested
        return {'device': tested.device} if 'device' in tested else {}

    def _options(self) -> dict[str, Any]:
        """Return the scheduler options of the training."""
        return {key: value for key, value in self._tested.metadata.options.items() if key != 'parser_name'}

    def _run_options(self) -> dict[str, Any]:
        """Return the scheduler options of the runs."""
        return dict(self.inputs.md_options.get_dict()) if 'md_options' in self.inputs else self._options()

    def _run_code(self) -> AbstractCode:
        """Return the code of the runs."""
        code: AbstractCode = self.inputs.md_code if 'md_code' in self.inputs else self._tested.code
        return code

    def evaluate(self) -> ToContext:
        """Measure the errors on the test frames; convert the potential if the engine loads it in another format."""
        children = {
            'evaluation': self.submit(
                EvaluationWorkChain,
                evaluation={**self._evaluation_inputs(), 'metadata': {'options': self._options()}},
                **self._error_settings(),
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': 'evaluation'},
            )
        }
        if formats := self._formats_to_run():
            conversions = load_member(ARCHITECTURES, self.ctx.potential.architecture).conversions
            given = self.inputs.get('conversion_codes', {})
            needed = {conversions[name].environment for name in formats}
            codes = {name: given.get(name, self._tested.code) for name in needed}
            children['conversion'] = self.submit(
                ConversionWorkChain,
                potential=self.ctx.potential,
                target_format=Str(formats[-1]),
                codes=codes,
                conversion={'metadata': {'options': self._options()}},
                metadata={'call_link_label': 'conversion'},
            )
        return ToContext(**children)

    def _formats_to_run(self) -> Sequence[str]:
        """Return the formats through which the potential goes before it is run; none if it is not converted."""
        if not self._wants_runs():
            return ()
        architecture = load_member(ARCHITECTURES, self.ctx.potential.architecture)
        kind = load_member(MD_ENGINES, self.inputs.engine.value).binding_kind
        formats: Sequence[str] = architecture.formats_to_run(kind, format_of(self.inputs))
        return formats

    def inspect_evaluation(self) -> None:
        """Take the errors, and the potential in the format in which it is run."""
        evaluation = self.ctx.evaluation
        if 'errors' in evaluation.outputs:
            self.out('errors', evaluation.outputs.errors)
        if not evaluation.is_finished_ok:
            self.note_failed_child(evaluation, 'evaluation')
        self.ctx.verdict, self.ctx.is_accepted = None, False
        self.ctx.potential_to_run = self.ctx.potential
        conversion = self.ctx.get('conversion')
        if conversion is not None and conversion.is_finished_ok:
            self.ctx.potential_to_run = conversion.outputs.potential
            self.out('converted_potential', conversion.outputs.potential)
        elif conversion is not None:
            self.ctx.potential_to_run = None
            self.note_failed_child(conversion, 'conversion')

    def is_to_be_run(self) -> bool:
        """Return whether runs are asked for and there is a potential to run."""
        return self._wants_runs() and self.ctx.potential_to_run is not None

    def should_compare(self) -> bool:
        """Return whether the way of the runs can be compared with the trainer's own, and has to be.

        It need not if it is the trainer's own, and the test frames have the charge states of all runs.
        """
        engine = self.inputs.engine.value
        if not self.is_to_be_run() or not computes_single_points(engine):
            return False
        return not is_reference(self.ctx.potential_to_run, engine) or not self._are_runs_tested()

    def _are_runs_tested(self) -> bool:
        """Return whether there is a test frame of the charge state of each run."""
        column = self.ctx.potential_to_run.total_charge_column
        test = self._tested.dataset.frames().select(chosen_frames(self._evaluation_inputs()))
        to_run = charge_ranges(self._initial_frames(), column)
        return missing_charge_state(charge_ranges(test, column), to_run) is None

    def compare_ways(self) -> ToContext:
        """Compare the way of the runs with the trainer's own calculator."""
        route = {
            'engine': self.inputs.engine,
            'code': self._run_code(),
            'potential': self.ctx.potential_to_run,
            'options': Dict(self._run_options()),
        }
        child = self.try_submit(
            ParityWorkChain,
            'parity gate',
            **self._device(),
            potential=self.ctx.potential,
            dataset=self._tested.dataset,
            structures=self._structures(),
            code=self._tested.code,
            options=Dict(self._options()),
            routes={'md': route},
            metadata={'call_link_label': 'parity'},
        )
        return ToContext(**({} if child is None else {'parity': child}))

    def judge(self) -> None:
        """Take the verdict of the parity gate; remember if it does not allow the runs."""
        self.ctx.verdict = self._verdict()
        if self.ctx.verdict is not None:
            self.out('parity', self.ctx.verdict)
        refusal = validate_parity(self.ctx.verdict, route_of(self.ctx.potential_to_run, self.inputs.engine.value))
        self.ctx.is_accepted = refusal is None
        if refusal is not None:
            self.note_failure(f'MD, which was refused: {refusal}')

    def _verdict(self) -> Dict | None:
        """Return the verdict of the parity gate; None if there is nothing to judge by.

        Runs with the trainer's own calculator are the reference: the evaluation stands for them, if it has test frames
        of their charge states.
        """
        potential, engine = self.ctx.potential_to_run, self.inputs.engine.value
        child = self.ctx.get('parity')
        if child is not None:
            if not child.is_finished_ok:
                self.note_failed_child(child, 'parity gate')
            return child.outputs.verdict if 'verdict' in child.outputs else None
        if not is_reference(potential, engine) or 'predictions' not in self.ctx.evaluation.outputs:
            return None
        verdict: Dict = self.call_once(
            parity_verdict,
            'parity_verdict',
            dataset=self._tested.dataset,
            potential=potential,
            reference=self.ctx.evaluation.outputs.predictions,
            routes=Dict({'md': route_of(potential, engine)}),
        )
        return verdict

    def conclude(self) -> Any:
        """Say whether anything failed."""
        if self.failures:
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures='; '.join(self.failures))
        return None


class GivenPotentialMixin(TestedPotentialMixin):
    """To be placed first in the bases of a work chain that tests a potential which was trained elsewhere."""

    exposed_inputs: Any

    @classmethod
    def define_given(cls, spec: Any) -> None:
        """Define the ports of the potential, and on what it is tested.

        :param spec: specification of the work chain.
        """
        spec.expose_inputs(EvaluationCalculation, namespace='evaluation', exclude=FOLLOWS)

    @property
    def _tested(self) -> Any:
        """Inputs that say with which code, on which device and with which data set the potential is tested."""
        return self.inputs.evaluation

    def _evaluation_inputs(self) -> dict[str, Any]:
        """Return on which frames the errors are measured, and how."""
        given = self.exposed_inputs(EvaluationCalculation, 'evaluation')
        return {name: value for name, value in given.items() if name != 'metadata'}

    def take_potential(self) -> None:
        """Take the potential as it is."""
        self.ctx.potential = self.inputs.evaluation.potential
        self.out('potential', self.ctx.potential)
