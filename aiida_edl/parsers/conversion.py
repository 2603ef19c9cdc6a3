"""Read what the conversion of a potential left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict

from aiida_edl.architectures.run_report import is_there, last_line, read_run_report
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.conversion import STDOUT, conversions_of
from aiida_edl.parsers.base import EdlParser, cost_and_versions
from aiida_edl.parsers.training import files_of_model


class ConversionParser(EdlParser):
    """Turn the converted model into a potential that says of itself what the original says."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what there is, then say how the conversion ended.

        :param kwargs: ``retrieved_temporary_folder`` with the converted model.
        """
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            return self._parse_folder(folder)

    def _parse_folder(self, folder: Path) -> ExitCode | None:
        """Attach outputs from one folder with all files."""
        original, target = self.node.inputs.potential, self.node.inputs.target_format.value
        name = conversions_of(original)[target].file_name
        formats = {'source_format': original.format, 'target_format': target}
        self.out('conversion_summary', Dict({**formats, **cost_and_versions(folder)}))
        commands = read_run_report(folder)
        if commands is None or any(command.outcome != 'finished' for command in commands):
            outcomes = {command.outcome for command in commands or ()}
            if 'failed' in outcomes:
                return self.fail(exit_codes.CONVERSION_FAILED, last_line(folder / STDOUT))
            return self.fail_early(folder, STDOUT)
        if not is_there(folder / name):
            return self.fail(
                exit_codes.CONVERSION_FAILED, f'{name} is missing or empty, and {last_line(folder / STDOUT)}'
            )
        self.out('potential', original.with_files(files_of_model(folder / name, name), target))
        return None
