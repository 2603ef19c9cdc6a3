"""The second half of a benchmark: every model of the matrix trained, tested, run and analysed."""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext
from aiida.orm import Dict, Int, List, Str

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.learning_curve_over_size import learning_curve_over_size
from aiida_edl.calculations.functions.training_frames import training_frames
from aiida_edl.workflows.assessment_analysis import charge_label
from aiida_edl.workflows.benchmark_given import GIVEN, GivenPotentialsMixin
from aiida_edl.workflows.benchmark_models import Model, replica_suffix
from aiida_edl.workflows.benchmark_reference import BenchmarkReferenceMixin
from aiida_edl.workflows.benchmark_settings import conversion_code_name, conversion_environments_of, md_code_name
from aiida_edl.workflows.potential_assessment import PotentialAssessmentWorkChain
from aiida_edl.workflows.training import TrainingWorkChain


class BenchmarkAssessmentsMixin(GivenPotentialsMixin, BenchmarkReferenceMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of the benchmark."""

    def _md_inputs(self, architecture: str) -> dict[str, Any]:
        """Return codes and options of the runs with an architecture that are not those of its training.

        :param architecture: its key in the settings.
        """
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

    def _training_inputs(self, model: Model) -> dict[str, Any]:
        """Return the inputs of the training of a model."""
        settings = self.settings
        values, architecture = settings.architectures[model.architecture], settings.architecture_of(model.architecture)
        hyperparameters = TrainingWorkChain.get_protocol_hyperparameters(
            architecture, values.protocol, dict(values.hyperparameters)
        )
        return {
            'dataset': self.ctx.dataset,
            'split': self.ctx.splits[model.set_name],
            'architecture': Str(architecture),
            'hyperparameters': Dict(hyperparameters),
            'seed': Int(model.seed),
            'precision': Str(values.precision),
            'elements': List(list(self.ctx.dataset.elements)),
            'atomic_energies': self.ctx.atomic_energies,
            **self._of_long_range(model, 'atomic_energies'),
            'gradient_updates': Int(values.gradient_updates),
            'device': Str(values.device),
            'code': self.inputs.codes[model.architecture],
            'metadata': self._options(model.architecture),
        }

    def _of_long_range(self, model: Model, name: str) -> dict[str, Any]:
        """Return an input that follows from the electrostatics beside a model, none without any."""
        prepared = self.ctx.get('long_range', {}).get(model.architecture)
        return {} if prepared is None else {name: prepared[name]}

    def _run_inputs(self, model: Model) -> dict[str, Any]:
        """Return from which frames a model is run, and how."""
        settings = self.settings
        every = [settings.label(n_ions) for n_ions in settings.charge_states]
        wished = every if model.training_set == GIVEN else settings.labels_to_run(model.training_set)
        labels = [label for label in wished if self.reference_run(label, 1) is not None]
        replica, frame_index = settings.start(model)
        inputs: dict[str, Any] = {
            'structures': {label: self._reference_trajectory(label, replica) for label in labels},
            'frame_index': Int(frame_index),
            'md_settings': Dict(settings.production_md(model)),
        }
        further: dict[str, dict[str, Any]] = {'structures': {}, 'frames': {}, 'settings': {}}
        for run in range(2, settings.production.replicas + 1):
            replica, frame_index = settings.start(model, run)
            for label in labels:
                key = f'{label}{replica_suffix(run)}'
                further['structures'][key] = self._reference_trajectory(label, replica)
                further['frames'][key] = Int(frame_index)
                further['settings'][key] = Dict(settings.production_md(model, run))
        return {**inputs, **{f'further_{name}': nodes for name, nodes in further.items() if nodes}}

    def _reference_trajectory(self, label: str, replica: int) -> Any:
        """Return the trajectory of a reference run, of the next one if it was lost."""
        return self.reference_run(label, replica).outputs.trajectory

    def _models(self) -> list[Model]:
        """Return the models of the training sets that there are, and the potentials that are given."""
        lost = {key for key, prepared in self.ctx.get('long_range', {}).items() if prepared is None}
        models = (model for model in self.settings.models() if model.architecture not in lost)
        trained = [model for model in models if model.set_name in self.ctx.splits]
        return [*trained, *self.given_models()]

    def _models_left(self) -> list[Model]:
        """Return the models that are not assessed yet."""
        asked = self.ctx.setdefault('asked', [])
        return [model for model in self._models() if model.key not in asked]

    def has_models_left(self) -> bool:
        """Return whether there are models that are not assessed yet."""
        return bool(self._models_left())

    def assess_potentials(self) -> ToContext:
        """Train, test and run the next models of the matrix: all, or as many as may be active at once."""
        models = self._models_left()
        chosen = models[: self.inputs.max_active.value] if 'max_active' in self.inputs else models
        children = {}
        for model in chosen:
            child = self.submit_given(model) if model.training_set == GIVEN else self._submit_model(model)
            if child is not None:
                children[model.key] = child
        # A new list: the checkpoint of this step must not hold what the next one adds.
        self.ctx.asked = [*self.ctx.asked, *(model.key for model in chosen)]
        of_total = f' of {len(self._models())}' if len(chosen) < len(models) else ''
        self.report(f'assessing {len(children)}{of_total} potentials')
        return ToContext(**children)

    def _submit_model(self, model: Model) -> Any:
        """Submit the assessment of a model that is trained; None if it is refused, which is remembered."""
        settings = self.settings
        return self.try_submit(
            PotentialAssessmentWorkChain,
            model.key,
            training=self._training_inputs(model),
            **self._of_long_range(model, 'long_range'),
            **self._run_inputs(model),
            max_iterations=Int(settings.max_iterations),
            engine=Str(settings.md_engine(model.architecture)),
            **self._md_inputs(model.architecture),
            analysis_settings=Dict(settings.analysis),
            **self._further_analyses(model.set_name),
            metadata={'call_link_label': model.key},
        )

    def _further_analyses(self, training_set: str) -> dict[str, Any]:
        """Return which further analyses of a model are asked for, and the training frames if one takes them.

        :param training_set: its name, with the size where there are several.
        """
        if not (asked := self.settings.analyses):
            return {}
        inputs: dict[str, Any] = {'analyses': {name: Dict(dict(values)) for name, values in asked.items()}}
        if self.settings.asks_for_training_frames:
            split = self.ctx.splits[training_set]
            label, what = f'training_frames_{training_set}', f'training frames of {training_set} for the analyses'
            frames = self.try_call(training_frames, what, label, dataset=self.ctx.dataset, split=split)
            inputs |= {} if frames is None else {'training_frames': frames}
        return inputs

    def collect_assessments(self) -> Any:
        """Take what finished; remember what failed."""
        self.ctx.tags, self.ctx.model_profiles = {}, {}
        for model in [*self.settings.models(), *self.given_models()]:
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
                self.out(f'profiles.{key}', profiles)
                if label == charge_label(label):  # all runs there together, not one of several
                    self.ctx.model_profiles[key] = profiles
                    self.ctx.tags[key] = {**model.tags(), 'charge_state': label, 'is_reference': False}
            for name, results in child.outputs.analyses.items() if 'analyses' in child.outputs else []:
                for label, result in results.items():
                    self.out(f'analyses.{name}.{model.key}_at_{label}', result)
        self._draw_up_sizes()
        if not self.ctx.model_profiles:
            return self.exit_codes.ERROR_NO_PROFILE.format(failures='; '.join(self.failures))
        return None

    def _draw_up_sizes(self) -> None:
        """Draw up errors against the size of the training set, where there are several."""
        groups: dict[str, dict[str, tuple[int, Any]]] = {}
        for model in self.settings.models():
            child = self.ctx.get(model.key)
            if model.size and child is not None and has_results(child.exit_status) and 'errors' in child.outputs:
                name = f'{model.architecture}_{model.training_set}'
                groups.setdefault(name, {})[model.key] = (model.size, child.outputs.errors)
        for name, members in groups.items():
            sizes = Dict({key: size for key, (size, _) in members.items()})
            errors = {key: node for key, (_, node) in members.items()}
            label, what = f'errors_over_size_{name}', f'errors of {name} over the size of the set'
            curve = self.try_call(learning_curve_over_size, what, label, sizes=sizes, **errors)
            if curve is not None:
                self.out(f'errors_over_size.{name}', curve)
