"""The small cell on which the classical reference is tested, and how to run LAMMPS."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.science.frames import Frame
from aiida_edl.science.reference_model import ReferenceModel
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings, build_interface

FIXTURES = Path(__file__).parent / 'fixtures'
ENVIRONMENT = Path(__file__).parents[1] / '.environments' / 'engines' / 'bin'
SETTINGS = MDSettings(
    steps=400, equilibration_steps=130, sampling_interval=100, seed=3, fixed_elements=('Au',), wall_height=13.0
)
"""Short dynamics; the equilibration is no multiple of the sampling interval."""
MODEL = ReferenceModel()


def small_cell(n_ions: int) -> Frame:
    """Return 12 gold atoms, 8 water molecules and ions."""
    settings = InterfaceSettings(repeat=(2, 2, 3), n_water=8, n_ions=n_ions, ion_window=(3.5, 6.0), seed=5)
    return build_interface(settings).frame


def find_lammps() -> str:
    """Return ``lmp`` of the engine environment, else the one on the search path."""
    beside = ENVIRONMENT / 'lmp'
    found = str(beside) if beside.is_file() else shutil.which('lmp')
    if found is None:
        raise FileNotFoundError('lmp was found neither in .environments/engines nor on PATH; run `make install`')
    return found


def run_lammps(folder: Path, files: Mapping[str, bytes], arguments: Sequence[str]) -> None:
    """Write files into a new folder and run LAMMPS there on one thread; its outcome is in the log."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    subprocess.run([find_lammps(), *arguments], cwd=folder, env=environment, check=False, capture_output=True)
