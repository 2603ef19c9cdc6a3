"""This machine as a computer of AiiDA, for the tests that run engines."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Computer


def local_computer(label: str, work_directory: Path) -> Computer:
    """Return this machine as a stored computer that is looked at without delay."""
    computer = Computer(
        label=label,
        hostname='localhost',
        workdir=str(work_directory),
        transport_type='core.local',
        scheduler_type='core.direct',
    ).store()
    computer.set_minimum_job_poll_interval(0)
    computer.configure(safe_interval=0)
    return computer
