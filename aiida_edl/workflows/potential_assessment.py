"""One potential from training to its profiles: train, measure its errors, run it at each charge state, analyse."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext, WorkChain, if_
from aiida.orm import AbstractCode, ArrayData, Dict, Int, Str

from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.submission import SubmitOnceMixin
from aiida_edl.workflows.training import TrainingWorkChain


class PotentialAssessmentWorkChain(SubmitOnceMixin, WorkChain):
    """Train a potential and find out what it is worth.

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
        spec.output_namespace('trajectories', valid_type=DatasetData, dynamic=True, help='Trajectory by charge label.')
        spec.output_namespace('profiles', valid_type=ArrayData, dynamic=True, help='Profiles by charge label.')
        spec.outline(
            cls.train,
            cls.inspect_training,
            cls.evaluate_and_run,
            cls.inspect_runs,
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

    def evaluate_and_run(self) -> ToContext:
        """Measure the errors on the test frames; run the potential from each structure."""
        training = self.inputs.training
        options = {key: value for key, value in training.metadata.options.items() if key != 'parser_name'}
        potential = self.ctx.training.outputs.potential
        common = {'potential': potential}
        common |= {'device': training.device} if 'device' in training else {}
        md_options = self.inputs.md_options.get_dict() if 'md_options' in self.inputs else options
        md_code = self.inputs.md_code if 'md_code' in self.inputs else training.code
        children = {
            'evaluation': self.submit(
                EvaluationWorkChain,
                evaluation={
                    **common,
                    'code': training.code,
                    'dataset': training.dataset,
                    'split': training.split,
                    'subset': Str('test'),
                    'metadata': {'options': options},
                },
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': 'evaluation'},
            )
        }
        if 'md_settings' in self.inputs:
            for label, structure in sorted(self.inputs.structures.items()):
                children[f'md_{label}'] = self.submit(
                    MolecularDynamicsWorkChain,
                    md={
                        **common,
                        'code': md_code,
                        'structure': structure,
                        'frame_index': self.inputs.frame_index,
                        'engine': self.inputs.engine,
                        'settings': self.inputs.md_settings,
                        'metadata': {'options': md_options},
                    },
                    max_iterations=self.inputs.max_iterations,
                    metadata={'call_link_label': f'md_{label}'},
                )
        return ToContext(**children)

    def inspect_runs(self) -> None:
        """Take the errors and trajectories of what finished; remember what failed."""
        self.ctx.labels = []
        evaluation = self.ctx.evaluation
        if 'errors' in evaluation.outputs:
            self.out('errors', evaluation.outputs.errors)
        if not evaluation.is_finished_ok:
            self._remember_failure(evaluation, 'evaluation')
        for label in sorted(self.inputs.structures) if 'md_settings' in self.inputs else []:
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
