"""Can one potential serve all surface charges, or must one be trained for each charge state?"""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext, WorkChain
from aiida.orm import AbstractCode, ArrayData, Dict, Float, Int, List, Str

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.build_interface import build_interface
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.calculations.functions.training_frames import training_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.benchmark_comparison import BenchmarkComparisonMixin
from aiida_edl.workflows.benchmark_settings import (
    BenchmarkSettings,
    conversion_code_name,
    conversion_environments_of,
    md_code_name,
    validate_codes,
    validate_settings,
)
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.potential_assessment import PotentialAssessmentWorkChain
from aiida_edl.workflows.protocols.mixin import ProtocolMixin
from aiida_edl.workflows.training import TrainingWorkChain


class ChargedInterfaceBenchmarkWorkChain(BenchmarkComparisonMixin, ProtocolMixin, WorkChain):
    """Compare potentials trained on one charge state with potentials trained on all, against reference dynamics.

    For each charge state an interface is built and run with the reference model; frames of these trajectories are
    labelled; every architecture is trained on every training set with every seed to the same number of gradient
    updates; each potential is tested on the same frames of all charge states and run at the charge states of its
    training set; the profiles of all runs are compared with each other and with the reference.
    """

    protocol_file = 'charged_interface_benchmark.yaml'
    replaced_whole = ('training_sets', 'hyperparameters')

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input(
            'settings', valid_type=Dict, validator=validate_settings, help='The whole matrix; see the protocols.'
        )
        spec.input_namespace(
            'codes',
            valid_type=AbstractCode,
            dynamic=True,
            help='Code of the reference model (`reference`) and of each architecture, by name; `<architecture>_md` is '
            'the code of its runs, if it is not that of its training; `conversion_<environment>` converts potentials.',
        )
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options by name of the code.')
        spec.inputs.validator = validate_codes
        spec.output('dataset', valid_type=DatasetData, help='All labelled frames.')
        cls.define_comparison(spec)
        spec.output_namespace('rejected', valid_type=Dict, dynamic=True, help='Rejected labels by charge label.')
        spec.output_namespace('splits', valid_type=ArrayData, dynamic=True, help='Frame indices by training set.')
        spec.output_namespace('potentials', valid_type=PotentialData, dynamic=True, help='Potentials by model.')
        spec.output_namespace('errors', valid_type=Dict, dynamic=True, help='Errors on the test frames by model.')
        spec.output_namespace(
            'profiles', valid_type=ArrayData, dynamic=True, help='Profiles by model and charge label.'
        )
        spec.output_namespace(
            'analyses',
            valid_type=(ArrayData, Dict),
            dynamic=True,
            help='Further analyses by name, then by model and charge label.',
        )
        spec.outline(
            cls.build_structures,
            cls.run_reference,
            cls.label_frames,
            cls.assemble_dataset,
            cls.assess_potentials,
            cls.collect_assessments,
            cls.compare_models,
        )
        spec.exit_code(510, 'ERROR_SUB_PROCESS_FAILED', message='{process} failed with exit status {status}: {detail}')
        spec.exit_code(511, 'ERROR_NO_PROFILE', message='No potential gave a profile; failures: {failures}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The comparison lacks parts that failed: {failures}')

    @property
    def settings(self) -> BenchmarkSettings:
        """The settings as typed values."""
        return BenchmarkSettings.from_dict(self.inputs.settings.get_dict())

    def _options(self, code: str) -> dict[str, Any]:
        """Return the scheduler options of a code."""
        options = self.inputs.options.get_dict() if 'options' in self.inputs else {}
        return {'options': options.get(code, options.get('default', {}))}

    def _md_inputs(self, architecture: str) -> dict[str, Any]:
        """Return codes and options of the runs with an architecture that are not those of its training."""
        settings, name = self.settings, md_code_name(architecture)
        environments = conversion_environments_of(settings, architecture)
        inputs: dict[str, Any] = {
            'conversion_codes': {key: self.inputs.codes[conversion_code_name(key)] for key in environments}
        }
        if wished := settings.architectures[architecture].model_format:
            inputs['model_format'] = Str(wished)
        if name in self.inputs.codes:
            inputs |= {'md_code': self.inputs.codes[name], 'md_options': Dict(self._options(name)['options'])}
        return inputs

    def _failed(self, child: Any) -> Any:
        return self.exit_codes.ERROR_SUB_PROCESS_FAILED.format(
            process=f'{child.process_label}<{child.pk}>', status=child.exit_status, detail=child.exit_message
        )

    def build_structures(self) -> None:
        """Build one interface for each charge state."""
        self.ctx.structures = {
            label: self.call_once(build_interface, f'structure_{label}', settings=Dict(values))
            for label, values in self.settings.structures().items()
        }

    def run_reference(self) -> ToContext:
        """Run the reference model at each charge state."""
        settings = self.settings
        children = {}
        for label, replica in settings.reference_runs():
            children[f'reference_md_{label}_{replica:02d}'] = self.submit(
                MolecularDynamicsWorkChain,
                md={
                    'structure': self.ctx.structures[label],
                    'frame_index': Int(-1),
                    'engine': Str(settings.reference.engine),
                    'settings': Dict(settings.reference_md(replica)),
                    'model_parameters': Dict(dict(settings.reference.model_parameters)),
                    'code': self.inputs.codes.reference,
                    'metadata': self._options('reference'),
                },
                max_iterations=Int(settings.max_iterations),
                metadata={'call_link_label': f'reference_md_{label}_{replica:02d}'},
            )
        self.report(f'running {len(children)} reference trajectories')
        return ToContext(**children)

    def label_frames(self) -> Any:
        """Choose frames of the reference trajectories and label them; analyse the trajectories themselves."""
        settings = self.settings
        children = {}
        for label, replica in settings.reference_runs():
            key = f'{label}_{replica:02d}'
            run = self.ctx[f'reference_md_{key}']
            if not run.is_finished_ok:
                return self._failed(run)
            frames = self.call_once(
                select_frames,
                f'select_frames_{key}',
                dataset=run.outputs.trajectory,
                settings=Dict(settings.selection(label, replica)),
            )
            children[f'labelling_{key}'] = self.submit(
                LabellingWorkChain,
                dataset=frames,
                engine=Str(settings.labelling.engine),
                code=self.inputs.codes.reference,
                model_parameters=Dict(dict(settings.reference.model_parameters)),
                gate=Dict(dict(settings.labelling.gate)),
                frames_per_job=Int(settings.labelling.frames_per_job),
                max_failed_fraction=Float(settings.labelling.max_failed_fraction),
                options=Dict(self._options('reference')['options']),
                metadata={'call_link_label': f'labelling_{key}'},
            )
            children[f'reference_analysis_{key}'] = self.submit(
                InterfaceAnalysisWorkChain,
                trajectory=run.outputs.trajectory,
                settings=Dict(settings.analysis),
                **self._analysis_inputs(run),
                metadata={'call_link_label': f'reference_analysis_{key}'},
            )
        return ToContext(**children)

    def _analysis_inputs(self, run: Any) -> dict[str, Any]:
        """Return which further analyses of a reference run are asked for, and the series that they may take."""
        if not (asked := self.settings.analyses):
            return {}
        series = {'series': run.outputs.series} if 'series' in run.outputs else {}
        return {'analyses': {name: Dict(dict(values)) for name, values in asked.items()}, **series}

    def _take_analyses(self, child: str, key: str) -> None:
        """Give the further analyses of a reference run as outputs; remember if one found nothing."""
        analysed = self.ctx[child]
        if not analysed.is_finished_ok:
            self.note_failed_child(analysed, child)
        for name, result in analysed.outputs.analyses.items() if 'analyses' in analysed.outputs else []:
            self.out(f'analyses.{name}.{key}', result)

    def assemble_dataset(self) -> Any:
        """Join the labels of all charge states and split them for each training set."""
        settings = self.settings
        parts = {}
        for label, replica in settings.reference_runs():
            key = f'{label}_{replica:02d}'
            for child in (self.ctx[f'labelling_{key}'], self.ctx[f'reference_analysis_{key}']):
                if not has_results(child.exit_status):
                    return self._failed(child)
            parts[f'dataset_{key}'] = self.ctx[f'labelling_{key}'].outputs.dataset
            self.out(f'rejected.{key}', self.ctx[f'labelling_{key}'].outputs.rejected)
            self.out(f'profiles.reference_{key}', self.ctx[f'reference_analysis_{key}'].outputs.profiles)
            self._take_analyses(f'reference_analysis_{key}', f'reference_{key}')
        self.ctx.dataset = self.call_once(join_datasets, 'join_datasets', **parts)
        self.ctx.splits = {
            name: self.call_once(
                split_dataset, f'split_{name}', dataset=self.ctx.dataset, settings=Dict(settings.split_settings(name))
            )
            for name in settings.training_sets
        }
        self.ctx.atomic_energies = self.call_once(
            fit_atomic_energies, 'fit_atomic_energies', dataset=self.ctx.dataset, **self.ctx.splits
        )
        self.out('dataset', self.ctx.dataset)
        for name, split in self.ctx.splits.items():
            self.out(f'splits.{name}', split)
        return None

    def assess_potentials(self) -> ToContext:
        """Train, test and run every model of the matrix."""
        settings = self.settings
        children = {}
        for model in settings.models():
            values = settings.architectures[model.architecture]
            hyperparameters = TrainingWorkChain.get_protocol_hyperparameters(
                model.architecture, values.protocol, dict(values.hyperparameters)
            )
            replica, frame_index = settings.start(model)
            structures = {
                label: self.ctx[f'reference_md_{label}_{replica:02d}'].outputs.trajectory
                for label in settings.labels_of(model.training_set)
            }
            child = self.try_submit(
                PotentialAssessmentWorkChain,
                model.key,
                training={
                    'dataset': self.ctx.dataset,
                    'split': self.ctx.splits[model.training_set],
                    'architecture': Str(model.architecture),
                    'hyperparameters': Dict(hyperparameters),
                    'seed': Int(model.seed),
                    'precision': Str(values.precision),
                    'elements': List(list(self.ctx.dataset.elements)),
                    'atomic_energies': self.ctx.atomic_energies,
                    'gradient_updates': Int(values.gradient_updates),
                    'device': Str(values.device),
                    'code': self.inputs.codes[model.architecture],
                    'metadata': self._options(model.architecture),
                },
                structures=structures,
                frame_index=Int(frame_index),
                max_iterations=Int(settings.max_iterations),
                engine=Str(settings.md_engine(model.architecture)),
                **self._md_inputs(model.architecture),
                md_settings=Dict(settings.production_md(model)),
                analysis_settings=Dict(settings.analysis),
                **self._further_analyses(model.training_set),
                metadata={'call_link_label': model.key},
            )
            if child is not None:
                children[model.key] = child
        self.report(f'assessing {len(children)} potentials')
        return ToContext(**children)

    def _further_analyses(self, training_set: str) -> dict[str, Any]:
        """Return which further analyses of a model are asked for, and the training frames if one takes them."""
        if not (asked := self.settings.analyses):
            return {}
        inputs: dict[str, Any] = {'analyses': {name: Dict(dict(values)) for name, values in asked.items()}}
        if self.settings.asks_for_training_frames:
            split = self.ctx.splits[training_set]
            inputs['training_frames'] = self.call_once(
                training_frames, f'training_frames_{training_set}', dataset=self.ctx.dataset, split=split
            )
        return inputs

    def collect_assessments(self) -> Any:
        """Take what finished; remember what failed."""
        self.ctx.tags, self.ctx.model_profiles = {}, {}
        for model in self.settings.models():
            child = self.ctx.get(model.key)
            if child is None:
                continue
            if not has_results(child.exit_status):
                self.note_failed_child(child, model.key)
                continue
            if not child.is_finished_ok:
                self.note_failure(f'{model.key} ({child.exit_message})')
            self.out(f'potentials.{model.key}', child.outputs.potential)
            if 'errors' in child.outputs:
                self.out(f'errors.{model.key}', child.outputs.errors)
            for label, profiles in child.outputs.profiles.items() if 'profiles' in child.outputs else []:
                key = f'{model.key}_at_{label}'
                self.ctx.model_profiles[key] = profiles
                self.ctx.tags[key] = {**model.tags(), 'charge_state': label, 'is_reference': False}
                self.out(f'profiles.{key}', profiles)
            for name, results in child.outputs.analyses.items() if 'analyses' in child.outputs else []:
                for label, result in results.items():
                    self.out(f'analyses.{name}.{model.key}_at_{label}', result)
        if not self.ctx.model_profiles:
            return self.exit_codes.ERROR_NO_PROFILE.format(failures='; '.join(self.failures))
        return None
