"""Read what a validation of summation methods left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict

from aiida_edl.architectures.run_report import read_run_report
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.long_range_validation import CASES_DONE, OUT_OF_TIME, RESULT, STDOUT
from aiida_edl.parsers.base import EdlParser, cost_and_versions, folder_of_files
from aiida_edl.science.electrostatics.validation_settings import ValidationSettings

TABLES = ('rows', 'lattices', 'drifts')
"""What the program finds."""


class LongRangeValidationParser(EdlParser):
    """Turn the rows into one node; cases of an interrupted run become a checkpoint."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what there is, then say how the job ended.

        :param kwargs: ``retrieved_temporary_folder`` with the rows.
        """
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            return self._parse_folder(folder)

    def _parse_folder(self, folder: Path) -> ExitCode | None:
        """Attach outputs from one folder with all files."""
        path = folder / RESULT
        if not path.is_file():
            return self.fail_early(folder, STDOUT)
        try:
            document = json.loads(path.read_text(encoding='utf-8'))
            done, tables = document['cases_done'], {name: document[name] for name in TABLES}
        except (json.JSONDecodeError, KeyError) as error:
            return self.fail(exit_codes.OUTPUT_UNREADABLE, f'{RESULT} is no table of rows ({error})')
        asked = ValidationSettings.from_dict(self.node.inputs.settings.get_dict()).cases
        if set(done) >= set(asked) and tables['drifts'] is not None:
            self.out('validation', Dict({**tables, **cost_and_versions(folder)}))
            return None
        checkpoint = folder_of_files(folder, (RESULT,))
        checkpoint.base.attributes.set(CASES_DONE, len(done))
        self.out('checkpoint', checkpoint)
        detail = f'{len(done)} of {len(asked)} cases are done'
        if self._stopped_by_itself(folder):
            return self.fail(exit_codes.OUT_OF_WALLTIME, detail)
        return self.fail_early(folder, STDOUT)

    @staticmethod
    def _stopped_by_itself(folder: Path) -> bool:
        """Return whether the program ended in good order before the walltime."""
        commands = read_run_report(folder) or ()
        return any(command.returncode == OUT_OF_TIME for command in commands)
