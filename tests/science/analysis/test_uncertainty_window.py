"""The uncertainty window: each frame is in one class, and what is missing is not accurate."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.uncertainty_window import (
    ClassCounts,
    FrameClass,
    UncertaintyWindow,
    UncertaintyWindowError,
    count_classes,
    deviation_quantiles,
    lowest_accurate_share,
    sort_frames,
)

WINDOW = UncertaintyWindow(lower=0.1, upper=0.5)


def classes_of(*deviations):
    """Return the class of each frame."""
    classes = sort_frames(np.array(deviations), WINDOW)
    found = {int(index): name for name, indices in classes.items() for index in indices}
    assert sum(map(len, classes.values())) == len(found) == len(deviations)
    return [found[index] for index in range(len(deviations))]


@pytest.mark.parametrize(
    ('deviation', 'expected'),
    [
        (0.0, FrameClass.ACCURATE),
        (np.nextafter(0.1, 0), FrameClass.ACCURATE),
        (0.1, FrameClass.CANDIDATE),
        (np.nextafter(0.5, 0), FrameClass.CANDIDATE),
        (0.5, FrameClass.FAILED),
        (np.inf, FrameClass.FAILED),
        (np.nan, FrameClass.FAILED),
    ],
)
def test_class_of_a_deviation(deviation, expected):
    assert classes_of(deviation) == [expected]


def test_classes_do_not_depend_on_the_order():
    generator = np.random.default_rng(1)
    deviations = generator.uniform(0, 0.7, 50)
    order = generator.permutation(50)
    expected = classes_of(*deviations)
    assert classes_of(*deviations[order]) == [expected[index] for index in order]


@pytest.mark.parametrize('limits', [(0.5, 0.1), (0.2, 0.2), (-0.1, 0.2), (0.1, np.inf), (np.nan, 1.0)])
def test_limits_that_are_no_window_are_refused(limits):
    with pytest.raises(UncertaintyWindowError) as caught:
        UncertaintyWindow(*limits)
    assert str(caught.value) == (
        f'the uncertainty window is {limits[0]} to {limits[1]} eV/Å; '
        'give a lower limit from 0 and an upper one above it'
    )


def test_frames_are_counted_by_charge_state():
    classes = sort_frames(np.array([0.0, 0.2, 0.3, 0.9]), WINDOW)
    assert count_classes(classes, ['0', '0', '2Na', '2Na'], {'0': 2, '2Na': 2}) == {
        '0': ClassCounts(accurate=1, candidate=1, failed=0, planned=2),
        '2Na': ClassCounts(accurate=0, candidate=1, failed=1, planned=2),
    }


def test_frames_that_an_explosion_left_out_are_not_accurate():
    classes = sort_frames(np.array([0.0]), WINDOW)
    counts = count_classes(classes, ['0'], {'0': 4, '2Na': 4})
    assert [counts[label].accurate_share for label in ('0', '2Na')] == [0.25, 0.0]


def test_worst_charge_state_decides():
    classes = sort_frames(np.array([0.0, 0.0, 0.0, 0.2]), WINDOW)
    counts = count_classes(classes, ['0', '0', '2Na', '2Na'], {'0': 2, '2Na': 2})
    assert lowest_accurate_share(counts) == 0.5


def test_without_frames_nothing_is_accurate():
    assert lowest_accurate_share({}) == 0.0


def test_quantiles_leave_out_what_is_no_number():
    found = deviation_quantiles(np.array([*np.linspace(0, 1, 101), np.nan, np.inf]))
    assert found == pytest.approx({'5 %': 0.05, '25 %': 0.25, '50 %': 0.5, '75 %': 0.75, '95 %': 0.95})
    assert deviation_quantiles(np.array([np.nan])) == {}
