"""The runs of a diffusion assessment: at every temperature several, in batches where the engine can."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from aiida.engine import ToContext
from aiida.orm import Dict, Int, ProcessNode

from aiida_edl.calculations.exit_codes import MD_EXPLODED
from aiida_edl.data.dataset import DatasetData
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science.frames import Frame
from aiida_edl.workflows.diffusion_settings import DiffusionRun, DiffusionRunSettings, temperature_label
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.replica_dynamics import ReplicaDynamicsWorkChain
from aiida_edl.workflows.tested_potential import TestedPotentialMixin

STRUCTURE = 'structure'
"""Label of the frames from which all runs begin."""
RUN_OUTPUTS: Mapping[str, str] = {'trajectory': 'trajectories', 'series': 'series'}
"""What is taken of a run: the output of a single run, and the namespace in which a batch has it for each."""


class DiffusionRunsMixin(TestedPotentialMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a work chain.

    Afterwards ``ctx.run_outputs`` has the outputs of the runs that reached their target, by label, ``ctx.lost_runs``
    why the others are lost, and ``ctx.exploded_runs`` what is left of those that exploded.
    """

    @cached_property
    def settings(self) -> DiffusionRunSettings:
        """The settings of the runs as typed values."""
        return DiffusionRunSettings.from_dict(self.inputs.settings.get_dict())

    def _runs(self) -> list[DiffusionRun]:
        """Return all runs."""
        return self.settings.runs(self.inputs.structure.n_frames)

    def _initial_frames(self) -> list[Frame]:
        """Return the frames from which the potential is to be run."""
        return [self.inputs.structure.frame(index) for index in sorted({run.frame_index for run in self._runs()})]

    def _structures(self) -> dict[str, DatasetData]:
        """Return the structure from which it is to be run."""
        return {STRUCTURE: self.inputs.structure}

    def _wants_runs(self) -> bool:
        """Return that runs are asked for."""
        return True

    def _is_batched(self) -> bool:
        """Return whether the engine runs all replicas at a temperature in one job."""
        return bool(load_member(MD_ENGINES, self.inputs.engine.value).is_batched)

    def should_run(self) -> bool:
        """Return whether the potential has passed the parity gate."""
        return bool(self.ctx.is_accepted)

    def run_potential(self) -> ToContext:
        """Run the potential at every temperature, several times."""
        children = self._submit_batches() if self._is_batched() else self._submit_single_runs()
        return ToContext(**{label: child for label, child in children.items() if child is not None})

    def _common_inputs(self, temperature: float) -> dict[str, Any]:
        """Return the inputs that all runs at a temperature share."""
        return {
            **self._device(),
            'potential': self.ctx.potential_to_run,
            'code': self._run_code(),
            'engine': self.inputs.engine,
            'metadata': {'options': self._run_options()},
            'settings': Dict({**self.inputs.md_settings.get_dict(), 'temperature': temperature}),
        }

    def _submit_batches(self) -> dict[str, ProcessNode | None]:
        """Submit one job for each temperature."""
        children = {}
        for temperature in self.settings.temperatures:
            label = f'md_{temperature_label(temperature)}'
            replicas = {
                run.label: {'structure': STRUCTURE, 'frame_index': run.frame_index, 'seed': run.seed}
                for run in self._runs()
                if run.temperature == temperature
            }
            children[label] = self.try_submit(
                ReplicaDynamicsWorkChain,
                f'MD at {temperature:g} K',
                md={
                    **self._common_inputs(temperature),
                    'structures': self._structures(),
                    'replicas': Dict(replicas),
                },
                parity=self.ctx.verdict,
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': label},
            )
        return children

    def _submit_single_runs(self) -> dict[str, ProcessNode | None]:
        """Submit one job for each run."""
        children = {}
        for run in self._runs():
            label = f'md_{run.label}'
            common = self._common_inputs(run.temperature)
            children[label] = self.try_submit(
                MolecularDynamicsWorkChain,
                f'MD {run.label}',
                md={
                    **common,
                    'settings': Dict({**common['settings'].get_dict(), 'seed': run.seed}),
                    'structure': self.inputs.structure,
                    'frame_index': Int(run.frame_index),
                },
                parity=self.ctx.verdict,
                max_iterations=self.inputs.max_iterations,
                metadata={'call_link_label': label},
            )
        return children

    def collect_runs(self) -> None:
        """Take the trajectories of what finished; remember why others did not."""
        self.ctx.run_outputs, self.ctx.lost_runs, self.ctx.exploded_runs = {}, {}, {}
        for run in self._runs():
            child = self.ctx.get(f'md_{temperature_label(run.temperature) if self._is_batched() else run.label}')
            found, reason = (None, 'its inputs were refused') if child is None else _outcome(child, run.label)
            if found is None:
                self.ctx.lost_runs[run.label] = reason
                if child is not None and _has_exploded(child, run.label):
                    self.ctx.exploded_runs[run.label] = _outputs_of(child, run.label)
                continue
            self.ctx.run_outputs[run.label] = found
            self.out(f'trajectories.{run.label}', found['trajectory'])
        for label, reason in self.ctx.lost_runs.items():
            self.note_failure(f'run {label} ({reason})')


def _outcome(child: ProcessNode, label: str) -> tuple[dict[str, Any] | None, str]:
    """Return the outputs of a run; else None and why there are none that count.

    :param child: process of this run alone, or of all at its temperature.
    :param label: label of the run.
    """
    if 'trajectories' in child.outputs or 'replicas' in child.inputs.md:
        return _outcome_in_batch(child, label)
    if not child.is_finished_ok:
        return None, f'exit status {child.exit_status}: {child.exit_message}'
    return _outputs_of(child, label), ''


def _outcome_in_batch(child: ProcessNode, label: str) -> tuple[dict[str, Any] | None, str]:
    """Return the same of one replica of a batch."""
    summary: Mapping[str, Any] = child.outputs.md_summary.get_dict() if 'md_summary' in child.outputs else {}
    if label in (exploded := summary.get('exploded', {})):
        return None, f'it exploded: {exploded[label]}'
    # A warning is no reason to leave out the replicas that reached the target.
    if child.exit_status not in (0, ReplicaDynamicsWorkChain.exit_codes.WARNING_REPLICAS_EXPLODED.status):
        return None, f'exit status {child.exit_status}: {child.exit_message}'
    found = _outputs_of(child, label)
    return (found, '') if 'trajectory' in found else (None, 'it stored no frame')


def _has_exploded(child: ProcessNode, label: str) -> bool:
    """Return whether a run exploded.

    :param child: process of this run alone, or of all at its temperature.
    :param label: label of the run.
    """
    if child.exit_status == MD_EXPLODED.status:
        return True  # of a batch: all runs
    summary = child.outputs.md_summary.get_dict() if 'md_summary' in child.outputs else {}
    return label in summary.get('exploded', {})


def _outputs_of(child: ProcessNode, label: str) -> dict[str, Any]:
    """Return what is there of the outputs of a run, by name."""
    if 'replicas' not in child.inputs.md:
        return {name: child.outputs[name] for name in RUN_OUTPUTS if name in child.outputs}
    of_all = {name: child.outputs[many] for name, many in RUN_OUTPUTS.items() if many in child.outputs}
    return {name: outputs[label] for name, outputs in of_all.items() if label in outputs}
