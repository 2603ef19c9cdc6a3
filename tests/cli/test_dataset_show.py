"""``aiida-edl dataset show``: attributes, histograms as bars, numbers, and a figure."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from frame_cases import frame_set, interface_frame, labelled

from aiida_edl.cli.main import main
from aiida_edl.cli.text_histogram import bar, histogram_text
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.dataset_histograms import Histogram


@pytest.fixture(scope='module')
def dataset(aiida_profile):
    """Return a stored data set of six frames without ions and two with two."""
    frames = frame_set(*(interface_frame(seed, n_ions) for n_ions, n in ((0, 6), (2, 2)) for seed in range(n)))
    return DatasetData.from_frames(labelled(frames, np.arange(8.0)), 'RPBE-D3', 'made by hand').store()


@pytest.fixture(scope='module')
def show(aiida_profile, dataset):
    """Return a function that shows the data set."""

    def run(*arguments, exit_code=0):
        command = ['-p', aiida_profile.name, 'dataset', 'show', str(dataset.pk), *map(str, arguments)]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def test_bars_of_the_charge_states(show):
    text = show()
    assert 'ions: 8 frames\n  0  6  ████████████████████████████████████████\n  2  2  █████████████▍\n' in text
    for name in ('energy within composition [eV/atom]: 8 frames', 'force [eV/Å]: 140 atoms'):
        assert name in text


def test_brief_has_attributes_alone(show):
    text = show('--brief')
    assert 'RPBE-D3' in text
    assert 'minimum distance' not in text


def test_json_holds_attributes_and_numbers(show):
    (row,) = json.loads(show('--format', 'json'))
    assert row['n_frames'] == 8
    ions = [found for found in row['histograms'] if found['quantity'] == 'ions']
    assert ions == [
        {'quantity': 'ions', 'unit': '', 'per': 'frame', 'low': 0.0, 'high': 0.0, 'count': 6},
        {'quantity': 'ions', 'unit': '', 'per': 'frame', 'low': 2.0, 'high': 2.0, 'count': 2},
    ]


def test_csv_holds_the_numbers(show):
    rows = list(csv.DictReader(io.StringIO(show('--format', 'csv'))))
    assert sum(int(row['count']) for row in rows if row['quantity'] == 'minimum distance') == 8


@pytest.mark.parametrize(('suffix', 'begin'), [('.png', b'\x89PNG'), ('.svg', b'<?xml')])
def test_figure(show, tmp_path, suffix, begin):
    path = tmp_path / f'set{suffix}'
    show('--brief', '--figure', path)
    assert path.read_bytes().startswith(begin)


def test_figure_of_another_kind_is_refused(show, tmp_path):
    text = show('--figure', tmp_path / 'set.pdf', exit_code=1)
    assert text == "Error: 'set.pdf' is no file of a figure; let its name end in .png or .svg\n"


def test_figures_are_the_same_every_time(show, tmp_path):
    paths = [tmp_path / name for name in ('a.svg', 'b.svg')]
    for path in paths:
        show('--brief', '--figure', path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ('share', 'text'), [(0.0, ''), (1e-9, '▏'), (0.25, '█'), (0.5, '██'), (0.59375, '██▍'), (1.0, '████')]
)
def test_bars(share, text):
    assert bar(share, 4) == text


def test_missing_values_and_range_are_in_the_head():
    histogram = Histogram(
        'x', 'Å', 'frame', np.array([0.0, 0.5, 1.0]), np.array([3, 12]), False, 2, 0.1, 0.6, 0.7, 0.95
    )
    assert histogram_text(histogram, 4) == (
        'x [Å]: 15 frames, 0.1 to 0.95, mean 0.6; 2 without a value\n  0 to 0.5   3  █\n  0.5 to 1  12  ████'
    )
