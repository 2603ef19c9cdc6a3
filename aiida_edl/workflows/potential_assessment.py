"""One potential from training to its profiles: train, measure its errors, run it at each charge state, analyse."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext, WorkChain, if_
from aiida.orm import AbstractCode, ArrayData, Dict, Int, Str

from aiida_edl.calculations.evaluation import computes_single_points
from aiida_edl.calculations.functions.parity_verdict import parity_verdict
from aiida_edl.calculations.parity import is_reference, route_of, validate_parity
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.parity import ParityWorkChain
from aiida_edl.workflows.submission import SubmitOnceMixin
from aiida_edl.workflows.training import TrainingWorkChain


class PotentialAssessmentWorkChain(SubmitOnceMixin, WorkChain):
    """Train a potential and find out what it is worth.

    It is run only if the way of running it gives the energies and forces of the trainer's own calculator.
    A trajectory that explodes is a result: it is reported, the other charge states are analysed, and the chain ends
    with a warning.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.expose_inputs(TrainingCalculation, namespace='training', exclude=('checkpoint',))
        spec.input_namespace(
            'structures',
            valid_type=DatasetData,
            dynamic=True,
            help='Frames from which the runs start, by charge label.',
        )
        spec.input(
            'frame_index',
            valid_type=Int,
            default=lambda: Int(-1),
            help='The frame of each that is used; negative counts from the end.',
        )
        spec.input('max_iterations', valid_type=Int, default=lambda: Int(5), help='How often a job is started at most.')
        spec.input('engine', valid_type=Str, help='MD engine.')
        spec.input(
            'md_code',
            valid_type=AbstractCode,
            required=False,
            help='Code of the runs; that of the training without it.',
        )
        spec.input(
            'md_options', valid_type=Dict, required=False, help='Scheduler options of the runs; those of the training.'
        )
        spec.input('md_settings', valid_type=Dict, required=False, help='Settings of the runs; no MD without them.')
        spec.input('analysis_settings', valid_type=Dict, required=False, help='Settings of the profiles.')
        spec.output('potential', valid_type=PotentialData, help='The trained potential.')
        spec.output('learning_curve', valid_type=ArrayData, help='Errors during training.')
        spec.output('errors', valid_type=Dict, required=False, help='Errors on the test frames.')
        spec.output('parity', valid_type=Dict, required=False, help='Verdict of the parity gate, if there were runs.')
        spec.output_namespace('trajectories', valid_type=DatasetData, dynamic=True, help='Trajectory by charge label.')
        spec.output_namespace('profiles', valid_type=ArrayData, dynamic=True, help='Profiles by charge label.')
        spec.outline(
            cls.train,
            cls.inspect_training,
            cls.evaluate,
            cls.inspect_evaluation,
            if_(cls.should_run)(cls.run_potential, cls.inspect_runs),
            if_(cls.should_analyse)(cls.analyse, cls.collect_profiles),
            cls.conclude,
        )
        spec.exit_code(510, 'ERROR_SUB_PROCESS_FAILED', message='{process} failed with exit status {status}: {detail}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The potential was trained, but parts failed: {failures}')

    def train(self) -> ToContext:
        """Train the potential."""
        self.ctx.failures = []
        training = self.exposed_inputs(TrainingCalculation, 'training')
        return ToContext(
            training=self.submit(
                TrainingWorkChain,
                training=training,
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': 'training'},
            )
        )

    def inspect_training(self) -> Any:
        """Stop if there is no potential."""
        child = self.ctx.training
        if not child.is_finished_ok:
            return self.exit_codes.ERROR_SUB_PROCESS_FAILED.format(
                process=f'{child.process_label}<{child.pk}>', status=child.exit_status, detail=child.exit_message
            )
        self.out('potential', child.outputs.potential)
        self.out('learning_curve', child.outputs.learning_curve)
        return None

    def _common(self) -> dict[str, Any]:
        """Return the inputs that evaluation and runs share."""
        training = self.inputs.training
        device = {'device': training.device} if 'device' in training else {}
        return {'potential': self.ctx.training.outputs.potential, **device}

    def _options(self) -> dict[str, Any]:
        """Return the scheduler options of the training."""
        return {key: value for key, value in self.inputs.training.metadata.options.items() if key != 'parser_name'}

    def _run_options(self) -> dict[str, Any]:
        """Return the scheduler options of the runs."""
        return dict(self.inputs.md_options.get_dict()) if 'md_options' in self.inputs else self._options()

    def _run_code(self) -> AbstractCode:
        """Return the code of the runs."""
        code: AbstractCode = self.inputs.md_code if 'md_code' in self.inputs else self.inputs.training.code
        return code

    def evaluate(self) -> ToContext:
        """Measure the errors on the test frames; compare the way of the runs with the trainer's own calculator."""
        training = self.inputs.training
        children = {
            'evaluation': self.submit(
                EvaluationWorkChain,
                evaluation={
                    **self._common(),
                    'code': training.code,
                    'dataset': training.dataset,
                    'split': training.split,
                    'subset': Str('test'),
                    'metadata': {'options': self._options()},
                },
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': 'evaluation'},
            )
        }
        if self._is_gate_needed():
            route = {'engine': self.inputs.engine, 'code': self._run_code(), 'options': Dict(self._run_options())}
            children['parity'] = self.submit(
                ParityWorkChain,
                **self._common(),
                dataset=training.dataset,
                code=training.code,
                options=Dict(self._options()),
                routes={'md': route},
                metadata={'call_link_label': 'parity'},
            )
        return ToContext(**children)

    def _is_gate_needed(self) -> bool:
        """Return whether the way of the runs is another than the trainer's own, and can be compared with it."""
        engine = self.inputs.engine.value
        differs = not is_reference(self.ctx.training.outputs.potential, engine)
        return 'md_settings' in self.inputs and differs and computes_single_points(engine)

    def inspect_evaluation(self) -> None:
        """Take the errors and the verdict of the parity gate."""
        evaluation = self.ctx.evaluation
        if 'errors' in evaluation.outputs:
            self.out('errors', evaluation.outputs.errors)
        if not evaluation.is_finished_ok:
            self._remember_failure(evaluation, 'evaluation')
        self.ctx.labels, self.ctx.is_accepted = [], False
        if 'md_settings' not in self.inputs:
            return
        self.ctx.verdict = self._verdict()
        if self.ctx.verdict is not None:
            self.out('parity', self.ctx.verdict)
        route = route_of(self.ctx.training.outputs.potential, self.inputs.engine.value)
        refusal = validate_parity(self.ctx.verdict, route)
        self.ctx.is_accepted = refusal is None
        if refusal is not None:
            self.ctx.failures.append(f'MD, which was refused: {refusal}')
            self.report(f'failed: {self.ctx.failures[-1]}')

    def _verdict(self) -> Dict | None:
        """Return the verdict of the parity gate; None if there is nothing to judge by.

        Runs with the trainer's own calculator are the reference: the evaluation stands for them.
        """
        potential, engine = self.ctx.training.outputs.potential, self.inputs.engine.value
        if not is_reference(potential, engine):
            child = self.ctx.get('parity')
            if child is None:
                return None
            if not child.is_finished_ok:
                self._remember_failure(child, 'parity gate')
            return child.outputs.verdict if 'verdict' in child.outputs else None
        if 'predictions' not in self.ctx.evaluation.outputs:
            return None
        verdict: Dict = self.call_once(
            parity_verdict,
            'parity_verdict',
            dataset=self.inputs.training.dataset,
            potential=potential,
            reference=self.ctx.evaluation.outputs.predictions,
            routes=Dict({'md': route_of(potential, engine)}),
        )
        return verdict

    def should_run(self) -> bool:
        """Return whether there are runs to do and the potential has passed the parity gate for them."""
        return bool(self.ctx.is_accepted)

    def run_potential(self) -> ToContext:
        """Run the potential from each structure."""
        children = {}
        for label, structure in sorted(self.inputs.structures.items()):
            children[f'md_{label}'] = self.submit(
                MolecularDynamicsWorkChain,
                md={
                    **self._common(),
                    'code': self._run_code(),
                    'structure': structure,
                    'frame_index': self.inputs.frame_index,
                    'engine': self.inputs.engine,
                    'settings': self.inputs.md_settings,
                    'metadata': {'options': self._run_options()},
                },
                parity=self.ctx.verdict,
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': f'md_{label}'},
            )
        return ToContext(**children)

    def inspect_runs(self) -> None:
        """Take the trajectories of what finished; remember what failed."""
        for label in sorted(self.inputs.structures):
            run = self.ctx[f'md_{label}']
            if run.is_finished_ok:
                self.out(f'trajectories.{label}', run.outputs.trajectory)
                self.ctx.labels.append(label)
            else:
                self._remember_failure(run, f'MD at {label}')

    def _remember_failure(self, child: Any, what: str) -> None:
        failure = f'{what} ({child.process_label}<{child.pk}>, exit status {child.exit_status}: {child.exit_message})'
        self.ctx.failures.append(failure)
        self.report(f'failed: {failure}')

    def should_analyse(self) -> bool:
        """Return whether there is a trajectory and it is to be analysed."""
        return bool(self.ctx.labels) and 'analysis_settings' in self.inputs

    def analyse(self) -> ToContext:
        """Compute the profiles of each trajectory."""
        return ToContext(
            **{
                f'analysis_{label}': self.submit(
                    InterfaceAnalysisWorkChain,
                    trajectory=self.ctx[f'md_{label}'].outputs.trajectory,
                    settings=self.inputs.analysis_settings,
                    metadata={'call_link_label': f'analysis_{label}'},
                )
                for label in self.ctx.labels
            }
        )

    def collect_profiles(self) -> None:
        """Take the profiles of what finished."""
        for label in self.ctx.labels:
            child = self.ctx[f'analysis_{label}']
            if child.is_finished_ok:
                self.out(f'profiles.{label}', child.outputs.profiles)
            else:
                self._remember_failure(child, f'analysis at {label}')

    def conclude(self) -> Any:
        """Say whether anything failed."""
        if self.ctx.failures:
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures='; '.join(self.ctx.failures))
        return None
