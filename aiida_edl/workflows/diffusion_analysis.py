"""From the runs of a diffusion assessment to coefficients, jumps and an activation energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, Node

from aiida_edl.calculations.functions.arrhenius import arrhenius
from aiida_edl.calculations.functions.diffusion_report import diffusion_report
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.science.analysis.arrhenius import MINIMUM_TEMPERATURES
from aiida_edl.workflows.cost_ledger import costs_of
from aiida_edl.workflows.diffusion_runs import DiffusionRunsMixin
from aiida_edl.workflows.diffusion_settings import DiffusionRun, temperature_label
from aiida_edl.workflows.registered_analyses import analysis_function, inputs_taken

QUALITY = 'run_quality'
VERDICTS: Mapping[str, str] = {QUALITY: 'is_physical', 'lattice_order': 'is_crystalline'}
"""Analyses that judge one run, and the attribute that says whether it counts."""
DIFFUSION, HOPPING = 'diffusion', 'hopping'


def sentences(reasons: Any) -> list[str]:
    """Return the reasons of a verdict as sentences.

    >>> sentences([{'sentence': 'too hot'}, 'melted'])
    ['too hot', 'melted']

    :param reasons: sentences, or mappings that hold one.
    """
    return [str(reason['sentence'] if isinstance(reason, Mapping) else reason) for reason in reasons or []]


class DiffusionAnalysisMixin(DiffusionRunsMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain."""

    report: Any
    node: Any

    def should_analyse(self) -> bool:
        """Return whether a run has reached its target, or exploded on the way."""
        return bool(self.ctx.get('run_outputs') or self.ctx.get('exploded_runs'))

    def judge_runs(self) -> None:
        """Exclude runs that left physics or melted, each with its reason."""
        self.ctx.excluded, self.ctx.counting, self.ctx.verdicts = {}, {}, {}
        asked = self.inputs.analyses
        for run in self._runs():
            outputs = self.ctx.run_outputs.get(run.label)
            if outputs is None:
                continue
            reasons: list[str] = []
            for name in [name for name in VERDICTS if name in asked]:
                reasons += self._judge(name, run, outputs)
            if reasons:
                self.ctx.excluded[run.label] = reasons
                self.note_failure(f'run {run.label} does not count ({"; ".join(reasons)})')
            else:
                self.ctx.counting.setdefault(temperature_label(run.temperature), []).append(run.label)

        for run in self._runs():  # so that times do not count of those alone that survived
            outputs = self.ctx.exploded_runs.get(run.label, {})
            if QUALITY in asked and 'trajectory' in outputs:
                self._judge(QUALITY, run, outputs, outcome='exploded')

    def _judge(self, name: str, run: DiffusionRun, outputs: Mapping[str, Any], **known: Any) -> list[str]:
        """Judge a run, and return why it does not count.

        :param name: analysis that judges it.
        :param run: the run.
        :param outputs: its outputs by name.
        :param known: further settings of the analysis.
        """
        if name == QUALITY:
            settings = MDSettings.from_dict(self.inputs.md_settings.get_dict())
            known |= {'temperature': run.temperature, 'ensemble': settings.ensemble}
        result = self.try_call(
            analysis_function(name),
            f'{name} of run {run.label}',
            f'{name}_{run.label}',
            trajectory=outputs['trajectory'],
            settings=Dict({**known, **self.inputs.analyses[name].get_dict()}),
            **{key: outputs[key] for key in inputs_taken(name) if key in outputs},
        )
        if result is None:
            return [f'{name} could not judge it']
        self.out(f'analyses.{name}.{run.label}', result)
        self.ctx.verdicts[f'{name}_{run.label}'] = result
        attributes = result.base.attributes
        return [] if attributes.get(VERDICTS[name]) else sentences(attributes.get('reasons', []))

    def analyse_temperatures(self) -> None:
        """Analyse all runs at each temperature together."""
        self.ctx.results = {}
        for label, runs in sorted(self.ctx.counting.items()):
            trajectories = {run: self.ctx.run_outputs[run]['trajectory'] for run in runs}
            joined = next(iter(trajectories.values()))
            if len(trajectories) > 1:
                joined = self.try_call(join_datasets, f'runs at {label} together', f'join_runs_{label}', **trajectories)
            if joined is None:
                continue
            for name, settings in sorted(self.inputs.analyses.items()):
                if name in VERDICTS:
                    continue
                result = self.try_call(
                    analysis_function(name),
                    f'{name} at {label}',
                    f'{name}_{label}',
                    trajectory=joined,
                    settings=settings,
                )
                if result is not None:
                    self.ctx.results.setdefault(name, {})[label] = result
                    self.out(f'analyses.{name}.{label}', result)

    def fit_activation_energy(self) -> None:
        """Fit the activation energy to the coefficients of all temperatures; report why there is none."""
        found: dict[str, Node] = self.ctx.results.get(DIFFUSION, {})
        self.ctx.arrhenius = None
        if not found:
            return
        if len(found) < MINIMUM_TEMPERATURES:
            given = ', '.join(sorted(found))
            self.note_failure(f'activation energy (runs count at {given} alone, it needs {MINIMUM_TEMPERATURES})')
            return
        settings = Dict(self.inputs.arrhenius.get_dict() if 'arrhenius' in self.inputs else {})
        self.ctx.arrhenius = self.try_call(arrhenius, 'activation energy', 'arrhenius', settings=settings, **found)
        if self.ctx.arrhenius is None:
            return
        self.out('arrhenius', self.ctx.arrhenius)
        if not self.ctx.arrhenius.base.attributes.get('is_determined'):
            reasons = sentences(self.ctx.arrhenius.base.attributes.get('reasons'))
            self.note_failure(f'activation energy ({"; ".join(reasons)})')

    def draw_up(self) -> None:
        """Draw up what was found at each temperature, which runs do not count and why, and what it cost."""
        lost = {label: [reason] for label, reason in (self.ctx.get('lost_runs') or {}).items()}
        exploded: Mapping[str, Any] = self.ctx.get('exploded_runs') or {}
        at_once = sorted(label for label, outputs in exploded.items() if 'trajectory' not in outputs)
        facts = {
            'settings': self.settings.to_dict(),
            'runs': [{'label': run.label, 'temperature': run.temperature} for run in self._runs()],
            'excluded': {**lost, **(self.ctx.get('excluded') or {})},
            'exploded_at_once': at_once if QUALITY in self.inputs.analyses else [],
            'costs': costs_of(self.node),
        }
        results = {
            f'{name}_{label}': node
            for name in (DIFFUSION, HOPPING)
            for label, node in (self.ctx.get('results') or {}).get(name, {}).items()
        }
        results |= self.ctx.get('verdicts') or {}
        if self.ctx.get('arrhenius') is not None:
            results['arrhenius'] = self.ctx.arrhenius
        report = self.call_once(diffusion_report, 'diffusion_report', facts=Dict(facts), **results)
        self.out('report', report)
