"""Read the labels of an ASE calculator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict

from aiida_edl.calculations.single_point_ase_calculator import single_point_model
from aiida_edl.parsers.predictions import Predictions, PredictionsParser


class AseCalculatorParser(PredictionsParser):
    """Turn predictions into labels."""

    def n_frames(self) -> int:
        """Return the number of frames that were to be labelled."""
        return int(self.node.inputs.dataset.n_frames)

    def attach(self, predictions: Predictions, cost: Mapping[str, Any]) -> None:
        """Attach labels and summary."""
        inputs = self.node.inputs
        given = {name: inputs[name] for name in ('potential', 'model_parameters', 'device') if name in inputs}
        self.out('labels', predictions.array_data())
        summary = {
            'level_of_theory': single_point_model(given).level_of_theory,
            'failures': {str(index): reason for index, reason in predictions.failures.items()},
            'n_frames': self.n_frames(),
            'n_labelled': int(predictions.arrays['converged'].sum()),
            **cost,
        }
        self.out('label_summary', Dict(summary))
