"""Potentials that are given to a benchmark: tested on the same frames and run in the same way as those it trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, Int, Str

from aiida_edl.architectures.bindings import NATIVE
from aiida_edl.calculations.base import validate_device
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings
from aiida_edl.workflows.assessment_checks import conversion_environments, refuse_engine
from aiida_edl.workflows.benchmark_checks import refuse_name, refuse_vacuum
from aiida_edl.workflows.benchmark_models import Model
from aiida_edl.workflows.benchmark_settings import BenchmarkSettings, conversion_code_name, md_code_name
from aiida_edl.workflows.given_potential_assessment import GivenPotentialAssessmentWorkChain

GIVEN = 'given'
"""In place of the training set in the tags of what a given potential gave: it is compared with none."""
SEED = 1
"""Seed of the first run of a given potential at each charge state."""


def given_model(name: str) -> Model:
    """Return the model that a given potential is in the matrix.

    >>> given_model('esen_oc25').key
    'esen_oc25_given_seed_01'

    :param name: what it is called.
    """
    return Model(architecture=name, training_set=GIVEN, seed=SEED)


class GivenPotentialsMixin:
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of the benchmark."""

    inputs: Any
    ctx: Any
    settings: BenchmarkSettings

    @classmethod
    def define_given(cls, spec: Any) -> None:
        """Define the ports of potentials that are given.

        :param spec: specification of the work chain.
        """
        spec.input_namespace(
            'given_potentials',
            valid_type=PotentialData,
            dynamic=True,
            required=False,
            help='Potentials that were trained elsewhere, by name: tested on the same frames, and run at every charge '
            'state. The code of each is among the codes under its name.',
        )
        spec.input(
            'given_device',
            valid_type=Str,
            required=False,
            validator=validate_device,
            help='Where they are tested and run, `cpu` or `cuda`; `cpu` without it.',
        )

    def given_models(self) -> list[Model]:
        """Return the given potentials as models."""
        return [given_model(name) for name in sorted(self.inputs.get('given_potentials', {}))]

    def submit_given(self, model: Model) -> Any:
        """Submit the assessment of a given potential; None if it is refused, which is remembered.

        :param model: see :func:`given_model`.
        """
        settings, name = self.settings, model.architecture
        this: Any = self
        potential = self.inputs.given_potentials[name]
        environments = conversion_environments_of(potential, settings)
        codes = {key: self.inputs.codes[conversion_code_name(key)] for key in environments}
        evaluation = {
            'potential': potential,
            'code': self.inputs.codes[name],
            'dataset': self.ctx.dataset,
            'split': next(iter(self.ctx.splits.values())),  # all have the same test frames
            'metadata': this._options(name),
            **({'device': self.inputs.given_device} if 'given_device' in self.inputs else {}),
        }
        of_runs = {}
        if (key := md_code_name(name)) in self.inputs.codes:
            of_runs = {'md_code': self.inputs.codes[key], 'md_options': Dict(this._options(key)['options'])}
        return this.try_submit(
            GivenPotentialAssessmentWorkChain,
            model.key,
            evaluation=evaluation,
            conversion_codes=codes,
            **of_runs,
            **this._run_inputs(model),
            max_iterations=Int(settings.max_iterations),
            engine=Str(settings.production.engine),
            analysis_settings=Dict(settings.analysis),
            analyses={key: Dict(dict(values)) for key, values in settings.analyses.items()},
            metadata={'call_link_label': model.key},
        )


def conversion_environments_of(potential: PotentialData, settings: BenchmarkSettings) -> tuple[str, ...]:
    """Return the environments, besides its own, in which a given potential is converted before it is run.

    :param potential: the potential.
    :param settings: settings of the benchmark.
    """
    engine = load_member(MD_ENGINES, settings.production.engine)
    return conversion_environments(load_member(ARCHITECTURES, potential.architecture), engine)


def validate_given(potentials: Mapping[str, PotentialData], settings: BenchmarkSettings) -> str | None:
    """Return one sentence if a given potential could not be tested or run as the others are.

    :param potentials: by name.
    :param settings: settings of the benchmark.
    """
    try:
        for name, potential in sorted(potentials.items()):
            _check_given(name, potential, settings)
    except ValueError as error:
        return str(error)
    return None


def _check_given(name: str, potential: PotentialData, settings: BenchmarkSettings) -> None:
    """Check one potential.

    :raises ValueError: with one sentence.
    """
    refuse_name(name)
    if name in settings.architectures:
        raise ValueError(f"given potential '{name}' has the name of an architecture of the benchmark; give it another")
    architecture = load_member(ARCHITECTURES, potential.architecture)
    engine = load_member(MD_ENGINES, settings.production.engine)
    if potential.format != NATIVE:
        raise ValueError(
            f"given potential '{name}' is in the format '{potential.format}'; give it as its trainer exports it, it is "
            'converted where the engine loads another format'
        )
    if reason := refuse_engine(architecture, engine, MDSettings.from_dict(settings.production.md)):
        raise ValueError(f"given potential '{name}': {reason}")
    interface = InterfaceSettings.from_dict(settings.structure)
    ions = [settings.ion] if any(settings.charge_states) else []
    if missing := [symbol for symbol in (interface.metal, 'O', 'H', *ions) if symbol not in potential.elements]:
        raise ValueError(
            f"given potential '{name}' knows {', '.join(potential.elements)}, the interfaces hold "
            f'{", ".join(missing)}, too; give one for all elements'
        )
    refuse_vacuum(interface, architecture, engine, potential.cutoff_radius, name)


def codes_of_given(
    potentials: Mapping[str, PotentialData], settings: BenchmarkSettings
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what installs the codes that given potentials need, and the names of those that they may have besides.

    :param potentials: by name.
    :param settings: settings of the benchmark.
    :return: command by name of the code, for those that are needed, and those that are optional.
    """
    needed: dict[str, str] = {}
    optional: dict[str, str] = {}
    engine = load_member(MD_ENGINES, settings.production.engine)
    for name, potential in potentials.items():
        needed[name] = load_member(ARCHITECTURES, potential.architecture).install_command
        for environment in conversion_environments_of(potential, settings):
            needed[conversion_code_name(environment)] = f'aiida-edl environment create {environment}'
        (optional if engine.code_kind == 'python' else needed)[md_code_name(name)] = engine.install_command
    return needed, optional
