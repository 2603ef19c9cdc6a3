"""What all parsers share: one folder with all that came back, exit codes that respect the scheduler, cost."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import FolderData
from aiida.parsers import Parser

from aiida_edl.architectures.run_report import RUN_REPORT, last_line, read_run_report
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.device_check import DEVICE_MISSING_FILE
from aiida_edl.calculations.exit_codes import ExitCodeDefinition
from aiida_edl.calculations.jobs import RUN_COMMANDS_OUTPUT
from aiida_edl.md_engines.electrode import STDOUT as LAMMPS_OUTPUT

OUTPUTS_OF_CODES = (RUN_COMMANDS_OUTPUT, LAMMPS_OUTPUT)
"""Standard output of the codes: the shell makes these files before it looks for the program."""
EXIT_CODE_OF_COMMAND = {
    'device_missing': exit_codes.DEVICE_MISSING,
    'out_of_memory': exit_codes.OUT_OF_MEMORY,
    'device_lost': exit_codes.DEVICE_LOST,
}
"""Exit code of each outcome of a command that says by itself why there is no result."""
SCHEDULER_FILES = {'scheduler_stdout': '_scheduler-stdout.txt', 'scheduler_stderr': '_scheduler-stderr.txt'}
"""Options of AiiDA that name files of the scheduler, which always come back, and the defaults of these names."""


class EdlParser(Parser):
    """A parser that attaches what is there before it says what is missing.

    A status that the scheduler has put on the node (out of memory 110, out of walltime 120, node failure 140) is never
    replaced: it says more than a truncated file can.
    """

    @contextlib.contextmanager
    def retrieved_files(self, temporary: str | None) -> Iterator[Path]:
        """Give one folder with the files that are kept and those that are parsed only.

        :param temporary: ``retrieved_temporary_folder``, if anything was retrieved to be parsed only.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.retrieved.base.repository.copy_tree(folder)
            for source in sorted(Path(temporary).rglob('*')) if temporary else []:
                target = folder / source.relative_to(temporary or '')
                if source.is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.symlink_to(source.resolve())
            yield folder

    def fail(self, definition: ExitCodeDefinition, detail: str) -> ExitCode | None:
        """Return an exit code, or None to keep the status that the scheduler has set.

        :param definition: entry of the table.
        :param detail: values of the run, for the message.
        """
        if self.node.exit_status is not None:
            return None
        exit_code: ExitCode = self.exit_codes[definition.label]
        return exit_code.format(detail=detail)

    def seen_without_output(self, folder: Path) -> str | None:
        """Return what was seen if neither the run report nor a file of the program came back, else None.

        Files of the scheduler, those that the shell makes and those of a checkpoint that was given tell nothing of the
        program.

        :param folder: folder with all files.
        """
        given = set(OUTPUTS_OF_CODES)
        given |= {self.node.get_option(option) or name for option, name in SCHEDULER_FILES.items()}
        if 'checkpoint' in self.node.inputs:
            walk = self.node.inputs.checkpoint.base.repository.walk()
            given |= {(root / name).as_posix() for root, _, names in walk for name in names}
        files = [path for path in folder.rglob('*') if path.is_file()]
        if any(path.relative_to(folder).as_posix() not in given for path in files):
            return None
        of_code = next((name for name in OUTPUTS_OF_CODES if (folder / name).is_file()), None)
        return last_line(folder / (of_code or SCHEDULER_FILES['scheduler_stderr']))

    def missing_device(self, folder: Path) -> str | None:
        """Return what the job says that ended before its executable, for want of a GPU; None for other jobs.

        :param folder: folder with all files.
        """
        path = folder / DEVICE_MISSING_FILE
        return path.read_text(encoding='utf-8').strip() if path.is_file() else None

    def fail_early(self, folder: Path, stdout: str) -> ExitCode | None:
        """Return the exit code of a job that left no result, from how its command ended.

        :param folder: folder with all files.
        :param stdout: file with the output of the command.
        """
        if missing := self.missing_device(folder):
            return self.fail(exit_codes.DEVICE_MISSING, missing)
        if not (folder / RUN_REPORT).is_file() and not (folder / stdout).is_file():
            seen = last_line(folder / RUN_COMMANDS_OUTPUT)
            return self.fail(exit_codes.OUTPUT_MISSING, f'neither {RUN_REPORT} nor {stdout} came back, and {seen}')
        commands = read_run_report(folder) or ()
        outcomes = {command.outcome for command in commands}
        detail = f'{last_line(folder / stdout)}'
        definition = next((EXIT_CODE_OF_COMMAND[name] for name in EXIT_CODE_OF_COMMAND if name in outcomes), None)
        return self.fail(definition or exit_codes.LOG_INCOMPLETE, detail)


def cost_and_versions(folder: Path) -> dict[str, Any]:
    """Return wall and processor time [s], peak memory [MB] and versions, all commands together.

    :param folder: folder with the report of ``run_commands.py``; without a readable one all values are None.
    """
    try:
        report = json.loads((folder / RUN_REPORT).read_text(encoding='utf-8'))
    except (FileNotFoundError, json.JSONDecodeError):
        names = ('wall_seconds', 'cpu_seconds', 'peak_memory_megabyte', 'threads', 'python', 'platform')
        return {**dict.fromkeys(names), 'versions': {}}
    commands = report['commands']

    def known(name: str) -> list[float]:
        return [command[name] for command in commands if command.get(name) is not None]

    return {
        'wall_seconds': sum(known('wall_seconds')),
        'cpu_seconds': sum(known('cpu_seconds')),
        'peak_memory_megabyte': max(known('peak_memory_megabyte'), default=None),
        'versions': report['versions'],
        'threads': report['threads'],
        'python': report['python'],
        'platform': report['platform'],
    }


def folder_of_files(folder: Path, paths: Iterable[str], attributes: Mapping[str, Any] | None = None) -> FolderData:
    """Return a node with some files of a folder, at the same relative paths.

    :param folder: the folder.
    :param paths: relative paths.
    :param attributes: what the node says of itself.
    """
    node = FolderData()
    for path in sorted(paths):
        with (folder / path).open('rb') as handle:
            node.base.repository.put_object_from_filelike(handle, path)
    node.base.attributes.set_many(dict(attributes or {}))
    return node
