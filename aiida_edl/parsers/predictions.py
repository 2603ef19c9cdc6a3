"""Read what ``drivers/evaluate_model.py`` left, for evaluations and for single points with an ASE calculator."""

from __future__ import annotations

import abc
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import ExitCode
from aiida.orm import ArrayData
from numpy.typing import NDArray

from aiida_edl.calculations import evaluation, exit_codes
from aiida_edl.parsers.base import EdlParser, cost_and_versions, folder_of_files

ARRAYS = ('energies', 'forces', 'offsets', 'converged')
"""Arrays that must be there."""
OPTIONAL_ARRAYS = ('charges', 'stresses', 'atomic_energies')
"""Arrays that may be there."""


class PredictionsError(ValueError):
    """An output file that is not what the driver writes."""


@dataclass(frozen=True)
class Predictions:
    """Energies and forces of all frames of a job."""

    arrays: Mapping[str, NDArray[Any]]
    """Arrays by name, see :data:`ARRAYS`."""
    failures: Mapping[int, str]
    """Reason by index of each frame that failed."""

    def array_data(self) -> ArrayData:
        """Return a node with the arrays."""
        node = ArrayData()
        for name, array in self.arrays.items():
            node.set_array(name, array)
        return node


def read_predictions(folder: Path, n_frames: int) -> Predictions | None:
    """Return the predictions, None if the driver did not come to writing them.

    :param folder: folder with all files.
    :param n_frames: frames of the job.
    :raises PredictionsError: if a file is there but is not what the driver writes.
    """
    path = folder / evaluation.PREDICTIONS
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in (*ARRAYS, *OPTIONAL_ARRAYS) if name in archive.files}
        failures = json.loads((folder / evaluation.FAILURES).read_text())
    except (zipfile.BadZipFile, zlib.error, EOFError, FileNotFoundError, json.JSONDecodeError) as error:
        raise PredictionsError(f'{path.name} or {evaluation.FAILURES} is missing or truncated ({error})') from error
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise PredictionsError(f'{path.name} lacks the arrays {", ".join(missing)}')
    if len(arrays['energies']) != n_frames:
        raise PredictionsError(f'{path.name} holds {len(arrays["energies"])} frames, {n_frames} were given')
    return Predictions(arrays, {int(index): reason for index, reason in failures.items()})


def read_frames_done(folder: Path) -> int | None:
    """Return how many frames the results so far hold, None if they did not come back whole.

    :param folder: folder with all files.
    """
    if not (folder / evaluation.FAILURES).is_file():
        return None
    try:
        with np.load(folder / evaluation.PARTIAL, allow_pickle=False) as archive:
            return int(archive['done'].sum())
    except (FileNotFoundError, zipfile.BadZipFile, zlib.error, EOFError, ValueError):
        return None


class PredictionsParser(EdlParser):
    """Parser of a calculation that runs ``evaluate_model.py``; a subclass names the outputs."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what there is, then say how the job ended.

        :param kwargs: ``retrieved_temporary_folder`` with the predictions.
        """
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            try:
                predictions = self.read(folder)
            except PredictionsError as error:
                return self.fail(exit_codes.OUTPUT_UNREADABLE, str(error))
            if predictions is None:
                return self._interrupted(folder)
            self.attach(predictions, cost_and_versions(folder))
        if not predictions.arrays['converged'].any():
            reason = next(iter(predictions.failures.values()), 'no reason was recorded')
            detail = f'all {len(predictions.arrays["converged"])} frames failed, the first for {reason}'
            return self.fail(exit_codes.NO_FRAME_CONVERGED, detail)
        return None

    def read(self, folder: Path) -> Predictions | None:
        """Return the predictions, None if the program did not come to writing them.

        :param folder: folder with all files.
        :raises PredictionsError: if a file is there but is not what the program writes.
        """
        return read_predictions(folder, self.n_frames())

    @abc.abstractmethod
    def n_frames(self) -> int:
        """Return the number of frames of the job."""

    @abc.abstractmethod
    def attach(self, predictions: Predictions, cost: Mapping[str, Any]) -> None:
        """Attach the outputs.

        :param predictions: energies and forces.
        :param cost: what :func:`~aiida_edl.parsers.base.cost_and_versions` returns.
        """

    def _interrupted(self, folder: Path) -> ExitCode | None:
        """Attach the results so far and say why there are no more."""
        if (n_done := read_frames_done(folder)) is not None:
            checkpoint = folder_of_files(folder, (evaluation.PARTIAL, evaluation.FAILURES))
            checkpoint.base.attributes.set(evaluation.FRAMES_DONE, n_done)
            self.out('checkpoint', checkpoint)
        try:
            summary = json.loads((folder / evaluation.SUMMARY).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return self.fail_early(folder, evaluation.STDOUT)
        detail = f'{summary["frames_done"]} of {summary["frames"]} frames are done'
        if summary['outcome'] == 'out_of_walltime':
            return self.fail(exit_codes.OUT_OF_WALLTIME, detail)
        return self.fail(exit_codes.OUTPUT_MISSING, f'{evaluation.PREDICTIONS} did not come back, although {detail}')
