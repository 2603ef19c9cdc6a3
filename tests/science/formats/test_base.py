"""What all formats share: options that are checked, formats that are found, frames that are left out and listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from aiida_edl.registry import UnknownNameError
from aiida_edl.science.formats.base import DatasetFormat, dataset_format, recognised_format, without
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.frames import Frame

CELL = 10.0 * np.eye(3)


def make_frame(**changes: Any) -> Frame:
    """Return two atoms with energy and forces."""
    frame = Frame(
        numbers=np.array([11, 1], dtype=np.uint8),
        positions=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]),
        cell=CELL,
        pbc=np.ones(3, dtype=bool),
        energy=-3.0,
        forces=np.array([[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]]),
    )
    return replace(frame, **changes)


@dataclass(frozen=True)
class Options:
    """Options of the toy."""

    unit_style: str
    """Must be stated."""
    n_frames: int = 1
    """Frames there are."""


class Toy(DatasetFormat):
    """Frames out of thin air."""

    name: ClassVar[str] = 'toy'
    title: ClassVar[str] = 'frames out of thin air'
    read_options_class: ClassVar[type] = Options
    held_labels: ClassVar[tuple[str, ...]] = ('energies',)
    holds_columns: ClassVar[bool] = False
    precision: ClassVar[str] = 'double'
    unit_convention: ClassVar[str] = 'Å and eV'
    takes_units: ClassVar[bool] = False
    items: ClassVar[list[Frame | BadFrame]] = []

    def recognises(self, source: Path) -> bool:
        return False

    def frames(self, source: Path, options: Options, units: FileUnits) -> Iterator[Frame | BadFrame]:
        yield from self.items


def read(items: list[Frame | BadFrame], **options: Any) -> Any:
    """Return what is read of these items."""
    toy = Toy()
    toy.items = items
    return toy.read('run', Options('metal'), **options)


def refuse(items: list[Frame | BadFrame], message: str, **options: Any) -> None:
    """Assert that these items are refused with this whole message."""
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read(items, **options)


def test_three_bad_frames_among_a_thousand_are_left_out_and_listed():
    items: list[Frame | BadFrame] = [make_frame() for _ in range(1000)]
    items[17] = make_frame(energy=np.nan)
    items[423] = make_frame(positions=np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 9.9]]))
    items[999] = make_frame(forces=None)
    result = read(items)
    assert len(result.frames) == len(result.indices) == 997
    assert result.rejected == (
        (17, 'run: frame 17 has values in energy that are not finite'),
        (423, 'run: frame 423: atoms Na 0 and H 1 are 0.2 Å apart, below 0.5 Å; check the unit of length and the cell'),
        (999, 'run: frame 999 lacks forces, which other frames have'),
    )
    assert 17 not in result.indices


def test_more_bad_frames_than_allowed_are_refused():
    refuse(
        [make_frame(), BadFrame('run: frame 1 is cut')],
        'run: 1 of 2 frames cannot be used, allowed is a fraction of 0.01; the first: run: frame 1 is cut',
    )


def test_more_bad_frames_are_left_out_when_that_is_said():
    result = read([make_frame(), BadFrame('run: frame 1 is cut')], maximum_failed_fraction=0.5)
    assert (len(result.frames), result.rejected) == (1, ((1, 'run: frame 1 is cut'),))


def test_no_frame_is_refused():
    refuse([], 'run: there is no frame in it; give a source with at least one')


def test_only_frame_that_is_bad_says_why():
    refuse([BadFrame('run: frame 0 is cut')], 'run: frame 0 is cut')


def test_all_frames_bad_is_refused_whatever_is_allowed():
    message = 'run: 2 of 2 frames cannot be used, allowed is a fraction of 0.99; the first: cut'
    refuse([BadFrame('cut'), BadFrame('cut')], message, maximum_failed_fraction=0.99)


def test_fraction_that_allows_everything_is_refused():
    refuse(
        [make_frame()], 'maximum_failed_fraction is 1.0, it must be at least 0 and below 1', maximum_failed_fraction=1.0
    )


def test_units_of_a_format_that_fixes_them_are_refused():
    refuse([make_frame()], 'units are stated, but those of toy are fixed (Å and eV)', units=FileUnits())


def test_charge_state_follows_from_the_composition():
    assert read([make_frame()]).frames.columns['charge_state'].tolist() == [1]


def test_option_that_must_be_stated():
    with pytest.raises(FormatError, match=r'^toy is not read on a guess; state the option unit_style$'):
        Toy().make_read_options({})


def test_unknown_option_is_answered_with_the_nearest():
    message = "unknown option of toy 'unit_stile': did you mean 'unit_style'? Known: n_frames, unit_style."
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        Toy().make_read_options({'unit_stile': 'metal'})


def test_option_of_a_wrong_type_is_refused():
    with pytest.raises(FormatError, match=r"^option 'n_frames' of toy is 'two', expected int$"):
        Toy().make_read_options({'unit_style': 'metal', 'n_frames': 'two'})


def test_format_that_is_read_only_names_those_that_are_written():
    with pytest.raises(FormatError, match=r'^toy is read only; formats that are written: .*extended_xyz'):
        Toy().make_write_options({})


def test_unknown_format_is_answered_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"^unknown format 'extendet_xyz': did you mean 'extended_xyz'\? Known: "
    ):
        dataset_format('extendet_xyz')


def test_source_of_no_known_format_is_refused(tmp_path):
    (tmp_path / 'notes.txt').write_text('nothing')
    with pytest.raises(FormatError, match=r"^'notes.txt' looks like none of .*; state its format$"):
        recognised_format(tmp_path / 'notes.txt')


def test_what_is_dropped_must_be_there():
    frames = read([make_frame()]).frames
    message = "unknown label or column of the frames 'force': did you mean 'forces'? "
    with pytest.raises(FormatError, match=f'^{re.escape(message)}'):
        without(frames, ('force',))


def test_what_is_dropped_is_gone():
    frames = without(read([make_frame()]).frames, ('forces', 'charge_state'))
    assert (frames.forces, dict(frames.columns)) == (None, {})
