"""The data file of n2p2: units that must be stated, and blocks that are cut."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.formats.base import without
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.n2p2 import N2p2
from aiida_edl.science.formats.testing import ANYTHING, example_set

BLOCK = """begin
comment a frame
lattice 18.0 0.0 0.0
lattice 0.0 19.0 0.0
lattice 0.0 0.0 20.0
atom 0.0 0.0 0.0 Na 0.9 0.0 0.01 0.0 0.0
atom 0.0 0.0 4.0 H -0.9 0.0 -0.01 0.0 0.0
energy -1.5
charge 0.0
end
"""
ATOMIC = {'length_unit': 'bohr', 'energy_unit': 'hartree'}


def read(tmp_path: Path, text: str, **options: Any) -> Any:
    """Return the frames of a file with this text."""
    (tmp_path / 'input.data').write_text(text)
    member = N2p2()
    chosen = member.make_read_options({**ATOMIC, **options})
    return member.read(tmp_path / 'input.data', chosen, limits=ANYTHING, maximum_failed_fraction=0.0).frames


def test_block_in_atomic_units(tmp_path):
    frame = read(tmp_path, BLOCK, labels=['energies', 'forces', 'charges'], columns={'charge': 'total_charge'}).frame(0)
    assert frame.energy == -1.5 * units.HARTREE
    assert frame.positions[1, 2] == 4.0 * units.BOHR
    assert frame.cell[2, 2] == 20.0 * units.BOHR
    assert frame.forces[0, 0] == 0.01 * (units.HARTREE / units.BOHR)
    assert (frame.charges.tolist(), frame.columns['total_charge']) == ([0.9, -0.9], 0.0)


def test_units_must_be_stated():
    message = '^n2p2 is not read on a guess; state the option length_unit and energy_unit$'
    with pytest.raises(FormatError, match=message):
        N2p2().make_read_options({})


def test_units_by_quantity_are_refused(tmp_path):
    from aiida_edl.science.formats.file_units import FileUnits

    with pytest.raises(FormatError, match=r'^units are stated, but those of n2p2 are fixed \(none in the file'):
        N2p2().read(tmp_path, N2p2().make_read_options(ATOMIC), FileUnits())


def test_unknown_unit_is_answered_with_the_nearest():
    with pytest.raises(FormatError, match=r"^unknown unit of length 'Bohr': did you mean 'bohr'\?"):
        N2p2().make_read_options({**ATOMIC, 'length_unit': 'Bohr'})


def test_frame_without_lattice_is_not_periodic(tmp_path):
    text = '\n'.join(line for line in BLOCK.splitlines() if not line.startswith('lattice')) + '\n'
    frame = read(tmp_path, text).frame(0)
    assert (frame.pbc.any(), frame.cell.any()) == (np.False_, np.False_)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            BLOCK.removesuffix('end\n'),
            "input.data: frame 0 is truncated: its block has no 'end'; remove it or copy the file again",
        ),
        (BLOCK.replace('energy -1.5\n', ''), "input.data: frame 0 has no line 'energy'; add it or do not ask for it"),
        (
            BLOCK.replace(' -0.01 0.0 0.0', ''),
            "input.data: frame 0 has lines 'atom' that are none or have other than 9 fields; mend them",
        ),
        (BLOCK.replace('begin\n', ''), "input.data has 'comment a frame' before 'begin'; give a data file of n2p2"),
        (
            BLOCK.replace('lattice 0.0 19.0 0.0\n', ''),
            "input.data: frame 0 has 2 lines 'lattice'; give three, or none if nothing is periodic",
        ),
    ],
)
def test_bad_file_is_refused(tmp_path, text, message):
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read(tmp_path, text)


def test_unlabelled_frames_are_not_written():
    frames = without(example_set(), ('energies', 'stresses', 'velocities'))
    message = '^n2p2 has no way to say that energies are not known; label the frames first$'
    with pytest.raises(FormatError, match=message):
        N2p2().write(frames)
