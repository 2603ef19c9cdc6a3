"""One potential from training to its profiles: train, measure its errors, run it at each charge state, analyse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from aiida.engine import ToContext, WorkChain, if_
from aiida.orm import ArrayData, Dict, Int, Str

from aiida_edl.calculations.molecular_dynamics import validate_settings
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import Frame
from aiida_edl.workflows.assessment_analysis import AssessmentAnalysisMixin, define_analysis, define_further_runs
from aiida_edl.workflows.assessment_checks import validate_assessment
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.tested_potential import TestedPotentialMixin, define_tests
from aiida_edl.workflows.training import TrainingWorkChain


class PotentialAssessmentWorkChain(AssessmentAnalysisMixin, TestedPotentialMixin, WorkChain):
    """Train a potential and find out what it is worth.

    It is converted if the MD engine loads it in another format, and run only if this way of running it gives the
    energies and forces of the trainer's own calculator.
    A trajectory that explodes is a result: it is reported, the other charge states are analysed, and the chain ends
    with a warning.
    """

    warning_message: ClassVar[str] = 'The potential was trained, but parts failed: {failures}'
    """What is said if a part after the first steps failed."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        cls.define_source(spec)
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
        define_further_runs(spec)
        define_tests(spec)
        spec.input(
            'md_settings',
            valid_type=Dict,
            required=False,
            validator=validate_settings,
            help='Settings of the runs; no MD without them.',
        )
        define_analysis(spec)
        spec.output_namespace('trajectories', valid_type=DatasetData, dynamic=True, help='Trajectory by charge label.')
        spec.outline(
            *cls.source_steps(),
            *cls.test_steps(),
            if_(cls.should_run)(cls.run_potential, cls.inspect_runs),
            if_(cls.should_analyse)(
                cls.analyse,
                cls.collect_profiles,
                if_(cls.should_join_runs)(cls.join_runs, cls.collect_joined_profiles),
            ),
            cls.conclude,
        )
        spec.exit_code(510, 'ERROR_SUB_PROCESS_FAILED', message='{process} failed with exit status {status}: {detail}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message=cls.warning_message)

    @classmethod
    def define_source(cls, spec: Any) -> None:
        """Define the ports of where the potential comes from.

        :param spec: specification of the work chain.
        """
        spec.expose_inputs(TrainingCalculation, namespace='training', exclude=('checkpoint',))
        TrainingWorkChain.expose_long_range(spec)
        spec.inputs.validator = validate_assessment
        spec.output('learning_curve', valid_type=ArrayData, help='Errors during training.')

    @classmethod
    def source_steps(cls) -> Sequence[Callable[..., Any]]:
        """Return the first steps of the outline, after which ``ctx.potential`` is the potential."""
        return (cls.train, cls.inspect_training)

    @property
    def _tested(self) -> Any:
        """Inputs that say with which code, on which device and with which data set the potential is tested."""
        return self.inputs.training

    def _evaluation_inputs(self) -> dict[str, Any]:
        """Return on which frames the errors are measured, and how."""
        tested = self._tested
        return {
            **self._device(),
            'potential': self.ctx.potential,
            'code': tested.code,
            'dataset': tested.dataset,
            'split': tested.split,
            'subset': Str('test'),
        }

    def _initial_frames(self) -> list[Frame]:
        """Return the frames from which the potential is to be run."""
        index = self.inputs.frame_index.value
        return [structure.frame(index) for structure in self.inputs.structures.values()]

    def _structures(self) -> dict[str, DatasetData]:
        """Return the structures from which it is to be run, by charge label."""
        return dict(self.inputs.structures)

    def _wants_runs(self) -> bool:
        """Return whether runs are asked for."""
        return 'md_settings' in self.inputs

    def train(self) -> ToContext:
        """Train the potential."""
        training = self.exposed_inputs(TrainingCalculation, 'training')
        return ToContext(
            training=self.submit(
                TrainingWorkChain,
                **self.exposed_inputs(TrainingWorkChain),
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
        self.ctx.potential = child.outputs.potential
        self.out('potential', self.ctx.potential)
        self.out('learning_curve', child.outputs.learning_curve)
        return None

    def should_run(self) -> bool:
        """Return whether there are runs to do and the potential has passed the parity gate for them."""
        return bool(self.ctx.is_accepted)

    def _runs(self) -> dict[str, dict[str, Any]]:
        """Return structure, frame and settings of each run by its label."""
        common = {'frame_index': self.inputs.frame_index, 'settings': self.inputs.md_settings}
        runs = {label: {'structure': structure, **common} for label, structure in self.inputs.structures.items()}
        frames, settings = self.inputs.get('further_frames', {}), self.inputs.get('further_settings', {})
        for label, structure in self.inputs.get('further_structures', {}).items():
            runs[label] = {
                'structure': structure,
                'frame_index': frames.get(label, self.inputs.frame_index),
                'settings': settings.get(label, self.inputs.md_settings),
            }
        return dict(sorted(runs.items()))

    def run_potential(self) -> ToContext:
        """Run the potential from each structure."""
        children = {}
        for label, run in self._runs().items():
            child = self.try_submit(
                MolecularDynamicsWorkChain,
                f'MD at {label}',
                md={
                    **self._device(),
                    **run,
                    'potential': self.ctx.potential_to_run,
                    'code': self._run_code(),
                    'engine': self.inputs.engine,
                    'metadata': {'options': self._run_options()},
                },
                parity=self.ctx.verdict,
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': f'md_{label}'},
            )
            if child is not None:
                children[f'md_{label}'] = child
        return ToContext(**children)

    def inspect_runs(self) -> None:
        """Take the trajectories of what finished; remember what failed."""
        self.ctx.labels = []
        for label in self._runs():
            run = self.ctx.get(f'md_{label}')
            if run is None:
                continue
            if run.is_finished_ok:
                self.out(f'trajectories.{label}', run.outputs.trajectory)
                self.ctx.labels.append(label)
            else:
                self.note_failed_child(run, f'MD at {label}')
                self.judge_exploded_run(label, run)
