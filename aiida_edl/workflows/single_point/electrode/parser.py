"""Read the labels of the classical reference model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import ArrayData, Dict
from aiida.parsers import Parser

from aiida_edl.md_engines import electrode_labels
from aiida_edl.md_engines.electrode import OUT_OF_MEMORY_MARKS
from aiida_edl.science.reference_model import ReferenceModel


class ElectrodeParser(Parser):
    """Turn log and dump into labels in the order of the frames that were given."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach the labels that are there; say what is wrong with the rest.

        :param kwargs: ``retrieved_temporary_folder``, which holds the dump.
        """
        folder = Path(kwargs['retrieved_temporary_folder'])
        if electrode_labels.LOG not in self.retrieved.base.repository.list_object_names():
            return self._fail('ERROR_OUTPUT_MISSING', f'{electrode_labels.LOG} was not retrieved')
        log = self.retrieved.base.repository.get_object_content(electrode_labels.LOG)
        (folder / electrode_labels.LOG).write_text(log)
        frames = self.node.inputs.dataset.frames()
        plan = electrode_labels.plan_labels(frames)
        try:
            labels = electrode_labels.read_labels(folder, frames, plan)
        except (ValueError, IndexError) as error:
            return self._fail('ERROR_OUTPUT_UNREADABLE', str(error))
        self._attach(labels, frames.offsets)
        return self._exit_code(labels)

    def _attach(self, labels: electrode_labels.Labels, offsets: Any) -> None:
        """Attach labels and summary."""
        array = ArrayData()
        array.set_array('energies', labels.energies)
        array.set_array('forces', labels.forces)
        array.set_array('charges', labels.charges)
        array.set_array('metal_potential', labels.metal_potential)
        array.set_array('offsets', offsets)
        array.set_array('converged', labels.is_converged)
        self.out('labels', array)
        summary = {
            'level_of_theory': ReferenceModel.from_dict(self.node.inputs.model_parameters.get_dict()).level_of_theory,
            'failures': {str(index): reason for index, reason in labels.failures.items()},
            'n_frames': len(labels.energies),
            'n_labelled': int(labels.is_converged.sum()),
            'versions': {'lammps': labels.version},
            'wall_seconds': labels.wall_seconds if labels.is_complete else None,
        }
        self.out('label_summary', Dict(summary))

    def _exit_code(self, labels: electrode_labels.Labels) -> ExitCode | None:
        """Return how the calculation ended, None if all is well."""
        reason = next(iter(labels.failures.values()), '')
        if not labels.is_complete:
            name = 'OUT_OF_MEMORY' if any(mark in reason for mark in OUT_OF_MEMORY_MARKS) else 'LOG_INCOMPLETE'
            count = f'{int(labels.is_converged.sum())} of {len(labels.energies)} frames are labelled'
            return self._fail(f'ERROR_{name}', f'{count}; {labels.stop_reason}')
        if not labels.is_converged.any():
            return self._fail('ERROR_NO_FRAME_CONVERGED', f'the first of {len(labels.energies)} frames: {reason}')
        return None

    def _fail(self, label: str, detail: str) -> ExitCode | None:
        """Return an exit code, or None to keep a status that the scheduler has set."""
        if self.node.exit_status is not None:
            return None
        exit_code: ExitCode = getattr(self.exit_codes, label)
        return exit_code.format(detail=detail)
