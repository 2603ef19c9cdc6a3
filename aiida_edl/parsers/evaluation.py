"""Read energies and forces that a potential gives for frames of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiida.orm import Dict

from aiida_edl.calculations.evaluation import ENGINE, chosen_frames
from aiida_edl.calculations.models import level_of_theory_of_potential
from aiida_edl.md_engines.single_points import SinglePointEngine, SinglePointsError
from aiida_edl.parsers.predictions import Predictions, PredictionsError, PredictionsParser
from aiida_edl.registry import MD_ENGINES, load_member


class EvaluationParser(PredictionsParser):
    """Turn predictions into a node that says to which frames of the dataset they belong."""

    def _inputs(self) -> dict[str, Any]:
        inputs = self.node.inputs
        return {name: inputs[name] for name in ('dataset', 'split', 'subset') if name in inputs}

    def n_frames(self) -> int:
        """Return the number of frames that were evaluated."""
        return len(chosen_frames(self._inputs()))

    def read(self, folder: Path) -> Predictions | None:
        """Return what the driver wrote, or what the MD engine that computed left behind.

        :param folder: folder with all files.
        :raises PredictionsError: if a file is there but is not what the program writes.
        """
        name = self.node.inputs.engine.value
        if name == ENGINE:
            return super().read(folder)
        engine: SinglePointEngine = load_member(MD_ENGINES, name)
        frames = self.node.inputs.dataset.frames().select(chosen_frames(self._inputs()))
        try:
            found = engine.read_single_points(folder, frames, self.node.inputs.potential.energy_shifts)
        except SinglePointsError as error:
            raise PredictionsError(str(error)) from error
        if found is None:
            return None
        converged = np.ones(len(frames), dtype=bool)
        converged[list(found.failures)] = False
        arrays = {
            'energies': found.energies,
            'forces': found.forces,
            'offsets': frames.offsets,
            'converged': converged,
        }
        return Predictions(arrays, found.failures)

    def attach(self, predictions: Predictions, cost: Mapping[str, Any]) -> None:
        """Attach predictions and summary; failures are named by the index of the frame in the dataset."""
        indices = chosen_frames(self._inputs())
        node = predictions.array_data()
        node.set_array('frame_indices', indices)
        self.out('predictions', node)
        summary = {
            'level_of_theory': level_of_theory_of_potential(self.node.inputs.potential),
            'failures': {str(int(indices[index])): reason for index, reason in predictions.failures.items()},
            'n_frames': len(indices),
            'n_converged': int(predictions.arrays['converged'].sum()),
            **cost,
        }
        self.out('evaluation_summary', Dict(summary))
