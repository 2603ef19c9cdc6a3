"""Conformance checks of formats of data sets, for those of this package and of any other.

A package that registers a format of its own checks it so, in a test file that pytest collects::

    from aiida_edl.science.formats.testing import DatasetFormatConformance
    from my_package.my_format import MyFormat

    class TestMyFormat(DatasetFormatConformance):
        format_class = MyFormat

The checks need hypothesis beside pytest. Each is repeatable: hypothesis draws the same examples every time.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aiida_edl.science.formats.base import CHARGE_STATE, DatasetFormat, recognised_format, without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.frame_collection import FramesRead
from aiida_edl.science.formats.label_checks import LabelLimits
from aiida_edl.science.frames import COLUMN_PREFIX, OPTIONAL, Frame, FrameSet

ANYTHING = LabelLimits(
    maximum_median_force=math.inf,
    minimum_median_force=0.0,
    maximum_energy_spread=math.inf,
    maximum_energy_per_atom=math.inf,
    maximum_stress=math.inf,
    maximum_charge=math.inf,
    minimum_distance=1e-3,
    maximum_work_deviation=math.inf,
)
"""Limits that accept labels of no physical size."""
NUMBERS = st.one_of(st.just(0.0), st.floats(1e-20, 1e3), st.floats(-1e3, -1e-20))
"""Values of labels; far from where doubles lose digits."""
ELEMENTS = (1, 8, 11, 79)
COLUMNS: Mapping[str, st.SearchStrategy[Any]] = {
    'charge_state': st.integers(-(10**9), 10**9),
    'time': st.floats(allow_infinity=False),
    'group': st.text('ab 01.T_-ü', max_size=5),
    'is_ok': st.booleans(),
}
"""Columns of each type that a set may have."""
SMALL_FILE = 200
"""Size of lists of types and energies [bytes]."""
REPEATABLE = settings(max_examples=20, deadline=None, database=None, derandomize=True)


@st.composite
def frame_sets(
    draw: Callable[..., Any],
    labels: Sequence[str] = OPTIONAL,
    has_columns: bool = True,
    required: Sequence[str] = (),
) -> FrameSet:
    """Draw a set of one to three frames: any periodicity, skew cells, any subset of labels and columns.

    :param draw: given by hypothesis.
    :param labels: optional arrays that may be there.
    :param has_columns: whether there may be columns.
    :param required: optional arrays that are always there.
    """
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    chosen = {*required, *(draw(st.sets(st.sampled_from(labels))) if labels else ())}
    columns = sorted(draw(st.sets(st.sampled_from(sorted(COLUMNS))))) if has_columns else []
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = []
    for size in sizes:
        frame = Frame(
            numbers=np.array(draw(st.lists(st.sampled_from(ELEMENTS), min_size=size, max_size=size)), dtype=np.uint8),
            positions=3.0 * np.arange(size)[:, None] * np.ones(3) + generator.uniform(-1.0, 1.0, (size, 3)),
            cell=20.0 * np.eye(3) + generator.uniform(-3.0, 3.0, (3, 3)),
            pbc=np.array(draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))),
            energy=draw(NUMBERS) if 'energies' in chosen else None,
            forces=_drawn(draw, (size, 3)) if 'forces' in chosen else None,
            stress=_symmetric(_drawn(draw, (3, 3))) if 'stresses' in chosen else None,
            charges=_drawn(draw, (size,)) if 'charges' in chosen else None,
            velocities=_drawn(draw, (size, 3)) if 'velocities' in chosen else None,
            columns={name: draw(COLUMNS[name]) for name in columns},
        )
        frames.append(frame)
    return FrameSet.from_frames(frames)


def _drawn(draw: Callable[..., Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an array in which a few drawn numbers are repeated."""
    return np.resize(np.array(draw(st.lists(NUMBERS, min_size=2, max_size=4))), shape)


def _symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a matrix with its lower triangle copied from the upper one."""
    upper = np.triu(matrix)
    symmetric: NDArray[np.float64] = upper + np.triu(matrix, 1).T
    return symmetric


def example_set() -> FrameSet:
    """Return two frames with every label and no column, periodic in all directions."""
    generator = np.random.default_rng(3)
    return FrameSet.from_frames(
        Frame(
            numbers=np.array([79, 8, 1], dtype=np.uint8),
            positions=np.array([[1.0, 1.0, 1.0], [4.0, 4.0, 4.0], [4.0, 4.0, 5.0]]) + generator.uniform(0, 0.1, (3, 3)),
            cell=np.diag([9.0, 10.0, 12.0]),
            pbc=np.ones(3, dtype=bool),
            energy=-470.0 + index,
            forces=generator.normal(size=(3, 3)),
            stress=0.01 * np.eye(3),
            charges=np.array([0.5, -1.0, 0.5]),
            velocities=0.01 * generator.normal(size=(3, 3)),
        )
        for index in range(2)
    )


def assert_same_frames(
    found: FrameSet, expected: FrameSet, tolerances: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Assert that two sets are the same to the last bit; the column ``charge_state`` may be there in addition.

    :param found: what was read.
    :param expected: what was written.
    :param tolerances: units in the last place by which an array may differ, by name.
    :raises AssertionError: with the name of the first array that differs.
    """
    arrays, wanted = found.to_arrays(), expected.to_arrays()
    if CHARGE_STATE not in expected.columns:
        arrays.pop(COLUMN_PREFIX + CHARGE_STATE)
    assert sorted(arrays) == sorted(wanted)
    for name, array in wanted.items():
        if name in tolerances:
            np.testing.assert_allclose(
                arrays[name], array, rtol=tolerances[name] * float(np.finfo(float).eps), atol=0.0, err_msg=name
            )
        else:
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)


class DatasetFormatConformance:
    """What every format does; subclass it and name the class."""

    format_class: ClassVar[type[DatasetFormat]]
    """Class under test; made without arguments."""
    entry_point_name: ClassVar[str | None] = None
    """Name under which it is registered; None to leave that unchecked."""
    write_options: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """Options with which frames are written and read back, one round trip each."""
    stated: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options that must be stated to write it."""

    def _written(self, frames: FrameSet, folder: Path, values: Mapping[str, Any]) -> tuple[Path, FrameSet, Any, Any]:
        """Write what the format can hold; return the source, what it holds and the options to write and to read."""
        member = self.format_class()
        options = member.make_write_options({**self.stated, **values})
        kept = without(frames, tuple(member.losses(frames, options)))
        source = write_files(member.write(kept, options), folder)
        return source, kept, options, member.make_read_options(member.read_back_options(kept, options))

    def _read(self, source: Path, options: Any) -> FramesRead:
        """Read a source of which no frame may be bad."""
        return self.format_class().read(source, options, limits=ANYTHING, maximum_failed_fraction=0.0)

    def test_name_is_that_of_the_entry_point(self) -> None:
        """The name in the class is the one under which it is found."""
        if self.entry_point_name is not None:
            assert self.format_class().name == self.entry_point_name

    def test_it_says_what_it_holds(self) -> None:
        """Title, units and precision are stated, and labels are those of frames."""
        member = self.format_class()
        assert all((member.title, member.unit_convention, member.precision))
        assert set(member.held_labels) <= set(OPTIONAL)

    def test_options_are_documented(self) -> None:
        """Options are frozen dataclasses, and below each field stands what it is."""
        member = self.format_class()
        for cls in filter(None, (member.read_options_class, member.write_options_class)):
            assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
            for item in dataclasses.fields(cls):
                source = ''.join(inspect.getsource(base) for base in cls.__mro__[:-1])
                assert re.search(rf'^    {item.name}: [^\n]*\n    """', source, re.MULTILINE), item.name

    def test_unknown_option_is_refused(self) -> None:
        """An option that does not exist is answered in a sentence."""
        member = self.format_class()
        makers = [member.make_read_options] + ([member.make_write_options] if member.write_options_class else [])
        for make in makers:
            _refused(partial(make, {'no_such_option': 1}), 'unknown option')

    def test_what_was_written_comes_back(self) -> None:
        """Any frames come back to the last bit of the precision of the format, with every choice of options."""
        member = self.format_class()
        if member.write_options_class is None:
            return

        @REPEATABLE
        @given(
            frames=frame_sets(member.held_labels, member.holds_columns, member.required_labels),
            values=st.sampled_from(self.write_options),
        )
        def check(frames: FrameSet, values: Mapping[str, Any]) -> None:
            with tempfile.TemporaryDirectory() as folder:
                source, kept, options, reading = self._written(frames, Path(folder), values)
                found = self._read(source, reading).frames
            assert_same_frames(found, member.as_held(kept, options), member.units_in_the_last_place)

        check()

    def test_same_frames_are_written_as_the_same_bytes(self) -> None:
        """Writing is repeatable, and paths are relative."""
        member = self.format_class()
        if member.write_options_class is None:
            return
        for values in self.write_options:
            options = member.make_write_options({**self.stated, **values})
            frames = without(example_set(), tuple(member.losses(example_set(), options)))
            first, second = member.write(frames, options), member.write(frames, options)
            assert first == second
            assert not any(Path(name).is_absolute() or '..' in Path(name).parts for name in first)

    def test_what_it_cannot_hold_is_refused_and_named(self) -> None:
        """A label or column without a place is not dropped in silence."""
        member = self.format_class()
        if member.write_options_class is None:
            return
        options = member.make_write_options(dict(self.stated))
        frames = example_set().with_columns(made_up=1.5)
        lost = member.losses(frames, options)
        assert set(lost) >= set(OPTIONAL) - set(member.held_labels)
        assert ('made_up' in lost) is not member.holds_columns
        for name in lost:
            others = without(frames, tuple(other for other in lost if other != name))
            _refused(partial(member.write, others, options), name)

    def test_empty_set_is_not_written(self) -> None:
        """No frame gives a sentence and no file."""
        member = self.format_class()
        if member.write_options_class is not None:
            options = member.make_write_options(dict(self.stated))
            empty = example_set().select([])
            _refused(lambda: member.write(empty, options), 'there is no frame')

    def test_written_source_is_recognised(self, tmp_path: Path) -> None:
        """What is written is known for what it is without a word."""
        member = self.format_class()
        if member.write_options_class is not None and self.entry_point_name is not None:
            source, *_ = self._written(example_set(), tmp_path, {})
            assert recognised_format(source).name == member.name

    def test_label_that_is_asked_for_and_missing_is_refused(self, tmp_path: Path) -> None:
        """A file without forces is not read as one with forces."""
        member = self.format_class()
        if member.write_options_class is None or 'forces' not in member.held_labels:
            return
        *_, reading = self._written(example_set(), tmp_path / 'with', {})

        def written_and_read() -> None:
            source, *_ = self._written(without(example_set(), ('forces',)), tmp_path / 'without', {})
            self._read(source, reading)

        _refused(written_and_read, '')

    def test_truncated_file_is_refused(self, tmp_path: Path) -> None:
        """A file cut in the middle is an error or a bad frame, never fewer frames in silence."""
        member = self.format_class()
        if member.write_options_class is None:
            return
        source, *_, reading = self._written(example_set(), tmp_path, {})
        for path in sorted(tmp_path.rglob('*')):
            if path.is_file() and path.stat().st_size > 1:
                whole = path.read_bytes()
                # Where a frame of text ends, or a number of a short list, nobody could tell that something is missing.
                path.write_bytes(whole[: 2 * len(whole) // 3 if len(whole) > SMALL_FILE else len(whole) // 2])
                _refused(lambda: self._read(source, reading), '')
                path.write_bytes(whole)


def _refused(action: Callable[[], object], word: str) -> None:
    """Assert that something is refused in a message with a word."""
    message = None
    try:
        action()
    except FormatError as error:
        message = str(error)
    assert message is not None, f'nothing was refused where {word!r} was expected'
    assert word in message, f'{message!r} does not name {word!r}'
