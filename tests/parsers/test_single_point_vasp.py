"""What is read of the files of VASP, by a stand-in and by the program itself, and what becomes a label."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict
from calculation_cases import TESTS
from vasp_label_cases import (
    computed,
    crystal,
    dataset,
    parsed,
    settings,
)

from aiida_edl.calculations.functions.collect_vasp_labels import collect_vasp_labels
from aiida_edl.calculations.functions.collect_vasp_labels import refusal as why_no_label
from aiida_edl.calculations.functions.prepare_vasp_inputs import frame_key

RECORDED = TESTS / 'fixtures' / 'formats' / 'vasp'


def collected(folder, *frames):
    """Return labels of frames whose elements are grouped, by stand-in, parser and calcfunction."""
    parts = {}
    for index, frame in enumerate(frames):
        misc, exit_code = computed(folder / str(index), frame, IVDW=11)
        assert exit_code is None
        parts[f'misc_{frame_key(index)}'] = Dict(misc)
    orders = ArrayData({frame_key(index): np.arange(len(frame.numbers)) for index, frame in enumerate(frames)})
    outputs = collect_vasp_labels(
        dataset=dataset(*frames),
        model_parameters=Dict(settings()),
        potentials=Dict({'Au': {'valence': 11.0, 'title': 'PAW_PBE Au 01Jan2000', 'sha512': ''}}),
        record=Dict({'failures': {}, 'remedies': {}}),
        site_order_001=orders,
        **parts,
    )
    return {name: outputs['labels'].get_array(name) for name in outputs['labels'].get_arraynames()}


def test_forces_are_minus_the_gradient_of_the_energy(tmp_path):
    """The energy without entropy, and the one extrapolated to no smearing, have gradients that are 10 and 5 % off."""
    step, frames = 0.01, []
    for move in (-step, 0.0, step):
        frames.append(crystal(2.0))
        frames[-1].positions[0, 0] += move
    labels = collected(tmp_path, *frames)
    low, _, high = labels['energies']
    assert labels['forces'][4, 0] == pytest.approx(-(high - low) / (2 * step), rel=0.01)


def test_stress_is_the_change_of_energy_with_volume(tmp_path):
    a, step = 2.0, 0.005
    labels = collected(tmp_path, *(crystal(value) for value in (a - step, a, a + step)))
    low, _, high = labels['energies']
    pressure = np.trace(labels['stresses'][1]) / 3
    assert pressure == pytest.approx((high - low) / ((a + step) ** 3 - (a - step) ** 3), rel=0.01)


def test_run_of_vasp_itself(tmp_path):
    """Two atoms of silicon by VASP 6.4.2, see the README of the fixture."""
    for name in ('OUTCAR', 'vasprun.xml'):
        (tmp_path / name).write_bytes(gzip.decompress((RECORDED / 'static' / f'{name}.gz').read_bytes()))
    misc, exit_code = parsed(tmp_path)
    assert exit_code is None
    assert why_no_label(misc, 2, 8.0) is None
    assert why_no_label(misc, 2, 9.0).startswith('VASP counted 8 electrons, the frame has 9')
    assert misc['total_energies']['energy_free'] == misc['free_energy'] == -11.45864342
    assert (misc['run_status']['last_iteration_index'], misc['run_status']['nelm']) == ([1, 14], 200)
    assert misc['version'] == '6.4.2'


def test_output_that_is_cut_is_not_taken_for_a_result(tmp_path):
    computed(tmp_path / 'job', crystal())
    outcar = tmp_path / 'job' / 'OUTCAR'
    outcar.write_text(outcar.read_text().partition('General timing')[0])
    _, exit_code = parsed(tmp_path / 'job')
    assert exit_code.status == 700


def test_scf_that_ends_at_its_limit_is_not_converged(tmp_path):
    _, exit_code = computed(tmp_path / 'job', crystal(), NELM=12)
    assert exit_code.status == 701


MISC = {
    'total_energies': {'energy_free': -1.0},
    'forces': [[0.0, 0.0, 0.0]],
    'stress': np.zeros((3, 3)).tolist(),
    'run_status': {'last_iteration_index': [1, 12], 'nelm': 60},
    'n_electrons': 11.0,
}


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({}, None),
        ({'n_electrons': 11.0004}, None),
        (
            {'n_electrons': 12.0},
            'VASP counted 12 electrons, the frame has 11; check the total charge and the potentials',
        ),
        ({'n_electrons': None}, 'the output does not say how many electrons VASP counted'),
        ({'forces': [[0.0] * 3] * 2}, 'the output is of 2 atoms, the frame has 1'),
        ({'total_energies': {'energy_extrapolated': -1.0}}, 'the output lacks energy'),
        ({'stress': [], 'forces': []}, 'the output lacks forces, stress'),
        ({'run_status': {'last_iteration_index': [1, 60], 'nelm': 60}}, 'the SCF did not converge in 60 steps'),
        (
            {'free_energy': -1.25},
            'vasprun.xml gives a free energy of -1.000000 eV, OUTCAR -1.250000 eV; one of them lacks a part',
        ),
        ({'forces': [[float('nan'), 0.0, 0.0]]}, 'the output holds values that are not finite'),
    ],
)
def test_results_that_are_no_label(changes, reason):
    assert why_no_label({**MISC, **changes}, 1, 11.0) == reason
