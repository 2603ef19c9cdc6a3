"""The last step of a benchmark: all models against each other, against the reference, and by how far they see."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.excluded_runs import QUALITY_PREFIX, REPLICA
from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.capacitance import capacitance
from aiida_edl.calculations.functions.compare_solvent_dipoles import compare_solvent_dipoles
from aiida_edl.calculations.functions.compare_structures import compare_structures
from aiida_edl.calculations.functions.model_spread import model_spread
from aiida_edl.calculations.functions.receptive_field_ranking import receptive_field_ranking
from aiida_edl.calculations.functions.survival_of_runs import survival_of_runs
from aiida_edl.calculations.functions.training_penalty import training_penalty
from aiida_edl.workflows.benchmark_given import GivenPotentialsMixin
from aiida_edl.workflows.partial_failures import PartialFailuresMixin

QUALITY = 'run_quality'
"""Name of the analysis that says whether a run stayed within physics."""
POTENTIAL = 'potential_profile'
"""Name of the analysis from which capacitances follow."""
STRUCTURE = 'interface_structure'
"""Name of the analysis whose results are compared with the reference."""
DYNAMICS = 'interface_dynamics'
"""Name of the analysis that says how strongly the total solvent dipole fluctuates."""


class BenchmarkComparisonMixin(GivenPotentialsMixin, PartialFailuresMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of the benchmark."""

    settings: Any
    out: Any
    exit_codes: Any

    @classmethod
    def define_comparison(cls, spec: Any) -> None:
        """Define the outputs of the comparison.

        :param spec: specification of the work chain.
        """
        spec.output('answer', valid_type=Dict, help='Spread between models, mixed against single, and the verdict.')
        spec.output(
            'penalty',
            valid_type=Dict,
            required=False,
            help='Force errors and energy shifts of each training set against the others, and the verdict.',
        )
        spec.output(
            'structures',
            valid_type=Dict,
            required=False,
            help='Radial distributions, coordination, coverage and hydrogen bonds against the reference.',
        )
        spec.output(
            'ranking', valid_type=Dict, required=False, help='What mixed training costs, by receptive field [Å].'
        )
        spec.output(
            'capacitance', valid_type=Dict, required=False, help='Capacitance of each model from its charge states.'
        )
        spec.output(
            'solvent_dipoles',
            valid_type=Dict,
            required=False,
            help='How strongly the total solvent dipole fluctuates against the reference: too strongly is a sign of '
            'false metallisation.',
        )
        spec.output_namespace(
            'survivals',
            valid_type=ArrayData,
            dynamic=True,
            help='How long runs stay physical, by architecture and training set, exploded ones counted [fs].',
        )

    def compare_models(self) -> Any:
        """Compare the models with each other and with the reference."""
        for label, replica in self.settings.reference_runs():
            key, analysed = (
                f'reference_{label}_{replica:02d}',
                self.ctx.get(f'reference_analysis_{label}_{replica:02d}'),
            )
            if analysed is None or not has_results(analysed.exit_status):
                continue
            self.ctx.model_profiles[key] = analysed.outputs.profiles
            self.ctx.tags[key] = {
                'training_set': 'reference',
                'architecture': 'reference',
                'seed': replica,
                'charge_state': label,
                'is_reference': True,
            }
        profiles = {**self.ctx.model_profiles, **self._qualities(self.ctx.model_profiles)}
        answer = self._compare('answer', model_spread, 'comparison of models', tags=Dict(self.ctx.tags), **profiles)
        self._compare_structures()
        self._compare_errors(answer)
        self._find_capacitances()
        self._compare_dipoles()
        self._estimate_survivals()
        if self.failures:
            return self.exit_codes.WARNING_PARTS_FAILED.format(failures='; '.join(self.failures))
        return None

    def _compare(self, output: str, function: Callable[..., Any], what: str, **inputs: Any) -> Any:
        """Return what a comparison found, which is an output too; None if it found nothing, which is remembered.

        :param output: name of the output.
        :param function: calcfunction.
        :param what: what it is to find.
        :param inputs: its inputs.
        """
        found = self.try_call(function, what, function.__name__, **inputs)
        if found is not None:
            self.out(output, found)
        return found

    def _qualities(self, results: Container[str]) -> dict[str, ArrayData]:
        """Return the quality of each run that is in one of these results, by link label, where it is known.

        A replica that left physics is in none: those that did not were joined without it.

        :param results: labels of the results.
        """
        return {
            f'{QUALITY_PREFIX}{key}': node
            for key, node in self._results(QUALITY).items()
            if REPLICA.sub('', key) in results and not _was_left_out(key, node)
        }

    def _estimate_survivals(self) -> None:
        """Estimate how long the runs of each architecture and training set stay physical, all seeds together."""
        groups: dict[str, dict[str, ArrayData]] = {}
        for model in [*self.settings.models(), *self.given_models()]:
            name = model.key.removesuffix(f'_seed_{model.seed:02d}')
            for label, quality in _analyses(self.ctx.get(model.key)).get(QUALITY, {}).items():
                groups.setdefault(name, {})[f'{model.key}_at_{label}'] = quality
        for name, qualities in sorted(groups.items()):
            found = self.try_call(survival_of_runs, f'survival of {name}', f'survival_{name}', **qualities)
            if found is not None:
                self.out(f'survivals.{name}', found)

    def _results(self, name: str) -> dict[str, ArrayData]:
        """Return the results of a further analysis of each run that gave a profile, by the label of the run."""
        found = {}
        for model in [*self.settings.models(), *self.given_models()]:
            child = self.ctx.get(model.key)
            for label, result in _analyses(child).get(name, {}).items():
                found[f'{model.key}_at_{label}'] = result
        for label, replica in self.settings.reference_runs():
            analyses = _analyses(self.ctx.get(f'reference_analysis_{label}_{replica:02d}'))
            if name in analyses:
                found[f'reference_{label}_{replica:02d}'] = analyses[name]
        return {key: node for key, node in found.items() if REPLICA.sub('', key) in self.ctx.model_profiles}

    def _compare_structures(self) -> None:
        """Compare the static structure of the models with that of the reference, where it was analysed."""
        structures = {key: node for key, node in self._results(STRUCTURE).items() if key in self.ctx.tags}
        tags = {key: self.ctx.tags[key] for key in structures}
        if not self._has_model(STRUCTURE, 'comparison of structures', tags):
            return
        inputs = {'tags': Dict(tags), **structures, **self._qualities(structures)}
        self._compare('structures', compare_structures, 'comparison of structures', **inputs)

    def _find_capacitances(self) -> None:
        """Find the capacitance of each model and of the reference, where the potential was analysed."""
        potentials = {key: node for key, node in self._results(POTENTIAL).items() if key in self.ctx.tags}
        self._has_model(POTENTIAL, 'capacitance of models', {key: self.ctx.tags[key] for key in potentials})
        if not potentials:
            return
        tags = {
            key: {'charge_state': self.ctx.tags[key]['charge_state'], **_series(self.ctx.tags[key])}
            for key in potentials
        }
        inputs = {'tags': Dict(tags), **potentials, **self._qualities(potentials)}
        self._compare('capacitance', capacitance, 'capacitance', **inputs)

    def _has_model(self, analysis: str, what: str, tags: dict[str, Any]) -> bool:
        """Return whether an analysis was done for a run of a model; if it was asked for in vain, that is a failure.

        :param analysis: its name.
        :param what: what is made of it.
        :param tags: tags of the runs that have it.
        """
        is_there = any(not tag['is_reference'] for tag in tags.values())
        if not is_there and analysis in self.settings.analyses:
            self.note_failure(f'{what} (no run of a model has the analysis {analysis})')
        return is_there

    def _compare_dipoles(self) -> None:
        """Compare how strongly the total solvent dipole fluctuates with the reference, where it was analysed."""
        dynamics = {key: node for key, node in self._results(DYNAMICS).items() if key in self.ctx.tags}
        tags = {key: self.ctx.tags[key] for key in dynamics}
        if not self._has_model(DYNAMICS, 'comparison of solvent dipoles', tags):
            return
        inputs = {'tags': Dict(tags), **dynamics, **self._qualities(dynamics)}
        self._compare('solvent_dipoles', compare_solvent_dipoles, 'comparison of solvent dipoles', **inputs)

    def _compare_errors(self, answer: Dict | None) -> None:
        """Compare the errors on the test frames, and rank the architectures by receptive field."""
        tags, errors, potentials = {}, {}, {}
        for model in [*self.settings.models(), *self.given_models()]:
            child = self.ctx.get(model.key)
            if child is None or not has_results(child.exit_status):
                continue
            potentials[model.key], tags[model.key] = child.outputs.potential, model.tags()
            if 'errors' in child.outputs:
                errors[model.key] = child.outputs.errors
        if not errors:
            return
        tested = Dict({key: tags[key] for key in errors})
        penalty = self._compare('penalty', training_penalty, 'comparison of errors', tags=tested, **errors)
        if penalty is None:
            return
        spread = {} if answer is None else {'spread': answer}
        inputs = {'penalty': penalty, **spread, 'tags': Dict(tags), **potentials}
        self._compare('ranking', receptive_field_ranking, 'ranking by receptive field', **inputs)


def _series(tag: dict[str, Any]) -> dict[str, str]:
    """Return the runs that differ from one another by their charge alone, and the series that do by their seed.

    Runs of the reference at one charge state are replicas of one series, not models of several seeds.
    """
    if tag['is_reference']:
        return {'series': 'reference'}
    group = f'{tag["architecture"]}, {tag["training_set"]}'
    return {'series': f'{group}, seed {tag["seed"]}', 'group': group}


def _was_left_out(key: str, quality: ArrayData) -> bool:
    """Return whether a run is a replica that left physics, so that the others were joined without it.

    :param key: label of the run.
    :param quality: what ``edl.run_quality`` found.
    """
    return REPLICA.search(key) is not None and not quality.base.attributes.get('is_physical', True)


def _analyses(child: Any) -> Any:
    """Return the further analyses that a child gave, by name."""
    return {} if child is None or 'analyses' not in child.outputs else child.outputs.analyses
