"""Read what molecular dynamics of many replicas left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict

from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.dynamics_checkpoint import STEPS_DONE
from aiida_edl.calculations.replica_dynamics import initial_frames, replica_identity
from aiida_edl.md_engines.base import BatchedMDEngine, MDOutcome, MDResult, MDSettings, ReplicaResults
from aiida_edl.parsers.base import EdlParser, cost_and_versions, folder_of_files
from aiida_edl.parsers.molecular_dynamics import EXIT_CODE_OF_OUTCOME, series_node, trajectory_node
from aiida_edl.registry import MD_ENGINES, load_member


class ReplicaDynamicsParser(EdlParser):
    """Turn files of a run into a trajectory and series for each replica, a checkpoint and a summary."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what there is, then say how the run ended.

        :param kwargs: ``retrieved_temporary_folder`` with the trajectories.
        """
        inputs = self.node.inputs
        engine: BatchedMDEngine = load_member(MD_ENGINES, inputs.engine.value)
        settings = MDSettings.from_dict(inputs.settings.get_dict())
        frames = initial_frames(inputs.structures, inputs.replicas)
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            seen = self.seen_without_output(folder)
            replicas = engine.read_replicas(folder, frames, settings)
            if replicas.checkpoint_files:
                identity = {STEPS_DONE: replicas.checkpoint_steps, **replica_identity(inputs)}
                self.out('checkpoint', folder_of_files(folder, replicas.checkpoint_files, identity))
            self.out('md_summary', Dict(self._summary(replicas, settings, folder)))
        for label, result in replicas.results.items():
            replica = inputs.replicas[label]
            if result.series is not None:
                self.out(f'series.{label}', series_node(result.series))
            if result.trajectory is not None:
                own, structure = replace(settings, seed=replica['seed']), inputs.structures[replica['structure']]
                self.out(f'trajectories.{label}', trajectory_node(inputs, result.trajectory, own, structure))
        if seen is not None:
            return self.fail(exit_codes.OUTPUT_MISSING, f'no file of the engine came back, and {seen}')
        if replicas.outcome is not MDOutcome.FINISHED:
            return self.fail(EXIT_CODE_OF_OUTCOME[replicas.outcome], replicas.message)
        return None

    def _summary(self, replicas: ReplicaResults, settings: MDSettings, folder: Path) -> dict[str, Any]:
        """Return how the run ended and what it cost."""
        return {
            'outcome': replicas.outcome.value,
            'message': replicas.message,
            'replicas': {label: _summary_of(result) for label, result in replicas.results.items()},
            'exploded': replicas.exploded,
            'steps': settings.steps,
            'is_restart': 'checkpoint' in self.node.inputs,
            'settings': {name: value for name, value in settings.to_dict().items() if name != 'seed'},
            **cost_and_versions(folder),
        }


def _summary_of(result: MDResult) -> dict[str, Any]:
    """Return how a replica ended."""
    return {
        'outcome': result.outcome.value,
        'message': result.message,
        'steps_done': result.steps_done,
        'n_frames': 0 if result.trajectory is None else len(result.trajectory),
    }
