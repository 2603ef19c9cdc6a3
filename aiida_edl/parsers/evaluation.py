"""Read energies and forces that a potential gives for frames of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict

from aiida_edl.calculations.evaluation import chosen_frames
from aiida_edl.calculations.models import level_of_theory_of_potential
from aiida_edl.parsers.predictions import Predictions, PredictionsParser


class EvaluationParser(PredictionsParser):
    """Turn predictions into a node that says to which frames of the dataset they belong."""

    def _inputs(self) -> dict[str, Any]:
        inputs = self.node.inputs
        return {name: inputs[name] for name in ('dataset', 'split', 'subset') if name in inputs}

    def n_frames(self) -> int:
        """Return the number of frames that were evaluated."""
        return len(chosen_frames(self._inputs()))

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
