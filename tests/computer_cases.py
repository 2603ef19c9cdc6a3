"""This machine as a computer of AiiDA, for the tests that run engines."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Computer


def local_computer(label: str, work_directory: Path, use_login_shell: bool = True) -> Computer:
    """Return this machine as a stored computer that is looked at without delay.

    :param label: its label.
    :param work_directory: where its jobs run.
    :param use_login_shell: whether each command reads the profile of the shell, which takes longer than a toy.
    """
    computer = Computer(
        label=label,
        hostname='localhost',
        workdir=str(work_directory),
        transport_type='core.local',
        scheduler_type='core.direct',
    ).store()
    computer.set_minimum_job_poll_interval(0)
    computer.configure(safe_interval=0, use_login_shell=use_login_shell)
    return computer
