"""Read the labels of the classical reference model."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations import exit_codes
from aiida_edl.md_engines import electrode_labels
from aiida_edl.md_engines.lammps_output import OUT_OF_MEMORY_MARKS
from aiida_edl.parsers.base import EdlParser
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.reference_model import ReferenceModel


class ElectrodeParser(EdlParser):
    """Turn log and dump into labels in the order of the frames that were given."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach the labels that are there; say what is wrong with the rest.

        :param kwargs: ``retrieved_temporary_folder`` with the dump.
        """
        frames = self.node.inputs.dataset.frames()
        plan = electrode_labels.plan_labels(frames)
        model = ReferenceModel.from_dict(self.node.inputs.model_parameters.get_dict())
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            if not (folder / electrode_labels.LOG).is_file():
                return self.fail(exit_codes.OUTPUT_MISSING, f'{electrode_labels.LOG} was not retrieved')
            try:
                labels = electrode_labels.read_labels(folder, frames, plan, model.slab_factor)
            except (ValueError, IndexError) as error:
                return self.fail(exit_codes.OUTPUT_UNREADABLE, str(error))
        self._attach(labels, frames)
        return self._exit_code(labels)

    def _attach(self, labels: electrode_labels.Labels, frames: FrameSet) -> None:
        """Attach labels and summary."""
        arrays = {
            'energies': labels.energies,
            'forces': labels.forces,
            'charges': labels.charges,
            'metal_potential': labels.metal_potential,
            'offsets': frames.offsets,
            'converged': labels.is_converged,
        }
        if labels.electrode_potential is not None:
            arrays['electrode_potential'] = labels.electrode_potential
        node = ArrayData()
        for name, array in arrays.items():
            node.set_array(name, array)
        self.out('labels', node)
        summary = {
            'level_of_theory': ReferenceModel.from_dict(self.node.inputs.model_parameters.get_dict()).level_of_theory,
            'failures': {str(index): reason for index, reason in labels.failures.items()},
            'n_frames': len(frames),
            'n_labelled': int(labels.is_converged.sum()),
            'versions': {'lammps': labels.version},
            'wall_seconds': labels.wall_seconds if labels.is_complete else None,
            'cpu_seconds': labels.wall_seconds if labels.is_complete else None,  # one thread that only computes
        }
        self.out('label_summary', Dict(summary))

    def _exit_code(self, labels: electrode_labels.Labels) -> ExitCode | None:
        """Return how the calculation ended, None if all is well."""
        n_frames, n_labelled = len(labels.energies), int(labels.is_converged.sum())
        if not labels.is_complete:
            is_out_of_memory = any(mark in labels.stop_reason for mark in OUT_OF_MEMORY_MARKS)
            definition = exit_codes.OUT_OF_MEMORY if is_out_of_memory else exit_codes.LOG_INCOMPLETE
            return self.fail(definition, f'{n_labelled} of {n_frames} frames are labelled; {labels.stop_reason}')
        if not n_labelled:
            first = labels.failures[min(labels.failures)]
            return self.fail(exit_codes.NO_FRAME_CONVERGED, f'the first of {n_frames} frames: {first}')
        return None
