"""How few labels does a foundation model need to diffuse ions rightly, and of which kind?"""

from __future__ import annotations

from typing import Any

from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.orm import AbstractCode, ArrayData, Dict, Int, List, Str

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.fine_tuning_comparison import fine_tuning_comparison
from aiida_edl.calculations.functions.frames_of_elements import frames_of_elements
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.workflows.assessment_checks import conversion_environments
from aiida_edl.workflows.benchmark_settings import conversion_code_name
from aiida_edl.workflows.diffusion_assessment import OF_ANOTHER_ZERO, DiffusionAssessmentWorkChain
from aiida_edl.workflows.fine_tuning_checks import validate_study
from aiida_edl.workflows.fine_tuning_loops import FineTuningLoopsMixin
from aiida_edl.workflows.fine_tuning_parts import Strategy
from aiida_edl.workflows.fine_tuning_settings import validate_settings
from aiida_edl.workflows.fine_tuning_trainings import MD_SUFFIX
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.protocols.mixin import ProtocolMixin
from aiida_edl.workflows.submission import validate_max_active


class FineTuningStudyWorkChain(FineTuningLoopsMixin, ProtocolMixin, WorkChain):
    """Compare foundation models as they are, fine-tuned on few frames, and models trained from scratch on the same.

    A model learns part of a labelled set, or frames that it finds itself and that are labelled for it in rounds.
    Every model is tested on the same labelled frames, and on frames of the training of its foundation model, which
    tells what it forgot; it is run at several temperatures, several times; and its diffusion coefficients, its
    activation energy and its mechanism are found. The comparison has all of this with what it cost.
    """

    protocol_file = 'fine_tuning_study.yaml'
    replaced_whole = ('families',)

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input('settings', valid_type=Dict, validator=validate_settings, help='The whole study; see the protocols.')
        spec.input('dataset', valid_type=DatasetData, help='Labelled frames of one level of theory.')
        spec.input(
            'split', valid_type=ArrayData, help='Its `training`, from which frames are chosen, `validation`, `test`.'
        )
        spec.input_namespace(
            'foundations', valid_type=PotentialData, dynamic=True, required=False, help='Foundation models by label.'
        )
        spec.input(
            'replay_dataset',
            valid_type=DatasetData,
            required=False,
            help='Labelled frames of the training of the foundation models, or labelled by them.',
        )
        spec.input(
            'replay_split',
            valid_type=ArrayData,
            required=False,
            help='Its `training`, from which replayed frames are chosen, and `test`, which tells what was forgotten.',
        )
        spec.input_namespace(
            'structures', valid_type=DatasetData, dynamic=True, help='Frames from which the runs begin, by system.'
        )
        spec.input_namespace(
            'codes',
            valid_type=AbstractCode,
            dynamic=True,
            help='Interpreter of each architecture or family by name, or `default`; with `_md` after the name the code '
            'of its runs, if it is not that of its training. `conversion_<environment>` converts potentials.',
        )
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options by name of the code.')
        spec.input(
            'atomic_energies',
            valid_type=Dict,
            required=False,
            help='Reference energy of each element [eV]; fitted to the training frames without it.',
        )
        spec.input(
            'max_active',
            valid_type=Int,
            required=False,
            validator=validate_max_active,
            help='How many models are trained and run at once at most; all without it.',
        )
        spec.expose_inputs(
            LabellingWorkChain,
            namespace='labelling',
            exclude=('dataset',),
            namespace_options={
                'required': False,
                'populate_defaults': False,
                'help': 'How frames are labelled that models find themselves.',
            },
        )
        spec.inputs.validator = validate_study
        spec.output_namespace('potentials', valid_type=PotentialData, dynamic=True, help='Trained potentials by model.')
        spec.output_namespace('errors', valid_type=Dict, dynamic=True, help='Errors on the test frames by model.')
        spec.output_namespace(
            'holdout_errors', valid_type=Dict, dynamic=True, help='Errors on frames of the foundation by model.'
        )
        spec.output_namespace('reports', valid_type=Dict, dynamic=True, help='Diffusion by system and model.')
        spec.output_namespace(
            'arrhenius', valid_type=(ArrayData, Dict), dynamic=True, help='Activation energies by system and model.'
        )
        spec.output('comparison', valid_type=Dict, help='All models, the learning curves, and the cost.')
        spec.outline(
            cls.prepare,
            while_(cls.has_models_left)(
                cls.train_models,
                cls.inspect_trainings,
                if_(cls.has_potentials)(cls.assess_models, cls.inspect_assessments),
            ),
            cls.compare,
        )
        spec.exit_code(511, 'ERROR_NO_MODEL', message='No model was assessed: {failures}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The comparison lacks parts that failed: {failures}')

    def _current(self) -> list[str]:
        """Return the models whose turn it is and that have a potential."""
        return [key for key in self.ctx.current if key in self.ctx.potentials]

    def has_potentials(self) -> bool:
        """Return whether there is a potential to assess."""
        return bool(self._current())

    def assess_models(self) -> ToContext:
        """Test and run the potentials on every system."""
        children = {}
        for key in self._current():
            for number, system in enumerate(sorted(self.inputs.structures)):
                label = f'{system}_{key}'
                inputs = self.try_build(self._assessment_inputs, label, key, system, number == 0)
                if inputs is None:
                    continue
                child = self.try_submit(
                    DiffusionAssessmentWorkChain,
                    label,
                    **inputs,
                    metadata={'call_link_label': f'assessment_{label}'},
                )
                if child is not None:
                    children[f'assessment_{label}'] = child
        self.report(f'assessing {len(self._current())} models')
        return ToContext(**children)

    def _assessment_inputs(self, key: str, system: str, is_first: bool) -> dict[str, Any]:
        """Return the inputs of the assessment of a model.

        :param key: the model.
        :param system: label of the structure.
        :param is_first: whether it is the first system; the hold-out is evaluated for that one only.
        """
        settings = self.settings
        name = self.ctx.facts[key]['family']
        family = settings.families[name]
        code, options = self._code(name, family)
        engine = family.engine or settings.engine
        inputs: dict[str, Any] = {
            'evaluation': {
                'potential': self.ctx.potentials[key],
                'code': code,
                'dataset': self.inputs.dataset,
                'split': self.inputs.split,
                'subset': Str('test'),
                'device': Str(family.device),
                'metadata': {'options': options},
            },
            'structure': self.inputs.structures[system],
            'engine': Str(engine),
            'conversion_codes': {
                environment: self.inputs.codes[conversion_code_name(environment)]
                for environment in conversion_environments(
                    load_member(ARCHITECTURES, self.ctx.potentials[key].architecture), load_member(MD_ENGINES, engine)
                )
            },
            'settings': Dict(dict(settings.runs)),
            'md_settings': Dict(dict(settings.md)),
            'analyses': {analysis: Dict(dict(values)) for analysis, values in settings.analyses.items()},
            'arrhenius': Dict(dict(settings.arrhenius)),
            'max_iterations': Int(settings.max_iterations),
        }
        md_code, md_options = self._code(name, family, MD_SUFFIX)
        if md_code is not None:
            inputs |= {'md_code': md_code, 'md_options': Dict(md_options)}
        if family.strategy == Strategy.ZERO_SHOT.value:
            inputs['error_settings'] = Dict(OF_ANOTHER_ZERO)
        if is_first and family.has_parent and (holdout := self._holdout_of(key)) is not None:
            inputs['holdout'] = holdout
        return inputs

    def _holdout_of(self, key: str) -> DatasetData | None:
        """Return the frames of the hold-out that a model can be asked about; remember if it can be about none.

        :param key: the model, which may know fewer elements than its foundation model.
        """
        holdout: DatasetData | None = self.ctx.holdout
        known = [] if holdout is None else self.ctx.potentials[key].elements
        if holdout is None or set(holdout.elements) <= set(known):
            return holdout
        chosen: DatasetData | None = self.try_call(
            frames_of_elements,
            f'old frames for {key}',
            f'holdout_{"_".join(known)}',
            dataset=holdout,
            elements=List(list(known)),
        )
        return chosen

    def inspect_assessments(self) -> None:
        """Take what was found; remember what failed."""
        reports, errors = dict(self.ctx.get('reports') or {}), dict(self.ctx.get('errors') or {})
        for key in self._current():
            for system in sorted(self.inputs.structures):
                child = self.ctx.get(f'assessment_{system}_{key}')
                if child is None:
                    continue
                if not has_results(child.exit_status):
                    self.note_failed_child(child, f'assessment of {key} on {system}')
                    continue
                if not child.is_finished_ok:
                    self.note_failure(f'{key} on {system} ({child.exit_message})')
                outputs = child.outputs
                reports[f'{system}.{key}'] = outputs.report
                self.out(f'reports.{system}.{key}', outputs.report)
                if 'arrhenius' in outputs:
                    self.out(f'arrhenius.{system}.{key}', outputs.arrhenius)
                for name in ('errors', 'holdout_errors'):
                    if name in outputs and f'{name}.{key}' not in errors:
                        errors[f'{name}.{key}'] = outputs[name]
                        self.out(f'{name}.{key}', outputs[name])
        self.ctx.reports, self.ctx.errors = reports, errors

    def compare(self) -> Any:
        """Draw up all models beside each other."""
        reports, errors = self.ctx.get('reports') or {}, self.ctx.get('errors') or {}
        if not reports:
            return self.exit_codes.ERROR_NO_MODEL.format(failures='; '.join(self.failures))
        names = {name.replace('.', '_'): name for name in {**reports, **errors}}
        results = {label: {**reports, **errors}[name] for label, name in names.items()}
        facts = {'models': self.ctx.facts, 'names': names, 'systems': sorted(self.inputs.structures)}
        comparison = self.call_once(fine_tuning_comparison, 'fine_tuning_comparison', facts=Dict(facts), **results)
        self.out('comparison', comparison)
        if self.failures:
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures='; '.join(self.failures))
        return None
