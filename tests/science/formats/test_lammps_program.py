"""LAMMPS itself reads the data files that are written, and its dumps of them are read: boxes of all kinds."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trainer_environments import environment

from aiida_edl.science.formats.base import without, write_files
from aiida_edl.science.formats.lammps_data import LammpsData
from aiida_edl.science.formats.lammps_dump import LammpsDump
from aiida_edl.science.formats.testing import ANYTHING, example_set

CELL = np.array([[9.0, 0.3, -0.2], [1.0, 10.0, 0.4], [-0.5, 0.2, 12.0]])
SCRIPT = """units metal
atom_style charge
atom_modify map array
boundary p p p
read_data {name}
pair_style zero 5.0
pair_coeff * *
mass * 1.0
dump all all custom 1 out.dump id type element x y z vx vy vz q
dump_modify all element H O Au sort id triclinic/general {is_general} format float %.17g units yes
run 0
"""

pytestmark = pytest.mark.slow


def after_lammps(folder: Path, source: Path, is_general: bool) -> Path:
    """Return the dump that LAMMPS writes of a data file."""
    program = environment('deepmd_lammps').parent / 'lmp'
    (folder / 'in.lmp').write_text(SCRIPT.format(name=source.name, is_general='yes' if is_general else 'no'))
    command = [str(program), '-in', 'in.lmp', '-log', 'none']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return folder / 'out.dump'


@pytest.mark.parametrize(
    ('cell', 'is_general'),
    [(np.diag(np.diag(CELL)), False), (np.tril(CELL), False), (CELL, True)],
    ids=['orthogonal', 'restricted', 'general'],
)
def test_lammps_gives_back_what_it_was_given(tmp_path, cell, is_general):
    whole = without(example_set(), ('energies', 'forces', 'stresses')).select([0])
    frames = replace(whole, cells=cell[None])
    source = write_files(LammpsData().write(frames), tmp_path)
    member = LammpsDump()
    options = member.make_read_options({'unit_style': 'metal', 'labels': ['charges', 'velocities']})
    back = member.read(after_lammps(tmp_path, source, is_general), options, limits=ANYTHING).frames
    # LAMMPS turns a general box into a restricted one and back: a few times the last digit of 12 Å.
    np.testing.assert_allclose(back.cells, frames.cells, atol=1e-13)
    np.testing.assert_allclose(back.positions, frames.positions, atol=1e-13)
    np.testing.assert_allclose(back.velocities, frames.velocities, atol=1e-15)
    np.testing.assert_array_equal(back.charges, frames.charges)
    np.testing.assert_array_equal(back.numbers, frames.numbers)
